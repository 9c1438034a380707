"""``reminders [on | off]``, and the daily message to one person: everything that waits for them, in all rollouts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from commands import mine
from commands.call import Call, refused
from commands.reply import Block, Button, Buttons, Heading, Icon, Note, Paragraph, Reply, Strong, line
from commands.words import count
from rollout import awaited
from rollout.people import roles_of
from rollout.standing import Standing
from storage import reminding

_OFF, _ON = "off", "on"


def reminders(call: Call) -> Reply:
    """Switch the reminders of the person who asks, in all rollouts; without a word, say how they are."""
    if call.word not in {"", _OFF, _ON}:
        raise refused("missing_argument", "Reminders are on or off.", "/rollout reminders off")
    if call.word:
        reminding.want(call.database, call.who, call.now, call.standing.id, call.word == _ON)
    with call.database.read() as session:
        wanted = reminding.is_wanted(session, call.actor)
    plan = call.plan.reminders
    weekends = "on every day" if plan.weekends else "from Monday to Friday"
    said = "You are reminded of what waits for you" if wanted else "You are not reminded of anything"
    lines = [line(Icon("ok" if wanted else "paused"), " ", Strong(f"{said}.")), line("This is for all rollouts.")]
    if wanted:
        times = f"after {plan.at:%H:%M} and before {plan.until:%H:%M} ({plan.zone})"
        lines.append(line(f"By one direct message a day at most, {weekends}, {times}."))
    button = call.button(
        "No more reminders" if wanted else "Remind me again", "reminders", words=_OFF if wanted else _ON
    )
    return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons((button, call.button("Home", "home")))))


def document(standings: Sequence[Standing], ids: Mapping[str, Any], now: datetime) -> Reply | None:
    """The message of the day to one person as it reads now; None when nothing waits any more, or it is no time for it.

    A message that was held up until the quiet hours is not sent in them: the next day says it again.
    """
    user = str(ids.get("user") or "")
    before = now - awaited.ASKED_LATELY
    if not any((day := awaited.day(s.plan.reminders, now)) and day.isoformat() == ids.get("day") for s in standings):
        return None
    blocks: list[Block] = []
    number = 0
    for standing in standings:
        roles = roles_of(standing.plan, user, reminding.groups_of(standing, user))
        waits = awaited.of(standing, user, roles, before)
        if waits and user in standing.available:
            number += len(waits.items) + len(waits.issues) + len(waits.stages)
            blocks += [Heading(standing.plan.title), *mine.blocks(standing, waits, now)]
    if not blocks:
        return None
    at = {"rollout": standings[0].id, "words": _OFF}
    said = f"{count(number, 'thing waits', 'things wait')} for you."
    note = Note(line("At most one such message a day; /rollout reminders off stops them."))
    return Reply(said, (*blocks, Buttons((Button("No more reminders", "reminders", at),)), note))
