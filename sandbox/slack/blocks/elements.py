"""Interactive elements: their shapes, and which block takes which."""

from __future__ import annotations

from typing import Any

from sandbox.slack.blocks.objects import (
    CONFIRM,
    IDENTIFIER,
    IMAGE_ELEMENT,
    OPTION,
    OPTION_GROUP,
    PLACEHOLDER,
    TYPE,
    option,
    options_or_groups,
    plain,
    plain_options,
)
from sandbox.slack.blocks.rules import (
    Problems,
    Rule,
    anything,
    array,
    boolean,
    choice,
    integer,
    problem,
    shape,
    string,
)

DATE = string(10, 10, r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "must be a date as YYYY-MM-DD")
TIME = string(5, 5, r"([01]\d|2[0-3]):[0-5]\d", "must be a time as HH:mm")
USER = string(255, 1, r"[UW][A-Z0-9]+", "must be a user id")
CONVERSATION = string(255, 1, r"[CDG][A-Z0-9]+", "must be a conversation id")
BASE: dict[str, Rule] = {"action_id": IDENTIFIER, "confirm": CONFIRM, "focus_on_load": boolean}
DISPATCH = shape({}, {"trigger_actions_on": array(choice("on_enter_pressed", "on_character_entered"), 1, 2)})
FILTER = shape(
    {},
    {
        "include": array(choice("im", "mpim", "private", "public"), 1),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)
BUTTON = shape(
    {**TYPE, "text": plain(75)},
    {
        "action_id": IDENTIFIER,
        "url": string(3000, 1),
        "value": string(2000, 0),
        "style": choice("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(75, 1),
    },
)


def _select(own: dict[str, Rule], multi: bool, *more: Rule, required: dict[str, Rule] | None = None) -> Rule:
    """Any select menu; multi ones take max_selected_items."""
    extra: dict[str, Rule] = {"max_selected_items": integer(1)} if multi else {}
    return shape({**TYPE, **(required or {})}, {**BASE, "placeholder": PLACEHOLDER, **extra, **own}, *more)


def _selects() -> dict[str, Rule]:
    offered = {"options": array(OPTION, 1, 100), "option_groups": array(OPTION_GROUP, 1, 100)}
    external = {"min_query_length": integer(0)}
    response: dict[str, Rule] = {"response_url_enabled": boolean}
    opened: dict[str, Rule] = {"default_to_current_conversation": boolean, "filter": FILTER}
    many = "initial_options"
    return {
        "static_select": _select({**offered, "initial_option": OPTION}, False, options_or_groups),
        "multi_static_select": _select({**offered, many: array(OPTION, 1, 100)}, True, options_or_groups),
        "external_select": _select({**external, "initial_option": OPTION}, False),
        "multi_external_select": _select({**external, many: array(OPTION, 1, 100)}, True),
        "users_select": _select({"initial_user": USER}, False),
        "multi_users_select": _select({"initial_users": array(USER, 1)}, True),
        "conversations_select": _select({"initial_conversation": CONVERSATION, **opened, **response}, False),
        "multi_conversations_select": _select({"initial_conversations": array(CONVERSATION, 1), **opened}, True),
        "channels_select": _select({"initial_channel": CONVERSATION, **response}, False),
        "multi_channels_select": _select({"initial_channels": array(CONVERSATION, 1)}, True),
    }


def _lengths(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """min_length may not be above max_length."""
    if (value.get("min_length") or 0) > (value.get("max_length") or 3000):
        problem(problems, "min_length must be less than or equal to max_length", pointer)


def _numeric(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """The bounds and the first value of a number input are numbers written as strings."""
    numbers: dict[str, float] = {}
    for name in ("min_value", "max_value", "initial_value"):
        if value.get(name) is None:
            continue
        try:
            numbers[name] = float(value[name])
        except ValueError:
            problem(problems, "must be a number", f"{pointer}/{name}")
    if numbers.get("min_value", float("-inf")) > numbers.get("max_value", float("inf")):
        problem(problems, "min_value must be less than or equal to max_value", pointer)


TYPED_TEXT: dict[str, Rule] = {
    "action_id": IDENTIFIER,
    "initial_value": string(3000),
    "dispatch_action_config": DISPATCH,
    "focus_on_load": boolean,
    "placeholder": PLACEHOLDER,
}
CHOICES = {**BASE, "initial_options": array(option(mrkdwn=True), 1, 10)}
ELEMENTS: dict[str, Rule] = {
    "button": BUTTON,
    "workflow_button": shape(
        {**TYPE, "text": plain(75), "workflow": anything},
        {"action_id": IDENTIFIER, "style": choice("primary", "danger"), "accessibility_label": string(75, 1)},
    ),
    "checkboxes": shape({**TYPE, "options": array(option(mrkdwn=True), 1, 10)}, CHOICES, plain_options),
    "radio_buttons": shape(
        {**TYPE, "options": array(option(mrkdwn=True), 1, 10)},
        {**BASE, "initial_option": option(mrkdwn=True)},
        plain_options,
    ),
    "overflow": shape(
        {**TYPE, "options": array(option(url=True), 1, 5)}, {"action_id": IDENTIFIER, "confirm": CONFIRM}
    ),
    "datepicker": shape(TYPE, {**BASE, "initial_date": DATE, "placeholder": PLACEHOLDER}),
    "timepicker": shape(TYPE, {**BASE, "initial_time": TIME, "placeholder": PLACEHOLDER, "timezone": string(255, 1)}),
    "datetimepicker": shape(TYPE, {**BASE, "initial_date_time": integer(1_000_000_000, 9_999_999_999)}),
    **_selects(),
    "plain_text_input": shape(
        TYPE,
        {**TYPED_TEXT, "multiline": boolean, "min_length": integer(0, 3000), "max_length": integer(1, 3000)},
        _lengths,
    ),
    "email_text_input": shape(TYPE, TYPED_TEXT),
    "url_text_input": shape(TYPE, TYPED_TEXT),
    "number_input": shape(
        {**TYPE, "is_decimal_allowed": boolean},
        {**TYPED_TEXT, "min_value": string(50, 1), "max_value": string(50, 1)},
        _numeric,
    ),
    "rich_text_input": shape(
        TYPE,
        {
            "action_id": IDENTIFIER,
            "initial_value": anything,
            "dispatch_action_config": DISPATCH,
            "focus_on_load": boolean,
            "placeholder": PLACEHOLDER,
        },
    ),
    "file_input": shape(
        TYPE, {"action_id": IDENTIFIER, "filetypes": array(string(50, 1), 1), "max_files": integer(1, 10)}
    ),
    "image": IMAGE_ELEMENT,
}
FEEDBACK_BUTTON = shape({"text": plain(75), "value": string(2000)}, {"accessibility_label": string(75, 1)})
CONTEXT_ACTIONS: dict[str, Rule] = {
    "feedback_buttons": shape(
        {**TYPE, "positive_button": FEEDBACK_BUTTON, "negative_button": FEEDBACK_BUTTON}, {"action_id": IDENTIFIER}
    ),
    "icon_button": shape(
        {**TYPE, "icon": string(255, 1), "text": plain(75)},
        {
            "action_id": IDENTIFIER,
            "accessibility_label": string(75, 1),
            "value": string(2000),
            "visible_to_user_ids": array(USER, 1, 10),
            "confirm": CONFIRM,
        },
    ),
}

SELECTS = tuple(_selects())
PICKERS = ("checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker")
TYPING = ("plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input")
IN_ACTIONS = ("button", "workflow_button", "overflow", *PICKERS, *SELECTS)
IN_SECTION = tuple(kind for kind in (*IN_ACTIONS, "image") if kind != "datetimepicker")
IN_INPUT = (*PICKERS, *SELECTS, *TYPING, "file_input")


def chosen(kinds: tuple[str, ...]) -> dict[str, Rule]:
    """The shapes of these kinds."""
    return {kind: ELEMENTS[kind] for kind in kinds}
