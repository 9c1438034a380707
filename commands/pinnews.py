"""What is posted of pins: a target that stays on the old runtime, or all that failed in a stage."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from commands.reply import Button, Buttons, Icon, Line, Paragraph, Person, Reply, Strong, line
from commands.stagenews import buttons
from commands.words import count, short
from rollout.standing import StageStanding, Standing
from storage.models import Target


def pinned(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """A target stays on the old runtime."""
    target = session.execute(select(Target).where(Target.id == ids.get("target_id"))).scalar_one_or_none()
    if target is None or not target.pinned_reason:
        return None
    said = f"{short(target.name, 80)} ({target.workspace}) stays on the old runtime"
    by: Line = (" by ", Person(target.pinned_by)) if target.pinned_by else ()
    owner: Line = ("; owner ", Person(target.pinned_owner)) if target.pinned_owner else ()
    why = f": {short(target.pinned_reason, 300)}"
    lines = (line(Icon("locked"), " ", Strong(said), ": pinned", *by, why, *owner),)
    button = Button("Target", "status", {"rollout": standing.id, "target_id": target.id})
    return Reply(f"{said}.", (Paragraph(lines), Buttons((button,))))


def pinned_failed(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """What failed in a stage was left behind."""
    names = [short(str(name), 60) for name in ids.get("names") or ()]
    number = int(ids.get("number") or len(names))
    said = f"{count(number, 'target')} of {stage.key} {'stays' if number == 1 else 'stay'} on the old runtime"
    by: Line = (" by ", Person(str(ids["by"]))) if ids.get("by") else ()
    more = f" and {number - len(names)} more" if number > len(names) else ""
    lines = (
        line(Icon("locked"), " ", Strong(said), ": pinned", *by, f": {short(str(ids.get('reason') or ''), 300)}"),
        line(f"{', '.join(names)}{more}"),
    )
    return Reply(f"{said}.", (Paragraph(lines), buttons(standing, stage, now, {"start"})))
