"""The dialog of one checklist item, and ``assign``: where it stands, whose it is and until when."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from commands.call import Call, Refused, refused
from commands.checklist import chosen, ordered, whose
from commands.reply import (
    Block,
    Buttons,
    Choice,
    DayInput,
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
from commands.words import ago, count, listed, short
from rollout import gates
from rollout.plan import Item
from rollout.states import ItemState
from storage import intents_items

_OPTIONS: Final = 100
AS_IT_IS: Final = "as_it_is"
_WORD: Final = {ItemState.OPEN: "open", ItemState.DONE: "done", ItemState.NOT_APPLICABLE: "set aside"}


def item(call: Call) -> Reply:
    """Open the dialog of an item, or do what it says: where the item stands and whose it is, both or neither."""
    found = _found(call)
    if not call.submitted:
        return _dialog(call, found)
    state = call.text("state") or AS_IT_IS
    assigned = call.standing.assigned.get(found.key)
    before = (assigned.owner, assigned.due) if assigned is not None else ("", None)
    now = (call.text("owner"), _day(call.request.arguments) if call.text("owner") else None)
    done = intents_items.settle(
        call.database,
        call.who,
        call.now,
        call.standing.id,
        found.key,
        None if state == AS_IT_IS else ItemState(state),
        call.text("comment"),
        now if now != before else None,
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons)
    said = f"“{found.title}” {_became(state, call.text('owner') if now != before else None)}."
    at = {"stage": call.stage_key} if call.stage_key else {}
    buttons = (call.button("Checklist", "checklist", **at), call.button("Status", "status"))
    return Reply(said, (Paragraph((line(Icon("ok"), " ", Strong(said)),)), Buttons(buttons)))


def check_item(arguments: Mapping[str, Any]) -> None:
    """A state of an item, a reason where it does not apply, and a day that there is."""
    errors = _day_errors(arguments)
    state = arguments.get("state") or AS_IT_IS
    if state != AS_IT_IS and state not in {s.value for s in ItemState}:
        errors["state"] = "Choose one of these."
    if state == ItemState.NOT_APPLICABLE.value and not str(arguments.get("comment") or "").strip():
        errors["comment"] = "Say why it does not apply."
    if arguments.get("due") and not arguments.get("owner"):
        errors["due"] = "A day needs somebody who answers for it."
    if errors:
        raise FieldErrors(errors)


def _found(call: Call) -> Item:
    key = call.text("item") or call.reason.split(" ")[0]
    found = next((i for i in call.plan.checklist if i.key == key), None)
    if found is None:
        raise refused("unknown_item", f"There is no checklist item “{key[:60]}”.", "/rollout checklist lists them.")
    return found


def _dialog(call: Call, found: Item) -> Reply:
    standing = call.standing
    call.proceed(gates.may_assign(intents_items.assign_facts(standing, call.roles, [found.key], "", None, call.now)))
    stands = standing.items.get(found.key)
    state = stands.state if stands is not None else ItemState.OPEN
    lines: list[Line] = [line(Strong(found.title)), line(short(found.done_when, 400))]
    who = listed([standing.titles().get(r, r) for r in found.attest], "or") or "anyone with a role"
    lines.append(line(f"Ticked by {who}; it is {_WORD[state]}", *whose(standing, found.key, call.now), "."))
    if stands is not None and state is not ItemState.OPEN:
        lines.append(line("Said by ", Person(stands.by), f" {ago(stands.at, call.now)}"))
        if stands.comment:
            lines.append(line(f"Evidence: {short(stands.comment, 500)}"))
    if found.blocks is not None:
        lines.append(line(f"Until it is done {found.blocks} may not start."))
    inputs: list[Input] = []
    if not found.attest or set(found.attest) & call.roles:
        options = [(AS_IT_IS, f"As it is ({_WORD[state]})")]
        options += [(s.value, f"{_WORD[s].capitalize()}{_HINT.get(s, '')}") for s in _ORDER if s is not state]
        inputs.append(Choice("state", "It is", tuple(options), initial=(AS_IT_IS,)))
        inputs.append(
            TextInput("comment", "Evidence", multiline=True, placeholder="a link or a few words", max_length=500)
        )
    assigned = standing.assigned.get(found.key)
    owner, due = (assigned.owner, assigned.due) if assigned is not None else ("", None)
    inputs.append(PersonInput("owner", "Assigned to", required=False, initial=owner))
    inputs.append(DayInput("due", "Due", initial=due.isoformat() if due is not None else ""))
    arguments: dict[str, Any] = {"rollout": standing.id, "item": found.key}
    if call.stage_key:
        arguments["stage"] = call.stage_key
    form = Form("Checklist item", "item", arguments, "Save", (Paragraph(tuple(lines)),), tuple(inputs))
    return Reply(f"{found.title}: {_WORD[state]}.", form=form)


def _became(state: str, owner: str | None) -> str:
    """What a dialog changed, in words: where the item stands, whose it is (``owner``; None: as before), or nothing."""
    words = [] if state == AS_IT_IS else [_NOW[ItemState(state)]]
    if owner is not None:
        words.append("is assigned" if owner else "is nobody's now")
    return " and ".join(words) or "is as it was"


_NOW: Final = {ItemState.OPEN: "is open again", ItemState.DONE: "is done", ItemState.NOT_APPLICABLE: "is set aside"}
_ORDER: Final = (ItemState.DONE, ItemState.NOT_APPLICABLE, ItemState.OPEN)
_HINT: Final = {ItemState.NOT_APPLICABLE: ": it does not apply here (say why)", ItemState.OPEN: " again"}


def assign(call: Call) -> Reply:
    """Give several items to somebody, or to nobody."""
    if not call.submitted:
        return _assign_form(call)
    owner = call.text("owner")
    done = intents_items.assign(
        call.database,
        call.who,
        call.now,
        call.standing.id,
        chosen(call.request.arguments),
        owner,
        _day(call.request.arguments) if owner else None,
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons)
    to: Line = (" assigned to ", Person(owner)) if owner else (" assigned to nobody any more",)
    lines = [line(Icon("ok"), " ", Strong(count(len(done), "item")), *to), *[line(f"• {t}") for t in done[:15]]]
    if len(done) > 15:
        lines.append(line(f"and {len(done) - 15} more"))
    at = {"stage": call.stage_key} if call.stage_key else {}
    buttons = (call.button("Checklist", "checklist", **at), call.button("Status", "status"))
    return Reply(f"{count(len(done), 'item')} assigned.", (Paragraph(tuple(lines)), Buttons(buttons)))


def check_assign(arguments: Mapping[str, Any]) -> None:
    """Something is chosen, and the day is one."""
    errors = _day_errors(arguments)
    if not chosen(arguments):
        errors["items"] = "Choose at least one item."
    if errors:
        raise FieldErrors(errors)


def _assign_form(call: Call) -> Reply:
    items = [i for i in ordered(call) if intents_items.by_hand(i) and call.standing.is_open(i.key)]
    keys = [i.key for i in items]
    call.proceed(gates.may_assign(intents_items.assign_facts(call.standing, call.roles, keys, "", None, call.now)))
    body: list[Block] = [Paragraph((line("The owner is reminded once a day, by a direct message, until it is done."),))]
    if len(items) > _OPTIONS:
        body.append(Note(line(f"The first {_OPTIONS} of {len(items)}; /rollout checklist STAGE shows fewer.")))
    inputs: tuple[Input, ...] = (
        Choice("items", "Items", tuple((i.key, i.title) for i in items[:_OPTIONS]), many=True),
        PersonInput("owner", "Assigned to (nobody: leave it empty)", required=False),
        DayInput("due", "Due"),
    )
    arguments: dict[str, Any] = {"rollout": call.standing.id}
    if call.stage_key:
        arguments["stage"] = call.stage_key
    form = Form("Assign items", "assign", arguments, "Assign", tuple(body), inputs)
    return Reply("Assign: choose the items.", form=form)


def _day(arguments: Mapping[str, Any]) -> date | None:
    value = arguments.get("due")
    return date.fromisoformat(value) if isinstance(value, str) and value else None


def _day_errors(arguments: Mapping[str, Any]) -> dict[str, str]:
    try:
        _day(arguments)
    except ValueError:
        return {"due": "Write the day as 2026-12-01."}
    return {}
