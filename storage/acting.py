"""What every act of a person shares: who acts, the locks it takes, and the fresh facts it decides on again."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.gates import Refuse
from rollout.people import roles_of
from rollout.plan import Plan
from rollout.reasons import Reason
from rollout.standing import Standing
from rollout.states import StageState
from storage import facts
from storage.database import Database
from storage.models import Rollout, Stage
from storage.record import By
from storage.transitions import lock_stage, move


@dataclass(frozen=True, slots=True)
class Who:
    """The person who acts: user ids only, with the groups they are in at this moment. Without an id: the bot itself."""

    user_id: str
    team_id: str
    groups: frozenset[str] = frozenset()
    surface: str = "terminal"

    @property
    def by(self) -> By:
        return By(self.user_id or None, self.team_id or None, self.surface)

    def roles(self, plan: Plan) -> frozenset[str]:
        """The roles that the person holds in that plan."""
        return roles_of(plan, self.user_id, self.groups)


@dataclass(slots=True)
class Act:
    """One write transaction over one rollout: its row and the wanted stages are locked, the facts are fresh."""

    session: Session
    rollout: Rollout
    stages: dict[str, Stage]
    standing: Standing
    who: Who
    now: datetime

    @property
    def plan(self) -> Plan:
        return self.standing.plan

    @property
    def roles(self) -> frozenset[str]:
        return self.who.roles(self.plan)

    def look(self) -> Standing:
        """Gather again, after something was written."""
        self.session.flush()
        self.standing = facts.standing(self.session, self.rollout)
        return self.standing

    def is_stale(self, stage: Stage, version: int | None, generation: int | None) -> bool:
        """Whether what was shown to the person is no longer so."""
        return (version is not None and version != stage.version) or (
            generation is not None and generation != stage.generation
        )


def _hold(session: Session, rollout_id: int) -> Rollout:
    """Lock the rollout's row against other acts, but not against rows that refer to it.

    The engine locks a stage first and then inserts rows with a foreign key to the rollout; a plain FOR UPDATE here
    would wait for that stage while the engine's insert waits for the rollout.

    Locked first and read then: a row that was waited for is joined with what was there before the wait, and an
    amendment may have given it another revision of its plan.
    """
    session.execute(select(Rollout.id).where(Rollout.id == rollout_id).with_for_update(key_share=True))
    return session.execute(
        select(Rollout).where(Rollout.id == rollout_id).execution_options(populate_existing=True)
    ).scalar_one()


@contextmanager
def acting(
    database: Database, who: Who, now: datetime, rollout_id: int, stages: Collection[str] | None = ()
) -> Iterator[Act]:
    """Begin an act: lock the rollout, then its wanted stages in their order (``None``: all), then gather.

    The transaction commits when the block ends, and rolls back when it raises.
    """
    with database.write() as session:
        rollout = _hold(session, rollout_id)
        wanted = select(Stage.id, Stage.key).where(Stage.rollout_id == rollout_id).order_by(Stage.position)
        rows = {
            key: lock_stage(session, stage_id)
            for stage_id, key in session.execute(wanted).all()
            if stages is None or key in stages
        }
        yield Act(session, rollout, rows, facts.standing(session, rollout), who, now)


def stale(stage: str) -> Refuse:
    """What was pressed was drawn from an older state of the stage."""
    return Refuse(
        (
            Reason(
                "stale_view",
                f"What you pressed was drawn before {stage} changed; nothing was done.",
                f"/rollout status {stage} shows it as it is now.",
            ),
        )
    )


def open_gates(act: Act) -> list[str]:
    """Make waiting stages ready whose predecessors have all passed; returns their keys. Needs all stages locked."""
    opened = []
    for planned in act.plan.stages:
        row = act.stages.get(planned.key)
        if row is not None and row.state is StageState.WAITING and act.standing.predecessors_passed(row.key):
            move(act.session, row, StageState.READY, act.now, act.who.by, f"{row.key} may be started")
            opened.append(row.key)
    return opened


def close_gates(act: Act, after: str) -> None:
    """A stage no longer counts as passed: what was ready after it waits again."""
    for planned in act.plan.after(after):
        row = act.stages.get(planned.key)
        if row is not None and row.state is StageState.READY:
            move(act.session, row, StageState.WAITING, act.now, act.who.by, f"{row.key} waits for {after} again")


def back_to_checks(act: Act, stage: Stage, sentence: str) -> None:
    """From review to the end of the bake: the engine looks at everything and opens the review again."""
    move(
        act.session,
        stage,
        StageState.BAKING,
        act.now,
        act.who.by,
        sentence,
        bake_until=act.now,
        reviewed_at=None,
        evidence_digest=None,
        evidence_text=None,
    )
