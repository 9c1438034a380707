"""The edits that repositories make themselves: whether they have arrived."""

from checks.evidence import Found, StageLook
from rollout.states import Verdict


def edits_arrived(look: StageLook) -> Found:
    """PASS when every target of the stage that a repository owns has been deployed on the new runtime."""
    facts: dict[str, object] = {"repositories": [list(one) for one in look.managed]}
    total = sum(edits for _, _, edits in look.managed)
    if not total:
        return Found(Verdict.PASS, "No target of the stage is deployed from a repository.", "", facts)
    late = [one for one in look.managed if one[1] < one[2]]
    if not late:
        return Found(Verdict.PASS, f"All {total} edits of repositories have arrived.", "", facts)
    said = "; ".join(f"{repository}: {arrived} of {edits} arrived" for repository, arrived, edits in late[:3])
    more = f"; and {len(late) - 3} more repositories" if len(late) > 3 else ""
    return Found(Verdict.FAIL, f"{said}{more}.", "not_arrived", facts)
