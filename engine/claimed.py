"""A claimed action: all that is committed to it while it is ours, each time fenced by its epoch (DESIGN 5.1)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from engine.parts import Parts
from engine.replan import note_present_state, store_noted
from rollout.change import Raw
from rollout.masking import scrubbed
from rollout.states import ACTION_GOOD, ActionKind, ActionState
from storage import actions, comparing, rates
from storage.actions import Claim
from storage.backups import Place
from storage.models import Action, Backup
from workspace.client import Client
from workspace.kinds import KINDS, Kind

#: Machine seconds between two looks at a target that is on its way.
LOOK_AGAIN = 0.5
#: After so many looks in a row that could not be made, a person is asked. The longest wait between two of them.
MOST_UNANSWERED = 20
LONGEST_PAUSE = 15.0
#: What may not be written now is not looked at again for so long: whatever holds it is read before each claim.
HELD_FOR = 2.0
#: A cluster with runs under way is looked at again after so many machine seconds; after so much calendar time people
#: are asked. In ``seen``: since when it has waited.
BUSY_AGAIN = 5.0
BUSY_FOR = timedelta(hours=12)
BUSY_SINCE = "busy_since"
#: Calendar time after which a target that does not settle is stuck. Capacity shortages take longer than 15 minutes.
STUCK_AFTER = timedelta(minutes=45)

#: In ``seen``, while the outcome of a write is unknown: how many looks in a row were not answered.
_UNANSWERED = "unanswered"
_Result = TypeVar("_Result")
_CLAIMED = frozenset({"intent_at", "written_at", "looks", "seen"})
_OF_CLAIM = and_(
    Backup.target_id == bindparam("target_id"),
    Backup.stage_id == bindparam("stage_id"),
    Backup.generation == bindparam("generation"),
)
#: Asked before every write, and built once.
_HAS_BACKUP = select(Backup.id).where(_OF_CLAIM)
_SEEN_BEFORE = (
    select(Action.seen)
    .where(
        Action.target_id == bindparam("target_id"),
        Action.stage_id == bindparam("stage_id"),
        Action.generation == bindparam("generation"),
        Action.kind == bindparam("kind"),
        Action.seen.is_not(None),
    )
    .order_by(Action.attempt.desc())
)


class Locks(IntEnum):
    """What a write locks beside its own action and target: in one transaction, whoever locks more comes first."""

    STAGE = 0  # as who decides does
    OF_STAGE = 1  # as who adds a row to it does
    NONE = 2


class Claimed:
    """One action, its target's kind and the client of its workspace. Everything here may raise LeaseLost."""

    present: Raw | None = None  # the target as it was last read

    def __init__(self, parts: Parts, claim: Claim) -> None:
        self.parts = parts
        self.claim = claim
        self.kind: Kind = KINDS[claim.target_kind]
        self.client: Client = parts.clients[claim.workspace]
        self.read_at = parts.database.machine()

    def said(self, text: object) -> str:
        """A sentence as it may be stored and logged: a workspace may quote in it what the target holds."""
        return scrubbed(str(text), self.present) if self.present is not None else str(text)

    # -- what the journal says -----------------------------------------------------------------------------------------

    def machine(self) -> datetime:
        return self.parts.database.machine()

    def expired(self) -> bool:
        """Whether the target has had long enough to come to rest, counted anew from our last write to it."""
        since = self.claim.started_at
        if written := (self.claim.seen or {}).get("calendar"):
            since = max(since, datetime.fromisoformat(written))
        return self.parts.calendar() > (self.claim.give_up_at or since + STUCK_AFTER)

    def too_late(self, now: datetime) -> bool:
        """Whether less lease is left than a call and its effect may take (DESIGN 5.5)."""
        return (self.claim.lease_until - now).total_seconds() < self.parts.patience.unknown

    def intent_age(self) -> float | None:
        """Machine seconds since a write was about to be sent whose answer did not come; None without such a write."""
        if self.claim.intent_at is None or self.claim.written_at is not None:
            return None
        return (self.machine() - self.claim.intent_at).total_seconds()

    def doubt_left(self) -> float:
        """Machine seconds for which a write of ours may still take effect; 0 when none is on its way."""
        age = self.intent_age()
        return max(self.parts.patience.unknown - age, 0.0) if age is not None else 0.0

    def stored_backup(self, session: Session) -> Backup | None:
        """The backup of this target in this generation."""
        return session.execute(select(Backup).where(_OF_CLAIM), self.of()).scalar_one_or_none()

    def has_backup(self, session: Session) -> bool:
        return session.execute(_HAS_BACKUP, self.of()).scalar_one_or_none() is not None

    def backup_place(self) -> Place:
        """What a backup of this generation is bound to."""
        claim = self.claim
        return Place(claim.workspace, claim.target_kind, claim.object_id, claim.stage_id, claim.generation)

    def of(self) -> dict[str, int]:
        """The columns that name the target, the stage and its generation in a row about them."""
        claim = self.claim
        return {"target_id": claim.target_id, "stage_id": claim.stage_id, "generation": claim.generation}

    def seen_before(self, kind: ActionKind) -> dict[str, Any] | None:
        """What was seen of the target just before the newest write of that kind in this generation."""
        with self.parts.database.read() as session:
            found = session.execute(_SEEN_BEFORE, {**self.of(), "kind": kind}).scalars()
            return next((dict(seen) for seen in found if seen and "state" in seen), None)

    # -- commits -------------------------------------------------------------------------------------------------------

    def write(self, work: Callable[[Session], _Result], locks: Locks = Locks.NONE) -> _Result:
        """Have ``work`` committed, together with what other workers write for the stage meanwhile."""
        order = (locks, self.claim.target_id)
        return self.parts.database.write_together(self.claim.stage_id, order, work, store_noted)

    def commit(self, **values: Any) -> bool:
        self.write(lambda session: actions.commit(session, self.claim, **values))
        self.claim = replace(self.claim, **{k: v for k, v in values.items() if k in _CLAIMED})
        return True

    def later(self, seconds: float, hold: float | None = None, **values: Any) -> None:
        """Look again in so many machine seconds; ``hold``: so long nobody asks this workspace anything."""

        def give_up(session: Session) -> None:
            now = self.parts.database.machine_now(session)
            if hold is not None:  # also for a client that told nobody; a wave of them is counted once
                rates.slow_down(session, now, self.claim.workspace, self.read_at, hold)
            actions.look_again(session, self.claim, now + timedelta(seconds=max(seconds, 0.0)), **values)

        if hold is None:
            self.write(give_up)
        else:  # locks the workspace, which is done before any stage is locked
            with self.parts.database.write() as session:
                give_up(session)

    def look_again_soon(self) -> None:
        """It was looked at, and is on its way."""
        if self.intent_age() is None:
            self.later(LOOK_AGAIN, looks=0)  # unanswered looks count in a row
        else:
            self.later(LOOK_AGAIN, seen=self.answered())

    def answered(self) -> dict[str, Any]:
        """What was seen before the write, with the count of unanswered looks begun anew."""
        return {name: value for name, value in (self.claim.seen or {}).items() if name != _UNANSWERED}

    def unanswered(self, sentence: str, retry_after: float, throttled: bool = False) -> None:
        """It could not be looked at, or not be written to, and nothing was done."""
        hold = retry_after if throttled else None
        unknown = self.intent_age() is not None  # ``looks`` counts quiet looks then, and an unanswered one is none
        seen = dict(self.claim.seen or {})
        tries = (seen.get(_UNANSWERED, 0) if unknown else self.claim.looks) + 1
        if tries >= MOST_UNANSWERED:
            self.fail("workspace_unreachable", sentence)
            return
        pause = max(retry_after, min(0.5 * 2**tries, LONGEST_PAUSE))
        if unknown:
            self.later(max(pause, self.parts.patience.settle), hold, seen={**seen, _UNANSWERED: tries})
        else:
            self.later(pause, hold, looks=tries)

    def give_back(self, raw: Raw | None = None, seconds: float = HELD_FOR, **values: Any) -> None:
        """Nothing was written, and it may not be now: the action is pending again. ``raw`` is the target as it is."""

        def free(session: Session) -> None:
            now = self.parts.database.machine_now(session)
            actions.give_back(session, self.claim, now + timedelta(seconds=seconds), **values)
            self.note(session, raw)

        self.write(free)

    def fail(self, code: str, sentence: str, raw: Raw | None = None) -> None:
        """End in failure; but an ended action lets others write, so never while a write may be on its way."""
        if (left := self.doubt_left()) > 0:
            self.later(left)
        else:
            self.end(ActionState.FAILED, code, sentence, raw=raw)

    def end(
        self,
        state: ActionState,
        code: str | None = None,
        sentence: str | None = None,
        outcome: dict[str, Any] | None = None,
        raw: Raw | None = None,
        equal: bool = False,
        **values: Any,
    ) -> None:
        """``raw`` is the target as it is; ``values``: what else is known of the action now.

        What was put back is compared with its backup, unless ``equal`` says that it just was.
        """
        if sentence is not None:
            sentence = self.said(sentence)
        claim = self.claim
        compared = claim.kind is ActionKind.REVERT and state in ACTION_GOOD

        def ended(session: Session) -> None:
            now = self.parts.calendar()
            actions.end(session, claim, state, now, code, sentence, outcome, **values)
            if compared:
                of = (claim.rollout_id, claim.stage_id, claim.generation, claim.target_id)
                comparing.ask_one(session, *of, now, equal)
            self.note(session, raw)

        self.write(ended, Locks.OF_STAGE if compared else Locks.NONE)

    def note(self, session: Session, raw: Raw | None) -> None:
        """In what ``write`` does: have it known how the target is; None: it was not looked at."""
        if raw is not None:
            note_present_state(session, self.claim.target_id, self.kind, raw, self.parts.calendar(), self.read_at)
