"""``issues [STAGE]``: what was found on the way, open ones first; and one issue with everything that is known of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from commands import find
from commands.call import Call, refused
from commands.grammar import first_word
from commands.reply import (
    At,
    Block,
    Button,
    Buttons,
    Heading,
    Icon,
    Line,
    Link,
    Note,
    Paragraph,
    Part,
    Person,
    Reply,
    Strong,
    line,
)
from commands.shown import pages
from commands.words import ago, count, pieces, short
from rollout import gates
from rollout.gatefacts import issue_facts
from rollout.issues import ABOUT, Issue
from rollout.standing import StageStanding, Standing
from storage import issues as stored

_A_PAGE = 8


def issues(call: Call) -> Reply:
    """A page of the issues, of all or of one stage (and of the whole rollout); with a number, that one."""
    if (number := call.number("issue")) is not None:
        return one(call, number)
    if call.reason and call.stage_key is None:
        word = first_word(call.reason)[0]
        if (number := numbered(word)) is not None:
            return one(call, number)
        call = replace(call, stage_key=find.stage(call.standing, word, "issues"), reason="")
    stages = [call.stage_key] if call.stage_key else None
    with call.database.read() as session:
        page = stored.page(session, call.standing.id, call.page * _A_PAGE, _A_PAGE, stages)
        if not page.issues and page.total:  # a page that is no more
            page = stored.page(session, call.standing.id, 0, _A_PAGE, stages)
    at: dict[str, Any] = {"stage": call.stage_key} if call.stage_key else {}
    report = call.button("Report an issue…", "issue", **at)
    blocks: list[Block] = [Heading(f"Issues of {call.stage_key}" if call.stage_key else "Issues found on the way")]
    if not page.total:
        of = f" for {call.stage_key}" if call.stage_key else ""
        said = f"No issue has been reported{of}."
        how = "Report what you find with the button, with /rollout issue, or from a message: … > Report as an issue."
        lines = (line(Icon("ok"), " ", said), line(how))
        return Reply(said, (*blocks, Paragraph(lines), Buttons((report, call.button("Status", "status")))))
    said = words(call.standing, call.stage_key)
    blocks.append(Paragraph((line(said),)))
    for issue in page.issues:
        button = call.button(f"Issue #{issue.number}", "issues", issue=issue.number)
        blocks.append(Paragraph(tuple(_lines(issue)), button))
    turn = pages(call, "issues", page.total, _A_PAGE, **at)
    blocks.append(Buttons((report, *turn.buttons, call.button("Status", "status"))))
    if page.total > len(page.issues):
        blocks.append(Note(line(f"{len(page.issues)} of {count(page.total, 'issue')}.")))
    return Reply(said, tuple(blocks), share=True)


def words(standing: Standing, stage: str | None = None) -> str:
    """``3 open issues, 1 of them critical. 12 resolved.``"""
    opened = [i for i in standing.issues if stage is None or i.stage in {None, stage}]
    critical = sum(i.critical for i in opened)
    resolved = f" {standing.issues_resolved} resolved." if standing.issues_resolved and stage is None else ""
    if not opened:
        return f"No issue is open.{resolved}"
    if len(opened) == 1:
        return f"1 open issue, {'critical' if critical else 'not critical'}.{resolved}"
    return f"{count(len(opened), 'open issue')}, {critical or 'none'} of them critical.{resolved}"


def line_of(issue: Issue) -> Line:
    """One issue on one line, with its message where it was made from one."""
    mark = "blocked" if issue.critical else "warning"
    parts: list[Part] = [Icon(mark if issue.open else "ok"), " "]
    title = short(issue.named, 120)
    parts.append(Link(issue.permalink, title) if issue.permalink else Strong(title))
    parts += [" · critical" if issue.critical else "", f" · {issue.stage}" if issue.stage else ""]
    return (*parts, " · ", Person(issue.owner))


def _lines(issue: Issue) -> list[Line]:
    lines = [line_of(issue)]
    if issue.target:
        lines.append(line(f"      at {short(issue.target, 80)}"))
    if not issue.open:
        by: Line = (" by ", Person(issue.resolved_by)) if issue.resolved_by else ()
        lines.append(line("      resolved", *by, f": {short(issue.fix, 150)}"))
    return lines


def listed(found: Sequence[Issue], title: str, most: int = 5) -> list[Block]:
    """Some issues under a title, as part of another look; nothing where there is none."""
    if not found:
        return []
    lines = [line_of(issue) for issue in found[:most]]
    if len(found) > most:
        lines.append(line(f"and {len(found) - most} more: /rollout issues"))
    return [Paragraph((line(Strong(title)), *lines))]


def of_stage(standing: Standing, stage: StageStanding, most: int = 5) -> list[Block]:
    """The open issues of a stage: what holds it first."""
    holding = {i.number for i in standing.issues_holding_review(stage.key)}
    found = sorted(standing.issues_of(stage.key), key=lambda i: (i.number not in holding, i.number))
    mine = [i for i in found if i.number in holding or i.stage in {None, stage.key}]
    return listed(mine, count(len(mine), "open issue"), most)


def one(call: Call, number: int) -> Reply:
    """Everything that is known of one issue, and what may be done with it by this person."""
    issue = found(call, number)
    with_target = f", at {short(issue.target, 100)}" if issue.target else ""
    state = "open" if issue.open else "resolved"
    said = f"Issue #{number} is {state}: {short(issue.title, 200)}"
    lines: list[Line] = [
        line(Icon("ok" if not issue.open else "blocked" if issue.critical else "warning"), " ", Strong(issue.title)),
        line(
            "Critical: it holds its stage and what comes after. " if issue.critical else "Not critical. ",
            f"It is about {ABOUT.get(issue.about, issue.about)}, ",
            f"in {issue.stage}" if issue.stage else "of the whole rollout",
            f"{with_target}.",
        ),
        line(
            "Owner ",
            Person(issue.owner),
            "; reported by ",
            Person(issue.reporter),
            f" {ago(issue.reported_at, call.now)}",
        ),
    ]
    if issue.permalink:
        lines.append(line(Link(issue.permalink, "The message it was found in")))
    blocks: list[Block] = [Heading(f"Issue #{number}"), Paragraph(tuple(lines))]
    if issue.comment:
        blocks += [Paragraph((line(part),)) for part in pieces(issue.comment)]
    if not issue.open:
        by: Line = (" by ", Person(issue.resolved_by)) if issue.resolved_by else ()
        when: Line = (", ", At(issue.resolved_at)) if issue.resolved_at else ()
        blocks.append(
            Paragraph(
                (
                    line(Strong("Resolved"), *by, *when),
                    line(f"Cause: {short(issue.cause, 500)}"),
                    line(f"Fix: {short(issue.fix, 500)}"),
                )
            )
        )
    blocks.append(Buttons((*acts(call, issue), call.button("All issues", "issues"))))
    return Reply(said, tuple(blocks), share=True)


def acts(call: Call, issue: Issue) -> list[Button]:
    """The buttons of what this person may do with the issue."""
    number, version = issue.number, issue.version
    if not issue.open:
        return [call.button("Re-open…", "reopen", issue=number, version=version)]
    facts = issue_facts(call.standing, issue, call.actor, call.roles)
    found = []
    if isinstance(gates.may_resolve_issue(facts), gates.Proceed):
        found.append(call.button("Resolve…", "resolve", "primary", issue=number, version=version))
    return [*found, call.button("Change…", "triage", issue=number, version=version)]


def numbered(word: str) -> int | None:
    """The number in ``#3`` or ``3``."""
    digits = word.lstrip("#")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else None


def found(call: Call, number: int) -> Issue:
    """The issue of that number. Raises Refused."""
    with call.database.read() as session:
        issue = stored.one(session, call.standing.id, number)
    if issue is None:
        raise refused("unknown_issue", f"There is no issue #{number}.", "/rollout issues")
    return issue
