"""The plan of a rollout, from its stored revision."""

from functools import lru_cache
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, object_session

from rollout.plan import Plan
from rollout.planfile import from_canonical
from storage.models import Amendment, PlanRevision, Rollout

#: By database: the plans by the id of their revision, which never changes.
_BY_REVISION: WeakKeyDictionary[Engine, dict[int, Plan]] = WeakKeyDictionary()
_OPEN = select(Rollout.revision_id).where(Rollout.open).order_by(Rollout.id)


@lru_cache(maxsize=64)
def _parsed(text: str) -> Plan:
    return from_canonical(text)


def parsed(text: str) -> Plan:
    """The plan of a canonical text, which is kept: parsing it takes longer than a command may."""
    return _parsed(text)


def plan_of(rollout: Rollout) -> Plan:
    """The plan that rules ``rollout``: the revision is stored as canonical text and never changes."""
    session = object_session(rollout)
    return plan_of_revision(session, rollout.revision_id) if session is not None else _parsed(rollout.revision.text)


def open_plans(session: Session) -> list[Plan]:
    """The plans of the open rollouts, for those who ask often: their long texts are read once."""
    return [plan_of_revision(session, revision) for revision in session.execute(_OPEN).scalars().all()]


def plan_of_revision(session: Session, revision: int) -> Plan:
    """The plan of a revision, by its id; its long text is read once."""
    known = _BY_REVISION.setdefault(session.get_bind().engine, {})
    if revision not in known:
        text = session.execute(select(PlanRevision.text).where(PlanRevision.id == revision)).scalar_one()
        known[revision] = _parsed(text)
    return known[revision]


def before_amendment(session: Session, rollout: Rollout) -> bool:
    """Whether an amendment took the place of the plan of its file, or of one that came after it."""
    if rollout.file_digest is None:
        return False
    older = (
        select(PlanRevision.id)
        .join(Amendment, Amendment.revision_id == rollout.revision_id)
        .where(
            PlanRevision.plan_key == rollout.plan_key,
            PlanRevision.digest == rollout.file_digest,
            PlanRevision.id < rollout.revision_id,
        )
    )
    return session.execute(older.limit(1)).scalar() is not None
