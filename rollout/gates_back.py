"""The pure decisions of the way back: roll back a stage or a target, and unlock afterwards."""

from rollout.decisions import Decision, decide, permission
from rollout.facts import RollBackFacts, TargetRollBackFacts, UnlockFacts
from rollout.reasons import Reason
from rollout.states import ACTION_BAD, WORKING, ActionState, StageState


def may_roll_back(facts: RollBackFacts) -> Decision:
    """Whether a stage may be rolled back. Pause, lock, windows and failures hold no rollback."""
    found = list(permission(facts.may, "roll back"))
    stage = facts.stage
    if facts.state is StageState.ROLLING_BACK:
        found.append(Reason("rollback_running", f"{stage} is being rolled back.", f"/rollout status {stage}"))
    elif facts.state is StageState.ROLLED_BACK and not (facts.bad_reverts or facts.in_use):
        found.append(
            Reason("nothing_to_roll_back", f"{stage} has been rolled back already.", f"/rollout status {stage}")
        )
    elif facts.state in {StageState.WAITING, StageState.READY}:
        found.append(
            Reason("nothing_to_roll_back", f"{stage} has not been started: nothing was changed.", "/rollout status")
        )
    if facts.later_started:
        later = ", ".join(facts.later_started)
        verb = "has" if len(facts.later_started) == 1 else "have"
        found.append(
            Reason(
                "later_stage_started",
                f"{later} came after {stage} and {verb} changes.",
                "Roll back all of them, latest first: press the button below.",
            )
        )
    return decide(found)


def may_roll_back_target(facts: TargetRollBackFacts) -> Decision:
    """Whether one target may be put back and pinned."""
    found = list(permission(facts.may, "roll back"))
    if facts.support:
        sentence = f"{facts.target} is shared by targets: it is put back with the stage that changed it, after them."
        found.append(Reason("support_in_use", sentence, "/rollout rollback STAGE puts back a whole stage."))
    elif facts.state is StageState.ROLLING_BACK:
        found.append(
            Reason(
                "rollback_running", f"{facts.stage} is being rolled back as a whole.", f"/rollout status {facts.stage}"
            )
        )
    elif facts.running:
        found.append(
            Reason(
                "actions_in_flight",
                f"Work on {facts.target} is under way.",
                "Wait until it has ended (a few minutes at most), then repeat this.",
            )
        )
    elif facts.state is None or facts.state not in {*WORKING, StageState.PASSED} or not facts.acted:
        found.append(Reason("nothing_to_roll_back", f"Nothing was changed on {facts.target}.", "/rollout status"))
    elif facts.pinned and not needs_revert(facts):
        found.append(Reason("nothing_to_roll_back", f"{facts.target} is back and pinned already.", "Nothing to do."))
    return decide(found)


def needs_revert(facts: TargetRollBackFacts) -> bool:
    """Whether something may have been written to the target that has not been put back."""
    if facts.revert is not None:
        return facts.revert in ACTION_BAD
    return facts.change in {ActionState.DONE, *ACTION_BAD}


def may_unlock(facts: UnlockFacts, submitted: bool = True) -> Decision:
    """Whether a rolled-back stage may be made ready again; with a reason once the form is ``submitted``."""
    found = list(permission(facts.may, "unlock a stage"))
    if not facts.locked:
        found.append(Reason("not_locked", f"{facts.stage} is not locked.", f"/rollout status {facts.stage}"))
    elif facts.state is not StageState.ROLLED_BACK:
        found.append(
            Reason(
                "rollback_running",
                f"{facts.stage} is still being rolled back.",
                f"/rollout status {facts.stage} shows how far it is.",
            )
        )
    if submitted and not facts.reason.strip():
        found.append(Reason("reason_required", "Unlocking needs a reason.", f"/rollout unlock {facts.stage} REASON"))
    return decide(found)
