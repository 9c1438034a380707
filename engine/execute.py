"""Carry out one claimed action: look, decide, do that one thing, commit; again until it ends or has to wait."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.parts import Parts
from engine.replan import note_present_state
from rollout.change import Change, FieldChange, Holds, Raw, compare, three_way_revert
from rollout.states import ActionKind, ActionState, StageState
from rollout.steps import Look, Settling, Step, decide
from storage import actions
from storage.actions import Claim, LeaseLost
from storage.models import Backup, Rollout, Stage, Workspace
from workspace.errors import (
    Busy,
    Forbidden,
    Gone,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    WorkspaceError,
)
from workspace.kinds import KINDS, Kind

log = structlog.get_logger(__name__)

#: Machine seconds between two looks at a target that is on its way.
LOOK_AGAIN = 0.5
#: After so many looks in a row that could not be made, a person is asked.
MOST_UNANSWERED = 20
#: Calendar time after which a target that does not settle is stuck. Capacity shortages take longer than 15 minutes.
STUCK_AFTER = timedelta(minutes=45)
_SEEN = ("state", "start_time", "last_restarted_time")


def execute(parts: Parts, claim: Claim) -> None:
    """Carry out ``claim`` as far as it goes now. Never raises for what a workspace answers; a lost lease ends it."""
    try:
        _Execution(parts, claim).run()
    except LeaseLost:
        log.warning("lease_lost", action=claim.action_id)
    except Exception:
        # A defect of ours must hold this one target for a person, not the whole engine.
        log.exception("action_failed_unexpectedly", action=claim.action_id)
        _fail_unexpectedly(parts, claim)


def _fail_unexpectedly(parts: Parts, claim: Claim) -> None:
    try:
        with parts.database.write() as session:
            sentence = "An error of the bot itself; the log has the details."
            actions.end(session, claim, ActionState.FAILED, parts.calendar(), "internal_error", sentence)
    except LeaseLost:
        pass


class _Execution:
    def __init__(self, parts: Parts, claim: Claim) -> None:
        self.parts = parts
        self.claim = claim
        self.kind: Kind = KINDS[claim.target_kind]
        self.client = parts.clients[claim.workspace]

    def run(self) -> None:
        try:
            while self._once():
                pass
        except Throttled as error:
            self._later(error.retry_after, hold=True)
        except Busy as error:
            if self._expired():
                self._fail("stuck", f"It does not come to rest: {error}")
            else:
                self._later(LOOK_AGAIN)
        except Unavailable as error:
            self._unanswered(str(error), error.retry_after)
        except Gone as error:
            self._fail("target_gone", f"It no longer exists: {error}")
        except Forbidden as error:
            self._fail("permission_denied", f"The workspace refused permission: {error}")
        except WorkspaceError as error:
            self._fail(error.code, str(error))

    def _once(self) -> bool:
        """One look and one step. True: look again at once."""
        match self.claim.kind:
            case ActionKind.BACKUP:
                return self._backup()
            case ActionKind.VALIDATE:
                return self._validate()
            case _:
                return self._write_step()

    # -- backup --------------------------------------------------------------------------------------------------------

    def _backup(self) -> bool:
        raw = self.kind.read(self.client, self.claim.object_id)
        stored = self.kind.backup_of(raw)
        ciphertext, digest = self.parts.vault.seal(stored)
        with self.parts.database.write() as session:
            if self._stored_backup(session) is None:  # never overwritten
                session.add(
                    Backup(
                        target_id=self.claim.target_id,
                        stage_id=self.claim.stage_id,
                        generation=self.claim.generation,
                        ciphertext=ciphertext,
                        digest=digest,
                        state=str(raw.get("state") or ""),
                        created_at=self.parts.calendar(),
                    )
                )
            actions.end(session, self.claim, ActionState.DONE, self.parts.calendar(), outcome={"digest": digest})
        return False

    def _stored_backup(self, session: Session) -> Backup | None:
        return session.execute(
            select(Backup).where(
                Backup.target_id == self.claim.target_id,
                Backup.stage_id == self.claim.stage_id,
                Backup.generation == self.claim.generation,
            )
        ).scalar_one_or_none()

    # -- validate ------------------------------------------------------------------------------------------------------

    def _validate(self) -> bool:
        change = self._change()
        raw = self.kind.read(self.client, self.claim.object_id)
        if compare(change, self.kind.values(raw, change)) is not Holds.AFTER:
            self._end(
                ActionState.CONFLICT, "edit_conflict", "After the change it no longer holds what was written.", raw=raw
            )
            return False
        settlement = self.kind.settled(raw, {})
        if settlement.settled.value == Settling.FAILED:
            self._fail("cluster_error", settlement.sentence, raw)
        elif settlement.settled.value == Settling.NOT_YET:
            self._wait_or_stuck(raw)
        else:
            self._end(ActionState.DONE, sentence=settlement.sentence, raw=raw)
        return False

    # -- change and revert ---------------------------------------------------------------------------------------------

    def _write_step(self) -> bool:
        raw = self.kind.read(self.client, self.claim.object_id)
        look, write, conflicts = self._look(raw)
        step = decide(look, self.parts.patience)
        match step:
            case Step.WRITE:
                assert write is not None
                return self._write(write, raw)
            case Step.WAIT:
                self._later(LOOK_AGAIN)
            case Step.COUNT_QUIET_LOOK:
                self._later(self.parts.patience.settle, looks=self.claim.looks + 1)
            case Step.FORGET_INTENT:
                return self._commit(intent_at=None, intent_epoch=None, looks=0)
            case Step.TAKE_AS_WRITTEN:
                return self._commit(written_at=self._machine())
            case Step.RELEASE:
                self._release()
            case Step.DONE:
                self._end(ActionState.DONE, raw=raw)
            case Step.CONFLICT:
                self._end(ActionState.CONFLICT, "edit_conflict", _conflict_sentence(conflicts), conflicts, raw)
            case Step.FAIL_CLUSTER:
                self._fail("cluster_error", self.kind.settled(raw, self.claim.seen or {}).sentence, raw)
            case Step.FAIL_NOT_VERIFIED:
                self._fail("not_verified", "The change was accepted, but the old value is still there.", raw)
            case Step.FAIL_UNKNOWN:
                self._fail("outcome_unknown", "The answer was lost, and what is there now does not tell.", raw)
            case Step.FAIL_STUCK:
                self._fail("stuck", f"It did not come to rest ({raw.get('state', 'unknown state')}).", raw)
        return False

    def _look(self, raw: Raw) -> tuple[Look, Change | None, list[dict[str, Any]]]:
        change = self._change()
        values = self.kind.values(raw, change)
        write: Change | None
        if self.claim.kind is ActionKind.REVERT:
            revert = three_way_revert(change, values)
            write = revert.change
            conflicts = [c.to_json() for c in revert.conflicts]
            holds = Holds.AFTER if write is None else Holds.BEFORE
        else:
            write, holds = change, compare(change, values)
            conflicts = [
                {"path": list(f.path), "before": f.before, "ours": f.after, "now": now}
                for f, now in zip(change.fields, values, strict=True)
                if now not in (f.before, f.after)
            ]
        settling = Settling(self.kind.settled(raw, self.claim.seen or {}).settled.value)
        written = self.claim.written_at is not None
        intended = self.claim.intent_at is not None
        if not written and not intended:
            settling = Settling.YES  # nothing of ours is on its way; whatever it is doing is its own affair
        now = self._machine()
        return (
            Look(
                holds=holds,
                conflicts=bool(conflicts) and self.claim.kind is ActionKind.REVERT,
                editable=self.kind.editable(raw),
                settling=settling,
                intended=intended,
                answered=written,
                intent_age=_age(self.claim.intent_at, now),
                answer_age=_age(self.claim.written_at, now),
                looks=self.claim.looks,
                edited=self._edited(holds) if intended and not written else None,
                expired=self._expired(),
                may_write=self._may_write(),
            ),
            write,
            conflicts,
        )

    def _edited(self, holds: Holds) -> bool | None:
        seen = (self.claim.seen or {}).get("calendar")
        if seen is None or holds is not Holds.BEFORE:
            return None
        return self.kind.edited_since(self.client, self.claim.object_id, datetime.fromisoformat(seen))

    def _may_write(self) -> bool:
        if self.claim.kind is ActionKind.REVERT:
            return True
        with self.parts.database.read() as session:
            return _forward_allowed(session, self.claim)

    def _write(self, write: Change, raw: Raw) -> bool:
        now = self._machine()
        if (self.claim.lease_until - now).total_seconds() < self.parts.patience.unknown:
            self._later(0)  # not enough lease left for a call and its effect: claim again first
            return False
        seen: dict[str, Any] = {name: raw.get(name) for name in _SEEN}
        seen["calendar"] = self.parts.calendar().isoformat()
        with self.parts.database.write() as session:
            stage = session.execute(select(Stage).where(Stage.id == self.claim.stage_id).with_for_update()).scalar_one()
            if self.claim.kind is not ActionKind.REVERT and not _forward_allowed(session, self.claim, stage):
                actions.give_back(session, self.claim)
                return False
            if self._stored_backup(session) is None:
                sentence = "There is no backup of this generation, so nothing may be written."
                actions.end(session, self.claim, ActionState.FAILED, self.parts.calendar(), "no_backup", sentence)
                return False
            values = {"intent_at": now, "intent_epoch": self.claim.epoch, "looks": 0, "seen": seen}
            actions.commit(session, self.claim, **values)
        self.claim = replace(self.claim, intent_at=now, looks=0, seen=seen)
        try:
            self.kind.apply(self.client, self.claim.object_id, write, raw)
        except OutcomeUnknown as error:
            log.warning("outcome_unknown", action=self.claim.action_id, error=str(error))
            self._later(self.parts.patience.settle)
            return False
        except WorkspaceError as error:
            self._commit(intent_at=None, intent_epoch=None)  # with any other error nothing was done
            if not isinstance(error, Refused):
                raise
            self._fail(error.code, f"The workspace refused the change: {error}", raw)
            return False
        return self._commit(written_at=self._machine())

    # -- commits -------------------------------------------------------------------------------------------------------

    def _change(self) -> Change:
        change = self.claim.change
        if change is None:
            raise ValueError(f"action {self.claim.action_id} has no change")
        if self.claim.kind is not ActionKind.REVERT:
            return change
        # What is put back comes from the backup of this generation, and from nowhere else.
        with self.parts.database.read() as session:
            backup = self._stored_backup(session)
        if backup is None:
            raise _NoBackup("There is no backup of this generation.")
        before = self.kind.values(self.parts.vault.open(backup.ciphertext), change)
        fields = tuple(FieldChange(f.path, b, f.after) for f, b in zip(change.fields, before, strict=True))
        return replace(change, fields=fields)

    def _machine(self) -> datetime:
        return self.parts.database.machine()

    def _expired(self) -> bool:
        deadline = self.claim.give_up_at or self.claim.started_at + STUCK_AFTER
        return self.parts.calendar() > deadline

    def _commit(self, **values: Any) -> bool:
        with self.parts.database.write() as session:
            actions.commit(session, self.claim, **values)
        self.claim = replace(self.claim, **{k: v for k, v in values.items() if k in _CLAIMED})
        return True

    def _later(self, seconds: float, hold: bool = False, **values: Any) -> None:
        with self.parts.database.write() as session:
            at = self.parts.database.machine_now(session) + timedelta(seconds=max(seconds, 0.0))
            if hold:
                _hold(session, self.claim.workspace, at)
            actions.look_again(session, self.claim, at, **values)

    def _unanswered(self, sentence: str, retry_after: float) -> None:
        tries = self.claim.looks + 1
        if tries >= MOST_UNANSWERED and self.claim.intent_at is None:
            self._fail("workspace_unreachable", sentence)
        elif self.claim.intent_at is None:
            self._later(max(retry_after, min(0.5 * 2**tries, 15.0)), looks=tries)
        else:  # quiet looks are counted apart: an unanswered one is none
            self._later(max(retry_after, self.parts.patience.settle))

    def _release(self) -> None:
        with self.parts.database.write() as session:
            actions.give_back(session, self.claim)

    def _wait_or_stuck(self, raw: Raw) -> None:
        if self._expired():
            self._fail("stuck", f"It did not come to rest ({raw.get('state', 'unknown state')}).", raw)
        else:
            self._later(LOOK_AGAIN)

    def _fail(self, code: str, sentence: str, raw: Raw | None = None) -> None:
        self._end(ActionState.FAILED, code, sentence, raw=raw)

    def _end(
        self,
        state: ActionState,
        code: str | None = None,
        sentence: str | None = None,
        conflicts: list[dict[str, Any]] | None = None,
        raw: Raw | None = None,
    ) -> None:
        with self.parts.database.write() as session:
            outcome = {"conflicts": conflicts} if conflicts else None
            actions.end(session, self.claim, state, self.parts.calendar(), code, sentence, outcome)
            if raw is not None:
                note_present_state(
                    session, self.claim.target_id, self.kind, raw, self.parts.calendar(), self._machine()
                )


class _NoBackup(WorkspaceError):
    code = "no_backup"


_CLAIMED = frozenset({"intent_at", "written_at", "looks", "seen"})


def _age(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since is not None else 0.0


def _hold(session: Session, workspace: str, until: datetime) -> None:
    row = session.execute(select(Workspace).where(Workspace.key == workspace).with_for_update()).scalar_one()
    if row.hold_until is None or row.hold_until < until:
        row.hold_until = until
    session.flush()


def _forward_allowed(session: Session, claim: Claim, stage: Stage | None = None) -> bool:
    """Pause, lock and a rollback hold every forward write that has not been sent yet."""
    stage = stage or session.execute(select(Stage).where(Stage.id == claim.stage_id)).scalar_one()
    paused = session.execute(select(Rollout.paused).where(Rollout.id == claim.rollout_id)).scalar_one()
    return (
        not paused
        and not stage.locked
        and stage.generation == claim.generation
        and stage.state in (StageState.UPGRADING, StageState.BLOCKED)
    )


def _conflict_sentence(conflicts: list[dict[str, Any]]) -> str:
    if not conflicts:
        return "Somebody else changed it."
    first = conflicts[0]
    where = ".".join(first["path"])
    more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
    return (
        f"{where} was {first['before']}, we set {first['ours']}, now it is {first['now']}: somebody changed it{more}."
    )
