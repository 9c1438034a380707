"""What one team signs for in a stage: its own targets in numbers, what failed among them, its pins."""

from collections import Counter

from sqlalchemy.orm import Session

from commands.reply import Block, Icon, Line, Paragraph, Strong, line
from commands.teamwords import named
from commands.words import count, listed, short
from rollout.standing import StageStanding, Standing
from storage import teams as stored
from storage.models import Stage

_NAMED = 8
_PINS = 5


def part(session: Session, standing: Standing, stage: StageStanding, team: str) -> list[Block]:
    """The targets of a team, those that stay behind, and the exceptions."""
    found = stage.teams.get(team)
    title = named(standing, [team])[0]
    if found is None:
        return [Paragraph((line(f"{title} has no target in {stage.key}."),))]
    row = session.get_one(Stage, stage.id)
    targets = stored.targets(session, row, team)
    kinds = Counter(t.kind for t in targets)
    places = Counter(t.workspace for t in targets)
    words = listed([count(number, kind) for kind, number in sorted(kinds.items())])
    where = listed([f"{workspace} {number:,}" for workspace, number in sorted(places.items())][:6])
    of = sum(p.targets for p in stage.teams.values())
    lines: list[Line] = [
        line(Strong(title), f": {found.targets:,} of {count(of, 'target')}: {words or 'none'} ({where})")
    ]
    names = [short(t.name, 50) for t in targets[:_NAMED]]
    more = f" and {len(targets) - _NAMED:,} more" if len(targets) > _NAMED else ""
    if names:
        lines.append(line(f"{', '.join(names)}{more}"))
    bad = stored.failed(session, row, team)
    lines += [
        line(Icon("failed"), " ", Strong(short(name, 60)), f": {short(why, 150)}{f' ({code})' if code else ''}")
        for name, why, code in bad[:_PINS]
    ]
    if len(bad) > _PINS:
        lines.append(line(f"and {len(bad) - _PINS} more failed: /rollout status {stage.key}"))
    behind = stored.left_behind(session, row, team)
    lines += [
        line(Icon("locked"), f" {short(name, 60)} stays on the old runtime: {short(why, 150)}")
        for name, why in behind[:_PINS]
    ]
    if len(behind) > _PINS:
        lines.append(line(f"and {len(behind) - _PINS} more stay behind: /rollout plan {stage.key}"))
    return [Paragraph(tuple(lines))]
