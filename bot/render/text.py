"""Lines of a document as Slack's mrkdwn, escaped by construction: nothing that a person typed is taken for markup."""

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from bot.render import limits
from commands.reply import At, Code, Icon, Line, Link, Part, Person, Strong

#: The closed set of icons, by the names of Slack's own emoji.
ICONS: Final[dict[str, str]] = {
    "ok": ":white_check_mark:",
    "failed": ":x:",
    "warning": ":warning:",
    "working": ":hourglass_flowing_sand:",
    "waiting": ":white_circle:",
    "ready": ":large_blue_circle:",
    "blocked": ":no_entry:",
    "locked": ":lock:",
    "paused": ":double_vertical_bar:",
    "back": ":leftwards_arrow_with_hook:",
    "chart": ":bar_chart:",
    "info": ":information_source:",
}

_USER = re.compile(r"[UW][A-Z0-9]{2,20}")
_INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00-\x08\x0b-\x1f\x7f]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_EMOJI = re.compile(r":(?=[A-Za-z0-9_+'-]*[A-Za-z][A-Za-z0-9_+'-]*:|[+-]1:|100:|1234:)")
_OPENS = re.compile(r"(?<!\w)([*_~])(?=\S)|(?<=\S)([*_~])(?!\w)")
_LOOKS_LIKE: Final = {"*": "∗", "_": "ˍ", "~": "∼"}


def bare(text: str) -> str:
    """Typed text on one line, without control characters and without what turns the reading direction of the rest."""
    text = " ".join(_INVISIBLE.sub("", re.sub(r"[\r\n\t\u2028\u2029]+", " ", text)).split(" "))
    return f"\u2068{text}\u2069" if _RIGHT_TO_LEFT.search(text) else text


def escape(text: str) -> str:
    """The three characters by which Slack tells mentions, links and dates."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def literal(text: str) -> str:
    """Typed text that shows as it is: no mention, no link, no code span, no emoji, no bold."""
    text = bare(text).replace("`", "ˋ")
    text = _OPENS.sub(lambda m: _LOOKS_LIKE[m.group(1) or m.group(2)], text)
    return escape(_EMOJI.sub(":\u2060", text))


def instant(when: datetime) -> str:
    """A calendar instant with its day, in UTC."""
    return when.astimezone(UTC).strftime("%a %d %b %H:%M UTC")


def is_user(user_id: str) -> bool:
    """Whether this looks like a Slack user id, so that Slack shows a name for it."""
    return _USER.fullmatch(user_id) is not None


def mrkdwn(line: Line) -> str:
    """A line for a ``mrkdwn`` text object with ``verbatim``."""
    return "".join(map(_part, line))


def plain(line: Line) -> str:
    """A line without any markup, for tables, fallbacks and labels."""
    return "".join(map(_plain_part, line))


def text_field(text: str) -> str:
    """The plain ``text`` of a message: for notifications and screen readers. Escaped, because Slack parses it too."""
    return limits.cut(escape(_INVISIBLE.sub("", text)), limits.TEXT) or "-"


def _part(part: Part) -> str:
    match part:
        case str():
            return literal(part)
        case Strong(text):
            return _around("*", literal(text))
        case Code(text):
            return _around("`", escape(bare(text).replace("`", "ˋ")))
        case Person(user_id):
            return f"<@{user_id}>" if is_user(user_id) else literal(user_id)
        case At(when):
            return instant(when)
        case Link(url, text):
            if not re.match(r"https?://", url):
                return literal(text)
            return f"<{escape(quote(url, safe=_IN_URL))}|{literal(text).replace('|', '¦') or 'link'}>"
        case Icon(name):
            return ICONS.get(name, "")


_IN_URL: Final = "%/:?#[]@!$&'()*+,;=-._~"


def _around(mark: str, text: str) -> str:
    """``text`` between marks; white space stays outside, or Slack would not see the marks."""
    words = text.strip()
    if not words:
        return text
    head = text[: len(text) - len(text.lstrip())]
    return f"{head}{mark}{words}{mark}{text[len(head) + len(words) :]}"


def _plain_part(part: Part) -> str:
    match part:
        case str():
            return bare(part)
        case Strong(text) | Code(text) | Link(_, text):
            return bare(text)
        case Person(user_id):
            return f"@{user_id}"
        case At(when):
            return instant(when)
        case Icon():
            return ""
