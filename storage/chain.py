"""Verifies the record: every chain of events from its first to its head, and every sign-off. Only looks.

What it finds is the first place where a chain no longer fits; what comes after that place proves nothing any more.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage import signatures, waivers
from storage.database import Database, keyring_of
from storage.keyring import Keyring
from storage.models import ChainHead, Event, PlanRevision, Rollout, SignOff, Stage
from storage.retold import Told
from storage.sealing import OUTSIDE, SHORT, Head, head_fits, in_chain, link, text_of

_PAGE: Final = 1000
#: The first event of every rollout.
_OPENING: Final = "rollout_opened"
#: Events that speak of a sign-off by its id.
_SIGNING: Final = ("approve", "reject", "revoke")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A sign-off that is not as it was given, or is missing: who, as what, for which stage, and why (reason code)."""

    sign_off: int
    stage: str
    role: str
    user_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found of one chain. ``broken_at`` is the first event that does not fit; None: intact."""

    chain: int
    plan_key: str  # empty for the events outside any rollout
    count: int
    head: Head | None
    unsealed: int = 0
    broken_at: int | None = None
    why: str = ""
    sign_offs: int = 0  # how many verify
    doubts: tuple[Doubt, ...] = ()
    unsigned: int = 0  # from before sign-offs were signed
    problems: tuple[str, ...] = ()  # of the plan, overrides, issues, checklist items and starters

    @property
    def intact(self) -> bool:
        """Whether everything fits. Sign-offs from before there were signatures are no break: they do not count."""
        return self.broken_at is None and not self.doubts and not self.problems

    @property
    def said(self) -> str:
        """``chain intact: 12 events`` or ``chain broken at event 7: ...``."""
        if self.broken_at is not None:
            return f"chain broken at event {self.broken_at}: {self.why}"
        return f"chain intact: {self.count:,} event{'' if self.count == 1 else 's'}"


@dataclass(slots=True)
class _Walk:
    """What one pass over the sealed events of a chain gathers."""

    count: int = 0
    digest: str = ""
    broken_at: int | None = None
    why: str = ""
    first: str = ""  # the kind of its first event
    given: dict[int, Event] = field(default_factory=dict)  # sign-off -> the event that tells of it
    revoked: set[int] = field(default_factory=set)
    plans: set[str] = field(default_factory=set)  # digests of the plan revisions that ruled
    overrides: set[int] = field(default_factory=set)  # overrides that were confirmed
    told: Told = field(default_factory=Told)

    def broken(self, number: int, why: str) -> None:
        if self.broken_at is None:
            self.broken_at, self.why = number, why


def verify_all(database: Database) -> list[Report]:
    """Every chain of the database, that of the events outside any rollout first."""
    with database.read() as session:
        chains = set(session.execute(select(Rollout.id)).scalars())
        chains |= set(session.execute(select(ChainHead.chain)).scalars())
        chains |= set(session.execute(select(func.coalesce(Event.rollout_id, OUTSIDE)).distinct()).scalars())
    return [verify(database, chain) for chain in sorted(chains | {OUTSIDE})]


def verify(database: Database, chain: int) -> Report:
    """Verify one chain and the sign-offs of its rollout, as of one moment; memory stays small however long it is."""
    with database.read() as session:
        if not database.is_sqlite:  # else the sealer would go on between two pages
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        walk = _walk(session, chain)
        _compare_with_head(session, chain, walk)
        unsealed = session.execute(
            select(func.count()).select_from(Event).where(in_chain(chain), Event.number.is_(None))
        ).scalar_one()
        rollout = session.get(Rollout, chain) if chain != OUTSIDE else None
        if rollout is not None:
            _begins_with_its_opening(session, chain, walk)
        verified, unsigned, doubts = _sign_offs(session, rollout, walk) if rollout is not None else (0, 0, ())
        return Report(
            chain=chain,
            plan_key=rollout.plan_key if rollout is not None else "",
            count=walk.count,
            head=Head(chain, walk.count, walk.digest) if walk.count and walk.broken_at is None else None,
            unsealed=unsealed,
            broken_at=walk.broken_at,
            why=walk.why,
            sign_offs=verified,
            doubts=doubts,
            unsigned=unsigned,
            problems=tuple(_problems(session, rollout, walk, unsealed)) if rollout is not None else (),
        )


def unmatched(database: Database, heads: Sequence[str]) -> list[str]:
    """Posted heads (``N:DIGEST``) that are no place of any chain, with why. Raises ValueError for what is no head."""
    found = []
    for head in heads:
        number, separator, digest = head.strip().partition(":")
        counts = number.isascii() and number.isdigit() and len(number) < 10
        if not separator or not counts or len(digest) < SHORT or not _is_hex(digest):
            raise ValueError(f"{head!r} is not a head: a head is posted as NUMBER:DIGEST, such as 120:0f3a5c7d9b1e2468")
        with database.read() as session:
            there = session.execute(
                select(Event.digest).where(Event.number == int(number)).order_by(Event.id)
            ).scalars()
            digests = [d for d in there if d is not None]
        if not any(d.startswith(digest.lower()) for d in digests):
            why = f"event {number} of this record is another one" if digests else f"this record has no event {number}"
            found.append(f"{head.strip()}: {why}; the database is older than that head, or its record was rewritten")
    return found


def _is_hex(text: str) -> bool:
    return len(text) <= 64 and all(c in "0123456789abcdefABCDEF" for c in text)


# -- events ------------------------------------------------------------------------------------------------------------


def _walk(session: Session, chain: int) -> _Walk:
    keyring, walk = keyring_of(session), _Walk()
    for event in _sealed(session, chain):
        expected = walk.count + 1
        if event.number != expected:
            many = (event.number or 0) - expected
            walk.broken(expected, "it is missing" if many == 1 else f"{many} events are missing from here on")
            return walk
        if why := _misfit(keyring, chain, walk.digest, event):
            walk.broken(expected, why)
            return walk
        walk.count, walk.digest, walk.first = expected, event.digest or "", walk.first or event.kind
        _note(walk, event)
    return walk


def _sealed(session: Session, chain: int) -> Iterator[Event]:
    """The sealed events of a chain in their order, a page at a time."""
    after = None
    while True:
        query = select(Event).where(in_chain(chain), Event.number.is_not(None)).order_by(Event.number, Event.id)
        if after is not None:
            query = query.where(Event.number > after)
        page = session.execute(query.limit(_PAGE)).scalars().all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].number
        session.expunge_all()


def _misfit(keyring: Keyring, chain: int, previous: str, event: Event) -> str:
    """Why an event does not fit where it stands; empty when it does."""
    number, key_id, text = event.number or 0, event.key_id or "", event.sealed_text or ""
    if not keyring.knows(key_id):
        return (
            f"it was sealed with a key that is not in ROLLOUT_SECRET_KEYS ({key_id or 'none'}), and cannot be verified"
        )
    if not keyring.fits(key_id, link(chain, number, previous, key_id, text), event.digest or ""):
        return "its seal does not fit: it, or the one before it, was changed or moved"
    return "" if text == text_of(event) else "it does not say any more what was sealed"


def _note(walk: _Walk, event: Event) -> None:
    """Keep what the event says of sign-offs and plans, to compare with their tables."""
    data: dict[str, Any] = event.data
    if event.kind in _SIGNING and event.outcome == "done":
        if isinstance(data.get("sign_off"), int):
            walk.given[data["sign_off"]] = event
        walk.revoked |= {i for i in data.get("revoked", ()) if isinstance(i, int)}
    if event.kind == "override_confirmed" and isinstance(data.get("override"), int):
        walk.overrides.add(data["override"])
    walk.told.note(event)
    if isinstance(data.get("plan_digest"), str):
        walk.plans.add(data["plan_digest"])


def _begins_with_its_opening(session: Session, chain: int, walk: _Walk) -> None:
    """Who takes out the whole record with its head leaves a rollout of which nothing tells."""
    if walk.broken_at is not None:
        return
    first = walk.first
    if not walk.count:  # nothing is sealed yet
        oldest = select(Event.kind).where(in_chain(chain)).order_by(Event.id).limit(1)
        first = session.execute(oldest).scalar_one_or_none() or ""
    if first != _OPENING:
        walk.broken(1, "it is not the opening of the rollout, with which a record begins: what was before is missing")


def _compare_with_head(session: Session, chain: int, walk: _Walk) -> None:
    head = session.get(ChainHead, chain)
    if walk.broken_at is not None:
        return
    if head is None:
        if walk.count:
            walk.broken(walk.count, "the head of the chain is missing")
        return
    if not head_fits(keyring_of(session), head):
        known = keyring_of(session).knows(head.key_id)
        why = "was altered" if known else f"was sealed with a key that is not in ROLLOUT_SECRET_KEYS ({head.key_id})"
        walk.broken(max(walk.count, 1), f"the head of the chain {why}")
    elif head.count > walk.count:
        many = head.count - walk.count
        walk.broken(walk.count + 1, "it is missing" if many == 1 else f"the newest {many} events are missing")
    elif head.count < walk.count:
        walk.broken(head.count + 1, "the head of the chain is older than its events")
    elif head.digest != walk.digest:
        walk.broken(walk.count, "it is not the one that the head names")


# -- sign-offs, plan and the rest --------------------------------------------------------------------------------------


def _sign_offs(session: Session, rollout: Rollout, walk: _Walk) -> tuple[int, int, tuple[Doubt, ...]]:
    """How many sign-offs verify, how many are from before there were signatures, and those that are not in order."""
    keyring, verified, unsigned = keyring_of(session), 0, 0
    doubts: list[Doubt] = []
    there: set[int] = set()
    for row, stage in session.execute(
        select(SignOff, Stage.key)
        .join(Stage, Stage.id == SignOff.stage_id)
        .where(Stage.rollout_id == rollout.id)
        .order_by(SignOff.id)
    ):
        there.add(row.id)
        why = signatures.doubt(keyring, row, signatures.Place(rollout.id, stage))
        if why == "sign_off_unsigned" and row.id not in walk.given:
            unsigned += 1
            continue
        if why is None and row.id in walk.revoked and row.revoked_at is None:
            why = "sign_off_altered"  # it was taken back, and an older state of the row was put in its place
        if why is not None:
            doubts.append(Doubt(row.id, stage, row.role, row.user_id, why))
        else:
            verified += 1
    for number, event in walk.given.items():
        if number not in there:
            role = str(event.data.get("role") or "")
            doubts.append(Doubt(number, event.stage_key or "", role, event.actor or "", "sign_off_missing"))
    return verified, unsigned, tuple(doubts)


def _problems(session: Session, rollout: Rollout, walk: _Walk, unsealed: int) -> Iterator[str]:
    yield from _plan_problems(session, rollout, walk, unsealed)
    yield from _override_problems(session, rollout, walk)
    if walk.broken_at is None and not unsealed:  # else the last word may not be among what was walked over
        yield from walk.told.problems(session, rollout.id)


def _plan_problems(session: Session, rollout: Rollout, walk: _Walk, unsealed: int) -> Iterator[str]:
    revision = session.get_one(PlanRevision, rollout.revision_id)
    if hashlib.sha256(revision.text.encode()).hexdigest() != revision.digest:
        yield f"revision {revision.revision} of the plan does not say any more what was stored"
    elif walk.plans and walk.broken_at is None and not unsealed and revision.digest not in walk.plans:
        yield f"revision {revision.revision} of the plan is not one that the record tells of"


def _override_problems(session: Session, rollout: Rollout, walk: _Walk) -> Iterator[str]:
    """Overrides that the record tells of and that are gone, or that are not as they were confirmed."""
    there = waivers.altered(session, rollout.id, keyring_of(session))
    for number, altered in there.items():
        if altered:
            yield f"override {number} is not as it was confirmed; it does not count"
    for number in sorted(walk.overrides - there.keys()):
        yield f"override {number}, which the record tells of, is not there any more"
