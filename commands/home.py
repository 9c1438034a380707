"""``/rollout`` alone, and the Home tab: what waits for me, what I may do next, whom to ask. No chart, no table."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from commands import compared, issues, outlook, pins
from commands.call import Call
from commands.contacts import contact_lines
from commands.glance import glance
from commands.mine import blocks as mine_blocks
from commands.mine import waits_for
from commands.reply import (
    Block,
    Button,
    Buttons,
    Divider,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Reply,
    Strong,
    line,
)
from commands.shown import backups_line, facts_age, progress, situation, targets_words
from commands.words import STATE, icon, listed
from rollout import awaited, teams
from rollout.standing import HAS_CHANGES, StageStanding, Standing

_STAGES = 10


def home(call: Call) -> Reply:
    """The answer to ``/rollout``."""
    with call.database.read() as session:
        seen = glance(session, call.standing)
    blocks = rollout_blocks(call.standing, call.actor, call.roles, call.now, seen)
    return Reply(f"{call.plan.title}: {_plain(call)}", tuple(blocks))


def _plain(call: Call) -> str:
    current = call.standing.current()
    return f"{current.key} is {STATE[current.state]}." if current is not None else "all stages have passed."


def rollout_blocks(
    standing: Standing, actor: str, roles: frozenset[str], now: datetime, seen: Sequence[Block] = ()
) -> list[Block]:
    """One rollout for one person. ``seen``: what is shown of it at a glance, below its stages."""
    current = standing.current()
    blocks: list[Block] = [Heading(standing.plan.title), *situation(standing, now)]
    mine = waits_for(standing, actor, roles, now)
    # Stages to sign are among the lines, and have their buttons below.
    assigned = replace(awaited.of(standing, actor, roles), stages=())
    titles = [standing.plan.roles[r].title for r in standing.plan.roles if r in roles]
    titles += [f"in {team.title}" for key, team in standing.plan.teams.items() if teams.member_of(key) in roles][:5]
    who = f"You are {listed(titles)}." if titles else "You hold no role in this plan: you can look, but not act."
    nothing = () if assigned else (line(Icon("ok"), " Nothing waits for you now."),)
    waiting: Sequence[Line] = mine or nothing
    blocks.append(Paragraph((line(Strong("What waits for you")), *waiting)))
    blocks += [*mine_blocks(standing, assigned, now), Note(line(who))]
    buttons = outlook.next_buttons(standing, current, now, (actor, roles)) if current is not None else []
    at = {"rollout": standing.id}
    more = (
        Button("Status", "status", at),
        Button("Plan", "plan", {**at, "stage": current.key} if current else at),
        Button("Checklist", "checklist", at),
        Button("Issues", "issues", at),
        Button("Report an issue…", "issue", {**at, "stage": current.key} if current else at),
        Button("Help", "help", {}),
    )
    back = next((s for s in reversed(standing.stages) if s.state in HAS_CHANGES), None)
    danger = [b for b in buttons if b.style == "danger"]
    if back is not None and not danger and set(roles) & set(standing.plan.capabilities.rollback):
        danger = [b for b in outlook.next_buttons(standing, back, now, (actor, roles)) if b.style == "danger"]
    blocks += [Buttons((*(b for b in buttons if b.style != "danger"), *more, *danger)), Divider()]
    for stage in standing.stages[:_STAGES]:
        blocks += _stage(standing, stage)
    blocks += issues.listed(standing.issues, issues.words(standing))
    blocks += pins.listed(standing, most=5)
    blocks += seen
    if not any(s.started for s in standing.stages) and current is not None:
        blocks.append(
            Note(line(f"New here? /rollout plan {current.key} shows what would change; nothing is done by it."))
        )
    contacts = contact_lines(standing.plan, 4)
    if contacts:
        blocks += [Divider(), Paragraph((line(Strong("Contacts")), *contacts))]
    blocks.append(Note(facts_age(standing, now)))
    return blocks


def _stage(standing: Standing, stage: StageStanding) -> list[Block]:
    said = [line(icon(stage), " ", Strong(stage.key), f" · {STATE[stage.state]} · {targets_words(stage)}")]
    said += [compared_line] if (compared_line := backups_line(stage)) is not None else []
    pressed = compared.button(standing, stage)
    bar = progress(stage)
    return [Paragraph(tuple(said), pressed[0] if pressed else None), *([bar] if bar is not None else [])]
