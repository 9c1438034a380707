"""After a rollback: which targets are as their backups say, which are not and in what."""

from sqlalchemy.orm import Session

from commands.call import Call
from commands.reply import Block, Button, Buttons, Heading, Icon, Line, Note, Paragraph, Reply, Strong, Table, line
from commands.shown import backups_line, facts_age, pages
from commands.words import count, short
from rollout.standing import StageStanding, Standing
from storage import comparing
from storage.comparing import Result

_A_PAGE = 10
_FIELDS = 4


def blocks(session: Session, stage: StageStanding, most: int) -> list[Block]:
    """The names of what is not equal, with the fields; nothing where all is."""
    if backups_line(stage) is None or stage.back_since is None:
        return []
    found, total = comparing.not_equal(session, stage.id, stage.generation, stage.back_since, most)
    if not total:
        return []
    lines: list[Line] = [line(Strong(f"Not as {'its backup says' if total == 1 else 'their backups say'}"))]
    lines += [
        line(Icon("warning"), " ", Strong(short(one.name, 60)), f" · {one.workspace}: {why(one)}") for one in found
    ]
    if total > len(found):
        lines.append(line(f"and {total - len(found):,} more: /rollout status {stage.key} --compared"))
    return [Paragraph(tuple(lines))]


def button(standing: Standing, stage: StageStanding) -> list[Button]:
    """Leads to every difference; none where there is none."""
    found = stage.compared
    if backups_line(stage) is None or found.total == found.equal + found.waiting:
        return []
    return [Button("Differences", "status", {"rollout": standing.id, "stage": stage.key, "compared": True})]


def why(one: Result) -> str:
    """In what it is not as its backup says, or why that is not known."""
    if one.code == comparing.GONE:
        return "it no longer exists"
    if one.code != comparing.DIFFERS:
        return f"not looked at: {short(one.sentence or 'no reason was given', 160)} ({one.code or 'skipped'})"
    names = [short(str(field.get("field")), 70) for field in one.fields[:_FIELDS]]
    more = f" and {one.number - len(names)} more" if one.number > len(names) else ""
    return f"{', '.join(names)}{more} {'differs' if one.number == 1 else 'differ'}{_note(one)}"


def _note(one: Result) -> str:
    if one.left_in_use:
        return " (it stays widened: still needed)"
    return f" (deployed from {one.repository})" if one.repository else ""


def page(call: Call) -> Reply:
    """Every target of a rolled-back stage that is not as its backup says, with the three values of each field."""
    standing, stage = call.standing, call.stage
    found = stage.compared
    title = f"{stage.key} and its backups"
    if backups_line(stage) is None or stage.back_since is None:
        said = f"{stage.key} was not rolled back, so nothing was compared with a backup."
        return Reply(said, (Heading(title), Paragraph((line(said),)), _end(call, stage)), share=True)
    last = max((found.differ + found.gone + found.unread - 1) // _A_PAGE, 0)
    number = min(call.page, last)
    with call.database.read() as session:
        rows, total = comparing.not_equal(
            session, stage.id, stage.generation, stage.back_since, _A_PAGE, number * _A_PAGE
        )
    said = f"{found.words()}."
    made: list[Block] = [Heading(title), Paragraph((line(Strong(said)),))]
    for one in rows:
        head = line(Strong(short(one.name, 80)), f" · {one.kind}, {one.workspace}: {_short_why(one)}")
        made.append(Paragraph((head,)))
        if one.fields:
            made.append(fields_table(one, 6))
    if total:
        first = number * _A_PAGE + 1
        made.append(Note(line(f"{first:,}-{first + len(rows) - 1:,} of {count(total, 'target')} that differ.")))
    turn = pages(call, "status", total, _A_PAGE, stage=stage.key, compared=True)
    if turn.buttons:
        made.append(turn)
    return Reply(said, (*made, Note(facts_age(standing, call.now)), _end(call, stage)), share=True)


def _short_why(one: Result) -> str:
    if one.code == comparing.DIFFERS:
        return f"{count(one.number, 'field')} {'differs' if one.number == 1 else 'differ'}{_note(one)}"
    return why(one)


def fields_table(one: Result, most: int) -> Table:
    """The three values of each field that differs. Values that may be secrets are hidden where they were stored."""
    rows = tuple(
        (
            short(str(f.get("field")), 70),
            short(str(f.get("before")), 50),
            short(str(f.get("ours")), 50),
            short(str(f.get("now")), 50),
        )
        for f in one.fields[:most]
    )
    return Table(("field", "backup", "ours", "now"), rows, max(one.number - len(rows), 0))


def _end(call: Call, stage: StageStanding) -> Buttons:
    return Buttons((call.button(f"Stage {stage.key}", "status", stage=stage.key),))
