"""Of one target: what its backups are, what we write over what, and whether it is as its backup says."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from commands import compared
from commands.reply import Block, Code, Icon, Line, Paragraph, Strong, Table, line
from commands.words import ago, count, short
from rollout.change import Change
from rollout.masking import path_words, shown_field
from rollout.states import ACTION_OPEN, ActionKind, ActionState
from storage import comparing
from storage.models import Action, Backup, Stage, Target

_MOST_FIELDS = 12
_MOST_BACKUPS = 5

BackupRow = tuple[str, int, datetime, str, str]  # digest, generation, when, state then, stage


def read_backups(session: Session, target_id: int) -> list[BackupRow]:
    """Every backup of a target, the newest first, without what it holds."""
    rows = session.execute(
        select(Backup.digest, Backup.generation, Backup.created_at, Backup.state, Stage.key)
        .join(Stage, Stage.id == Backup.stage_id)
        .where(Backup.target_id == target_id)
        .order_by(Backup.id.desc())
    )
    return [(digest, generation, at, state, key) for digest, generation, at, state, key in rows]


def conflicts(actions: list[Action]) -> list[Block]:
    """Before, ours and now of the fields that somebody else changed."""
    newest = actions[-1] if actions else None
    if newest is None or newest.state is not ActionState.CONFLICT or not isinstance(newest.outcome, dict):
        return []
    rows = []
    for c in newest.outcome.get("conflicts", ())[:10]:
        if isinstance(c, dict):
            path = ".".join(str(p) for p in c.get("path", ()))
            rows.append((short(path, 60), *(short(str(c.get(side)), 60) for side in ("before", "ours", "now"))))
    return [Table(("field", "before", "ours", "now"), tuple(rows))] if rows else []


def fields(frozen: dict[str, object] | None, actions: list[Action]) -> list[Block]:
    """What the backup says of the fields that we change, and what we write there: field by field where it is frozen."""
    if frozen is None:
        return []
    backup = next((a.outcome for a in reversed(actions) if a.kind is ActionKind.BACKUP and a.outcome), None) or {}
    kept = {tuple(f["path"]): str(f["value"]) for f in backup.get("fields") or ()}
    ours = Change.from_json(frozen).fields
    rows = tuple(
        (
            short(path_words(f.path), 70),
            short(kept.get(f.path, "not backed up yet"), 60),
            short(shown_field(f.path, f.after), 60),
        )
        for f in ours[:_MOST_FIELDS]
    )
    return [Table(("field", "backup", "ours"), rows, max(len(ours) - _MOST_FIELDS, 0))]


def comparison(found: tuple[Action, Target] | None, now: datetime) -> list[Block]:
    """Whether it was as its backup says when it was last compared, and in what not."""
    if found is None:
        return []
    action, of = found
    result = comparing.result_of(action, of)
    if action.state in ACTION_OPEN:
        return [Paragraph((line(Icon("working"), " It is being compared with its backup."),))]
    when = f", compared {ago(result.at, now)}" if result.at is not None else ""
    if action.state is ActionState.DONE and not result.code:
        return [Paragraph((line(Icon("ok"), f" Equal to its backup{when}."),))]
    said = Paragraph((line(Icon("warning"), f" Not as its backup says: {compared.why(result)}{when}."),))
    return [said, compared.fields_table(result, _MOST_FIELDS)] if result.fields else [said]


def backups(found: Sequence[BackupRow], now: datetime) -> list[Block]:
    """Its backups, the newest first: when, of which stage and try, and their digests. What they hold is not shown."""
    if not found:
        return []
    lines: list[Line] = [line(Strong(count(len(found), "backup")))]
    for digest, generation, at, state, key in found[:_MOST_BACKUPS]:
        was = f", {state} then" if state else ""
        when = f"{at:%a %d %b %Y %H:%M} UTC ({ago(at, now)})"
        lines.append(line(f"{when} · {key}, generation {generation}{was} · ", Code(digest[:8])))
    if len(found) > _MOST_BACKUPS:
        lines.append(line(f"and {len(found) - _MOST_BACKUPS} older"))
    return [Paragraph(tuple(lines))]
