"""The one way a stage changes its state: a conditional UPDATE, with what it causes, in one transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rollout.states import STAGE_TRANSITIONS, StageState
from storage.models import Stage
from storage.record import By, event, touch_card

#: States that wait for a person or have ended: their card is edited first.
_FINAL = frozenset(
    {StageState.BLOCKED, StageState.REVIEW, StageState.PASSED, StageState.ROLLED_BACK, StageState.BAKING}
)


class Lost(Exception):
    """The row is no longer as it was read: somebody else was quicker. Read again and decide anew."""


def lock_stage(session: Session, stage_id: int) -> Stage:
    """The stage's row, locked until the transaction ends (DESIGN 5.7)."""
    return session.execute(
        select(Stage).where(Stage.id == stage_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()


def move(session: Session, stage: Stage, to: StageState, at: datetime, by: By, sentence: str, **values: Any) -> None:
    """Move ``stage`` to another state and write its event; ``values`` are further columns to set.

    ``at`` is a calendar instant. Raises ValueError for a transition that does not exist and Lost when the row changed
    since it was read.
    """
    came_from = stage.state
    if to not in STAGE_TRANSITIONS.get(came_from, ()):  # it may be one that only a newer process knows
        raise ValueError(f"a stage does not go from {came_from} to {to}")
    session.flush()
    moved = session.execute(
        update(Stage)
        .where(Stage.id == stage.id, Stage.state == came_from, Stage.version == stage.version)
        .values(state=to, version=Stage.version + 1, **values)
        .execution_options(synchronize_session=False)
    )
    if moved.rowcount != 1:  # type: ignore[attr-defined]
        raise Lost(f"stage {stage.key} is no longer {came_from}")
    session.refresh(stage)
    event(session, at, by, f"stage_{to}", sentence, stage=stage, data={"from": came_from, "to": to})
    # Nothing has been done yet in a stage that waits or is ready: that alone is not worth a message.
    begun = to not in (StageState.WAITING, StageState.READY)
    touch_card(session, stage, final=to in _FINAL, make=begun)
