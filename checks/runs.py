"""The runs of a stage's jobs on both runtimes. People judge the numbers; this check decides nothing by itself."""

from checks.evidence import Found, StageLook
from rollout.states import Verdict


def compared(look: StageLook) -> Found:
    """Always INCONCLUSIVE with the numbers: whether they are good enough is for the people who sign."""
    if look.runs is None:
        sentence = f"The runs could not be read: {look.runs_error or 'no answer'}."
        return Found(Verdict.INCONCLUSIVE, sentence, "workspace_unreachable")
    old, new = look.runs["old"], look.runs["new"]
    if not new["runs"]:
        return Found(Verdict.INCONCLUSIVE, f"No run has finished on {new['release']} yet.", "too_few_runs", look.runs)
    sentence = (
        f"{new['runs']} runs on {new['release']}, {new['failures']} failed"
        f" (before: {old['runs']} on {old['release']}, {old['failures']} failed). For people to judge."
    )
    if not look.runs.get("complete", True):
        sentence = f"Not all runs could be read. {sentence}"
    return Found(Verdict.INCONCLUSIVE, sentence, "people_judge", look.runs)
