"""``audit [STAGE]``: who did what, when; newest first."""

from sqlalchemy import func, select

from commands.call import Call
from commands.reply import At, Block, Buttons, Heading, Icon, Line, Paragraph, Part, Person, Reply, line
from commands.shown import pages
from commands.words import short
from storage.models import Event

_A_PAGE = 15
_ECHOES = ("stage_preparing", "stage_rolling_back", "stage_ready")


def audit(call: Call) -> Reply:
    """One page of events."""
    # What a person did is told once: the state that followed at once says the same.
    where = [Event.rollout_id == call.standing.id, Event.kind.not_in(_ECHOES)]
    if call.stage_key is not None:
        where.append(Event.stage_key == call.stage_key)
    with call.database.read() as session:
        total = session.execute(select(func.count()).select_from(Event).where(*where)).scalar_one()
        page = min(call.page, max((total - 1) // _A_PAGE, 0))
        events = list(
            session.execute(
                select(Event).where(*where).order_by(Event.id.desc()).limit(_A_PAGE).offset(page * _A_PAGE)
            ).scalars()
        )
    of = f" of {call.stage_key}" if call.stage_key else ""
    if not events:
        return Reply(
            "Nothing has happened yet.",
            (
                Heading(f"Audit{of}"),
                Paragraph((line("Nothing has happened yet. /rollout status shows where we are."),)),
            ),
        )
    blocks: list[Block] = [Heading(f"Audit{of}"), Paragraph(tuple(_line(e) for e in events))]
    arguments = {"stage": call.stage_key} if call.stage_key else {}
    blocks.append(pages(call, "audit", total, _A_PAGE, **arguments))
    return Reply(f"Audit{of}: {total} entries, newest first.", _without_empty(blocks), share=True)


def _line(event: Event) -> Line:
    who: Part = Person(event.actor) if event.actor else "the bot"
    parts: list[Part] = [At(event.at), " · ", who, " · "]
    if event.outcome == "refused":
        parts += [Icon("warning"), f" {event.kind} refused ({event.reason_code}): "]
    elif event.outcome == "failed":
        parts += [Icon("failed"), f" {event.kind} failed: "]
    parts.append(short(event.sentence, 300))
    if event.stage_key and event.stage_key not in event.sentence:
        parts.append(f" ({event.stage_key})")
    return tuple(parts)


def _without_empty(blocks: list[Block]) -> tuple[Block, ...]:
    return tuple(b for b in blocks if not (isinstance(b, Buttons) and not b.buttons))
