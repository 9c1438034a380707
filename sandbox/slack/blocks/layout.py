"""Layout blocks: their shapes, and which surface takes which."""

from __future__ import annotations

from typing import Any

from sandbox.slack.blocks.data import DATA_TABLE, DATA_VISUALIZATION, TABLE
from sandbox.slack.blocks.elements import BUTTON, CONTEXT_ACTIONS, IN_ACTIONS, IN_INPUT, IN_SECTION, chosen
from sandbox.slack.blocks.objects import (
    ALT_TEXT,
    IDENTIFIER,
    IMAGE_ELEMENT,
    TYPE,
    image_url,
    one_image_source,
    plain,
    slack_file,
    text,
)
from sandbox.slack.blocks.rich_text import RICH_TEXT
from sandbox.slack.blocks.rules import Problems, Rule, array, boolean, choice, problem, shape, string, typed

ID: dict[str, Rule] = {"block_id": IDENTIFIER}


def _some_text(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """A section needs text or fields."""
    if value.get("text") is None and value.get("fields") is None:
        problem(problems, "must provide either text or fields", pointer)


def _some_content(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """A card needs something to show."""
    if all(value.get(name) is None for name in ("hero_image", "title", "actions", "body")):
        problem(problems, "must provide at least one of hero_image, title, actions, body", pointer)


def _container(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """A container needs a title; it starts folded only if it folds, and has no header divider then."""
    if value.get("title") is None and value.get("rich_text_title") is None:
        problem(problems, "must provide either title or rich_text_title", pointer)
    if value.get("default_collapsed") and not value.get("is_collapsible"):
        problem(problems, "default_collapsed requires is_collapsible to be true", pointer)
    if value.get("is_collapsible") and value.get("has_header_divider"):
        problem(problems, "has_header_divider cannot be set when is_collapsible is true", pointer)


SECTION = shape(
    TYPE,
    {
        **ID,
        "text": text(3000),
        "fields": array(text(2000), 1, 10),
        "accessory": typed(chosen(IN_SECTION), "accessory"),
        "expand": boolean,
    },
    _some_text,
)
CARD = shape(
    TYPE,
    {
        **ID,
        "hero_image": IMAGE_ELEMENT,
        "icon": IMAGE_ELEMENT,
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "actions": array(typed({"button": BUTTON}, "element"), 1, 3),
    },
    _some_content,
)
TASK_CARD = shape(
    {
        **TYPE,
        "task_id": string(255, 1),
        "title": string(None, 1),
        "status": choice("pending", "in_progress", "complete", "error"),
    },
    {
        **ID,
        "details": RICH_TEXT,
        "output": RICH_TEXT,
        "sources": array(shape({**TYPE, "url": string(3000, 1), "text": string(None, 1)})),
    },
)
SIMPLE: dict[str, Rule] = {
    "actions": shape({**TYPE, "elements": array(typed(chosen(IN_ACTIONS), "element"), 1, 25)}, ID),
    "context": shape(
        {
            **TYPE,
            "elements": array(
                typed(
                    {"image": IMAGE_ELEMENT, "plain_text": plain(3000), "mrkdwn": text(3000, kinds=("mrkdwn",))},
                    "element",
                ),
                1,
                10,
            ),
        },
        ID,
    ),
    "divider": shape(TYPE, ID),
    "header": shape({**TYPE, "text": plain(150)}, ID),
    "image": shape(
        {**TYPE, "alt_text": ALT_TEXT},
        {**ID, "image_url": image_url, "slack_file": slack_file, "title": plain(2000)},
        one_image_source,
    ),
    "input": shape(
        {**TYPE, "label": plain(2000), "element": typed(chosen(IN_INPUT), "element")},
        {**ID, "hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "rich_text": RICH_TEXT,
    "section": SECTION,
    "video": shape(
        {
            **TYPE,
            "alt_text": ALT_TEXT,
            "title": plain(200),
            "video_url": string(3000, 1, r"https://.+", "must be an https URL"),
            "thumbnail_url": image_url,
        },
        {
            **ID,
            "author_name": string(50),
            "description": plain(200),
            "provider_icon_url": image_url,
            "provider_name": string(50),
            "title_url": string(3000, 1, r"https://.+", "must be an https URL"),
        },
    ),
}
ONLY_MESSAGES: dict[str, Rule] = {
    "card": CARD,
    "carousel": shape({**TYPE, "elements": array(typed({"card": CARD}, "element"), 1, 10)}, ID),
    "context_actions": shape({**TYPE, "elements": array(typed(CONTEXT_ACTIONS, "element"), 1, 5)}, ID),
    "data_table": DATA_TABLE,
    "data_visualization": DATA_VISUALIZATION,
    "markdown": shape({**TYPE, "text": string(12000, 1)}, ID),
    "plan": shape(
        {**TYPE, "title": string(None, 1)}, {**ID, "tasks": array(typed({"task_card": TASK_CARD}, "task"), 0, 50)}
    ),
    "table": TABLE,
    "task_card": TASK_CARD,
}
CONTAINER = shape(
    {**TYPE, "child_blocks": array(typed({**SIMPLE, **ONLY_MESSAGES}), 1, 10)},
    {
        **ID,
        "title": plain(150),
        "rich_text_title": RICH_TEXT,
        "subtitle": text(150),
        "width": choice("narrow", "standard", "wide", "full"),
        "icon": IMAGE_ELEMENT,
        "is_collapsible": boolean,
        "default_collapsed": boolean,
        "has_header_divider": boolean,
    },
    _container,
)
ALERT = shape({**TYPE, "text": text(200)}, {**ID, "level": choice("default", "info", "warning", "error", "success")})
SURFACES: dict[str, Rule] = {
    "message": typed({**SIMPLE, **ONLY_MESSAGES, "container": CONTAINER}),
    "modal": typed({**SIMPLE, "alert": ALERT}),
    "home": typed(SIMPLE),
}
BLOCKS_PER_SURFACE = {"message": 50, "modal": 100, "home": 100}
