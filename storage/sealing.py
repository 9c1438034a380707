"""Seals events: numbers them and chains them by HMAC, one leased sealer per rollout, a short transaction at a time.

An event is inserted unsealed in the transaction of what it tells of, so that nobody waits for a chain. The sealer takes
the head's row, gives the next numbers, and moves the head, all in one transaction: after a crash either all of it is
there or nothing. The lease only keeps replicas out of each other's way; that no chain forks rests on the head's lock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.orm import Session

from storage import leases
from storage.base import insert
from storage.database import Database, keyring_of
from storage.keyring import Keyring
from storage.models import ChainHead, Event

log = structlog.get_logger(__name__)

#: The chain of the events that belong to no rollout.
OUTSIDE: Final = 0
#: Events sealed in one transaction.
BATCH: Final = 200
#: Machine seconds. A sealer that died holds it no longer than that.
LEASE: Final = 5.0
#: How much of a digest people are shown, and compare.
SHORT: Final = 16


class Broken(Exception):
    """The chain does not end as its head says: nothing is added, so that what happened to it stays to be seen."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends, or a place in it: so many events, and the digest of the last of them."""

    chain: int
    count: int
    digest: str

    def __str__(self) -> str:
        """As it is posted, and given to ``audit verify --head``."""
        return f"{self.count}:{self.digest[:SHORT]}"


def in_chain(chain: int) -> ColumnElement[bool]:
    """The condition that an event belongs to that chain."""
    return Event.rollout_id.is_(None) if chain == OUTSIDE else Event.rollout_id == chain


def text_of(event: Event) -> str:
    """Everything that an event says, as canonical text: what is sealed, and what verification compares with.

    Plain ASCII, so that any text that a person can send can also be sealed.
    """
    said = {
        "id": event.id,
        "rollout": event.rollout_id,
        "stage": event.stage_key,
        "generation": event.generation,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "team": event.team_id,
        "surface": event.surface,
        "kind": event.kind,
        "outcome": event.outcome,
        "reason_code": event.reason_code,
        "sentence": event.sentence,
        "data": event.data,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def link(chain: int, number: int, previous: str, key_id: str, text: str) -> str:
    """What an event's HMAC is made over."""
    return json.dumps(["event", chain, number, previous, key_id, text], separators=(",", ":"))


def head_text(chain: int, count: int, digest: str, key_id: str) -> str:
    """What the HMAC of a head is made over."""
    return json.dumps(["head", chain, count, digest, key_id], separators=(",", ":"))


def head_fits(keyring: Keyring, head: ChainHead) -> bool:
    """Whether the head's row is as we wrote it; False also when its key is not here."""
    return keyring.fits(head.key_id, head_text(head.chain, head.count, head.digest, head.key_id), head.seal)


def waiting(session: Session) -> list[int]:
    """The chains that have events which are not sealed yet."""
    found = session.execute(
        select(func.coalesce(Event.rollout_id, OUTSIDE)).where(Event.number.is_(None)).distinct()
    ).scalars()
    return sorted(found)


class Sealer:
    """Seals whatever waits. ``owner`` names this process in leases. One per process; ``tick`` it once a second."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner
        self._said: set[int] = set()  # broken chains that the log has named

    def tick(self) -> int:
        """Seal every event that waits, unless another replica does it; returns how many."""
        if not self._database.keyring:
            return 0
        with self._database.read() as session:
            chains = waiting(session)
        return sum(self._chain(chain) for chain in chains if chain not in self._said)

    def _chain(self, chain: int) -> int:
        name, sealed = f"seal:{chain}", 0
        while leases.take(self._database, name, self._owner, LEASE):
            try:
                done = seal(self._database, chain)
            except Broken as error:
                # Said once: it stays so until a person looks, and a line a second would bury everything else.
                self._said.add(chain)
                log.error("record_broken", chain=chain, detail=str(error), todo="python app.py audit verify")
                done = 0
            sealed += done
            if done < BATCH:
                leases.release(self._database, name, self._owner)
                break
        return sealed


def seal(database: Database, chain: int, most: int = BATCH) -> int:
    """Seal up to ``most`` events of a chain in one transaction; returns how many. Safe from any number of processes.

    Raises Broken when the chain does not end as its head says, KeyProblem without a key.
    """
    key_id = database.keyring.first
    with database.write() as session:
        head = _hold(session, chain)
        _must_fit(session, head)
        events = (
            session.execute(select(Event).where(in_chain(chain), Event.number.is_(None)).order_by(Event.id).limit(most))
            .scalars()
            .all()
        )
        if events:
            _append(session, head, events, key_id)
        return len(events)


def seal_now(database: Database, chain: int) -> None:
    """Seal what waits in a chain before its head is told; a chain that cannot be sealed is left as it is."""
    if not database.keyring:
        return
    try:
        while seal(database, chain) == BATCH:
            pass
    except Broken as error:
        log.error("record_broken", chain=chain, detail=str(error), todo="python app.py audit verify")


def _append(session: Session, head: ChainHead, events: Sequence[Event], key_id: str) -> None:
    keyring = keyring_of(session)
    rows: list[dict[str, Any]] = []
    for event in events:
        text = text_of(event)
        head.count += 1
        head.digest = keyring.seal(key_id, link(head.chain, head.count, head.digest, key_id, text))
        rows.append(
            {"of": event.id, "number": head.count, "sealed_text": text, "key_id": key_id, "digest": head.digest}
        )
    head.key_id = key_id
    head.seal = keyring.seal(key_id, head_text(head.chain, head.count, head.digest, key_id))
    table = Event.__table__
    session.connection().execute(
        update(table).where(table.c.id == bindparam("of"), table.c.number.is_(None)),  # type: ignore[arg-type]
        rows,
    )


def _hold(session: Session, chain: int) -> ChainHead:
    """The head's row, locked until the transaction ends; the first sealer of a chain makes it."""
    keyring = keyring_of(session)
    key_id = keyring.first
    session.execute(
        insert(session, ChainHead)
        .values(
            chain=chain, count=0, digest="", key_id=key_id, seal=keyring.seal(key_id, head_text(chain, 0, "", key_id))
        )
        .on_conflict_do_nothing(index_elements=["chain"])
    )
    return session.execute(
        select(ChainHead).where(ChainHead.chain == chain).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()


def _must_fit(session: Session, head: ChainHead) -> None:
    """Raises Broken unless the head is ours and the newest sealed event is the one that it names."""
    if not head_fits(keyring_of(session), head):
        known = keyring_of(session).knows(head.key_id)
        raise Broken("the head was altered" if known else f"the head was sealed with an unknown key ({head.key_id})")
    newest = session.execute(
        select(Event.number, Event.digest)
        .where(in_chain(head.chain), Event.number.is_not(None))
        .order_by(Event.number.desc())
        .limit(1)
    ).one_or_none()
    count, digest = (newest[0], newest[1]) if newest is not None else (0, "")
    if (count, digest) != (head.count, head.digest):
        raise Broken(f"its newest event is {count}, and the head says {head.count}")


def at_start(database: Database) -> list[str]:
    """What does not verify at a first glance (heads and keys), as sentences; ``audit verify`` looks at all of it."""
    keyring, found = database.keyring, []
    with database.read() as session:
        for head in session.execute(select(ChainHead).order_by(ChainHead.chain)).scalars():
            try:
                _must_fit(session, head)
            except Broken as error:
                found.append(f"chain {head.chain}: {error}")
        used = session.execute(select(Event.key_id).where(Event.key_id.is_not(None)).distinct()).scalars()
        missing = sorted({key for key in used if key is not None and not keyring.knows(key)})
    if missing:
        names = ", ".join(missing)
        found.append(f"events were sealed with keys that are not in ROLLOUT_SECRET_KEYS: {names}; put them back, last")
    return found


def head_of(session: Session, chain: int) -> Head | None:
    """The head of a chain as it is stored; None when nothing was sealed yet. Raises Broken when it does not fit."""
    head = session.get(ChainHead, chain)
    if head is None:
        lost = session.execute(select(Event.id).where(in_chain(chain), Event.number.is_not(None)).limit(1)).first()
        if lost is not None:
            raise Broken("the head is missing")
        return None
    _must_fit(session, head)
    return Head(chain, head.count, head.digest)


def place_of(session: Session, rollout_id: int, stage_key: str, generation: int | None, kind: str) -> Head | None:
    """The place in the chain of the newest event of that kind about a stage; None when it is not sealed yet.

    ``generation`` None: of whichever generation it was.
    """
    found = session.execute(
        select(Event.number, Event.digest)
        .where(
            Event.rollout_id == rollout_id,
            Event.stage_key == stage_key,
            Event.kind == kind,
            *((Event.generation == generation,) if generation is not None else ()),
        )
        .order_by(Event.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None or found[0] is None or found[1] is None:
        return None
    return Head(rollout_id, found[0], found[1])
