"""The closed sets of states, and which transition may follow which (DESIGN 5)."""

from enum import StrEnum


class StageState(StrEnum):
    """Where one generation of a stage stands."""

    WAITING = "waiting"  # its predecessors have not passed
    READY = "ready"  # may be started
    PREPARING = "preparing"  # backing up every target
    UPGRADING = "upgrading"  # changing targets
    VALIDATING = "validating"  # looking once more at every changed target
    BAKING = "baking"  # running under monitoring until bake_until
    REVIEW = "review"  # waits for sign-offs
    PASSED = "passed"
    BLOCKED = "blocked"  # needs a person; goes back to the state it left
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


#: States in which the engine or a person still has forward work to do.
WORKING = frozenset(
    {
        StageState.PREPARING,
        StageState.UPGRADING,
        StageState.VALIDATING,
        StageState.BAKING,
        StageState.REVIEW,
        StageState.BLOCKED,
    }
)

#: States in which the engine itself moves the stage.
ENGINE_STATES = frozenset(
    {
        StageState.PREPARING,
        StageState.UPGRADING,
        StageState.VALIDATING,
        StageState.BAKING,
        StageState.ROLLING_BACK,
    }
)

STAGE_TRANSITIONS: dict[StageState, frozenset[StageState]] = {
    StageState.WAITING: frozenset({StageState.READY}),
    StageState.READY: frozenset({StageState.PREPARING, StageState.WAITING}),
    StageState.PREPARING: frozenset({StageState.UPGRADING, StageState.BLOCKED, StageState.ROLLING_BACK}),
    StageState.UPGRADING: frozenset({StageState.VALIDATING, StageState.BLOCKED, StageState.ROLLING_BACK}),
    StageState.VALIDATING: frozenset({StageState.BAKING, StageState.BLOCKED, StageState.ROLLING_BACK}),
    StageState.BAKING: frozenset({StageState.REVIEW, StageState.BLOCKED, StageState.ROLLING_BACK}),
    # Back to the bake: what is asked of the stage has changed, and the checks look once more.
    StageState.REVIEW: frozenset({StageState.PASSED, StageState.BLOCKED, StageState.ROLLING_BACK, StageState.BAKING}),
    StageState.PASSED: frozenset({StageState.ROLLING_BACK}),
    StageState.BLOCKED: frozenset(
        {
            StageState.PREPARING,
            StageState.UPGRADING,
            StageState.VALIDATING,
            StageState.BAKING,
            StageState.REVIEW,
            StageState.ROLLING_BACK,
        }
    ),
    StageState.ROLLING_BACK: frozenset({StageState.ROLLED_BACK}),
    StageState.ROLLED_BACK: frozenset({StageState.READY, StageState.ROLLING_BACK}),
}


class ActionState(StrEnum):
    """Where one unit of work stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"  # waits for a person; a retry is a new attempt
    CONFLICT = "conflict"  # somebody else changed the field; waits for a person


ACTION_OPEN = frozenset({ActionState.PENDING, ActionState.RUNNING})
ACTION_GOOD = frozenset({ActionState.DONE, ActionState.SKIPPED})
ACTION_BAD = frozenset({ActionState.FAILED, ActionState.CONFLICT})
#: What is in none of these is unfinished, also where a newer process gave it a state that this code does not know.
ACTION_ENDED = ACTION_GOOD | ACTION_BAD


class ActionKind(StrEnum):
    """What one action does to its target. Each engine state of a stage is the work of one kind."""

    BACKUP = "backup"
    CHANGE = "change"
    VALIDATE = "validate"
    REVERT = "revert"
    COMPARE = "compare"  # after the way back: look whether the target is as its backup says


#: What belongs to the way back: pause, lock, windows, limits and pins do not hold it.
BACKWARD = frozenset({ActionKind.REVERT, ActionKind.COMPARE})


#: The kind of action that a stage state waits for.
WORK_OF = {
    StageState.PREPARING: ActionKind.BACKUP,
    StageState.UPGRADING: ActionKind.CHANGE,
    StageState.VALIDATING: ActionKind.VALIDATE,
    StageState.ROLLING_BACK: ActionKind.REVERT,
}


class Decision(StrEnum):
    """What a person said of a stage."""

    GRANTED = "granted"
    REJECTED = "rejected"


class Verdict(StrEnum):
    """What a check found. INCONCLUSIVE is never treated as good."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class ItemState(StrEnum):
    """Where a checklist item stands."""

    OPEN = "open"
    DONE = "done"
    NOT_APPLICABLE = "not_applicable"
