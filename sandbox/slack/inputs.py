"""The state of inputs: what each kind of element holds, how a person sets it, what a client checks itself."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from sandbox.slack.blocks.check import elements_of, walk
from sandbox.slack.errors import PageError
from sandbox.slack.store import Json

OPTION, OPTIONS = "selected_option", "selected_options"
# element type -> (key of its value in the state, key of its first value in the element)
HOLDS: dict[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": (OPTION, "initial_option"),
    "external_select": (OPTION, "initial_option"),
    "radio_buttons": (OPTION, "initial_option"),
    "checkboxes": (OPTIONS, "initial_options"),
    "multi_static_select": (OPTIONS, "initial_options"),
    "multi_external_select": (OPTIONS, "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", "initial_files"),
}
REQUIRED = "Please complete this required field."


def interactive(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every (block, element) that has an action_id."""
    for block, _ in walk(blocks):
        if block["type"] in ("rich_text", "table", "data_table"):
            continue
        for element, _ in elements_of(block):
            if element.get("action_id"):
                yield block, element


def find(blocks: list[Json], block_id: Any, action_id: Any) -> tuple[Json, Json]:
    """The block and the element with these ids; without a block_id the first with this action_id.

    Slack makes new ids whenever blocks are changed, so a press on what stood there before names none of them.
    """
    for block, element in interactive(blocks):
        if element["action_id"] == action_id and block_id in (None, block["block_id"]):
            return block, element
    gone = f"There is no element {action_id!r} in block {block_id!r} any more."
    raise PageError(f"This has just changed: look at it again, then press once more. ({gone})", 404)


def many(key: str) -> bool:
    """Whether this state key holds a list."""
    return key.endswith("s")


def first(element: Json) -> Json:
    """The state of an untouched element."""
    key, initial = HOLDS[element["type"]]
    value = copy.deepcopy(element.get(initial))
    entry = {"type": element["type"], key: value if value is not None else ([] if many(key) else None)}
    if element["type"] == "timepicker" and element.get("timezone"):
        entry["timezone"] = element["timezone"]
    return entry


def state(blocks: list[Json], before: Json | None = None) -> Json:
    """state.values of these blocks; an element that was there before with the same ids and type keeps its value."""
    values: Json = {}
    for block, element in interactive(blocks):
        if element["type"] not in HOLDS:
            continue
        old = ((before or {}).get(block["block_id"]) or {}).get(element["action_id"])
        entry = old if old and old["type"] == element["type"] else first(element)
        values.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return values


def _offered(element: Json) -> list[Json]:
    options: list[Json] = list(element.get("options") or [])
    for group in element.get("option_groups") or []:
        options.extend(group["options"])
    return options


def option(element: Json, wanted: Any) -> Json:
    """The offered option that equals, or has the value or label, `wanted`."""
    value = wanted.get("value") if isinstance(wanted, dict) else wanted
    offered = _offered(element)
    for found in [o for o in offered if o.get("value") == value] + [o for o in offered if o["text"]["text"] == value]:
        return copy.deepcopy(found)
    raise PageError(f"There is no option {value!r}.")


PATTERNS = {
    "selected_date": r"\d{4}-\d{2}-\d{2}",
    "selected_time": r"\d{2}:\d{2}",
    "selected_user": r"[UW][A-Z0-9]+",
    "selected_channel": r"[CG][A-Z0-9]+",
    "selected_conversation": r"[CDG][A-Z0-9]+",
}


def entered(element: Json, body: Json) -> Json:
    """The state entry after a person entered what `body` holds under the element's key (or under "value")."""
    if element["type"] not in HOLDS:
        raise PageError(f"A {element['type']} holds no value.")
    key, _ = HOLDS[element["type"]]
    given = body[key] if key in body else body.get("value")
    entry = {**first(element), key: [] if many(key) else None}
    if given is None or given == "" or given == []:
        return entry
    if many(key) and not isinstance(given, list):
        given = [given]
    if key in (OPTION, OPTIONS):
        entry[key] = [option(element, g) for g in given] if many(key) else option(element, given)
    elif key == "selected_date_time":
        if not re.fullmatch(r"\d{10}", str(given)):
            raise PageError(f"{given!r} is not a unix time.")
        entry[key] = int(str(given))
    elif key == "rich_text_value":
        entry[key] = given if isinstance(given, dict) else _rich(str(given))
    elif key == "files":
        raise PageError("Files are not modelled here.")
    else:
        _check_words(key, given)
        entry[key] = given
    if many(key) and len(entry[key]) > (element.get("max_selected_items") or 100):
        raise PageError(f"No more than {element['max_selected_items']} can be selected.")
    return entry


def _check_words(key: str, given: Any) -> None:
    """Refuse values that no client would send."""
    pattern = PATTERNS.get(key[:-1] if many(key) else key)
    for value in given if isinstance(given, list) else [given]:
        if not isinstance(value, str):
            raise PageError(f"{value!r} is not a text.")
        if pattern and not re.fullmatch(pattern, value):
            raise PageError(f"{value!r} does not fit {key}.")


def _rich(text: str) -> Json:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}


def wrong(element: Json, entry: Json, optional: bool) -> str | None:
    """What a client would show below an input instead of sending it."""
    key, _ = HOLDS[element["type"]]
    value = entry[key]
    if value is None or value == "" or value == []:
        return None if optional else REQUIRED
    kind = element["type"]
    if kind == "plain_text_input":
        if len(value) < (element.get("min_length") or 0):
            return f"Please enter at least {element['min_length']} characters."
        if len(value) > (element.get("max_length") or 3000):
            return f"Please enter at most {element.get('max_length') or 3000} characters."
    if kind == "email_text_input" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return "Please enter a valid email address."
    if kind == "url_text_input" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+", value, re.I):
        return "Please enter a valid URL."
    return _wrong_number(element, value) if kind == "number_input" else None


def _wrong_number(element: Json, value: str) -> str | None:
    if not re.fullmatch(r"-?\d+(\.\d+)?" if element["is_decimal_allowed"] else r"-?\d+", value):
        return "Please enter a number." if element["is_decimal_allowed"] else "Please enter a whole number."
    if element.get("min_value") is not None and float(value) < float(element["min_value"]):
        return f"Please enter a number of at least {element['min_value']}."
    if element.get("max_value") is not None and float(value) > float(element["max_value"]):
        return f"Please enter a number of at most {element['max_value']}."
    return None


def missing(blocks: list[Json], values: Json) -> dict[str, str]:
    """The complaints of a client about a modal's input blocks, by block_id."""
    found: dict[str, str] = {}
    for block in blocks:
        if block["type"] == "input":
            entry = values[block["block_id"]][block["element"]["action_id"]]
            sentence = wrong(block["element"], entry, bool(block.get("optional")))
            if sentence:
                found[block["block_id"]] = sentence
    return found
