"""``status [STAGE | TARGET]``: one look answers where we are, what holds us and who must act."""

from dataclasses import replace
from datetime import datetime

from commands import compared, issues, outlook, pins, signtable, stagelook, targetlook
from commands.call import Call
from commands.reply import (
    Block,
    Buttons,
    Divider,
    Heading,
    Note,
    Paragraph,
    Reply,
)
from commands.shown import facts_age, pages, plain_status, plan_file, progress, situation, stage_lines
from rollout.standing import StageStanding, Standing

_STAGES_A_PAGE = 8


def status(call: Call) -> Reply:
    """The whole rollout, one stage or one target."""
    if call.target_id is not None:
        return targetlook.target(call, call.target_id)
    if call.request.arguments.get("compared"):
        known = [s.key for s in call.standing.stages if s.compared.total]
        key = call.stage_key or next(reversed(known), None)
        if key is not None:
            return compared.page(replace(call, stage_key=key))
    if call.stage_key is not None:
        return stagelook.stage(call, call.stage_key)
    return overview(call)


def overview(call: Call) -> Reply:
    """All stages, in one screen."""
    standing, now = call.standing, call.now
    blocks: list[Block] = [Heading(standing.plan.title), *situation(standing, now), Divider()]
    first = min(call.page, (len(standing.stages) - 1) // _STAGES_A_PAGE) * _STAGES_A_PAGE
    for stage in standing.stages[first : first + _STAGES_A_PAGE]:
        blocks += _stage_blocks(standing, stage, now)
    if len(standing.stages) > _STAGES_A_PAGE:
        blocks.append(pages(call, "status", len(standing.stages), _STAGES_A_PAGE))
    blocks += signtable.table(standing, standing.stages)
    blocks += issues.listed(standing.issues, issues.words(standing))
    blocks += [*pins.listed(standing, most=5), *plan_file(standing)]
    blocks.append(Note(facts_age(standing, now)))
    current = standing.current()
    buttons = []
    if current is not None:
        buttons += outlook.next_buttons(standing, current, now, (call.actor, call.roles))
        buttons.append(call.button(f"Details of {current.key}", "status", stage=current.key))
    if (newest := standing.newest_with_changes()) is not None and newest is not current:
        wanted = outlook.next_buttons(standing, newest, now, (call.actor, call.roles))
        buttons += [b for b in wanted if b.verb == "rollback"]
    blocks.append(Buttons((*buttons, call.button("Checklist", "checklist"), call.button("Issues", "issues"))))
    return Reply(plain_status(standing, now), tuple(blocks), share=True)


def _stage_blocks(standing: Standing, stage: StageStanding, now: datetime) -> list[Block]:
    lines = stage_lines(standing, stage, now)
    blocks: list[Block] = [Paragraph(tuple(lines))]
    if (bar := progress(stage)) is not None:
        blocks.append(bar)
    return blocks
