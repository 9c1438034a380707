"""``status STAGE``: everything about one stage on one screen."""

from datetime import timedelta

from commands import card, compared, issues, outlook, pins, signtable
from commands.call import Call
from commands.reply import Block, Buttons, Fields, Heading, Line, Note, Paragraph, Person, Reply, Strong, line
from commands.shown import facts_age, progress, stage_lines
from commands.words import STATE, ago, lasting, short
from rollout.limits import limit_words

_FAILURES = 15


def stage(call: Call, key: str) -> Reply:
    """One stage: its lines, failures, runs, criteria and what to do next."""
    standing, now = call.standing, call.now
    found, planned = standing.stage(key), standing.plan.stage(key)
    blocks: list[Block] = [
        Heading(short(f"{key} · {planned.title}", 140)),
        Paragraph(tuple(stage_lines(standing, found, now))),
    ]
    if (bar := progress(found)) is not None:
        blocks.append(bar)
    with call.database.read() as session:
        blocks += card.pace(session, standing, found, now)
        blocks += card.failures(session, found, _FAILURES)
        blocks += compared.blocks(session, found, _FAILURES)
        blocks += card.owned_elsewhere(session, standing, found)
    blocks += pins.listed(standing, tuple(p for p in standing.pins if p.stage == key))
    blocks += issues.of_stage(standing, found, 15)
    blocks += card.runs(standing, found)
    blocks += card.criteria(standing, found, 20)
    blocks += signtable.table(standing, (found,))
    current = standing.current()
    lines: list[Line] = []
    if current is not None and current.key == key:
        if (said := outlook.passed_in_name_only(standing, found)) is not None:
            blocks.append(Paragraph((said,)))
        holding = outlook.holds(standing, now)
        if holding:
            blocks.append(Paragraph((line(Strong("What holds us")), *holding)))
        lines = outlook.who_must_act(standing, now)
    elif not found.started:
        reasons = outlook.start_reasons(standing, key, now)
        lines = [line(f"{r.sentence} Next: {r.next_step}") for r in reasons[:6]]
    if lines:
        blocks.append(Paragraph((line(Strong("Next")), *lines)))
    if found.started_by and found.started_at:
        started: Line = line(Person(found.started_by), f", {ago(found.started_at, now)}")
        pairs: list[tuple[str, Line]] = [("Started by", started)]
        if planned.bake:
            pairs.append(("Bake", line(lasting_seconds(planned.bake))))
        pairs.append(
            ("Limits", line(f"{planned.max_parallel} at once, stops at {limit_words(planned.max_failures, 'failure')}"))
        )
        blocks.append(Fields(tuple(pairs)))
    blocks.append(Note(facts_age(standing, now)))
    buttons = outlook.next_buttons(standing, found, now, (call.actor, call.roles))
    more = (
        *compared.button(standing, found),
        call.button("Plan", "plan", stage=key),
        call.button("Checklist", "checklist", stage=key),
        call.button("Issues", "issues", stage=key),
        call.button("Report an issue…", "issue", stage=key),
        call.button("All stages", "status"),
    )
    blocks.append(Buttons((*buttons, *more)))
    return Reply(f"{key} is {STATE[found.state]}.", tuple(blocks), share=True)


def lasting_seconds(seconds: int) -> str:
    """A duration of the plan in words."""
    return lasting(timedelta(seconds=seconds))
