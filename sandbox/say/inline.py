"""Slack's texts -> plain words: mrkdwn, plain_text and rich_text without their marks, with names instead of ids."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from sandbox.say.client import Json

EMOJI = Path(__file__).resolve().parent.parent / "page" / "emoji.json"


class Names:
    """Whom and what the ids in texts mean."""

    def __init__(self, state: Json) -> None:
        """`state` is the answer of /sandbox/state."""
        self.users: dict[str, str] = {person["id"]: person["name"] for person in state.get("people", [])}
        self.keys: dict[str, str] = {person["key"]: person["id"] for person in state.get("people", [])}
        self.channels: dict[str, str] = {channel["id"]: channel["name"] for channel in state.get("channels", [])}
        bot = state.get("bot") or {}
        self.bot = str(bot.get("name") or "rollout")
        if bot.get("user_id"):
            self.users[bot["user_id"]] = self.bot

    def user(self, user: str) -> str:
        """A person's name, or the id."""
        return self.users.get(user, user)

    def channel(self, channel: str) -> str:
        """A channel's name, or the id."""
        return self.channels.get(channel, channel)


@cache
def _emoji() -> dict[str, str]:
    return dict(json.loads(EMOJI.read_text(encoding="utf-8")))


def signs(text: str) -> str:
    """Known :shortcodes: -> characters."""
    return re.sub(r":([a-z0-9_+'-]+):", lambda m: _emoji().get(m[1], m[0]), text) if ":" in text else text


def unescape(text: str) -> str:
    """Undo Slack's three entities."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def date(seconds: float, form: str) -> str:
    """<!date^...> as Slack shows it, in local time."""
    moment = time.localtime(seconds)
    day, clock = time.strftime("%Y-%m-%d", moment), time.strftime("%H:%M", moment)
    long = time.strftime("%A, %B %d, %Y", moment)
    short = time.strftime("%b %d, %Y", moment)

    def part(match: re.Match[str]) -> str:
        name = match[1]
        if name == "time":
            return clock
        if name == "time_secs":
            return time.strftime("%H:%M:%S", moment)
        if name.startswith("date_num"):
            return day
        return long if name.startswith("date_long") else short

    return re.sub(r"\{(\w+)\}", part, form)


def _token(inside: str, names: Names) -> str:
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        return "@" + (label or names.user(target[1:]))
    if target.startswith("#"):
        return "#" + (label or names.channel(target[1:]))
    if target.startswith("!date^"):
        pieces = target.split("^")
        try:
            return date(float(pieces[1]), pieces[2])
        except (IndexError, ValueError):
            return label
    if target.startswith("!subteam^"):
        return label or "@group"
    if target.startswith("!"):
        return "@" + target[1:]
    if not re.match(r"[a-z][a-z0-9+.-]*:", target, re.I):
        return f"<{inside}>"
    if not label or label == target:
        return target.removeprefix("mailto:")
    return f"{label} ({target})"


STYLE = re.compile(r"(?<![\w*_~`])([*_~])(?=[^\s*_~])([^\n]*?[^\s])\1(?![\w*_~])")


def mrkdwn(text: str, names: Names) -> str:
    """mrkdwn -> words: marks go, links keep their address, mentions get names. Code keeps every character."""
    kept: list[str] = []

    def keep(part: str) -> str:
        kept.append(unescape(part))
        return f"\x00{len(kept) - 1}\x00"

    def plain(part: str) -> str:
        return re.sub(r"<(?:[^<>|\n]*\|)?([^<>\n]*)>", r"\1", part)

    out = re.sub(r"```\n?(.*?)\n?```", lambda m: keep(plain(m[1])), str(text), flags=re.S)
    out = re.sub(r"`([^`\n]+)`", lambda m: keep(plain(m[1])), out)
    out = re.sub(r"<([^<>\n]+)>", lambda m: keep(_token(m[1], names)), out)
    for _ in range(3):
        out = STYLE.sub(lambda m: m[2], out)
    out = re.sub(r"^(?:&gt;|>) ?", "  | ", out, flags=re.M)
    out = unescape(signs(out))
    return re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m[1])], out)


def words(thing: Json | str | None, names: Names) -> str:
    """A text object (or a bare string) -> words."""
    if thing is None:
        return ""
    if isinstance(thing, str):
        return unescape(signs(thing))
    if thing.get("type") == "mrkdwn":
        return mrkdwn(str(thing.get("text", "")), names)
    text = str(thing.get("text", ""))
    return unescape(text if thing.get("emoji") is False else signs(text))


def rich(elements: Iterable[Json], names: Names) -> list[str]:
    """The parts of a rich_text block -> lines."""
    lines: list[str] = []
    for part in elements:
        kind = part.get("type")
        inner = part.get("elements") or []
        if kind == "rich_text_list":
            indent = int(part.get("indent") or 0)
            first = int(part.get("offset") or 0)
            for index, item in enumerate(inner, start=1):
                mark = f"{first + index}." if part.get("style") == "ordered" else "-"
                lines.append(f"{'  ' * indent}{mark} {_run(item.get('elements') or [], names)}")
        elif kind == "rich_text_quote":
            lines.extend(f"  | {line}" for line in _run(inner, names).split("\n"))
        elif kind == "rich_text_preformatted":
            lines.extend(f"    {line}" for line in _run(inner, names).split("\n"))
        else:
            lines.extend(_run(inner, names).rstrip("\n").split("\n"))
    return lines


def _run(elements: Iterable[Json], names: Names) -> str:
    out = []
    for element in elements:
        kind = element.get("type")
        if kind == "link":
            url, label = str(element.get("url", "")), element.get("text")
            out.append(f"{label} ({url})" if label and label != url else url)
        elif kind == "user":
            out.append("@" + names.user(str(element.get("user_id"))))
        elif kind == "channel":
            out.append("#" + names.channel(str(element.get("channel_id"))))
        elif kind == "usergroup":
            out.append("@group")
        elif kind == "broadcast":
            out.append(f"@{element.get('range')}")
        elif kind == "emoji":
            out.append(signs(f":{element.get('name')}:"))
        elif kind == "date":
            out.append(date(float(element.get("timestamp") or 0), str(element.get("format") or "{date_short} {time}")))
        else:
            out.append(str(element.get("text") or element.get("value") or ""))
    return "".join(out)
