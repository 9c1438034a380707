"""Whether a forward write may be sent now, by how its stage and its rollout stand."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS
from rollout.plan import Plan
from rollout.states import StageState
from rollout.windows import may_touch
from storage.actions import Claim
from storage.models import Rollout, Stage
from storage.plans import plan_of_revision

#: Asked for every write, and built once.
_STAGE = select(Stage.key, Stage.state, Stage.locked, Stage.generation).where(Stage.id == bindparam("stage"))
_LOCKED = _STAGE.with_for_update()
_RULES = select(Rollout.paused, Rollout.revision_id).where(Rollout.id == bindparam("rollout"))


@dataclass(frozen=True, slots=True)
class Rules:
    """A stage with what rules it, as one transaction sees it."""

    stage: str
    state: StageState
    locked: bool
    generation: int
    paused: bool
    plan: Plan

    def allows(self, claim: Claim, now: datetime, shared: bool) -> bool:
        """Pause, lock, a rollback, windows and freezes hold every forward write that has not been sent yet.

        ``now`` is the calendar; ``shared``: it is a running cluster that people work on. Pure.
        """
        return (
            not self.paused
            and not self.locked
            and self.generation == claim.generation
            and (self.state in (StageState.UPGRADING, StageState.BLOCKED) or self._ends(claim))
            and may_touch(self.plan, self.stage, shared, now)
        )

    def _ends(self, claim: Claim) -> bool:
        """What is done to a support once its last stage has passed."""
        return self.state is StageState.PASSED and claim.target_kind in SUPPORTS


def rules(session: Session, claim: Claim) -> Rules:
    """What rules the stage of ``claim``, without a lock: it may be otherwise in a moment."""
    return _read(session, claim, locked=False)


def locked_rules(session: Session, claim: Claim) -> Rules:
    """What rules the stage of ``claim``, locked until the transaction ends; read once in a transaction."""
    known: dict[int, Rules] = session.info.setdefault("rules", {})
    if claim.stage_id not in known:
        known[claim.stage_id] = _read(session, claim, locked=True)
    return known[claim.stage_id]


def _read(session: Session, claim: Claim, locked: bool) -> Rules:
    stage = session.execute(_LOCKED if locked else _STAGE, {"stage": claim.stage_id}).one()
    paused, revision = session.execute(_RULES, {"rollout": claim.rollout_id}).one()  # after the stage's lock, if any
    return Rules(*stage, paused, plan_of_revision(session, revision))
