"""Which pools were made to stand in for others."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.states import ActionKind, ActionState
from storage.models import Action, Target

#: Where the outcome of a change names what was made.
STANDS_IN = "stands_in"


def stand_ins(session: Session, rollout_id: int, workspace: str) -> dict[str, str]:
    """Id of a pool -> id of its stand-in, as the newest change of each found it when it was done."""
    rows = session.execute(
        select(Target.object_id, Action.outcome)
        .join(Action, Action.target_id == Target.id)
        .where(
            Target.rollout_id == rollout_id,
            Target.workspace == workspace,
            Target.kind == "pool",
            Action.kind == ActionKind.CHANGE,
            Action.state == ActionState.DONE,
        )
        .order_by(Action.id)
    )
    return {pool: str(outcome[STANDS_IN]) for pool, outcome in rows if outcome and outcome.get(STANDS_IN)}
