"""``issue [STAGE] [TITLE]`` and what follows: report, resolve, open again, change. Each is a form, then the act."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from commands import find
from commands import issues as looks
from commands.call import Call, Refused, refused
from commands.grammar import COMMENT, TITLE, first_word
from commands.reply import (
    Block,
    Button,
    Buttons,
    Choice,
    FieldErrors,
    Form,
    Icon,
    Input,
    Line,
    Link,
    Note,
    Paragraph,
    Person,
    PersonInput,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.words import pieces, short
from rollout import gates
from rollout.gatefacts import issue_facts
from rollout.issues import ABOUT, Issue
from rollout.standing import Standing
from storage import intents_issues
from storage import issues as stored
from storage.models import Target

_COMMENT = 500
_CRITICAL = (("no", "Not critical: it is written down and looked after"), ("yes", "Critical: it holds the stage"))
_WHOLE = "-"  # no stage: the whole rollout


def issue(call: Call) -> Reply:
    """Open the form, or keep what was reported."""
    message = call.text("message")
    if message:
        with call.database.read() as session:
            before = stored.of_message(session, call.standing.id, message)
        if before is not None:
            raise Refused(
                (intents_issues.known_message(before),),
                buttons=(call.button(f"Issue #{before}", "issues", issue=before),),
            )
    if call.submitted:
        return _report(call)
    _no_number(call)
    return _form(call)


def _no_number(call: Call) -> None:
    """Refuse a number alone: an issue is meant that is there already."""
    word = call.reason.strip()
    number = looks.numbered(word)
    if number is None or word in {s.key for s in call.plan.stages}:
        return
    with call.database.read() as session:
        known = stored.one(session, call.standing.id, number)
    raise refused(
        "missing_argument",
        f"“{word}” alone is a number, and says nothing of what is wrong.",
        f"/rollout issues {number} shows an issue; /rollout issue and what is wrong reports one.",
        *([call.button(f"Issue #{number}", "issues", issue=number)] if known is not None else []),
        call.button("Issues", "issues"),
        call.button("Report an issue…", "issue"),
    )


def _form(call: Call) -> Reply:
    stage, title = _proposed(call)
    options = [(_WHOLE, "The whole rollout"), *((s.key, f"{s.key} · {s.title}") for s in call.plan.stages)]
    inputs: list[Input] = [
        TextInput("title", "What is wrong?", required=True, initial=title[:TITLE], max_length=TITLE),
        Choice("critical", "How bad is it?", _CRITICAL, initial=(call.text("critical") or "no",)),
        Choice("about", "It is about", tuple(ABOUT.items()), initial=(call.text("about") or "other",)),
        Choice("of_stage", "Stage", tuple(options[:100]), initial=(stage or _WHOLE,)),
    ]
    arguments: dict[str, Any] = {"rollout": call.standing.id}
    body: list[Block] = []
    if call.target_id is not None:
        arguments["target_id"] = call.target_id
        body.append(Paragraph((line("At ", Strong(short(_target(call, call.target_id)[0], 80))),)))
    else:
        inputs.append(TextInput("on", "Target, if it is about one", placeholder="name or id", initial=call.text("on")))
    inputs += [
        PersonInput("owner", "Who looks after it", initial=call.text("owner") or call.actor),
        TextInput("comment", "Comment", multiline=True, initial=call.text("comment", COMMENT), max_length=COMMENT),
    ]
    for name in ("message", "permalink"):
        if call.text(name):
            arguments[name] = call.text(name)
    if call.text("message"):
        body.append(Note(line("The issue will point to the message.")))
    form = Form("Report an issue", "issue", arguments, "Report", tuple(body), tuple(inputs))
    return Reply("Report an issue: fill in the form.", form=form)


def _proposed(call: Call) -> tuple[str | None, str]:
    """The stage and the title that the form begins with: from a button, or from typed words."""
    keys = {s.key for s in call.plan.stages}
    typed = call.reason
    stage: str | None = call.stage_key or call.text("of_stage") or None
    if stage is None and call.target_id is not None:
        stage = _target(call, call.target_id)[1]
    head, rest = first_word(typed)
    if stage is None and head.casefold() in keys:
        stage, typed = head.casefold(), rest
    if stage is None:
        current = call.standing.current()
        stage = current.key if current is not None else None
    # A title stands in the middle of sentences: without the full stop of a message.
    return stage if stage in keys else None, (call.text("title") or typed).rstrip(" .")


def check_issue(arguments: Mapping[str, Any]) -> None:
    """An issue has a title and somebody who looks after it."""
    errors = {}
    if not str(arguments.get("title") or "").strip():
        errors["title"] = "Say in a few words what is wrong."
    if not str(arguments.get("owner") or "").strip():
        errors["owner"] = "Name somebody: an issue without an owner is nobody's."
    if (arguments.get("critical") or "no") not in {"yes", "no"}:
        errors["critical"] = "Choose one of the two."
    if (arguments.get("about") or "other") not in ABOUT:
        errors["about"] = "Choose one of these."
    if errors:
        raise FieldErrors(errors)


def _report(call: Call) -> Reply:
    stage = call.text("of_stage")
    keys = {s.key for s in call.plan.stages}
    target_id = call.target_id if call.target_id is not None else _named(call)
    made = intents_issues.report(
        call.database,
        call.who,
        call.now,
        call.standing.id,
        intents_issues.Found(
            title=call.text("title", TITLE).rstrip(" .") or call.text("title", TITLE),
            critical=call.text("critical") == "yes",
            about=call.text("about") or "other",
            owner=call.text("owner"),
            stage=stage if stage in keys else None,
            target_id=target_id,
            comment=call.text("comment", COMMENT),
            message=call.text("message", 100),
            permalink=call.text("permalink"),
        ),
    )
    return _done(call, made, "is reported")


def _named(call: Call) -> int | None:
    """The target that was named in the form. Raises Refused with a way back to the form, so that nothing is lost."""
    word = call.text("on")
    if not word:
        return None
    kept = {
        name: call.text(name)
        for name in ("title", "critical", "about", "of_stage", "owner", "comment", "message", "permalink")
        if call.text(name)
    }
    long = call.text("comment", COMMENT)
    if len(long) > _COMMENT:  # more than a button carries
        kept["comment"] = f"{long[: _COMMENT - 1]}…"
    asked = replace(call.request, verb="status", arguments={"words": word})
    try:
        with call.database.read() as session:
            found = find.meant(session, call.standing, asked, "stage_or_target").target_id
        if found is None:
            raise refused("unknown_target", f"“{word[:80]}” is a stage, and no target.", "Leave the target empty.")
        return found
    except Refused as said:
        again = [
            Button(b.label, "issue", {**kept, "rollout": call.standing.id, "target_id": b.arguments["target_id"]})
            for b in said.buttons
            if "target_id" in b.arguments
        ]
        back = call.button("Back to the form", "issue", on="", **kept)
        copied = pieces(long) if len(long) > _COMMENT else []
        lines = [line("Your comment, to copy:"), *map(line, copied)] if copied else []
        raise Refused(said.reasons, buttons=(*again, back), lines=lines) from None


def resolve(call: Call) -> Reply:
    """Open the form, or resolve."""
    issue = _asked(call)
    facts = issue_facts(call.standing, issue, call.actor, call.roles)
    call.proceed(gates.may_resolve_issue(facts), *_look(call, issue))
    if call.submitted:
        made = intents_issues.resolve(
            call.database,
            call.who,
            call.now,
            call.standing.id,
            issue.number,
            call.text("cause", _COMMENT),
            call.text("fix", _COMMENT),
            call.number("version"),
        )
        return _done(call, made, "is resolved")
    inputs = (
        TextInput("cause", "What was the cause?", required=True, multiline=True, max_length=_COMMENT),
        TextInput("fix", "What was done?", required=True, multiline=True, max_length=_COMMENT),
    )
    return _asking(call, issue, "Resolve", "resolve", inputs)


def check_resolve(arguments: Mapping[str, Any]) -> None:
    """Cause and fix are said."""
    asked = {"cause": "Say what the cause was.", "fix": "Say what was done about it."}
    errors = {key: text for key, text in asked.items() if not str(arguments.get(key) or "").strip()}
    if errors:
        raise FieldErrors(errors)


def reopen(call: Call) -> Reply:
    """Open the form, or open the issue again."""
    issue = _asked(call)
    call.proceed(gates.may_reopen_issue(issue_facts(call.standing, issue, call.actor, call.roles)), *_look(call, issue))
    if call.submitted:
        made = intents_issues.reopen(
            call.database,
            call.who,
            call.now,
            call.standing.id,
            issue.number,
            call.text("comment", _COMMENT),
            call.number("version"),
        )
        return _done(call, made, "is open again")
    inputs = (TextInput("comment", "What happened?", multiline=True, max_length=_COMMENT),)
    return _asking(call, issue, "Re-open", "reopen", inputs)


def triage(call: Call) -> Reply:
    """Open the form, or make the issue critical or not, and give it to somebody."""
    issue = _asked(call)
    if call.submitted:
        made = intents_issues.change(
            call.database,
            call.who,
            call.now,
            call.standing.id,
            issue.number,
            call.text("critical") == "yes",
            call.text("owner") or issue.owner,
            call.text("comment", _COMMENT),
            call.number("version"),
        )
        return _done(call, made, "is as you said")
    inputs = (
        Choice("critical", "How bad is it?", _CRITICAL, initial=("yes" if issue.critical else "no",)),
        PersonInput("owner", "Who looks after it", initial=issue.owner),
        TextInput("comment", "Why?", multiline=True, max_length=_COMMENT),
    )
    return _asking(call, issue, "Change", "triage", inputs)


def check_triage(arguments: Mapping[str, Any]) -> None:
    """It is critical or not, and has an owner."""
    if arguments.get("critical") not in {"yes", "no"}:
        raise FieldErrors({"critical": "Choose one of the two."})
    if not str(arguments.get("owner") or "").strip():
        raise FieldErrors({"owner": "Name somebody: an issue without an owner is nobody's."})


def _asked(call: Call) -> Issue:
    """The issue of the request: of its button, or the number that was typed. Raises Refused."""
    number = call.number("issue")
    if number is None:
        number = looks.numbered(first_word(call.reason)[0])
    if number is None:
        raise refused("missing_argument", "Which issue?", f"/rollout {call.request.verb} NUMBER, or /rollout issues")
    return looks.found(call, number)


def _asking(call: Call, issue: Issue, word: str, verb: str, inputs: tuple[Input, ...]) -> Reply:
    # The version of the look is of the issue that the person saw, not of what is there when the form is opened.
    version = call.number("version")
    arguments = {
        "rollout": call.standing.id,
        "issue": issue.number,
        "version": version if version is not None else issue.version,
    }
    title = f"{word} #{issue.number}"
    return Reply(
        f"{title}: fill in the form.",
        form=Form(title, verb, arguments, title, (Paragraph((looks.line_of(issue),)),), inputs),
    )


def _look(call: Call, issue: Issue) -> tuple[Button, ...]:
    return (call.button(f"Issue #{issue.number}", "issues", issue=issue.number),)


def _done(call: Call, made: Issue | gates.Refuse, what: str) -> Reply:
    if isinstance(made, gates.Refuse):
        raise Refused(made.reasons, buttons=(call.button("Issues", "issues"),))
    said = f"Issue #{made.number} {what}: {short(made.title, 200)}"
    holds = "It holds its stage and the start of what comes after, until it is resolved."
    lines = [line(Icon("ok"), " ", Strong(said)), *([line(holds)] if made.open and made.critical else [])]
    buttons = (*_look(call, made), call.button("All issues", "issues"), call.button("Status", "status"))
    return Reply(said, (Paragraph(tuple(lines)), Buttons(buttons)))


def _target(call: Call, target_id: int) -> tuple[str, str | None]:
    """Name and stage of a target that ``find`` has looked up already."""
    with call.database.read() as session:
        row = session.execute(select(Target.name, Target.stage_key).where(Target.id == target_id)).one()
    return row[0], row[1]


def document(session: Session, standing: Standing, kind: str, ids: Mapping[str, Any]) -> Reply | None:
    """The post about a critical issue: that it holds, or that it is resolved; None where that is no longer so."""
    number = ids.get("issue")
    found = stored.one(session, standing.id, number) if isinstance(number, int) else None
    if found is None or not found.critical or found.open is not (kind == "issue_reported"):
        return None
    button = Button(f"Issue #{number}", "issues", {"rollout": standing.id, "issue": number})
    title = short(found.title, 150)
    if not found.open:
        said = f"Critical issue #{number} is resolved: {title}"
        by: Line = (" by ", Person(found.resolved_by)) if found.resolved_by else ()
        lines = [line(Icon("ok"), " ", Strong(said)), line("Resolved", *by, f": {short(found.fix, 300)}")]
    else:
        said = f"Critical issue #{number} holds {found.stage or 'the rollout'}: {title}"
        who = line("Reported by ", Person(found.reporter), "; owner ", Person(found.owner))
        lines = [line(Icon("blocked"), " ", Strong(said)), who]
    if found.permalink:
        lines.append(line(Link(found.permalink, "The message it was found in")))
    return Reply(said, (Paragraph(tuple(lines)), Buttons((button,))))


def closing(session: Session, standing: Standing, ids: Mapping[str, Any]) -> Reply:
    """What the post about a critical issue says once it holds nothing any more."""
    number = ids.get("issue")
    found = stored.one(session, standing.id, number) if isinstance(number, int) else None
    if found is None:
        return Reply("An issue was reported here.", (Paragraph((line(Icon("info"), " An issue was reported here."),)),))
    why = "is resolved" if not found.open else "is not critical any more"
    said = f"Issue #{number} no longer holds {found.stage or 'the rollout'}: it {why}"
    by: Line = (" by ", Person(found.resolved_by)) if not found.open and found.resolved_by else ()
    lines = [line(Icon("ok"), f" {said}", *by, "."), line(short(found.title, 150))]
    if not found.open:
        lines.append(line(f"Done: {short(found.fix, 300)}"))
    look = Button(f"Issue #{number}", "issues", {"rollout": standing.id, "issue": number})
    return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons((look,))))
