"""How text that a person typed reaches the app: entities for people, channels, groups and links, or as it was typed."""

from __future__ import annotations

import re

from sandbox.slack.people import Cast

SPECIAL = {"channel": "<!channel>", "here": "<!here>", "everyone": "<!everyone>"}


def plain(text: str) -> str:
    """The three characters that Slack always escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def entities(cast: Cast, text: str) -> str:
    """Text with @name, #channel and links resolved, and everything else escaped (`should_escape: true`)."""
    names: dict[str, str] = {}
    for person in cast.people.values():
        names["@" + person.key] = names["@" + person.name] = f"<@{person.id}>"
    for group in cast.groups.values():
        names["@" + group.handle] = f"<!subteam^{group.id}>"
    names.update({f"@{word}": mention for word, mention in SPECIAL.items()})
    names["@" + cast.bot_name] = f"<@{cast.bot_user}>"
    for channel in cast.channels.values():
        names["#" + channel.name] = f"<#{channel.id}|{channel.name}>"
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?P<link>https?://[^\s<>]+)|(?<![\w@#])(?P<name>{known})(?![\w-])")
    done, at = [], 0
    for found in pattern.finditer(text):
        done.append(plain(text[at : found.start()]))
        done.append(f"<{found['link'].replace('&', '&amp;')}>" if found["link"] else names[found["name"]])
        at = found.end()
    return "".join([*done, plain(text[at:])])
