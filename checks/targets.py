"""Checks on the targets of a stage."""

from checks.evidence import Found, StageLook
from rollout.states import Verdict


def on_target_runtime(look: StageLook) -> Found:
    """PASS when every target of the change set was verified on the new runtime."""
    facts = {"changed": look.changed, "unchanged": list(look.unchanged)}
    if look.unchanged:
        named = ", ".join(look.unchanged[:3]) + (" and more" if len(look.unchanged) > 3 else "")
        count = len(look.unchanged)
        return Found(Verdict.FAIL, f"{count} not on {look.target_release}: {named}", "not_verified", facts)
    if not look.changed:
        return Found(Verdict.INCONCLUSIVE, "Nothing was changed, so nothing is shown.", "no_targets", facts)
    return Found(Verdict.PASS, f"All {look.changed} targets are on {look.target_release}.", "", facts)


def settled(look: StageLook) -> Found:
    """PASS when every changed target has come to rest: running again, or terminated as it was."""
    facts = {"unsettled": list(look.unsettled)}
    if look.unsettled:
        return Found(Verdict.FAIL, f"{len(look.unsettled)} have not come to rest.", "stuck", facts)
    if not look.changed:
        return Found(Verdict.INCONCLUSIVE, "Nothing was changed, so nothing is shown.", "no_targets", facts)
    return Found(Verdict.PASS, f"All {look.changed} are at rest.", "", facts)
