"""Backups as they are sealed: what a target was, bound to that target, its stage and its generation.

The cipher says that nobody changed a text without the key. It does not say whose text it is: so that stands inside.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from rollout.states import ActionKind, ActionState
from storage.models import Action, Backup, Stage, Target
from storage.secrets import KeyProblem, Vault, digest_of

CONFIGURATION: Final = "configuration"
PERMISSIONS: Final = "permissions"
#: Where raw configurations name their own object, for backups from before they were bound.
_IDS: Final = ("cluster_id", "job_id", "policy_id", "instance_pool_id")
_ENVELOPE: Final = frozenset({"of", "raw"})


class Altered(KeyProblem):
    """What can be opened, and is not what was sealed in that place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose backup it is."""

    workspace: str
    kind: str
    object_id: str
    stage_id: int
    generation: int

    def _of(self, what: str) -> list[Any]:
        return [what, *astuple(self)]

    def sealed(self, vault: Vault, raw: Mapping[str, Any], what: str) -> tuple[bytes, str]:
        """The ciphertext of ``what`` of this place, and the SHA-256 of the canonical text of ``raw``."""
        return vault.seal({"of": self._of(what), "raw": dict(raw)}), digest_of(raw)

    def opened(self, vault: Vault, ciphertext: bytes, what: str, digest: str | None = None) -> dict[str, Any]:
        """``what`` as it was sealed. Raises KeyProblem when no key fits, Altered when it is not of this place or,
        where ``digest`` is given, not the text with that digest."""
        found = vault.open(ciphertext)
        if found.keys() == _ENVELOPE:
            if found["of"] != self._of(what):
                raise Altered("it is not the one that was made of this target for this start of the stage")
            raw: dict[str, Any] = found["raw"]
        elif what == CONFIGURATION and self.object_id not in {str(found.get(name)) for name in _IDS}:
            raise Altered("it is one of another target")
        else:
            raw = found
        if digest is not None and digest_of(raw) != digest:
            raise Altered("its digest is not the one that was stored with it")
        return raw


def place_of(target: Target, backup: Backup) -> Place:
    """Whose backup that row says it is."""
    return Place(target.workspace, target.kind, target.object_id, backup.stage_id, backup.generation)


def problems(session: Session, vault: Vault) -> Iterator[str]:
    """Every backup that is not what it should be, or not there, as sentences without a full stop. Raises KeyProblem
    when no key fits one."""
    yield from _missing(session)
    rows = session.execute(
        select(Target, Backup)
        .join(Backup, Backup.target_id == Target.id)
        .order_by(Backup.id)
        .execution_options(yield_per=100)
    )
    for target, backup in rows:
        place = place_of(target, backup)
        try:
            place.opened(vault, backup.ciphertext, CONFIGURATION, backup.digest)
            if backup.permissions is not None:
                place.opened(vault, backup.permissions, PERMISSIONS)
        except Altered as error:
            yield f"the backup of {target.kind} {target.name} ({target.workspace}) was altered: {error}"


def _missing(session: Session) -> Iterator[str]:
    made = (
        select(Stage.key, func.count())
        .join(Action, Action.stage_id == Stage.id)
        .outerjoin(
            Backup,
            and_(
                Backup.target_id == Action.target_id,
                Backup.stage_id == Action.stage_id,
                Backup.generation == Action.generation,
            ),
        )
        .where(Action.kind == ActionKind.BACKUP, Action.state == ActionState.DONE, Backup.id.is_(None))
        .group_by(Stage.id, Stage.key)
        .order_by(Stage.id)
    )
    for stage, number in session.execute(made):
        what = "backup that was made" if number == 1 else "backups that were made"
        yield f"{number:,} {what} for {stage} {'is' if number == 1 else 'are'} not there any more"
