"""Messages that asked for something, and whose time is over: their buttons must not stay."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, String, and_, cast, func, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from rollout.states import StageState
from storage.models import Amendment, Card, Escalation, Issue, Outbox, Override, Rollout, Stage

#: A message of that kind speaks of a stage in this state; once it has left it, the message is over.
SPEAKS_OF: Final = {
    "decision_wanted": StageState.REVIEW,
    "stage_rejected": StageState.REVIEW,
    "roles_wanted": StageState.REVIEW,
    "stage_blocked": StageState.BLOCKED,
    "stage_passed": StageState.PASSED,
    "rollback_started": StageState.ROLLING_BACK,
    "rollback_ended": StageState.ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class Closing:
    """One posted message that is over."""

    id: int
    kind: str
    stage_id: int | None
    channel: str
    ts: str
    rollout_id: int | None = None
    ids: Mapping[str, Any] = field(default_factory=dict)


def over(session: Session, most: int = 5) -> list[Closing]:
    """Posted messages whose stage has gone on; that of a passed stage also once the next one has begun."""
    following = aliased(Stage)
    left = or_(*(and_(Outbox.kind == kind, Stage.state != state) for kind, state in SPEAKS_OF.items()))
    begun = (
        select(following.id)
        .where(
            following.rollout_id == Stage.rollout_id,
            following.position == Stage.position + 1,
            following.state.not_in([StageState.WAITING, StageState.READY]),
        )
        .exists()
    )
    rows = session.execute(
        select(Outbox.id, Outbox.kind, Outbox.stage_id, Card.channel, Outbox.message_ts)
        .join(Stage, Stage.id == Outbox.stage_id)
        .join(Card, Card.stage_id == Stage.id)
        .where(
            Outbox.state == "sent",
            Outbox.message_ts.is_not(None),
            or_(left, and_(Outbox.kind == "stage_passed", begun)),
        )
        .order_by(Outbox.id)
        .limit(most)
    ).all()
    found = [Closing(number, kind, stage, channel, ts or "") for number, kind, stage, channel, ts in rows]
    return found or _decided(session, most)


def _decided(session: Session, most: int) -> list[Closing]:
    """Messages that asked for a second person, and were answered; those of issues that hold nothing any more."""
    where = func.coalesce(Card.channel, Rollout.channel)
    asked = (
        select(Outbox, where)
        .join(Override, Outbox.key == literal("override_wanted:") + cast(Override.id, String))
        .join(Rollout, Rollout.id == Outbox.rollout_id)
        .join(Stage, Stage.id == Override.stage_id)
        .outerjoin(Card, Card.stage_id == Outbox.stage_id)
        .where(or_(Override.state != "asked", Override.generation != Stage.generation))
    )
    watched = (
        select(Outbox, Card.channel)
        .join(
            Escalation,
            or_(
                Outbox.key.like(literal("escalated:") + cast(Escalation.id, String) + ":%"),
                Outbox.key == literal("rollback_wanted:") + cast(Escalation.id, String),
            ),
        )
        .join(Card, Card.stage_id == Outbox.stage_id)
        .where(
            Outbox.kind.in_(["escalated", "rollback_wanted"]),
            or_(
                Escalation.ended_at.is_not(None),
                and_(Outbox.kind == "escalated", Escalation.acknowledged_at.is_not(None)),
            ),
        )
    )
    held = (
        select(Outbox, where)
        .join(Issue, and_(Issue.rollout_id == Outbox.rollout_id, Issue.number == Outbox.ids["issue"].as_integer()))
        .join(Rollout, Rollout.id == Outbox.rollout_id)
        .outerjoin(Card, Card.stage_id == Outbox.stage_id)
        .where(Outbox.kind == "issue_reported", or_(Issue.open.is_(False), Issue.critical.is_(False)))
    )
    amended = (
        select(Outbox, Outbox.ids["channel"].as_string())
        .join(Amendment, Outbox.key == literal("amendment_proposed:") + cast(Amendment.id, String))
        .where(Amendment.state != "proposed")
    )
    return [closing for query in (asked, watched, held, amended) for closing in _posted(session, query, most)]


def _posted(session: Session, query: Select[*tuple[Any, ...]], most: int) -> Iterator[Closing]:
    """The oldest messages of a query that were posted, and where."""
    posted = (Outbox.state == "sent", Outbox.message_ts.is_not(None))
    for row, channel in session.execute(query.where(*posted).order_by(Outbox.id).limit(most)):
        yield Closing(row.id, row.kind, row.stage_id, channel or "", row.message_ts, row.rollout_id, row.ids)


def closed(session: Session, closing: Closing) -> None:
    """The message has been edited, or cannot be edited any more."""
    session.execute(update(Outbox).where(Outbox.id == closing.id, Outbox.state == "sent").values(state="closed"))
