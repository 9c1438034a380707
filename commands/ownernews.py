"""What owners of jobs are told when a stage starts that changes them; and whom the bot could not find in Slack."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from commands.reply import At, Button, Buttons, Icon, Line, Paragraph, Reply, Strong, line
from commands.teamwords import some
from commands.words import count, lasting, short
from rollout.standing import StageStanding, Standing
from rollout.states import StageState
from rollout.windows import may_touch_from
from storage import owners
from storage.models import Stage

KINDS: Final = frozenset({"owner_notice", "owners_unknown"})
_JOBS = 20
_OWNERS = 20


def document(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime, kind: str
) -> Reply | None:
    """The message; None once the stage was rolled back or begun anew."""
    row = session.get_one(Stage, stage.id)
    over = stage.state in {StageState.ROLLING_BACK, StageState.ROLLED_BACK}
    if over or stage.generation != ids.get("generation"):
        return None
    if kind == "owners_unknown":
        return _unknown(session, row)
    return _notice(session, standing, stage, row, str(ids.get("user") or ""), now)


def _notice(
    session: Session, standing: Standing, stage: StageStanding, row: Stage, user: str, now: datetime
) -> Reply | None:
    found = owners.jobs(session, row, owners.addresses(session, row, user))
    if not found:
        return None
    plan = standing.plan
    source, target = plan.runtimes.source, plan.runtimes.target
    said = f"{count(len(found), 'job')} of yours {'moves' if len(found) == 1 else 'move'} from {source} to {target}"
    begins = stage.started_at or now
    if stage.state in {StageState.PREPARING, StageState.UPGRADING}:
        begins = may_touch_from(plan, stage.key, False, max(now, begins)) or begins
    lines: list[Line] = [line(Icon("info"), " ", Strong(said), f", in the stage {stage.key} of {plan.title}.")]
    bake = plan.stage(stage.key).bake
    after = f"; then watched for {lasting(timedelta(seconds=bake))}" if bake else ""
    lines.append(line("From ", At(begins), f"{after}. You need not do anything."))
    lines += [line(f"• {short(t.name, 80)} ({t.workspace})") for t in found[:_JOBS]]
    if len(found) > _JOBS:
        lines.append(line(f"and {len(found) - _JOBS:,} more"))
    lines.append(line("Something wrong with one of them? /rollout contacts names whom to ask; it can be put back."))
    button = Button("Details", "status", {"rollout": standing.id, "stage": stage.key})
    return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons((button,))))


def _unknown(session: Session, row: Stage) -> Reply | None:
    names = owners.addresses(session, row, None)
    if not names:
        return None
    said = f"{count(len(names), 'owner')} of jobs could not be told: no Slack account that the bot can find"
    lines = (
        line(Icon("info"), " ", Strong(said), "."),
        line(some([short(name, 80) for name in names], _OWNERS)),
        line("Whoever knows them passes it on."),
    )
    return Reply(f"{said}.", (Paragraph(lines),))
