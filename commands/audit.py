"""``audit [STAGE]``: whether the record is whole, then who did what, when, from where and with which result."""

from commands.call import Call
from commands.reply import At, Block, Buttons, Code, Heading, Icon, Line, Note, Paragraph, Part, Person, Reply, line
from commands.shown import pages
from commands.words import count, short
from storage import chain, events
from storage.chain import Report
from storage.models import Event

_A_PAGE = 15
_DOUBTS = 5
#: What a person did is told once: the state that followed at once says the same.
ECHOES = ("stage_preparing", "stage_rolling_back", "stage_ready")
#: Where an event came from, in words.
_FROM = {"slash": "by command", "button": "by button", "modal": "by form", "home": "on the Home tab"}


def audit(call: Call) -> Reply:
    """Verify the whole record of the rollout, and show one page of it."""
    report = chain.verify(call.database, call.standing.id)
    with call.database.read() as session:
        total, found = events.newest(session, call.standing.id, call.stage_key, ECHOES, call.page, _A_PAGE)
    of = f" of {call.stage_key}" if call.stage_key else ""
    blocks: list[Block] = [Heading(f"Audit{of}"), Paragraph(tuple(verdict(call, report)))]
    if not found:
        blocks.append(Paragraph((line("Nothing has happened yet. /rollout status shows where we are."),)))
        return Reply(f"Nothing has happened yet. {_sentence(report)}", tuple(blocks))
    blocks.append(Paragraph(tuple(told(e) for e in found)))
    arguments = {"stage": call.stage_key} if call.stage_key else {}
    blocks.append(pages(call, "audit", total, _A_PAGE, **arguments))
    blocks.append(Note(line("As a file: python app.py rollout audit --csv (or --jsonl) at the bot's terminal.")))
    said = f"Audit{of}: {total} entries, newest first. {_sentence(report)}"
    return Reply(said, _without_empty(blocks), share=True)


def verdict(call: Call, report: Report) -> list[Line]:
    """What verification found, in lines: the chain, each sign-off that is not in order, and the head to keep."""
    lines: list[Line] = [line(Icon("ok" if report.broken_at is None else "failed"), f" {report.said}")]
    if report.head is not None:
        lines.append(line("Head ", Code(str(report.head)), f" · {count(report.sign_offs, 'sign-off')} verified"))
    titles = call.standing.titles()
    for doubt in report.doubts[:_DOUBTS]:
        who: Part = Person(doubt.user_id) if doubt.user_id else "somebody"
        role = titles.get(doubt.role, doubt.role)
        said = f", {role} of {doubt.stage}: {doubt.why}; it does not count"
        lines.append(line(Icon("failed"), f" Sign-off {doubt.sign_off} of ", who, said))
    if len(report.doubts) > _DOUBTS:
        lines.append(line(f"and {len(report.doubts) - _DOUBTS} more sign-offs that are not in order"))
    lines += [line(Icon("failed"), f" {problem}") for problem in report.problems]
    if report.unsigned:
        many = count(report.unsigned, "sign-off")
        lines.append(line(Icon("info"), f" {many} from before there were signatures: not counted"))
    if report.unsealed:
        lines.append(line(f"{count(report.unsealed, 'event')} not sealed yet."))
    if not report.intact:
        lines.append(line("Keep a copy of the database as it is, and tell the people who run the bot: docs/audit.md"))
    return lines


def _sentence(report: Report) -> str:
    wrong = f"; {count(len(report.doubts), 'sign-off')} not in order" if report.doubts else ""
    return f"{report.said[0].upper()}{report.said[1:]}{wrong}."


def told(event: Event, most: int = 300, where: bool = True) -> Line:
    """One event in a line: when, who, what, and from ``where``; its sentence in ``most`` characters."""
    who: Part = Person(event.actor) if event.actor else "the bot"
    parts: list[Part] = [At(event.at), " · ", who, " · "]
    if event.outcome == "refused":
        parts += [Icon("warning"), f" {event.kind} refused ({event.reason_code}): "]
    elif event.outcome == "failed":
        parts += [Icon("failed"), f" {event.kind} failed: "]
    parts += with_names(short(event.sentence, most), event)
    if event.stage_key and event.stage_key not in event.sentence:
        parts.append(f" ({event.stage_key})")
    if event.actor and where:
        parts.append(f" · {_FROM.get(event.surface, event.surface)}")
    return tuple(parts)


def with_names(sentence: str, event: Event) -> list[Part]:
    """The sentence, with the name of whom it gives something to in the place of the id."""
    data = event.data or {}
    person = str(data.get("owner") or data.get("proposed_by") or "")
    before, found, after = sentence.partition(person) if person else (sentence, "", "")
    return [before, Person(person), after] if found else [before]


def _without_empty(blocks: list[Block]) -> tuple[Block, ...]:
    return tuple(b for b in blocks if not (isinstance(b, Buttons) and not b.buttons))
