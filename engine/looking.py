"""What one look at the target of a claimed action says (DESIGN 5.4): never trust the journal about the world."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from engine.claimed import Claimed
from engine.rules import rules
from rollout.awaiting import awaited, resolved
from rollout.change import SUPPORTS, WIDENS_AGAIN, Change, Holds, Path, Raw, compare, three_way_revert
from rollout.masking import shown_field
from rollout.states import ActionKind
from rollout.steps import Look, Settling
from storage import actions
from storage.backups import CONFIGURATION, PERMISSIONS, Altered
from storage.models import Action
from storage.secrets import KeyProblem
from storage.standins import stand_ins
from workspace.compute import interactive
from workspace.errors import WorkspaceError
from workspace.permissions import direct

#: Asked for every target, and built once.
_ASKED = select(Action.id).where(
    Action.target_id == bindparam("target_id"),
    Action.stage_id == bindparam("stage_id"),
    Action.generation == bindparam("generation"),
    Action.kind == bindparam("kind"),
    Action.attempt < bindparam("attempt"),
    Action.reason_code == bindparam("code"),
)


class Looking(Claimed):
    """A claimed action together with what can be seen of its target. ``backup``: what a revert goes back to."""

    backup: Raw | None = None
    rights: dict[str, list[str]] | None = None  # as they were backed up; None: they could not be read then
    _opened: dict[str, Any] | None = None  # a backup never changes: it is read once for a claim

    def read(self) -> Raw:
        self.read_at = self.machine()
        self.present = self.kind.read(self.client, self.claim.object_id)
        return self.present

    def named(self) -> bool:
        """Whether the change names everything by its id; pools that were made meanwhile get theirs, for good."""
        change = self.claim.change
        if change is None or self.claim.kind is ActionKind.REVERT or not awaited(change):
            return True
        with self.parts.database.write() as session:
            found = resolved(change, stand_ins(session, self.claim.rollout_id, self.claim.workspace))
            if found is None:
                return False
            actions.commit(session, self.claim, change=found.to_json())
        self.claim = replace(self.claim, change=found)
        return True

    def change(self) -> Change:
        change = self.claim.change
        if change is None:
            raise ValueError(f"action {self.claim.action_id} has no change")
        if self.claim.kind is not ActionKind.REVERT or change.step == WIDENS_AGAIN:
            return change
        # What is put back comes from the backup of this generation, and from nowhere else.
        raw = self.backup = self.opened_backup()
        before = self.kind.values(raw, change)
        fields = tuple(
            # The old runtime was refused: what is put back instead was said before the start.
            replace(f, before=f.fallback if self.falls_back and f.fallback is not None else b)
            for f, b in zip(change.fields, before, strict=True)
        )
        return replace(change, fields=fields)

    def opened_backup(self) -> dict[str, Any]:
        """The backup of this generation. Raises a WorkspaceError with the code ``no_backup`` or
        ``backup_altered``."""
        if self._opened is not None:
            return self._opened
        with self.parts.database.read() as session:
            backup = self.stored_backup(session)
        if backup is None:
            raise _NoBackup("There is no backup of this generation.")
        try:
            place, vault = self.backup_place(), self.parts.vault
            opened = place.opened(vault, backup.ciphertext, CONFIGURATION, backup.digest)
            sealed = backup.permissions
            rights = place.opened(vault, sealed, PERMISSIONS) if sealed is not None else None
        except Altered as error:
            raise _AlteredBackup(f"The backup was altered, and nothing is put back from it: {error}.") from None
        except KeyProblem as error:
            raise _NoBackup(f"The backup cannot be opened: {error}.") from None
        self.rights = direct(rights) if rights is not None else None
        self._opened = opened
        return opened

    def look(self, change: Change, raw: Raw) -> tuple[Look, Change | None, list[dict[str, Any]]]:
        """What this look found, what would be written, and what somebody else changed."""
        values = self.kind.values(raw, change)
        write: Change | None
        if self.claim.kind is ActionKind.REVERT:
            revert = three_way_revert(change, values)
            write = revert.change
            conflicts = [_shown(c.path, c.before, c.ours, c.now) for c in revert.conflicts]
            holds = Holds.AFTER if write is None else Holds.BEFORE
        else:
            write, holds = change, compare(change, values)
            conflicts = [
                _shown(f.path, f.before, f.after, now)
                for f, now in zip(change.fields, values, strict=True)
                if now not in (f.before, f.after)
            ]
        written = self.claim.written_at is not None
        intended = self.claim.intent_at is not None
        reverting = self.claim.kind is ActionKind.REVERT
        now = self.machine()
        found = Look(
            holds=holds,
            conflicts=bool(conflicts) and reverting,
            editable=self.kind.editable(raw),
            settling=self._settling(raw, holds),
            intended=intended,
            answered=written,
            intent_age=_age(self.claim.intent_at, now),
            answer_age=_age(self.claim.written_at, now),
            looks=self.claim.looks,
            edited=self._edited(holds) if intended and not written else None,
            expired=self.expired(),
            may_write=reverting or written or intended or self._at_the_intent(raw, holds) or self._may_write(raw),
            doubted=reverting and not self.looked_twice(),
        )
        return found, write, conflicts

    def _settling(self, raw: Raw, holds: Holds) -> Settling:
        before = self.before() if holds is Holds.AFTER else self.claim.seen
        if before is None or "state" not in before:
            return Settling.YES  # nothing of ours is on its way; whatever it is doing is its own affair
        return Settling(self.kind.settled(raw, before).settled.value)

    def before(self) -> dict[str, Any] | None:
        """What was seen just before our write; that of an earlier attempt when this one had nothing to write."""
        if self.claim.seen is not None and "state" in self.claim.seen:
            return dict(self.claim.seen)
        return self.seen_before(self.claim.kind) if self.claim.attempt > 1 else None

    def left_behind(self, raw: Raw) -> str | None:
        """That a target which our change brought down is down still, although its old runtime is back."""
        if self.claim.kind is not ActionKind.REVERT:
            return None
        before = self.seen_before(ActionKind.CHANGE)
        if before is None or self.kind.settled(raw, before).settled.value != Settling.FAILED:
            return None
        return "Its old runtime is back, but it was running before the change and is not now."

    def _edited(self, holds: Holds) -> bool | None:
        seen = (self.claim.seen or {}).get("calendar")
        if seen is None or holds is not Holds.BEFORE:
            return None
        return self.kind.edited_since(self.client, self.claim.object_id, datetime.fromisoformat(seen))

    def sets_nothing_in_motion(self, raw: Raw) -> bool:
        """Whether a target that still looked as before its edit would count as come to rest.

        Not a support: what refers to it is looked at after each edit, before the first target is changed.
        """
        if self.claim.target_kind in SUPPORTS:
            return False
        return not self.kind.runs_on(raw) and self.kind.settled(raw, raw).settled.value == Settling.YES

    def _at_the_intent(self, raw: Raw, holds: Holds) -> bool:
        """Whether it is asked only there, under the stage's lock, if a write may be sent: nothing else hangs on it."""
        return holds is not Holds.BEFORE or (self.kind.editable(raw) and self.sets_nothing_in_motion(raw))

    def _may_write(self, raw: Raw) -> bool:
        with self.parts.database.read() as session:
            return rules(session, self.claim).allows(self.claim, self.parts.calendar(), self.is_shared(raw))

    def busy(self) -> str:
        """What the plan wants of a running cluster with runs under way: wait, ask or restart."""
        with self.parts.database.read() as session:
            found = rules(session, self.claim)
        return found.plan.stage(found.stage).busy

    def in_the_way(self, raw: Raw) -> str | None:
        """What runs on the target and would be ended; None also where the plan, or whoever retried it, accepts that."""
        if self.claim.attempt > 1 and self._was_asked():
            return None
        return self.kind.in_use(self.client, self.claim.object_id, raw) if self.busy() != "restart" else None

    def _was_asked(self) -> bool:
        """Whether an earlier attempt ended because of such runs: whoever retries it has been told."""
        earlier = {**self.of(), "kind": self.claim.kind, "attempt": self.claim.attempt, "code": "cluster_busy"}
        with self.parts.database.read() as session:
            return session.execute(_ASKED, earlier).first() is not None

    def is_shared(self, raw: Raw) -> bool:
        """Whether it is a running cluster that people work on."""
        return self.claim.target_kind == "cluster" and interactive(raw) and raw.get("state") == "RUNNING"

    def looked_twice(self) -> bool:
        return bool((self.claim.seen or {}).get("looked_twice"))

    @property
    def falls_back(self) -> bool:
        """Whether the workspace refused the old runtime, so that the fallback is put back in its place."""
        return bool((self.claim.seen or {}).get("fallback"))

    def look_twice(self) -> None:
        """One read alone may lag behind the writes: what it says counts when it is read again after a settle time."""
        self.later(self.parts.patience.settle, looks=0, seen={"looked_twice": True, **self.noted()})

    def noted(self) -> dict[str, Any]:
        """What of the journal's notes outlives the next look."""
        return {"fallback": True} if self.falls_back else {}


class _NoBackup(WorkspaceError):
    code = "no_backup"


class _AlteredBackup(WorkspaceError):
    code = "backup_altered"


def _shown(path: Path, before: Any, ours: Any, now: Any) -> dict[str, Any]:
    """The three values of a field that somebody else changed, as they may be stored and shown."""
    values = {"before": before, "ours": ours, "now": now}
    return {"path": list(path), **{side: shown_field(path, value) for side, value in values.items()}}


def _age(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since is not None else 0.0
