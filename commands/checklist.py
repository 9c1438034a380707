"""``checklist [STAGE]``: first what blocks the next step; people tick, un-tick or set aside several at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from commands import outlook, teamwords
from commands.call import Call, Refused
from commands.reply import (
    Block,
    Button,
    Buttons,
    Choice,
    FieldErrors,
    Form,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Part,
    Person,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.report import checklist_words
from commands.shown import pages
from commands.teamwords import sign_off_line
from commands.words import count, listed, short
from rollout import awaited, gates, teams
from rollout.plan import Item
from rollout.standing import Standing
from rollout.states import ItemState, StageState, Verdict
from storage import intents_items

_A_PAGE = 10
_OPTIONS = 100
#: What people judge by the numbers is neither good nor bad.
_LOOK = {Verdict.PASS: "ok", Verdict.FAIL: "failed", Verdict.INCONCLUSIVE: "info"}
_STATES = (
    (ItemState.DONE.value, "Done"),
    (ItemState.NOT_APPLICABLE.value, "Does not apply here (say why)"),
)


def checklist(call: Call) -> Reply:
    """One page of the checklist: of the whole rollout, or of one stage."""
    items = ordered(call)
    of = f" of {call.stage_key}" if call.stage_key else ""
    blocks: list[Block] = [Heading(f"Checklist{of}")]
    current = call.standing.current()
    key = call.stage_key or (current.key if current is not None else None)
    blocking = {i.key for i in call.standing.blocking_items(key)} if key else set()
    if not items:
        empty = (
            f"Nothing on the checklist belongs to {call.stage_key}." if call.stage_key else "The plan has no checklist."
        )
        return Reply(empty, (*blocks, Paragraph((line(empty),)), Buttons((call.button("Status", "status"),))))
    if blocking and key is not None and not call.standing.stage(key).started:
        text = f" {count(len(blocking), 'item')} must be done before {key} may start; they come first."
        blocks.append(Paragraph((line(Icon("blocked"), Strong(text)),)))
    else:
        blocks.append(Paragraph((line(checklist_words(call.standing)),)))
    blocks += _unsigned(call, key)
    page = min(call.page, max((len(items) - 1) // _A_PAGE, 0))
    shown = items[page * _A_PAGE : (page + 1) * _A_PAGE]
    for item in shown:
        # A dialog for each line, where this person may do something with it.
        own = call.roles and intents_items.by_hand(item)
        button = call.button("Open", "item", item=item.key, **({"stage": call.stage_key} if call.stage_key else {}))
        blocks.append(Paragraph(tuple(_lines(call, item, item.key in blocking)), button if own else None))
    at: dict[str, Any] = {"stage": call.stage_key} if call.stage_key else {}
    buttons: list[Button] = []
    if teams.plain(call.roles):
        mark = _markable(call, items, False)
        if mark:
            buttons.append(call.button("Mark done…", "mark", "primary", page=page, **at))
        if _markable(call, items, True):
            buttons.append(call.button("Un-tick…", "unmark", page=page, **at))
        buttons.append(call.button("Assign…", "assign", page=page, **at))
    turn = pages(call, "checklist", len(items), _A_PAGE, **at)
    blocks.append(Buttons((*buttons, *turn.buttons, call.button("Status", "status"))))
    note = f"{page * _A_PAGE + 1}-{page * _A_PAGE + len(shown)} of {count(len(items), 'item')}."
    blocks.append(
        Note(line(note, "" if teams.plain(call.roles) else " You hold no role in this plan, so you cannot tick."))
    )
    return Reply(f"Checklist{of}: {checklist_words(call.standing)}", tuple(blocks), share=True)


def _unsigned(call: Call, key: str | None) -> list[Block]:
    """Where a stage waits for sign-offs: whose, and the button."""
    stage = call.standing.stage(key) if key is not None else None
    if stage is None or stage.state is not StageState.REVIEW:
        return []
    said = (sign_off_line(call.standing, stage), *teamwords.lines(call.standing, stage))
    wanted = outlook.next_buttons(call.standing, stage, call.now, (call.actor, call.roles))
    buttons = tuple(b for b in wanted if b.verb == "approve")
    return [Paragraph(said), *([Buttons(buttons)] if buttons else [])]


def ordered(call: Call) -> list[Item]:
    """What blocks the next step, then what is open, then the rest; in the order of the plan."""
    standing, current = call.standing, call.standing.current()
    key = call.stage_key or (current.key if current is not None else None)
    blocking = {i.key for i in standing.blocking_items(key)} if key else set()
    items = [
        i
        for i in standing.plan.checklist
        if call.stage_key is None or call.stage_key in {i.stage, i.blocks} or i.key in blocking
    ]

    def rank(item: Item) -> int:
        if item.key in blocking:
            return 0
        if item.part_of in blocking:
            return 1
        if not standing.is_open(item.key):
            return 5
        if not intents_items.by_hand(item):
            return 4
        return 2 if item.required and item.part_of is None else 3

    return sorted(items, key=rank)


def _lines(call: Call, item: Item, blocks: bool) -> list[Line]:
    standing = call.standing
    found = standing.items.get(item.key)
    titles = standing.titles()
    parts: list[Part]
    if found is not None and found.state is not ItemState.OPEN:
        done = found.state is ItemState.DONE
        parts = [Icon("ok" if done else "info"), f" {item.title} · ", "done" if done else "does not apply", " · "]
        parts.append(Person(found.by))
        if found.comment:
            parts.append(f": {short(found.comment, 150)}")
        return [tuple(parts)]
    if not intents_items.by_hand(item):
        stage = next((s for s in standing.stages if s.key == item.stage), None)
        look = stage.findings.get(item.check or "") if stage is not None else None
        if look is not None:
            return [line(Icon(_LOOK[look.verdict]), f" {item.title} · by the bot: {short(look.sentence, 200)}")]
        done = stage is not None and stage.state in {StageState.BAKING, StageState.REVIEW, StageState.PASSED}
        return [line(Icon("ok" if done else "waiting"), f" {item.title} · {'done ' if done else ''}by the bot")]
    who = listed([titles.get(r, r) for r in item.attest], "or") or "anyone with a role"
    optional = "" if item.required else " · optional"
    parts = [Icon("blocked" if blocks else "waiting"), " ", Strong(item.title), f" · {who}{optional}"]
    parts += whose(standing, item.key, call.now)
    if blocks:
        pieces = [i.title for i in call.plan.checklist if i.part_of == item.key]
        done_when = "; ".join(pieces) or item.done_when
        return [tuple(parts), *([line(f"      done when: {short(done_when, 240)}")] if done_when else [])]
    return [tuple(parts)]


def whose(standing: Standing, item: str, now: datetime) -> list[Part]:
    """`` · @owner, due 2026-12-01``, and whether that day has passed; nothing where the item is nobody's."""
    assigned = standing.assigned.get(item)
    if assigned is None:
        return []
    parts: list[Part] = [" · ", Person(assigned.owner)]
    if assigned.due is None:
        return parts
    if awaited.overdue(standing, item, now):
        return [*parts, ", ", Icon("warning"), Strong(f" overdue since {assigned.due.isoformat()}")]
    return [*parts, f", due {assigned.due.isoformat()}"]


def _markable(call: Call, items: Sequence[Item], closed: bool) -> list[Item]:
    """The items that this person may tick (or un-tick, when ``closed``)."""
    return [
        i
        for i in items
        if intents_items.by_hand(i)
        and call.standing.is_open(i.key) is not closed
        and (not i.attest or set(i.attest) & call.roles)
    ]


def mark(call: Call) -> Reply:
    """Say of several items that they are done, or do not apply."""
    if call.submitted:
        state = ItemState(call.text("state") or ItemState.DONE.value)
        return _attest(call, state)
    return _form(call, "mark", False)


def unmark(call: Call) -> Reply:
    """Say of several items that they are open again."""
    return _attest(call, ItemState.OPEN) if call.submitted else _form(call, "unmark", True)


def _form(call: Call, verb: str, closed: bool) -> Reply:
    items = _markable(call, ordered(call), closed)
    if not items:
        decision = gates.may_attest(
            intents_items.attest_facts(call.plan, teams.plain(call.roles), (), ItemState.DONE, "")
        )
        call.proceed(decision)
    options = tuple((i.key, i.title) for i in items[:_OPTIONS])
    word = "Un-tick" if closed else "Mark done"
    body: list[Block] = [
        Paragraph(
            (
                line("What is open again may block a stage that has not begun.")
                if closed
                else line("Several at once. What blocks the next stage comes first; it stands under your name."),
            )
        )
    ]
    if len(items) > _OPTIONS:
        body.append(Note(line(f"The first {_OPTIONS} of {len(items)}; /rollout checklist STAGE shows fewer.")))
    inputs: list[Choice | TextInput] = [Choice("items", "Items", options, many=True)]
    if not closed:
        inputs.append(Choice("state", "They are", _STATES, initial=(ItemState.DONE.value,)))
    inputs.append(TextInput("comment", "Comment", multiline=True, max_length=500))
    arguments: dict[str, Any] = {"rollout": call.standing.id}
    if call.stage_key:
        arguments["stage"] = call.stage_key
    form = Form(word, verb, arguments, word, tuple(body), tuple(inputs))
    return Reply(f"{word}: choose the items.", form=form)


def _attest(call: Call, state: ItemState) -> Reply:
    done = intents_items.attest(
        call.database, call.who, call.now, call.standing.id, chosen(call.request.arguments), state, call.text("comment")
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons)
    word = {ItemState.DONE: "done", ItemState.OPEN: "open again", ItemState.NOT_APPLICABLE: "set aside"}[state]
    said = f"{count(len(done.titles), 'item')} {word}."
    lines = [line(Icon("ok"), " ", Strong(said)), *[line(f"• {title}") for title in done.titles[:15]]]
    if len(done.titles) > 15:
        lines.append(line(f"and {len(done.titles) - 15} more"))
    at = {"stage": call.stage_key} if call.stage_key else {}
    buttons = (call.button("Checklist", "checklist", **at), call.button("Status", "status"))
    return Reply(said, (Paragraph(tuple(lines)), Buttons(buttons)))


def chosen(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the chosen items: a list from a form, or one text."""
    value = arguments.get("items")
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(str(part) for part in value)
    return ()


def check_mark(arguments: Mapping[str, Any]) -> None:
    """Something is chosen, and what does not apply says why."""
    errors: dict[str, str] = {}
    if not chosen(arguments):
        errors["items"] = "Choose at least one item."
    state = arguments.get("state") or ItemState.DONE.value
    if state not in {s.value for s in ItemState}:
        errors["state"] = "Choose one of the two."
    if state == ItemState.NOT_APPLICABLE.value and not str(arguments.get("comment") or "").strip():
        errors["comment"] = "Say why it does not apply."
    if errors:
        raise FieldErrors(errors)
