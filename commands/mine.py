"""What waits for one person, each with the button that does it: on the Home tab and in the daily reminder. Pure."""

from datetime import datetime

from commands.checklist import whose
from commands.issues import line_of
from commands.reply import Block, Button, Icon, Note, Paragraph, Strong, line
from commands.words import count
from rollout import awaited
from rollout.awaited import Awaited
from rollout.standing import Standing


def blocks(standing: Standing, waits: Awaited, now: datetime, most: int = 5) -> list[Block]:
    """The items, issues and stages, ``most`` of each kind; nothing where nothing waits."""
    at = {"rollout": standing.id}
    found: list[Block] = []
    for key in waits.stages[:most]:
        button = Button(f"Approve {key}", "approve", {**at, "stage": key, "version": standing.stage(key).version})
        found.append(Paragraph((line(Icon("info"), " ", Strong(key), " waits for your sign-off."),), button))
    for item in waits.items[:most]:
        icon = Icon("warning" if awaited.overdue(standing, item.key, now) else "waiting")
        said = line(icon, " ", Strong(item.title), *whose(standing, item.key, now))
        found.append(Paragraph((said,), Button("Open", "item", {**at, "item": item.key})))
    for issue in waits.issues[:most]:
        button = Button(f"Issue #{issue.number}", "issues", {**at, "issue": issue.number})
        found.append(Paragraph((line_of(issue),), button))
    kinds = ((waits.stages, "stage"), (waits.items, "item"), (waits.issues, "issue"))
    more = [count(len(of) - most, f"more {what}") for of, what in kinds if len(of) > most]
    return [*found, *([Note(line(f"And {', '.join(more)}: /rollout checklist, /rollout issues"))] if more else [])]
