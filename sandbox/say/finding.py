"""Finding what a person names: buttons and fields, case-insensitive, exact before prefix before substring."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sandbox.say import text
from sandbox.say.client import Json, Trouble, blocks_of
from sandbox.say.inline import Names, words

T = TypeVar("T")
FIELDS = {
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
    "static_select",
    "external_select",
    "multi_static_select",
    "multi_external_select",
    "users_select",
    "multi_users_select",
    "channels_select",
    "conversations_select",
    "radio_buttons",
    "checkboxes",
    "datepicker",
    "timepicker",
    "datetimepicker",
    "overflow",
}


@dataclass(frozen=True)
class Button:
    """Something to press: a button, an entry of an overflow menu, or the foot of a dialog."""

    name: str
    place: str  # what stands beside it, to tell equal names apart
    container: Json
    block: Json
    element: Json
    option: Json | None = None
    foot: str = ""  # "submit" or "close"

    @property
    def full(self) -> str:
        """The name with what stands beside it."""
        return f"{self.name} ({self.place})" if self.place else self.name

    @property
    def same(self) -> tuple[object, ...]:
        """Two buttons with equal `same` do the same."""
        option = (self.option or {}).get("value")
        return (self.element.get("action_id"), self.element.get("value"), self.element.get("url"), option, self.foot)


@dataclass(frozen=True)
class Field:
    """Something to fill or choose."""

    name: str
    other: tuple[str, ...]  # further names: placeholder, action id
    container: Json
    block: Json
    element: Json


def matching(items: Sequence[T], wanted: str, name: Callable[[T], str]) -> list[T]:
    """The items whose name is `wanted`, else those that begin with it, else those that hold it."""
    query = _flat(wanted)
    for fits in (str.__eq__, str.startswith, str.__contains__):
        found = [item for item in items if fits(_flat(name(item)), query)]
        if found:
            return found
    return []


def _flat(name: str) -> str:
    return " ".join(name.casefold().split())


def _first_line(thing: Json | str | None, names: Names) -> str:
    line = words(thing, names).strip().split("\n")[0]
    return line if len(line) <= 60 else line[:57] + "..."


def _elements(thing: Json, names: Names) -> Iterator[tuple[Json, Json, str]]:
    """(block, element, what stands beside it) for every element of a message or view."""
    above = ""
    for block in blocks_of(thing):
        kind = block.get("type")
        if kind in ("section", "header", "context", "markdown"):
            source = block.get("text") or next(iter(block.get("fields") or block.get("elements") or []), None)
            above = _first_line(source, names) if source else above
        if kind == "section" and block.get("accessory"):
            yield block, block["accessory"], above
        elif kind in ("actions", "context_actions"):
            for element in block.get("elements") or []:
                yield block, element, above
        elif kind == "input" and block.get("element"):
            yield block, block["element"], words(block.get("label"), names)


def buttons(thing: Json, container: Json, names: Names) -> list[Button]:
    """Everything that can be pressed in a message, a Home tab or a dialog."""
    found = []
    for block, element, place in _elements(thing, names):
        if element.get("type") in ("button", "workflow_button"):
            found.append(Button(words(element.get("text"), names), place, container, block, element))
        elif element.get("type") == "overflow":
            for option in text.options(element):
                found.append(Button(text.label(option, names), place, container, block, element, option))
    if thing.get("type") == "modal":
        for foot, name in text.view_buttons(thing, names).items():
            found.append(Button(name, "", container, {}, {}, None, foot))
    return found


def fields(thing: Json, container: Json, names: Names) -> list[Field]:
    """Everything that can be filled or chosen."""
    found = []
    for block, element, place in _elements(thing, names):
        if element.get("type") not in FIELDS:
            continue
        hint = words(element.get("placeholder"), names)
        action = str(element.get("action_id") or "")
        name = place if block.get("type") in ("input", "section") else hint or place or action
        found.append(Field(name, tuple(n for n in (hint, action, place) if n and n != name), container, block, element))
    return found


def listed(items: Sequence[str]) -> str:
    """Names for a sentence."""
    return ", ".join(dict.fromkeys(items))


def button(places: Sequence[list[Button]], wanted: str) -> Button:
    """The button in the first place that has one; `LABEL #2` takes the second of equal ones."""
    for found in places:
        hits = matching(found, wanted, lambda b: b.name) or matching(found, wanted, lambda b: b.full)
        counted = re.fullmatch(r"(.*\S)\s*#(\d+)", wanted)
        if not hits and counted:
            equal = matching(found, counted[1], lambda b: b.name)
            hits = equal[int(counted[2]) - 1 : int(counted[2])] if int(counted[2]) else []
        if hits:
            return _only(hits, wanted)
    there = listed([b.name for found in places for b in found])
    raise Trouble(
        f"there is no button {wanted!r}; there are: {there}"
        if there
        else f"there is no button {wanted!r}; there is none at all"
    )


def _only(hits: list[Button], wanted: str) -> Button:
    if len({hit.same for hit in hits}) == 1:
        return hits[0]
    labels = [hit.name for hit in hits]
    if len(set(labels)) < len(labels):
        labels = [hit.full for hit in hits]
    if len(set(labels)) < len(labels):
        labels = [f"{hit.name} #{number}" for number, hit in enumerate(hits, start=1)]
    raise Trouble(f"{wanted!r} fits several buttons: {listed(labels)}; name one of them")


def field(places: Sequence[list[Field]], wanted: str) -> Field:
    """The field in the first place that has one, by label, else by placeholder or action id."""
    for found in places:
        hits = matching(found, wanted, lambda f: f.name)
        if not hits:
            hits = [f for f in found if matching(f.other, wanted, str)]
        if len(hits) > 1:
            raise Trouble(f"{wanted!r} fits several fields: {listed([f.name for f in hits])}; name one of them")
        if hits:
            return hits[0]
    there = listed([f.name for found in places for f in found])
    raise Trouble(
        f"there is no field {wanted!r}; there are: {there}"
        if there
        else f"there is no field {wanted!r}; there is none at all"
    )
