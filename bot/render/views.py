"""Modals and the Home tab: forms, what a submission led to, and what is shown while it is being worked on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.render import limits
from bot.render.blocks import Place, render
from bot.render.figures import Json, note, section
from bot.render.messages import document
from bot.render.text import bare
from commands.reply import Choice, DayInput, Form, Input, Moment, PersonInput, Reply, Request, TextInput

#: What callback and block ids of ours begin with.
FORM = "form"
INPUT = "in:"
WORKING = "working"


class TooMuch(ValueError):
    """A form carries more than Slack lets it."""


def plain_text(text: str, limit: int) -> Json:
    """A plain_text object without emoji."""
    return {"type": "plain_text", "text": limits.cut(bare(text).strip(), limit) or "-", "emoji": False}


def context_of(verb: str, arguments: Mapping[str, Any], channel: str | None, home: bool) -> str:
    """What a modal carries to its submission. Raises TooMuch."""
    packed = json.dumps(
        {"v": verb, "a": dict(arguments), "c": channel, "h": home}, separators=(",", ":"), ensure_ascii=False
    )
    if len(packed) > limits.PRIVATE_METADATA:
        raise TooMuch(f"the form of {verb} carries {len(packed)} characters")
    return packed


def form_view(form: Form, channel: str | None, home: bool) -> Json:
    """The modal that asks. Raises TooMuch."""
    inputs = [made for question in form.inputs for made in _input(question)]
    body = render(form.body, Place.MODAL)
    room = limits.VIEW_BLOCKS - len(inputs)
    if len(body) > room:
        body = [*body[: room - 1], note(f"and {len(body) - room + 1} more parts")]
    return {
        "type": "modal",
        "callback_id": FORM,
        "title": plain_text(form.title, limits.VIEW_TITLE),
        "submit": plain_text(form.submit, limits.VIEW_TITLE),
        "close": plain_text("Cancel", limits.VIEW_TITLE),
        "private_metadata": context_of(form.verb, form.arguments, channel, home),
        "blocks": [*body, *inputs] or [section("–")],
    }


def result_view(reply: Reply, title: str, private_metadata: str, request: Request | None = None) -> Json:
    """What a submission or a press led to, with Close."""
    return _shown(title, private_metadata, render(document(reply, request), Place.MODAL))


def working_view(title: str, private_metadata: str) -> Json:
    """Shown from the acknowledgement of a submission until its answer is known."""
    block = {**section(":hourglass_flowing_sand: Working on it…"), "block_id": WORKING}
    return _shown(title, private_metadata, [block])


def home_view(reply: Reply) -> Json:
    """The Home tab."""
    return {"type": "home", "blocks": render(document(reply), Place.HOME)}


def _shown(title: str, private_metadata: str, blocks: list[Json]) -> Json:
    return {
        "type": "modal",
        "callback_id": "shown",
        "title": plain_text(title, limits.VIEW_TITLE),
        "close": plain_text("Close", limits.VIEW_TITLE),
        "private_metadata": private_metadata,
        "blocks": blocks or [section("–")],
    }


# -- inputs ----------------------------------------------------------------------------------------------------------


def _input(question: Input) -> list[Json]:
    if isinstance(question, TextInput):
        element = _text(question)
    elif isinstance(question, Moment):
        element = {"type": "datetimepicker"}
    elif isinstance(question, DayInput):
        element = {"type": "datepicker"}
        if question.initial:
            element["initial_date"] = question.initial
    elif isinstance(question, PersonInput):
        element = {"type": "users_select"}
        if question.initial:
            element["initial_user"] = question.initial
    else:
        if not question.options:
            return [note(f"{bare(question.label)}: there is nothing to choose")]
        element = _choice(question)
    return [
        {
            "type": "input",
            "block_id": INPUT + question.key,
            "label": plain_text(question.label, limits.LABEL),
            "optional": not question.required,
            "element": {**element, "action_id": question.key},
        }
    ]


def _text(question: TextInput) -> Json:
    element: Json = {
        "type": "plain_text_input",
        "multiline": question.multiline,
        "max_length": min(max(question.max_length, 1), limits.TYPED),
    }
    if question.placeholder:
        element["placeholder"] = plain_text(question.placeholder, limits.PLACEHOLDER)
    if question.initial:
        element["initial_value"] = limits.cut(question.initial, element["max_length"])
    return element


def _choice(question: Choice) -> Json:
    options = [_option(value, label) for value, label in question.options]
    chosen = [option for option in options if option["value"] in question.initial]
    few = len(options) <= limits.FEW_OPTIONS
    element: Json
    if question.many:
        element = {"type": "checkboxes" if few else "multi_static_select"}
    else:
        element = {"type": "radio_buttons" if few else "static_select"}
    if len(options) <= limits.OPTIONS:
        element["options"] = options
    else:
        element["option_groups"] = _groups(options)
    if chosen and question.many:
        element["initial_options"] = chosen
    elif chosen:
        element["initial_option"] = chosen[0]
    return element


def _option(value: str, label: str) -> Json:
    if len(value) > limits.OPTION_VALUE:
        raise TooMuch(f"an option's value has {len(value)} characters")
    return {"text": plain_text(label, limits.OPTION_LABEL), "value": value}


def _groups(options: Sequence[Json]) -> list[Json]:
    """Options in groups of a hundred; Slack takes a hundred groups."""
    size = limits.OPTIONS
    return [
        {
            "label": plain_text(f"{start + 1} to {min(start + size, len(options))}", limits.OPTION_LABEL),
            "options": list(options[start : start + size]),
        }
        for start in range(0, min(len(options), size * size), size)
    ]


def typed_values(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a submission by key: text, one value, or a list of values; what was left empty is left out."""
    found: dict[str, Any] = {}
    for block_id, elements in state.items():
        if not block_id.startswith(INPUT):
            continue
        for key, entry in elements.items():
            match entry.get("type"):
                case "plain_text_input":
                    value: Any = entry.get("value")
                case "users_select":
                    value = entry.get("selected_user")
                case "static_select" | "radio_buttons":
                    value = (entry.get("selected_option") or {}).get("value")
                case "datepicker":
                    value = entry.get("selected_date")
                case "datetimepicker":
                    value = entry.get("selected_date_time")
                case _:
                    value = [option["value"] for option in entry.get("selected_options") or []]
            if value is not None:
                found[key] = value
    return found
