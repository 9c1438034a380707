"""``override STAGE [CONDITION] [reason]``: pass over one unmet condition, with a second person; and its messages."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from commands.call import Call, Refused, refused
from commands.grammar import first_word
from commands.reply import (
    At,
    Block,
    Button,
    Buttons,
    FieldErrors,
    Form,
    Icon,
    Line,
    Paragraph,
    Person,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.words import short
from rollout import conditions
from rollout.conditions import Unmet
from rollout.gates import Refuse
from rollout.standing import StageStanding, Standing
from storage import overriding, waivers

_BUTTONS = 8
_OFFERED = 2


def override(call: Call) -> Reply:
    """List what is unmet, open the form for one condition, or ask for a second person."""
    stage = call.stage
    word, rest = call.text("condition"), call.reason
    if not word:
        word, rest = first_word(call.reason)
    if not word:
        return _list(call, stage)
    found = conditions.named(call.standing, stage.key, word)
    rule = conditions.covered(call.plan, stage.key, found.condition) if found is not None else None
    mine = rule is not None and rule.role in call.roles and stage.started_by != call.actor
    if not call.submitted and found is not None and mine:  # else it is refused at once, not after a form
        return _form(call, stage, found, rest)
    reason = call.text("reason") or rest
    done = overriding.ask(call.database, call.who, call.now, call.standing.id, stage.key, word, reason)
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    said = f"Asked in the channel: {_second(call.standing, stage.key, word)} has to confirm it."
    return Reply(said, (Paragraph((line(Icon("waiting"), f" {short(done.title, 200)}"), line(said))),))


def check_override(arguments: Mapping[str, Any]) -> None:
    """An override says why."""
    if not str(arguments.get("reason") or "").strip():
        raise FieldErrors({"reason": "Say why it may be passed over: it is shown for ever."})


def confirm(call: Call) -> Reply:
    """Let the condition be passed over."""
    return _decide(call, "confirm")


def decline(call: Call) -> Reply:
    """Leave the condition as it is."""
    return _decide(call, "decline")


def at_criteria(standing: Standing, stage_key: str) -> list[Block]:
    """The same at the checks that do not hold, as a row of its own; nothing where there is none."""
    found = [
        b
        for b in buttons(standing, stage_key, _BUTTONS)
        if conditions.kind_of(str(b.arguments["condition"])) == conditions.CRITERION
    ]
    return [Buttons(tuple(found[:4]))] if found else []


def buttons(standing: Standing, stage_key: str, most: int = 4) -> list[Button]:
    """A button at each unmet condition that the plan lets people pass over."""
    return [
        Button(
            short(f"Override {u.title}", 60),
            "override",
            {"rollout": standing.id, "stage": stage_key, "condition": u.condition},
        )
        for u in conditions.unmet(standing, stage_key)
        if conditions.covered(standing.plan, stage_key, u.condition) is not None
    ][:most]


def offered(standing: Standing, stage_key: str | None, roles: frozenset[str]) -> list[Button]:
    """The same for one person: only what they may ask for."""
    if stage_key is None:
        return []
    found = []
    for button in buttons(standing, stage_key):
        rule = conditions.covered(standing.plan, stage_key, str(button.arguments["condition"]))
        if rule is not None and rule.role in roles:
            found.append(button)
    if len(found) > _OFFERED:  # there is work to do, and not an exception to ask for
        return [Button("Override one…", "override", {"rollout": standing.id, "stage": stage_key})]
    return found


def lines(stage: StageStanding, most: int = 5) -> list[Line]:
    """What people passed over in a stage, for ever: also what counts no more, which is said."""
    found: list[Line] = []
    for w in stage.overrides[:most]:
        ended = f". Counts no more: {w.doubt}." if w.doubt else ""
        found.append(
            line(
                Icon("warning"),
                " ",
                Strong("Overridden"),
                f": {short(w.title, 160)} · {short(w.reason, 160)} · ",
                Person(w.asked_by),
                " and ",
                Person(w.second),
                ", ",
                At(w.at),
                ended,
            )
        )
    if len(stage.overrides) > most:
        found.append(line(f"and {len(stage.overrides) - most} more overrides: /rollout audit {stage.key}"))
    return found


# -- messages ----------------------------------------------------------------------------------------------------------


def wanted(session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any]) -> Reply | None:
    """The message that asks for a second person; None once it is decided."""
    found = waivers.shown(session, int(ids.get("override") or 0))
    if found is None or found.state != "asked":
        return None
    said = f"{stage.key}: an override is asked for"
    second = _second(standing, stage.key, found.condition)
    text = (
        line(Icon("warning"), " ", Strong(said), " by ", Person(found.asked_by)),
        line(Strong("Not met: "), short(found.title, 400)),
        line(Strong("Reason: "), short(found.reason, 500)),
        line(f"It counts only if {second} confirms it, who is somebody else and did not start {stage.key}."),
        line("It is shown on the card for ever, and ends when the evidence changes."),
    )
    at = {"rollout": standing.id, "override": found.id}
    pressed = (Button("Confirm", "confirm-override", at, "danger"), Button("Decline", "decline-override", at))
    details = Button("Details", "status", {"rollout": standing.id, "stage": stage.key})
    return Reply(f"{said}: {short(found.title, 200)}", (Paragraph(text), Buttons((*pressed, details))))


def confirmed(session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any]) -> Reply | None:
    """The message that a condition is passed over now."""
    found = waivers.shown(session, int(ids.get("override") or 0))
    if found is None or found.state != "confirmed":
        return None
    said = f"{stage.key}: a condition is passed over"
    by: Line = (" and ", Person(found.decided_by)) if found.decided_by else ()
    text = (
        line(Icon("warning"), " ", Strong(said), " by ", Person(found.asked_by), *by),
        line(short(found.title, 400)),
        line(Strong("Reason: "), short(found.reason, 500)),
    )
    return Reply(f"{said}: {short(found.title, 200)}", (Paragraph(text),))


def closing(session: Session, stage_key: str, ids: Mapping[str, Any]) -> Reply:
    """What the question says once it is answered, or asked of another evidence."""
    found = waivers.shown(session, int(ids.get("override") or 0))
    became = {"confirmed": "was confirmed", "declined": "was declined", "replaced": "was asked for anew"}
    word = became.get(found.state, "is over") if found is not None else "is over"
    by: Line = (" by ", Person(found.decided_by)) if found is not None and found.decided_by else ()
    said = f"The override of {stage_key} {word}"
    what = (line(short(found.title, 300)),) if found is not None else ()
    return Reply(f"{said}.", (Paragraph((line(Icon("info"), f" {said}", *by, "."), *what)),))


# -- inside ------------------------------------------------------------------------------------------------------------


def _list(call: Call, stage: StageStanding) -> Reply:
    found = conditions.unmet(call.standing, stage.key)
    if not found:
        raise refused(
            "condition_met",
            f"No condition of {stage.key} is unmet now.",
            f"/rollout status {stage.key}",
            stage=stage.key,
        )
    text = [line(f"• {u.condition}: {short(u.title, 80)} ({short(u.sentence, 160)})") for u in found[:20]]
    pressed = buttons(call.standing, stage.key, _BUTTONS)
    rule = line("Press one, or type /rollout override STAGE CONDITION REASON; a second person confirms it.")
    if not pressed:
        rule = line(Icon("info"), f" The plan lets nobody pass over these in {stage.key}.")
    blocks: list[Block] = [Paragraph((line(Strong(f"Not met in {stage.key}")), *text, rule))]
    if pressed:
        blocks.append(Buttons(tuple(pressed)))
    return Reply(f"{len(found)} conditions of {stage.key} are not met.", tuple(blocks))


def _form(call: Call, stage: StageStanding, found: Unmet, reason: str) -> Reply:
    body = (
        Paragraph(
            (
                line(Icon("warning"), " ", Strong(f"{found.title}: "), short(found.sentence, 500)),
                line(f"{_second(call.standing, stage.key, found.condition)} has to confirm it."),
                line("It is shown on the card for ever, and ends when the evidence changes."),
            )
        ),
    )
    why = TextInput(
        "reason", "Why may it be passed over?", required=True, multiline=True, initial=reason[:500], max_length=500
    )
    arguments = {"rollout": call.standing.id, "stage": stage.key, "condition": found.condition}
    form = Form("Override", "override", arguments, "Ask for it", body, (why,), danger=True)
    return Reply(f"Override {found.title} of {stage.key}?", form=form)


def _second(standing: Standing, stage_key: str, word: str) -> str:
    found = conditions.named(standing, stage_key, word)
    rule = conditions.covered(standing.plan, stage_key, found.condition if found is not None else word)
    return standing.titles().get(rule.second, rule.second) if rule is not None else "a second person"


def _decide(call: Call, what: str) -> Reply:
    number = call.number("override")
    if number is None:
        raise refused("override_over", "Which override?", "Press the button below the question in the channel.")
    act = overriding.confirm if what == "confirm" else overriding.decline
    done = act(call.database, call.who, call.now, call.standing.id, number)
    if isinstance(done, Refuse):
        raise Refused(done.reasons)
    said = f"{'Passed over' if done.confirmed else 'It holds as before'}: {short(done.title, 200)}."
    button = call.button("Status", "status", stage=done.stage)
    return Reply(
        said, (Paragraph((line(Icon("warning" if done.confirmed else "info"), f" {said}"),)), Buttons((button,)))
    )


__all__ = ["buttons", "check_override", "closing", "confirm", "confirmed", "decline", "lines", "override", "wanted"]
