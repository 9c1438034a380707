"""What an action does that writes nothing to its target: back it up, look after the change, compare it afterwards."""

from typing import Any

import structlog
from sqlalchemy.orm import Session

from engine.judging import Stands, judge, lost
from engine.looking import Looking
from rollout.change import Raw
from rollout.comparing import Difference, differences, shown_differences
from rollout.masking import shown_field
from rollout.states import ActionKind, ActionState
from storage import actions, comparing
from storage.backups import CONFIGURATION, PERMISSIONS
from storage.base import insert
from storage.models import Backup
from workspace.errors import Forbidden, Gone, Refused, WorkspaceError
from workspace.permissions import direct

log = structlog.get_logger(__name__)


class Observing(Looking):
    """A claimed action that ends, or looks again, by what it sees."""

    def take_backup(self) -> None:
        """Keep the target as it is now, once in a generation; with it who may use it, where that can be read."""
        raw = self.read()
        stored = self.kind.backup_of(raw)
        ciphertext, digest = self.backup_place().sealed(self.parts.vault, stored, CONFIGURATION)
        permissions = self._permissions()
        outcome = {"digest": digest, "fields": self._shown_backup(raw)}

        def keep(session: Session) -> None:
            values = {
                **self.of(),
                "ciphertext": ciphertext,
                "permissions": permissions,
                "digest": digest,
                "state": str(raw.get("state") or ""),
                "created_at": self.parts.calendar(),
            }
            session.execute(insert(session, Backup).on_conflict_do_nothing(), values)  # never overwritten
            actions.end(session, self.claim, ActionState.DONE, self.parts.calendar(), outcome=outcome)

        self.write(keep)

    def _permissions(self) -> bytes | None:
        """Who may do what with the target, sealed; None where we may not read it: no change of ours touches that."""
        try:
            found = self.kind.permissions_of(self.client, self.claim.object_id)
        except (Forbidden, Gone, Refused) as error:  # that takes more rights than the change itself
            log.info("permissions_not_read", action=self.claim.action_id, error=self.said(error))
            return None
        return self.backup_place().sealed(self.parts.vault, found, PERMISSIONS)[0]

    def _shown_backup(self, raw: Raw) -> list[dict[str, Any]]:
        """What the backup says of the fields that are going to be changed: commands cannot open it, and need not."""
        change = self.claim.change
        if change is None:
            return []
        values = self.kind.values(raw, change)
        return [
            {"path": list(f.path), "value": shown_field(f.path, value)}
            for f, value in zip(change.fields, values, strict=True)
        ]

    def validate(self) -> None:
        """Whether the change holds, the target has come to rest, and its machines are what they were."""
        change = self.change()
        raw = self.read()
        before = self.seen_before(ActionKind.CHANGE)
        standing = judge(self.kind, change, before, raw)
        other = lost(self.kind, before, raw)
        match standing.stands:
            case Stands.ELSEWHERE if self.looked_twice():
                sentence = "After the change it no longer holds what was written."
                self.end(ActionState.CONFLICT, "edit_conflict", sentence, raw=raw)
            case Stands.ELSEWHERE:
                self.look_twice()
            case Stands.YES if other is None:
                self.end(ActionState.DONE, sentence=standing.sentence, raw=raw)
            case Stands.YES if other is not None and self.looked_twice():
                self.fail("machine_changed", other, raw)
            case Stands.YES:
                self.look_twice()
            case Stands.DOWN:
                self.fail("cluster_error", standing.sentence, raw)
            case Stands.MOVING if self.expired():
                self.fail("stuck", stuck(raw), raw)
            case Stands.MOVING:
                self.look_again_soon()

    def compare_with_backup(self) -> None:
        """Whether it is as its backup says. What could not be read ends as a failure, never as equal."""
        self.opened_backup()
        try:
            raw = self.read()
            found = self._differences(raw)
        except Gone:
            if self.looked_twice():
                self.end(ActionState.DONE, comparing.GONE, "It no longer exists.")
            else:
                self.look_twice()
            return
        if not found:
            self.end(ActionState.DONE, raw=raw)
        elif not self.looked_twice():  # a read may lag behind the write that put it back
            self.look_twice()
        else:
            outcome = {"fields": shown_differences(found, self.claim.change), "number": len(found)}
            fields = "1 field differs" if len(found) == 1 else f"{len(found)} fields differ"
            self.end(ActionState.DONE, comparing.DIFFERS, f"{fields} from its backup.", outcome, raw)

    def equals_backup(self, raw: Raw) -> bool:
        """Whether the look that shows it put back shows it equal to its backup. If not, or where its permissions were
        not answered, it is looked at again by an action of its own, which says what differs."""
        if self.backup is None:
            return False
        try:
            return not self._differences(raw)
        except WorkspaceError as error:
            log.info("compared_later", action=self.claim.action_id, error=self.said(error))
            return False

    def _differences(self, raw: Raw) -> list[Difference]:
        """In what it differs from its opened backup; who may use it is read for that, where it could be backed up."""
        before, now = self.kind.compared(self.opened_backup()), self.kind.compared(raw)
        if self.rights is not None:
            before["permissions"] = self.rights
            now["permissions"] = direct(self.kind.permissions_of(self.client, self.claim.object_id))
        return differences(before, now)


def stuck(raw: Raw) -> str:
    """That it did not come to rest, and where it is."""
    return f"It did not come to rest ({raw.get('state', 'unknown state')})."
