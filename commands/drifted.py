"""What is not as we set it: grouped by repository or owner, with who and when where the API says so."""

from sqlalchemy.orm import Session

from commands.reply import Block, Button, Buttons, Icon, Line, Paragraph, Reply, Strong, line
from commands.words import count, short
from rollout.drift import WORDS, Drifted, grouped, who_said
from rollout.standing import Standing
from storage import drifting

_GROUPS = 6
_OF_A_GROUP = 4


def blocks(session: Session, standing: Standing) -> list[Block]:
    """One part for each group; nothing where nothing drifted."""
    groups = grouped(drifting.drifted(session, standing.id))
    made: list[Block] = []
    for who, found in groups[:_GROUPS]:
        lines: list[Line] = [line(Icon("warning"), " ", Strong(f"{short(who, 80)}: {count(len(found), 'target')}"))]
        lines += [_line(one) for one in found[:_OF_A_GROUP]]
        if len(found) > _OF_A_GROUP:
            lines.append(line(f"and {len(found) - _OF_A_GROUP:,} more"))
        made.append(Paragraph(tuple(lines)))
    if len(groups) > _GROUPS:
        rest = sum(len(found) for _, found in groups[_GROUPS:])
        made.append(Paragraph((line(f"and {count(rest, 'target')} of {len(groups) - _GROUPS} others"),)))
    return made


def _line(one: Drifted) -> Line:
    where = f"{one.kind}, {one.workspace}, {one.stage or 'no stage'}"
    what = f"{WORDS[one.drift.what]} ({one.drift.expected} wanted, {one.drift.found} found)"
    return line(f"{short(one.name, 60)} ({where}): {what}; {who_said(one)}")


def document(session: Session, standing: Standing) -> Reply | None:
    """The report of a day; None when everything is as it should be again."""
    found = blocks(session, standing)
    if not found:
        return None
    number = sum(s.drifted for s in standing.stages)
    said = f"{count(number, 'target')} drifted: not on what we set, or on the old runtime since a stage was frozen."
    following = "It is shown in /rollout status until it is resolved, and reported once a day."
    at = {"rollout": standing.id}
    head = Paragraph((line(Icon("warning"), " ", Strong(said)), line(following)))
    return Reply(said, (head, *found, Buttons((Button("Status", "status", at), Button("Report", "report", at)))))
