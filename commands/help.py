"""``help [VERB]``: the commands, from the registered verbs, so that none can be missing."""

from collections.abc import Mapping

from commands.call import refused
from commands.grammar import ALIASES, nearest
from commands.reply import Block, Button, Buttons, Code, Divider, Heading, Line, Note, Paragraph, Reply, Strong, line
from commands.verb import Verb

_GRAMMAR = "/rollout VERB [STAGE or TARGET] [reason]. A target is a name, an id or a pasted Databricks address."


def help_reply(verbs: Mapping[str, Verb], word: str) -> Reply:
    """All commands, or one of them. Raises Refused for a word that is none."""
    if not word:
        return _all(verbs)
    name = ALIASES.get(word.lower(), word.lower())
    verb = verbs.get(name)
    if verb is None or verb.hidden:
        raise unknown(verbs, word, "help")
    lines: list[Line] = [line(verb.summary), *[line(text) for text in verb.detail]]
    others = [alias for alias, meant in ALIASES.items() if meant == verb.name]
    if others:
        lines.append(line(f"Also: {', '.join(others)}"))
    blocks: tuple[Block, ...] = (Paragraph((line(Code(verb.usage)), *lines)), Note(line(_GRAMMAR)))
    return Reply(f"{verb.usage}: {verb.summary}", blocks)


def unknown(verbs: Mapping[str, Verb], word: str, verb: str = "") -> Exception:
    """The refusal of a word that is no command, with the nearest one."""
    known = [v.name for v in verbs.values() if not v.hidden] + list(ALIASES)
    near = nearest(word, known)
    near = ALIASES.get(near, near) if near else None
    hint = f" Did you mean {near}?" if near else ""
    step = f"/rollout {verb + ' ' if verb else ''}{near}" if near else "/rollout help"
    buttons = [Button("Help", "help", {})]
    if near and not verbs[near].act:
        buttons.insert(0, Button(near.capitalize(), near, {}))
    return refused("unknown_verb", f"There is no command “{word[:40]}”.{hint}", step, *buttons)


def _all(verbs: Mapping[str, Verb]) -> Reply:
    shown = [v for v in verbs.values() if not v.hidden]
    looks = tuple(_line(v) for v in shown if not v.act)
    acts = tuple(_line(v) for v in shown if v.act)
    return Reply(
        "The commands of /rollout.",
        (
            Heading("What you can type"),
            Paragraph((line(Strong("Look (only you see the answer)")), *looks)),
            Divider(),
            Paragraph((line(Strong("Act (pause, resume and refresh at once; everything else asks first)")), *acts)),
            Note(line(_GRAMMAR)),
            Buttons((Button("Status", "status", {}), Button("What waits for me", "home", {}))),
        ),
    )


def _line(verb: Verb) -> Line:
    return line(Code(verb.usage), f"  {verb.summary}")
