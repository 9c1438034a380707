"""What speaks against the machine types of a stage's targets, as the last look at their workspaces found it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, cast, or_, select
from sqlalchemy.orm import Session

from rollout.machine import CODES
from storage.dryrun import found_targets, in_change_set
from storage.models import Target, Workspace


@dataclass(frozen=True, slots=True)
class Against:
    """One target or pool, and what is said of its machine type. ``held``: it is left alone for that."""

    name: str
    workspace: str
    kind: str
    code: str
    text: str
    held: bool


def against(session: Session, rollout_id: int, stage_key: str | None) -> list[Against]:
    """The targets of a stage, or of all, and the pools that they use, whose machine types people must look at: first
    those that are left alone for it."""
    of_targets = and_(found_targets(rollout_id, stage_key), Target.stage_key.is_not(None))
    found = [one for row in session.execute(_doubted(of_targets)) for one in _read(row)]
    pools = [
        (row.object_id, one)
        for row in session.execute(_doubted(and_(Target.rollout_id == rollout_id, Target.kind == "pool")))
        for one in _read(row)
    ]
    if pools:
        used = {
            (workspace, str(use[1]))
            for workspace, about in session.execute(select(Target.workspace, Target.about).where(of_targets))
            for use in (about or {}).get("uses", ())
            if use[0] == "pool"
        }
        found += [one for pool_id, one in pools if (one.workspace, pool_id) in used]
    return sorted(found, key=lambda one: (not one.held, one.code, one.workspace, one.name))


def _doubted(which: ColumnElement[bool]) -> Select[Any]:
    noted = and_(in_change_set(), cast(Target.change, Text).like("%(machine_%"))
    return (
        select(
            Target.name,
            Target.workspace,
            Target.kind,
            Target.object_id,
            Target.skip_code,
            Target.skip_sentence,
            Target.skip_next,
            Target.change,
        )
        .where(which, Target.gone.is_(False), Target.pinned_reason.is_(None))
        .where(or_(Target.skip_code.in_(CODES), noted))
    )


def _read(row: Row[Any]) -> list[Against]:
    """What a row says: why it is left alone, or each note of its change that names a reason code of machines."""

    def said(code: str, text: str, held: bool) -> Against:
        return Against(row.name, row.workspace, row.kind, code, text, held)

    if row.skip_code is not None:
        return [said(row.skip_code, f"{row.skip_sentence or ''} {row.skip_next or ''}".strip(), True)]
    notes = [str(note) for note in (row.change or {}).get("notes", ())]
    return [said(code, note, False) for note in notes for code in CODES if f"({code})" in note]


def unknown(session: Session, workspaces: Collection[str]) -> list[str]:
    """The workspaces that were looked at and did not say which machine types they offer."""
    rows = session.execute(
        select(Workspace.key, Workspace.machines)
        .where(Workspace.key.in_(list(workspaces)), Workspace.looked_at.is_not(None))
        .order_by(Workspace.key)
    )
    return [key for key, machines in rows if not machines]
