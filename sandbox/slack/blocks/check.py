"""The entry of the validator: blocks of a message, and whole views."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sandbox.slack.blocks.layout import BLOCKS_PER_SURFACE, SURFACES
from sandbox.slack.blocks.objects import IDENTIFIER, plain
from sandbox.slack.blocks.rules import Problems, anything, array, boolean, problem, shape, string

CHARACTERS_PER_MESSAGE = 13_200
VIEW_BYTES = 250_000
MARKDOWN_PER_MESSAGE = 12_000
TABLES_PER_MESSAGE = 1
CHARTS_PER_MESSAGE = 2
SHOWN = frozenset({"text", "title", "subtitle", "body", "alt_text", "caption", "name", "label", "x_label", "y_label"})
ELEMENT_KEYS = ("elements", "actions", "child_blocks", "tasks")


def elements_of(block: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every element of a block that a person could act on, with its pointer below the block."""
    for key in ("accessory", "element"):
        if isinstance(block.get(key), dict):
            yield block[key], f"/{key}"
    for key in ("elements", "actions"):
        for index, element in enumerate(block.get(key) or []):
            if isinstance(element, dict) and element.get("type") != "card":
                yield element, f"/{key}/{index}"


def walk(blocks: list[Any], pointer: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Every block, those inside containers and carousels too, with its pointer."""
    for index, block in enumerate(blocks):
        if not isinstance(block, dict):
            continue
        yield block, f"{pointer}/{index}"
        if block.get("type") == "container":
            yield from walk(block.get("child_blocks") or [], f"{pointer}/{index}/child_blocks")
        elif block.get("type") == "carousel":
            yield from walk(block.get("elements") or [], f"{pointer}/{index}/elements")


def characters(value: Any) -> int:
    """How many characters of text a structure shows."""
    if isinstance(value, list):
        return sum(characters(entry) for entry in value)
    if not isinstance(value, dict):
        return 0
    total = 0
    for name, entry in value.items():
        total += len(entry) if isinstance(entry, str) and name in SHOWN else characters(entry)
    return total


def _unique(blocks: list[Any], pointer: str, problems: Problems) -> None:
    """block_ids are unique in the whole, action_ids in their block, and only one element takes the focus."""
    seen: set[str] = set()
    focus = 0
    for block, place in walk(blocks, pointer):
        block_id = block.get("block_id")
        if block_id is not None:
            if block_id in seen:
                problem(problems, f"block_id already exists: {block_id}", f"{place}/block_id")
            seen.add(block_id)
        actions: set[str] = set()
        for element, below in elements_of(block):
            focus += bool(element.get("focus_on_load"))
            action_id = element.get("action_id")
            if action_id is None:
                continue
            if action_id in actions:
                problem(problems, f"action_id already exists: {action_id}", f"{place}{below}/action_id")
            actions.add(action_id)
    if focus > 1:
        problem(problems, "only one element may have focus_on_load", pointer)


def check_blocks(blocks: Any, surface: str, pointer: str = "/blocks") -> Problems:
    """What is wrong with the blocks of a "message", a "modal" or a "home" (an empty list: nothing)."""
    problems: Problems = []
    array(SURFACES[surface], 0, BLOCKS_PER_SURFACE[surface])(blocks, pointer, problems)
    if problems:
        return problems
    _unique(blocks, pointer, problems)
    kinds = [block["type"] for block, _ in walk(blocks)]
    if kinds.count("table") > TABLES_PER_MESSAGE:
        problem(problems, f"only {TABLES_PER_MESSAGE} table allowed per message", pointer)
    if kinds.count("data_visualization") > CHARTS_PER_MESSAGE:
        problem(problems, f"no more than {CHARTS_PER_MESSAGE} data_visualization blocks allowed per message", pointer)
    if sum(len(block["text"]) for block, _ in walk(blocks) if block["type"] == "markdown") > MARKDOWN_PER_MESSAGE:
        problem(problems, f"markdown blocks together must be less than {MARKDOWN_PER_MESSAGE + 1} characters", pointer)
    if surface == "message" and any(e.get("type") == "file_input" for b, _ in walk(blocks) for e, _ in elements_of(b)):
        problem(problems, "file_input is not supported in messages", pointer)
    return problems


SHARED = {
    "blocks": anything,
    "private_metadata": string(3000),
    "callback_id": string(255),
    "external_id": string(255),
}
MODAL = shape(
    {"type": anything, "title": plain(24), "blocks": anything},
    {
        **SHARED,
        "submit": plain(24),
        "close": plain(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)
HOME = shape({"type": anything, "blocks": anything}, SHARED)


def check_view(view: Any, kind: str, pointer: str = "/view") -> Problems:
    """What is wrong with a view of this kind, "modal" or "home"."""
    problems: Problems = []
    if not isinstance(view, dict):
        return [f"[ERROR] must provide an object [json-pointer:{pointer}]"]
    if view.get("type") != kind:
        IDENTIFIER(view.get("type"), f"{pointer}/type", problems)
        if not problems:
            problem(problems, f"must be of type {kind}", f"{pointer}/type")
        return problems
    (MODAL if kind == "modal" else HOME)(view, pointer, problems)
    problems += check_blocks(view.get("blocks"), kind, f"{pointer}/blocks") if "blocks" in view else []
    lacks_submit = not problems and kind == "modal" and not view.get("submit")
    if lacks_submit and any(block["type"] == "input" for block in view["blocks"]):
        problem(problems, "a submit is required when input blocks are present", pointer)
    return problems


def too_large(view: dict[str, Any]) -> bool:
    """Whether a view is over 250 KB."""
    return len(json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")) > VIEW_BYTES
