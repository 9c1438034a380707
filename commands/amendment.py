"""Changes of the plan: the message that asks for a second person, the whole difference, *Accept* and *Decline*."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from commands.call import Call, Refused, refused
from commands.reply import (
    At,
    Block,
    Button,
    Buttons,
    Code,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Part,
    Person,
    Reply,
    Strong,
    line,
)
from commands.shown import pages
from commands.words import count, listed, short
from rollout.gates import Refuse
from rollout.standing import Standing
from storage import amending
from storage.amending import Decided, Shown

_IN_MESSAGE: Final = 15
_A_PAGE: Final = 30
_SHOWN: Final = 8  # characters of a digest


def accept(call: Call) -> Reply:
    """Put the change that was shown in force."""
    number, confirm = _meant(call)
    done = amending.accept(call.database, call.who, call.now, call.standing.id, number, confirm)
    if isinstance(done, Refuse):
        raise Refused(done.reasons)
    signed = f" {listed(done.stale)} {_signed_anew(done.stale)}" if done.stale else " No sign-off becomes stale."
    said = f"The plan is amended: {done.digest[:_SHOWN]} is in force now.{signed}"
    return _decided(call, done, said, _replace_line(call.standing))


def decline(call: Call) -> Reply:
    """Leave the plan as it is."""
    number, confirm = _meant(call)
    done = amending.decline(call.database, call.who, call.now, call.standing.id, number, confirm)
    if isinstance(done, Refuse):
        raise Refused(done.reasons)
    return _decided(call, done, "The change is declined; the plan stays as it is.")


def difference(call: Call) -> Reply:
    """Everything that a change of the plan says, in pages."""
    with call.database.read() as session:
        found = amending.shown(session, call.standing.id, call.number("amendment") or 0)
    if found is None:
        raise refused("amendment_over", "There is no such change of the plan.", "/rollout plan")
    first = min(call.page, max((len(found.lines) - 1) // _A_PAGE, 0)) * _A_PAGE
    lines = found.lines[first : first + _A_PAGE]
    head = f"Change of the plan: {count(len(found.lines), 'difference')}"
    blocks: list[Block] = [Heading(head), *_bullets(lines)]
    if (turn := pages(call, "amendment", len(found.lines), _A_PAGE, amendment=found.id)).buttons:
        blocks.append(turn)
    blocks += [Note(_by(found)), Buttons(_buttons(call.standing, found))]
    return Reply(f"{head}. Nothing was changed by looking.", tuple(blocks))


def history(session: Session, standing: Standing, most: int = 5) -> list[Block]:
    """The changes that were made of the plan, and the one that waits, for ``/rollout plan``."""
    found = amending.history(session, standing.id, most)
    if not found:
        return []
    lines: list[Line] = []
    for change in found:
        what = f"{count(len(change.lines), 'difference')}: {short('; '.join(change.lines[:3]), 200)}"
        icon = "ok" if change.state == "accepted" else "waiting"
        lines.append(line(Icon(icon), " ", *_by(change), f" · {what}"))
    buttons = [
        Button(f"Change {change.digest[:_SHOWN]}", "amendment", {"rollout": standing.id, "amendment": change.id})
        for change in found
    ]
    return [Paragraph((line(Strong("Changes of the plan")), *lines)), Buttons(tuple(buttons))]


# -- messages ----------------------------------------------------------------------------------------------------------


def proposed(session: Session, standing: Standing, ids: Mapping[str, Any]) -> Reply | None:
    """The message with the two buttons; None once it is decided."""
    found = amending.shown(session, standing.id, int(ids.get("amendment") or 0))
    if found is None or found.state != "proposed":
        return None
    plan = standing.plan
    may = listed([plan.roles[r].title for r in plan.capabilities.may_administer if r in plan.roles], "or")
    said = f"A change of the plan is proposed: {count(len(found.lines), 'difference')}"
    more = len(found.lines) - _IN_MESSAGE
    blocks: list[Block] = [
        Paragraph((line(Icon("info"), " ", Strong(said), " by ", Person(found.proposed_by)),)),
        *_bullets(found.lines[:_IN_MESSAGE]),
        *([Paragraph((line(f"and {more} more: Whole difference shows them"),))] if more > 0 else []),
        Paragraph(
            (
                _stale_line(found.stale),
                *_workspaces_line(standing, found),
                line(f"Nothing changes before somebody else accepts it: {may}. Plan ", Code(found.digest[:_SHOWN])),
            )
        ),
        Buttons(_buttons(standing, found)),
    ]
    return Reply(f"{said}. {may} may accept it.", tuple(blocks))


def amended(session: Session, standing: Standing, ids: Mapping[str, Any]) -> Reply | None:
    """The message that the plan is another one now."""
    found = amending.shown(session, standing.id, int(ids.get("amendment") or 0))
    if found is None or found.state != "accepted":
        return None
    stale = [str(key) for key in ids.get("stale") or ()]
    by: Line = (" by ", Person(found.decided_by)) if found.decided_by else ()
    said = f"The plan is amended ({found.digest[:_SHOWN]})"
    lines = (
        line(Icon("ok"), " ", Strong(said), ": proposed by ", Person(found.proposed_by), ", accepted", *by),
        _stale_line(stale),
        line("What was done before stays as it is; what is done next follows the new plan."),
        _replace_line(standing),
    )
    button = Button("Whole difference", "amendment", {"rollout": standing.id, "amendment": found.id})
    return Reply(f"{said}.", (Paragraph(lines), Buttons((button,))))


def closing(session: Session, standing: Standing, ids: Mapping[str, Any]) -> Reply:
    """What the message says once it is decided: no buttons that act."""
    found = amending.shown(session, standing.id, int(ids.get("amendment") or 0))
    became = {"accepted": "accepted", "declined": "declined", "replaced": "replaced by a newer one"}
    word = became.get(found.state, "over") if found is not None else "over"
    by: Line = (" by ", Person(found.decided_by)) if found is not None and found.decided_by else ()
    said = f"This change of the plan was {word}"
    look = Button("Whole difference", "amendment", {"rollout": standing.id, "amendment": found.id if found else 0})
    lines = (line(Icon("ok" if word == "accepted" else "info"), f" {said}", *by, "."),)
    return Reply(f"{said}.", (Paragraph(lines), *((Buttons((look,)),) if found else ())))


def stale_sign_offs(stage_key: str, rollout_id: int, ids: Mapping[str, Any]) -> Reply:
    """The word to those whose sign-offs hold no longer: what changed, and what happens next."""
    givers = [str(user) for user in ids.get("givers") or ()][:20]
    parts: list[Part] = []
    for user in givers:
        parts += [Person(user), " "]
    why = short(str(ids.get("why") or "its evidence changed"), 300)
    said = f"What was signed of {stage_key} holds no longer: {why}"
    looks = "Its checks look once more; then" if ids.get("looks", True) else "On what is there now"
    lines = (
        line(Icon("warning"), " ", *parts, Strong(said)),
        line(f"{looks} /rollout approve {stage_key} asks again."),
    )
    details = Button("Details", "status", {"rollout": rollout_id, "stage": stage_key})
    return Reply(f"{said}.", (Paragraph(lines), Buttons((details,))))


# -- inside ------------------------------------------------------------------------------------------------------------


def _meant(call: Call) -> tuple[int, str]:
    """The change and the digest that a button carries, or that was typed."""
    number = call.number("amendment")
    if number is not None:
        return number, call.text("confirm")
    with call.database.read() as session:
        found = amending.by_digest(session, call.standing.id, call.word)
    if found is None:
        raise refused(
            "amendment_over",
            "No change of the plan with that digest waits for a second person.",
            f"Press the button below the change, or type /rollout {call.request.verb} with its 8 characters.",
        )
    return found


def _replace_line(standing: Standing) -> Line:
    """What is left to do where the bot runs: its file is still the plan from before."""
    typed = f"python app.py plan show {standing.plan.key} > FILE"
    return line("The file in ROLLOUT_PLANS must say the same. Where it does not, whoever runs the bot: ", Code(typed))


def _decided(call: Call, done: Decided, said: str, *more: Line) -> Reply:
    icon = "ok" if done.accepted else "info"
    blocks = (Paragraph((line(Icon(icon), f" {said}"), *more)), Buttons((call.button("Plan", "plan"),)))
    return Reply(said, blocks)


def _buttons(standing: Standing, found: Shown) -> tuple[Button, ...]:
    at = {"rollout": standing.id, "amendment": found.id}
    look = Button("Whole difference", "amendment", at)
    if found.state != "proposed":
        return (look,)
    decide = {**at, "confirm": found.digest}
    return (Button("Accept", "accept-plan", decide, "primary"), Button("Decline", "decline-plan", decide), look)


def _bullets(lines: Sequence[str]) -> list[Block]:
    return [
        Paragraph(tuple(line(f"• {short(text, 280)}") for text in lines[i : i + 8])) for i in range(0, len(lines), 8)
    ]


def _stale_line(stale: Sequence[str]) -> Line:
    if not stale:
        return line(Icon("info"), " No sign-off becomes stale.")
    return line(Icon("warning"), f" Targets or criteria change: {listed(stale)} {_signed_anew(stale)}")


def _signed_anew(stale: Sequence[str]) -> str:
    return f"{'is' if len(stale) == 1 else 'are'} signed anew, also where somebody has signed already."


def _workspaces_line(standing: Standing, found: Shown) -> list[Line]:
    new = [text for text in found.lines if text.startswith("workspaces: new: ")]
    if not new:
        return []
    said = f" Workspaces {new[0].removeprefix('workspaces: new: ')} are reached once the bot has their settings"
    return [line(Icon("info"), f"{said} (DATABRICKS_<KEY>_HOST) and was started again.")]


def _by(change: Shown) -> Line:
    if change.state == "accepted" and change.decided_by and change.decided_at:
        return line(
            Code(change.digest[:_SHOWN]),
            " accepted by ",
            Person(change.decided_by),
            " ",
            At(change.decided_at),
            ", proposed by ",
            Person(change.proposed_by),
        )
    return line(Code(change.digest[:_SHOWN]), " proposed by ", Person(change.proposed_by), " ", At(change.proposed_at))
