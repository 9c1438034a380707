"""What a person enters in a field, as words -> the JSON that Slack's client would hold."""

from __future__ import annotations

import re
from datetime import datetime

from sandbox.say import text
from sandbox.say.client import Json, Trouble
from sandbox.say.finding import Field, listed, matching
from sandbox.say.inline import Names


def split(assignment: str) -> tuple[str, str]:
    """LABEL=VALUE -> (label, value)."""
    name, equals, value = assignment.partition("=")
    if not equals:
        raise Trouble(f"{assignment!r} is not LABEL=VALUE")
    return name.strip(), value.strip()


def payload(field: Field, value: str, names: Names) -> Json:
    """The value of a field, found among its options or people where it has them."""
    element, kind = field.element, str(field.element.get("type"))
    if kind in ("static_select", "external_select", "radio_buttons", "overflow"):
        return {"selected_option": _option(field, value, names)}
    if kind in ("multi_static_select", "multi_external_select", "checkboxes"):
        return {"selected_options": _options(field, value, names)}
    if kind == "users_select":
        return {"selected_user": _person(value, names)}
    if kind == "multi_users_select":
        return {"selected_users": [_person(part, names) for part in value.split(",") if part.strip()]}
    if kind in ("channels_select", "conversations_select"):
        return {f"selected_{kind.removesuffix('s_select')}": _channel(value, names)}
    if kind == "datepicker":
        return {"selected_date": _shaped(value, r"\d{4}-\d{2}-\d{2}", "a day as 2026-11-24", field)}
    if kind == "timepicker":
        return {"selected_time": _shaped(value, r"\d{2}:\d{2}", "a time as 14:30", field)}
    if kind == "datetimepicker":
        return {"selected_date_time": _moment(value, field)}
    if element.get("multiline"):
        value = value.replace("\\n", "\n")
    return {"value": value or None}


def _option(field: Field, value: str, names: Names) -> Json:
    options = text.options(field.element)
    hits = matching(options, value, lambda o: text.label(o, names))
    if not hits:
        hits = [option for option in options if option.get("value") == value]
    labels = [text.label(option, names) for option in options]
    if not hits:
        raise Trouble(f"{field.name!r} has no option {value!r}; there are: {listed(labels)}")
    if len(hits) > 1:
        found = listed([text.label(option, names) for option in hits])
        raise Trouble(f"{value!r} fits several options of {field.name!r}: {found}; name one of them")
    return hits[0]


def _options(field: Field, value: str, names: Names) -> list[Json]:
    """A comma list; `*` takes all; an option whose own text holds commas is found, too."""
    options = text.options(field.element)
    if value == "*":
        return options
    if not value:
        return []
    if "," in value and any(value.casefold() == text.label(option, names).casefold() for option in options):
        return [_option(field, value, names)]
    picked = [_option(field, part.strip(), names) for part in value.split(",") if part.strip()]
    return [option for option in options if option in picked]


def _person(value: str, names: Names) -> str:
    wanted = value.strip().lstrip("@")
    if wanted in names.keys:
        return names.keys[wanted]
    if wanted in names.users:
        return wanted
    hits = matching(list(names.users.items()), wanted, lambda item: item[1])
    if len(hits) == 1:
        return hits[0][0]
    raise Trouble(f"there is no person {wanted!r}; there are: {listed(list(names.keys))}")


def _channel(value: str, names: Names) -> str:
    wanted = value.strip().lstrip("#")
    for channel, name in names.channels.items():
        if wanted in (channel, name):
            return channel
    raise Trouble(f"there is no channel {wanted!r}; there are: {listed(list(names.channels.values()))}")


def _shaped(value: str, pattern: str, meant: str, field: Field) -> str | None:
    if value and not re.fullmatch(pattern, value):
        raise Trouble(f"{field.name!r} wants {meant}, not {value!r}")
    return value or None


def _moment(value: str, field: Field) -> int | None:
    if not value:
        return None
    try:
        return int(value) if value.isdigit() else int(datetime.fromisoformat(value).timestamp())
    except ValueError:
        raise Trouble(f"{field.name!r} wants a time as '2026-11-24 14:30', not {value!r}") from None
