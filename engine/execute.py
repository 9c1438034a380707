"""Carry out one claimed action: look, decide, do that one thing, commit; again until it ends or has to wait."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from engine.claimed import BUSY_AGAIN, BUSY_FOR, BUSY_SINCE, HELD_FOR, LOOK_AGAIN, MOST_UNANSWERED, Locks
from engine.judging import KEPT
from engine.observing import Observing, stuck
from engine.parts import Parts
from engine.rules import locked_rules
from rollout.change import Change, Raw
from rollout.states import ActionKind, ActionState
from rollout.steps import Step, decide
from storage import actions
from storage.actions import Claim, LeaseLost
from storage.database import away
from storage.standins import STANDS_IN
from workspace.errors import (
    Busy,
    Forbidden,
    Gone,
    Held,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    WorkspaceError,
)

log = structlog.get_logger(__name__)

#: How a workspace says that it does not know a runtime (any more).
_OLD_RUNTIME = re.compile(r"spark.?version|runtime", re.IGNORECASE)
_SEEN = ("state", "start_time", "last_restarted_time")


def execute(parts: Parts, claim: Claim) -> None:
    """Carry out ``claim`` as far as it goes now. Never raises for what a workspace answers; a lost lease ends it."""
    work = _Execution(parts, claim)
    try:
        work.run()
    except LeaseLost:
        log.warning("lease_lost", action=claim.action_id)
    except SQLAlchemyError as error:
        if not away(error):
            _unexpected(work)
            return
        # Nothing is known to be wrong with the target: look again once the database is there, at the latest when the
        # lease has ended.
        log.warning("database_away", action=claim.action_id, error=type(error).__name__)
        _quietly(lambda: work.later(LOOK_AGAIN))
    except Exception:
        _unexpected(work)


def _unexpected(work: "_Execution") -> None:
    """A defect of ours must hold this one target for a person, not the whole engine."""
    log.exception("action_failed_unexpectedly", action=work.claim.action_id)
    _quietly(lambda: work.fail("internal_error", "An error of the bot itself; the log has the details."))


def _quietly(commit: Any) -> None:
    try:
        commit()
    except (LeaseLost, SQLAlchemyError) as error:
        log.warning("left_to_its_lease", error=type(error).__name__)


class _Execution(Observing):
    _unanswered = 0  # looks in a row that were not answered, before the present intent

    def run(self) -> None:
        try:
            while self._once():
                pass
        except Held as error:  # nothing is wrong with it: only its turn has not come
            self.later(max(error.retry_after, self.doubt_left()))
        except Throttled as error:
            self.unanswered(f"It only says that there are too many calls: {error}", error.retry_after, throttled=True)
        except Busy as error:
            if self.expired():
                self.fail("stuck", f"It does not come to rest: {error}")
            else:
                self.look_again_soon()
        except Unavailable as error:
            self.unanswered(str(error), error.retry_after)
        except Gone as error:
            self.fail("target_gone", f"It no longer exists: {error}")
        except Forbidden as error:
            self.fail("permission_denied", f"The workspace refused permission: {error}")
        except WorkspaceError as error:
            self.fail(error.code, str(error))

    def _once(self) -> bool:
        """One look and one step. True: look again at once."""
        match self.claim.kind:
            case ActionKind.BACKUP:
                self.take_backup()
            case ActionKind.VALIDATE:
                self.validate()
            case ActionKind.COMPARE:
                self.compare_with_backup()
            case _:
                return self._write_step()
        return False

    # -- change and revert ---------------------------------------------------------------------------------------------

    def _write_step(self) -> bool:
        if not self.named():
            self.fail("pool_missing", "The pool that it is to move to was not made.")
            return False
        change = self.change()
        raw = self.read()
        look, write, conflicts = self.look(change, raw)
        match decide(look, self.parts.patience):
            case Step.WRITE:
                assert write is not None
                if self.backup is not None and (
                    reason := self.kind.needed(self.client, self.claim.object_id, self.backup)
                ):
                    self.end(ActionState.SKIPPED, "support_in_use", reason, raw=raw)
                    return False
                ends_runs = self.claim.kind is ActionKind.CHANGE and not self.sets_nothing_in_motion(raw)
                if ends_runs and (use := self.in_the_way(raw)):
                    self._wait_for(use, raw)
                    return False
                return self._write(write, raw)
            case Step.WAIT:
                self.look_again_soon()
            case Step.COUNT_QUIET_LOOK:
                self.later(self.parts.patience.settle, looks=self.claim.looks + 1, seen=self.answered())
            case Step.FORGET_INTENT:
                return self.commit(intent_at=None, intent_epoch=None, looks=0, seen=None)
            case Step.TAKE_AS_WRITTEN:
                return self.commit(written_at=self.machine(), looks=0)
            case Step.RELEASE:
                self.give_back(raw)
            case Step.LOOK_TWICE:
                self.look_twice()
            case Step.DONE:
                self._finish(raw)
            case Step.CONFLICT:
                outcome = {"conflicts": conflicts} if conflicts else None
                self.end(ActionState.CONFLICT, "edit_conflict", _conflict_sentence(conflicts), outcome, raw)
            case Step.FAIL_CLUSTER:
                self.fail("cluster_error", self.kind.settled(raw, self.before() or {}).sentence, raw)
            case Step.FAIL_NOT_VERIFIED:
                self.fail("not_verified", "The change was accepted, but the old value is still there.", raw)
            case Step.FAIL_UNKNOWN:
                self.fail("outcome_unknown", "The answer was lost, and what is there now does not tell.", raw)
            case Step.FAIL_STUCK:
                self.fail("stuck", stuck(raw), raw)
        return False

    def _wait_for(self, use: str, raw: Raw) -> None:
        """Not written: a restart would end what runs on it. People are asked at once, or once it has waited long."""
        now = self.parts.calendar()
        since = datetime.fromisoformat((self.claim.seen or {}).get(BUSY_SINCE) or now.isoformat())
        if self.busy() == "ask" or now - since > BUSY_FOR:
            asked = f"{use} Nothing was changed. A retry restarts it all the same, and ends them."
            self.fail("cluster_busy", asked, raw)
            return
        seen = {**(self.claim.seen or {}), BUSY_SINCE: since.isoformat()}
        why = {"reason_code": "cluster_busy", "sentence": f"{use} It waits for their end."}
        self.give_back(raw, BUSY_AGAIN, seen=seen, **why)

    def _finish(self, raw: Raw) -> None:
        """End well; a target that our change brought down is started first, once, and has to come up."""
        if missing := self.kind.unfinished(raw):
            self._complete(raw, missing)
            return
        if self.claim.kind is ActionKind.CHANGE:
            made = self.kind.stands_in(raw)
            self.end(ActionState.DONE, outcome={STANDS_IN: made} if made else None, raw=raw)
            return
        behind = self.left_behind(raw)
        started = (self.claim.seen or {}).get("started")
        if behind is None:
            fallback = "Put back on the fallback runtime: the old one can no longer be selected."
            sentence = fallback if self.falls_back else None
            self.end(ActionState.DONE, sentence=sentence, raw=raw, equal=self.equals_backup(raw))
        elif started is None:
            self._start(raw, behind)
        elif (self.machine() - datetime.fromisoformat(started)).total_seconds() < self.parts.patience.settle:
            self.look_again_soon()  # reads may lag behind the start
        else:
            self.fail("cluster_error", f"{behind} It was started and did not come up.", raw)

    def _complete(self, raw: Raw, missing: str) -> None:
        """The write that is still missing, once; then it has to show."""
        completed = (self.claim.seen or {}).get("completed")
        if completed is not None:
            if (self.machine() - datetime.fromisoformat(completed)).total_seconds() < self.parts.patience.unknown:
                self.look_again_soon()  # reads may lag behind the write
            else:
                self.fail("not_verified", missing, raw)
            return
        if self.too_late(self.machine()):
            self.later(0)
            return
        try:
            self.kind.complete(self.client, self.claim.object_id, raw)
        except (OutcomeUnknown, Busy) as error:
            log.info("completion_uncertain", action=self.claim.action_id, error=str(error))
            self.later(self.parts.patience.unknown)  # looked at again, and sent again if it is missing still
            return
        self.later(LOOK_AGAIN, seen={**(self.claim.seen or {}), "completed": self.machine().isoformat()})

    def _start(self, raw: Raw, behind: str) -> None:
        if self.too_late(self.machine()):
            self.later(0)
            return
        try:
            if not self.kind.start(self.client, self.claim.object_id):
                self.end(ActionState.DONE, sentence=behind, raw=raw)
                return
        except (OutcomeUnknown, Busy) as error:  # on its way, or about to be: a second start does no harm
            log.info("start_uncertain", action=self.claim.action_id, error=self.said(error))
        except (Refused, Forbidden) as error:
            self.end(ActionState.DONE, sentence=f"{behind} The workspace refused to start it: {error}", raw=raw)
            return
        seen = {**(self.claim.seen or {}), "state": raw.get("state"), "started": self.machine().isoformat()}
        self.later(LOOK_AGAIN, seen={**seen, "calendar": self.parts.calendar().isoformat()})

    # -- the write -----------------------------------------------------------------------------------------------------

    def _write(self, write: Change, raw: Raw) -> bool:
        if not self._commit_intent(raw):
            return False
        if self.too_late(self.machine()):  # committing took long: another may take this for unknown while we call
            self.later(0, intent_at=None, intent_epoch=None, seen=None)
            return False
        try:
            self.kind.apply(self.client, self.claim.object_id, write, raw)
        except OutcomeUnknown as error:
            log.warning("outcome_unknown", action=self.claim.action_id, error=self.said(error))
            self.later(self.parts.patience.settle)
            return False
        except WorkspaceError as error:
            # With any other error nothing was done.
            fall_back = self._may_fall_back(error)
            seen = {"fallback": True} if fall_back else None
            self.commit(intent_at=None, intent_epoch=None, seen=seen, looks=self._unanswered)
            if fall_back:
                log.warning("old_runtime_refused", action=self.claim.action_id, error=self.said(error))
                return True
            if not isinstance(error, Refused):
                raise
            self.fail(error.code, f"The workspace refused the change: {error}", raw)
            return False
        if self.claim.kind is ActionKind.CHANGE and self.sets_nothing_in_motion(raw):
            # It was accepted, and nothing is to be waited for: that it holds is read when all targets are (confirm.py).
            self.end(ActionState.DONE, written_at=self.machine())
            return False
        return self.commit(written_at=self.machine(), looks=0)

    def _may_fall_back(self, error: WorkspaceError) -> bool:
        """Whether the old runtime can no longer be selected and the change names another one to go back to."""
        if self.claim.kind is not ActionKind.REVERT or self.falls_back or not isinstance(error, Refused):
            return False
        named = self.claim.change is not None and any(f.fallback is not None for f in self.claim.change.fields)
        return named and error.code != "policy_refuses" and _OLD_RUNTIME.search(error.message) is not None

    def _commit_intent(self, raw: Raw) -> bool:
        """Commit that a write is about to be sent, if it may be, under the stage's lock."""
        seen: dict[str, Any] = {name: raw.get(name) for name in _SEEN}
        seen["calendar"] = self.parts.calendar().isoformat()
        seen.update(self.noted())
        if self.claim.kind is ActionKind.CHANGE and (kept := self.kind.kept(raw)):
            seen[KEPT] = kept
        self._unanswered = self.claim.looks

        def intend(session: Session) -> datetime | None:
            rules = locked_rules(session, self.claim)
            now = self.parts.database.machine_now(session)  # after the locks, which may have taken long
            if self.too_late(now):
                self._ask_or_claim_again(session, now)
                return None
            today, shared = self.parts.calendar(), self.is_shared(raw)
            if self.claim.kind is not ActionKind.REVERT and not rules.allows(self.claim, today, shared):
                actions.give_back(session, self.claim, now + timedelta(seconds=HELD_FOR))
                self.note(session, raw)
                return None
            if not self.has_backup(session):
                sentence = "There is no backup of this generation, so nothing may be written."
                actions.end(session, self.claim, ActionState.FAILED, self.parts.calendar(), "no_backup", sentence)
                return None
            values = {"intent_at": now, "intent_epoch": self.claim.epoch, "looks": 0, "seen": seen}
            values |= {"reason_code": None, "sentence": None}  # why it waited
            actions.commit(session, self.claim, **values)
            return now

        if (intent_at := self.write(intend, Locks.STAGE)) is None:
            return False
        self.claim = replace(self.claim, intent_at=intent_at, looks=0, seen=seen)
        return True

    def _ask_or_claim_again(self, session: Session, now: datetime) -> None:
        """Too little lease is left to write: claim again, unless that happens for ever."""
        tries = self.claim.looks + 1
        if tries >= MOST_UNANSWERED:
            sentence = "Looking at it takes longer than it may be held: nothing was written."
            actions.end(session, self.claim, ActionState.FAILED, self.parts.calendar(), "stuck", sentence)
        else:
            actions.look_again(session, self.claim, now, looks=tries)


def _conflict_sentence(conflicts: list[dict[str, Any]]) -> str:
    if not conflicts:
        return "Somebody else changed it."
    first = conflicts[0]
    where = ".".join(first["path"])
    more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
    return (
        f"{where} was {first['before']}, we set {first['ours']}, now it is {first['now']}: somebody changed it{more}."
    )
