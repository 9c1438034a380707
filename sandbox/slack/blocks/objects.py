"""Composition objects: texts, options, confirmation dialogs, and what else elements share."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sandbox.slack.blocks.rules import Problems, Rule, anything, array, boolean, choice, problem, shape, string, typed

ID_MAX = 255
IDENTIFIER = string(ID_MAX, 1)
TYPE: dict[str, Rule] = {"type": anything}


def plain(maximum: int, minimum: int = 1) -> Rule:
    """A plain_text object."""
    return text(maximum, minimum, kinds=("plain_text",))


def text(maximum: int, minimum: int = 1, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Rule:
    """A text object of one of these kinds."""
    body = string(maximum, minimum)
    shapes = {
        "plain_text": shape({**TYPE, "text": body}, {"emoji": boolean}),
        "mrkdwn": shape({**TYPE, "text": body}, {"verbatim": boolean}),
    }
    return typed({kind: shapes[kind] for kind in kinds}, "text type")


CONFIRM = shape(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": choice("primary", "danger")},
)
PLACEHOLDER = plain(150)


def option(mrkdwn: bool = False, url: bool = False) -> Rule:
    """One option: label 75, value 150, description 75."""
    label = text(75) if mrkdwn else plain(75)
    return shape(
        {"text": label, "value": string(150, 1)},
        {"description": label, **({"url": string(3000)} if url else {})},
    )


OPTION = option()
OPTION_GROUP = shape({"label": plain(75), "options": array(OPTION, 1, 100)})


def options_or_groups(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """Exactly one of options and option_groups, and initial options that are among them."""
    if (value.get("options") is None) == (value.get("option_groups") is None):
        problem(problems, "must provide either options or option_groups", pointer)
        return
    known = list(value.get("options") or [])
    for group in value.get("option_groups") or []:
        known.extend(group["options"])
    among(known, value, pointer, problems)


def among(known: list[Any], value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """Initial options must equal one of those offered."""
    offered = {(o["value"], o["text"]["text"]) for o in known}
    initial = [value["initial_option"]] if value.get("initial_option") else value.get("initial_options") or []
    if any((o["value"], o["text"]["text"]) not in offered for o in initial):
        problem(problems, "initial option(s) must match exactly one of the provided options", pointer)


def plain_options(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """As options_or_groups, for elements that know no groups."""
    among(value["options"], value, pointer, problems)


PRIVATE_HOSTS = ("localhost", "127.", "10.", "192.168.", "169.254.", "0.0.0.0", "[::1]")


def image_url(value: Any, pointer: str, problems: Problems) -> None:
    """A URL that Slack itself could fetch: public http(s), 3,000 characters."""
    before = len(problems)
    string(3000, 1)(value, pointer, problems)
    if len(problems) > before:
        return
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        host = ""
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        problem(problems, "must be a valid URL", pointer)
    elif any(host == bad or host.startswith(bad) for bad in PRIVATE_HOSTS) or "." not in host:
        problem(problems, "downloading image failed", pointer)


def slack_file(value: Any, pointer: str, problems: Problems) -> None:
    """Files are not modelled, so none exists that an image could show."""
    problem(problems, "invalid slack file", pointer)


def one_image_source(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """Exactly one of image_url and slack_file."""
    if (value.get("image_url") is None) == (value.get("slack_file") is None):
        problem(problems, "must provide either image_url or slack_file", pointer)


ALT_TEXT = string(2000, 1)
IMAGE_ELEMENT = shape(
    {**TYPE, "alt_text": ALT_TEXT}, {"image_url": image_url, "slack_file": slack_file}, one_image_source
)
