"""``pin TARGET`` (see ``commands.pin``) and ``unpin TARGET``: who stays on the old runtime, why, who answers for it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import select

from commands import rollback
from commands.call import Call, Refused, refused
from commands.reply import (
    Block,
    Buttons,
    Choice,
    FieldErrors,
    Form,
    Icon,
    Input,
    Line,
    Note,
    Paragraph,
    Person,
    PersonInput,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.words import ago, count, short
from rollout.gates import Proceed, Refuse
from rollout.gates_back import needs_revert
from rollout.gates_pins import may_pin, may_unpin
from rollout.standing import Pin, Standing
from rollout.states import StageState
from storage import intents_pins, intents_rollback
from storage.models import Target

_USER: Final = re.compile(r"[UW][A-Z0-9]{2,20}")
_SHOWN: Final = 12
#: Checkboxes with more options than this would not be read by anybody.
_ASKED: Final = 50


def pin(call: Call) -> Reply:
    """Pin a target; one that was changed is put back as well, by the same form as ``rollback TARGET``."""
    target = _target(call, "pin")
    with call.database.read() as session:
        back = intents_rollback.target_facts(session, call.standing, call.roles, target)
        owner = call.text("owner") or (call.actor if not call.submitted else "")
        reason = call.text("reason") or call.reason
        facts = intents_pins.pin_facts(session, call.standing, call.roles, target, owner, reason)
    if needs_revert(back) or (back.acted and back.state not in {None, StageState.WAITING, StageState.READY}):
        return rollback.rollback(call)
    call.proceed(may_pin(facts, call.submitted))
    if not call.submitted:
        return _form(call, target)
    done = intents_pins.pin(call.database, call.who, call.now, call.standing.id, target.id, reason, owner)
    if isinstance(done, Refuse):
        raise Refused(done.reasons, target.stage_key)
    said = f"{done.target} is pinned: it stays on {call.plan.runtimes.source}."
    text = line("It is listed with its reason and owner until somebody lifts the pin.")
    button = call.button("Target", "status", target_id=target.id)
    return Reply(said, (Paragraph((line(Icon("locked"), " ", Strong(said)), text)), Buttons((button,))))


def unpin(call: Call) -> Reply:
    """Lift a pin at once: nothing is changed by that, the target is only planned again."""
    target = _target(call, "unpin")
    done = intents_pins.unpin(call.database, call.who, call.now, call.standing.id, target.id, call.reason)
    if isinstance(done, Refuse):
        raise Refused(done.reasons, target.stage_key)
    said = f"{done.target} is no longer pinned."
    if done.late:
        then = (
            f"{done.stage} has begun and no stage is left: move it by hand, or roll {done.stage} back and start anew."
        )
    elif done.stage is None:
        then = "No stage selects it."
    else:
        then = f"It is planned in {done.stage}: /rollout plan {done.stage}"
    button = call.button("Target", "status", target_id=target.id)
    return Reply(f"{said} {then}", (Paragraph((line(Icon("ok"), " ", Strong(said)), line(then))), Buttons((button,))))


def check_pin(arguments: Mapping[str, Any]) -> None:
    """A pin says why, and who answers for it."""
    errors = {}
    if not str(arguments.get("reason") or "").strip():
        errors["reason"] = "Say why it stays on the old runtime."
    if not _USER.fullmatch(str(arguments.get("owner") or "")):
        errors["owner"] = "Choose the person who answers for it."
    if errors:
        raise FieldErrors(errors)


def pin_inputs(call: Call, required: bool) -> tuple[Input, ...]:
    """Why, and who answers for it."""
    reason = TextInput("reason", "Why?", required=required, initial=call.reason[:300], max_length=300)
    return reason, PersonInput("owner", "Who answers for it?", initial=call.actor)


def pin_line(found: Pin, source: str) -> Line:
    """One pin: what, why, whose."""
    owner: Line = ("; owner ", Person(found.owner)) if found.owner else ("; without an owner",)
    where = f" ({found.kind}, {found.workspace})"
    return line(Icon("locked"), " ", Strong(short(found.name, 60)), f"{where}: {short(found.reason, 150)}", *owner)


def listed(standing: Standing, pins: tuple[Pin, ...] | None = None, most: int = _SHOWN) -> list[Block]:
    """Every pin with its reason and owner; nothing where there is none."""
    found = standing.pins if pins is None else pins
    if not found:
        return []
    source = standing.plan.runtimes.source
    lines = [pin_line(p, source) for p in found[:most]]
    if len(found) > most:
        lines.append(line(f"and {len(found) - most:,} more: /rollout plan"))
    verb = "stays" if len(found) == 1 else "stay"
    return [Paragraph((line(Strong(f"{count(len(found), 'pin')}"), f": {verb} on {source}"), *lines))]


def asked(call: Call, stage_key: str) -> tuple[list[Block], list[Input]]:
    """What the last stage asks about every pin of the rollout: it is kept unless it is ticked."""
    pins = call.standing.pins
    if not pins or call.plan.after(stage_key):
        return [], []
    options = tuple((str(p.target_id), f"{p.name[:50]} · {p.workspace}"[:75]) for p in pins[:_ASKED])
    note = "It is the last stage: what is pinned now stays on the old runtime when the rollout is over."
    body: list[Block] = [*listed(call.standing), Note(line(note))]
    return body, [Choice("unpin", "Lift these pins instead of going on", options, required=False, many=True)]


def lift_asked(call: Call, stage_key: str) -> Reply | None:
    """Lift the pins that were ticked in a dialog; None where none was. Nothing else is done then: what was shown has
    changed by that."""
    ticked = call.request.arguments.get("unpin")
    if not isinstance(ticked, list) or not ticked:
        return None
    known = {str(p.target_id): p for p in call.standing.pins}
    lines: list[Line] = []
    for value in ticked:
        found = known.get(value)
        if found is None:
            continue
        done = intents_pins.unpin(call.database, call.who, call.now, call.standing.id, found.target_id)
        if isinstance(done, Refuse):
            lines.append(line(Icon("warning"), f" {found.name}: {done.reasons[0].sentence}"))
        else:
            where = f"is planned in {done.stage}" if done.stage and not done.late else "has to be moved by hand"
            lines.append(line(Icon("ok"), f" {done.target} is no longer pinned; it {where}."))
    verb = call.request.verb
    said = f"{stage_key}: pins were lifted, and nothing else was done, because what you saw has changed by that."
    again = call.button(f"{verb.capitalize()} {stage_key}"[:24], verb, "primary", stage=stage_key)
    return Reply(said, (Paragraph((line(Strong(said)), *lines)), Buttons((again,))))


def _target(call: Call, verb: str) -> Target:
    if call.target_id is None:
        raise refused("missing_argument", "Which target?", f"/rollout {verb} TARGET REASON")
    with call.database.read() as session:
        found = session.execute(select(Target).where(Target.id == call.target_id)).scalar_one_or_none()
    if found is None:
        raise refused("unknown_target", "This target is no longer known.", "/rollout plan")
    return found


def _form(call: Call, target: Target) -> Reply:
    body = (
        Paragraph(
            (
                line(Strong(target.name[:120]), f" ({target.kind} in {target.workspace})"),
                line(f"Nothing was written to it. No stage touches it: it stays on {target.release or '-'}."),
            )
        ),
        Note(line(f"Seen {ago(target.seen_at, call.now)}.")),
    )
    arguments = {"rollout": call.standing.id, "target_id": target.id}
    form = Form("Pin target", "pin", arguments, "Pin target", body, pin_inputs(call, required=True))
    return Reply(f"Pin {target.name}?", form=form)


def may_lift(call: Call, target: Target) -> bool:
    """Whether this person could lift the pin of a target now."""
    with call.database.read() as session:
        facts = intents_pins.pin_facts(session, call.standing, call.roles, target)
    return isinstance(may_unpin(facts), Proceed)


def may_set(call: Call, target: Target) -> bool:
    """Whether this person could pin a target now."""
    with call.database.read() as session:
        facts = intents_pins.pin_facts(session, call.standing, call.roles, target)
    return isinstance(may_pin(facts, submitted=False), Proceed)
