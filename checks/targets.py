"""Checks on the targets of a stage."""

from checks.evidence import Found, StageLook
from rollout.states import Verdict


def on_target_runtime(look: StageLook) -> Found:
    """PASS when every target of the change set was verified on the new runtime and is still there."""
    facts: dict[str, object] = {"changed": look.changed, "unchanged": list(look.unchanged)}
    if look.unchanged:
        named = ", ".join(look.unchanged[:3]) + (" and more" if len(look.unchanged) > 3 else "")
        count = len(look.unchanged)
        return Found(Verdict.FAIL, f"{count} not on {look.target_release}: {named}", "not_verified", facts)
    if look.targets_error:
        return _not_looked_at(look, facts)
    if not look.changed:
        return Found(Verdict.INCONCLUSIVE, "Nothing was changed, so nothing is shown.", "no_targets", facts)
    return Found(Verdict.PASS, f"All {look.changed} targets are on {look.target_release}.", "", facts)


def settled(look: StageLook) -> Found:
    """PASS when every changed target has come to rest: running again, or terminated in the ordinary way."""
    facts: dict[str, object] = {"unsettled": list(look.unsettled), "moving": list(look.moving)}
    if look.unsettled:
        named = ", ".join(look.unsettled[:3]) + (" and more" if len(look.unsettled) > 3 else "")
        return Found(
            Verdict.FAIL, f"{len(look.unsettled)} went down or did not come up: {named}", "cluster_error", facts
        )
    if look.targets_error:
        return _not_looked_at(look, facts)
    if look.moving:
        count = len(look.moving)
        sentence = f"{count} {'is' if count == 1 else 'are'} starting, stopping or resizing just now."
        return Found(Verdict.INCONCLUSIVE, sentence, "stuck", facts)
    if not look.changed:
        return Found(Verdict.INCONCLUSIVE, "Nothing was changed, so nothing is shown.", "no_targets", facts)
    return Found(Verdict.PASS, f"All {look.changed} are at rest.", "", facts)


def _not_looked_at(look: StageLook, facts: dict[str, object]) -> Found:
    sentence = f"Not every target could be looked at: {look.targets_error}"
    return Found(Verdict.INCONCLUSIVE, sentence, "workspace_unreachable", facts)
