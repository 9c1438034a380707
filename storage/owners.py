"""Owners of jobs that a stage changes: noted when it starts, looked up by the bot, and told once each.

Databricks names owners by address; whom Slack does not know is listed once in the thread of the stage.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session, aliased

from rollout.states import StageState
from storage import direct
from storage.database import Database
from storage.models import Action, OwnerNotice, Stage, Target
from storage.plans import plan_of
from storage.record import post
from storage.teams import of_stage

#: States of a stage in which its owners have nothing to be told any more.
_OVER = frozenset({StageState.ROLLING_BACK, StageState.ROLLED_BACK, StageState.READY, StageState.WAITING})


def note(session: Session, stage: Stage, target_ids: Iterable[int], now: datetime) -> None:
    """Note the owners of these targets of a stage that starts, once per generation. ``now``: calendar."""
    wanted = set(target_ids)
    rows = session.execute(
        select(Target.id, Target.owner).where(
            Target.rollout_id == stage.rollout_id,
            Target.stage_key == stage.key,
            Target.kind == "job",
            Target.owner.is_not(None),
        )
    )
    owners = sorted({owner[:255] for target_id, owner in rows if target_id in wanted and owner})
    session.add_all(
        OwnerNotice(stage_id=stage.id, generation=stage.generation, owner=owner, state="wanted", created_at=now)
        for owner in owners
    )


def unresolved(session: Session, most: int) -> list[tuple[int, str]]:
    """(Id, address) of owners who were not looked up yet."""
    rows = session.execute(
        select(OwnerNotice.id, OwnerNotice.owner)
        .where(OwnerNotice.state == "wanted")
        .order_by(OwnerNotice.id)
        .limit(most)
    )
    return [(row.id, row.owner) for row in rows]


def resolve(session: Session, notice_id: int, user_id: str | None) -> None:
    """Keep who an owner is in Slack; None: nobody that we may find."""
    session.execute(
        update(OwnerNotice)
        .where(OwnerNotice.id == notice_id, OwnerNotice.state == "wanted")
        .values(user_id=user_id, state="unknown" if user_id is None else "known")
    )


def tick(database: Database, now: datetime) -> None:
    """Queue what is due: one message per owner and stage, and per stage one list of those whom Slack does not know."""
    with database.read() as session:
        known = [
            (stage_id, user_id)
            for stage_id, user_id in session.execute(
                select(OwnerNotice.stage_id, OwnerNotice.user_id)
                .where(OwnerNotice.state == "known")
                .distinct()
                .order_by(OwnerNotice.stage_id, OwnerNotice.user_id)
            ).all()
            if _may_be_told(session, stage_id, user_id or "", now)
        ]
        other = aliased(OwnerNotice)
        waits = select(other.id).where(other.stage_id == OwnerNotice.stage_id, other.state == "wanted").exists()
        stages = (
            session.execute(
                select(OwnerNotice.stage_id)
                .where(OwnerNotice.state == "unknown", ~waits)
                .distinct()
                .order_by(OwnerNotice.stage_id)
            )
            .scalars()
            .all()
        )
    for stage_id, user_id in known:
        with database.write() as session:
            _tell(session, stage_id, user_id or "", now)
    for stage_id in stages:
        with database.write() as session:
            _list(session, stage_id, now)


def addresses(session: Session, stage: Stage, user_id: str | None) -> Sequence[str]:
    """The owners of this generation who are that person; with None those whom Slack does not know."""
    mine = OwnerNotice.user_id.is_(None) if user_id is None else OwnerNotice.user_id == user_id
    return (
        session.execute(
            select(OwnerNotice.owner)
            .where(OwnerNotice.stage_id == stage.id, OwnerNotice.generation == stage.generation, mine)
            .order_by(OwnerNotice.owner)
        )
        .scalars()
        .all()
    )


def jobs(session: Session, stage: Stage, owners: Sequence[str]) -> Sequence[Target]:
    """The jobs of these owners in the change set of the stage, by name."""
    return (
        session.execute(
            select(Target)
            .join(Action, Action.target_id == Target.id)
            .where(of_stage(stage), Target.kind == "job", Target.owner.in_(owners))
            .order_by(Target.name, Target.id)
        )
        .scalars()
        .all()
    )


def _may_be_told(session: Session, stage_id: int, user_id: str, now: datetime) -> bool:
    """A look before the write transaction: who has had a message today waits for another day."""
    stage = session.get_one(Stage, stage_id)
    return not direct.had_one(session, now, plan_of(stage.rollout).zone, user_id)


def _tell(session: Session, stage_id: int, user_id: str, now: datetime) -> None:
    """Tell one person of one stage; who has had a message today is told on another day."""
    stage = session.execute(select(Stage).where(Stage.id == stage_id)).scalar_one()
    rows = (OwnerNotice.stage_id == stage_id, OwnerNotice.user_id == user_id, OwnerNotice.state == "known")
    current = session.execute(select(exists().where(*rows, OwnerNotice.generation == stage.generation))).scalar_one()
    if current and stage.state not in _OVER and stage.rollout.open:
        ids = {"user": user_id, "generation": stage.generation}
        zone = plan_of(stage.rollout).zone
        if not direct.message(
            session, now, zone, user_id, "owner_notice", rollout_id=stage.rollout_id, stage_id=stage_id, ids=ids
        ):
            return
    session.execute(update(OwnerNotice).where(*rows).values(state="told"))


def _list(session: Session, stage_id: int, now: datetime) -> None:
    stage = session.execute(select(Stage).where(Stage.id == stage_id)).scalar_one()
    rows = (OwnerNotice.stage_id == stage_id, OwnerNotice.state == "unknown")
    if stage.state not in _OVER and stage.rollout.open:
        key, ids = f"owners_unknown:{stage.id}:{stage.generation}", {"generation": stage.generation}
        post(session, now, key, "owners_unknown", rollout_id=stage.rollout_id, stage_id=stage.id, ids=ids)
    session.execute(update(OwnerNotice).where(*rows).values(state="told"))
