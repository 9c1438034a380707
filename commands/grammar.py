"""``/rollout VERB [STAGE | TARGET] [the rest is the reason]``: text in, verb and arguments out. Pure."""

import html
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

#: Other words for a verb.
ALIASES: Final = {
    "stop": "pause",
    "hold": "pause",
    "freeze": "pause",
    "continue": "resume",
    "undo": "rollback",
    "revert": "rollback",
    "abort": "rollback",
    "who": "contacts",
    "retry": "start",
}

_QUOTES: Final = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "‘": "'",
        "’": "'",
        "‚": "'",
        "–": "-",
        "—": "-",
        "‑": "-",
        "−": "-",
        "\u00a0": " ",
        "\u202f": " ",
        "\u200b": "",
    }
)
#: A command with its reason. What is longer would not fit the button that asks the person to choose.
LONGEST: Final = 900
#: What the title and the comment of an issue hold; Slack's fields take no more.
TITLE: Final = 150
COMMENT: Final = 3000
_ROOM: Final = 80  # for the word that there was more
#: The verb whose words are a report, and may be many.
_TELLS: Final = "issue"
_LINK: Final = re.compile(r"<(?P<mark>[@#!]?)(?P<body>[^<>|]+)(?:\|(?P<label>[^<>]*))?>")
#: The only flags that there are, each of one verb; a dash becomes one of several when it is typed on a phone.
_FLAGS: Final = {"plan": "managed", "status": "compared"}
_FLAG: Final = {verb: re.compile(rf"(?:^|\s)-{{1,2}}{flag}(?=\s|$)", re.IGNORECASE) for verb, flag in _FLAGS.items()}
_PAIRS: Final = {'"': '"', "'": "'", "`": "`"}


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """The verb and its arguments: ``words`` is everything after the verb. No text is the verb ``home``.

    A word that is no verb is given back as it is, for the door to refuse with the nearest one.
    """
    words = clean(text)[:LONGEST].split(maxsplit=1)
    if words and words[0].lower() in {"/rollout", "rollout"}:
        words = words[1].split(maxsplit=1) if len(words) > 1 else []
    if not words:
        return "home", {}
    said = words[0].lower().strip("\"'`.,:;!?")
    verb = ALIASES.get(said, said)
    rest = words[1].strip() if len(words) > 1 else ""
    if verb == _TELLS:
        return verb, _told(text, said)
    if verb in _FLAG and (found := _FLAG[verb].search(rest)):
        rest = f"{rest[: found.start()]} {rest[found.end() :]}".strip()
        return verb, {_FLAGS[verb]: True, **({"words": rest} if rest else {})}
    return verb, {"words": rest} if rest else {}


def _told(text: str, said: str) -> dict[str, Any]:
    """What is told after the verb: its first line as ``words``, as far as a title goes, and the rest as ``comment``."""
    lines = [clean(one) for one in text.split("\n")]
    whole = "\n".join(lines).strip()
    rest = whole[whole.lower().index(said) + len(said) :].lstrip(".,:;!?").strip()
    head, _, comment = rest.partition("\n")
    if " " not in head and comment:  # the stage alone: the title stands below it
        following, _, comment = comment.lstrip().partition("\n")
        head = f"{head} {following}"
    if len(head) > TITLE:
        end = head.rfind(" ", 0, TITLE + 1)
        end = end if end > TITLE // 2 else TITLE
        head, comment = head[:end], f"…{head[end:].strip()}\n{comment}"
    comment = comment.strip()
    if (over := len(comment) - COMMENT) > 0:
        kept = comment[: COMMENT - _ROOM]
        comment = f"{kept}…\n[{over + _ROOM:,} more characters do not fit into this form]"
    return {name: told for name, told in (("words", head.strip()), ("comment", comment)) if told}


def clean(text: str) -> str:
    """Typed text with straight quotes and dashes, one space between words, and Slack's escapes taken away."""
    text = _LINK.sub(_unescaped, text)
    return " ".join(html.unescape(text).translate(_QUOTES).split())


def _unescaped(found: re.Match[str]) -> str:
    mark, body, label = found["mark"], found["body"], found["label"]
    if mark == "@":
        return f"@{label or body}"
    if mark == "#":
        return f"#{label or body}"
    if mark == "!":
        return f"@{label or body.partition('^')[0]}".replace("@@", "@")
    return body.removeprefix("mailto:")


def first_word(words: str) -> tuple[str, str]:
    """The first word and the rest; quotes around several words make them one."""
    words = words.strip()
    if words and words[0] in _PAIRS:
        end = words.find(_PAIRS[words[0]], 1)
        if end > 0:
            return words[1:end].strip(), words[end + 1 :].strip()
    head, _, rest = words.partition(" ")
    return head, rest.strip()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, if one is like it."""
    close = get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    return close[0] if close else None
