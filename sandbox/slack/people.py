"""Who and what exists: people, channels and user groups, read once from people.yml."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DEFAULT = Path(__file__).resolve().parent.parent / "people.yml"
SLACKBOT = "USLACKBOT"


@dataclass(frozen=True)
class Team:
    """A workspace of Slack."""

    id: str
    name: str
    domain: str


@dataclass(frozen=True)
class Person:
    """One account. `key` is how the page and the terminal call it, and also its user name."""

    key: str
    id: str
    name: str
    team: str
    channel: str | None = None
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    deleted: bool = False

    @property
    def dm(self) -> str:
        """The id of this person's direct-message channel with the bot."""
        return "D" + self.id[1:]


@dataclass(frozen=True)
class Channel:
    """One channel. `bot` says whether the bot starts as a member; `members` (person keys) overrides the usual rule."""

    id: str
    name: str
    topic: str = ""
    default: bool = False
    is_ext_shared: bool = False
    is_pending_ext_shared: bool = False
    is_private: bool = False
    is_archived: bool = False
    bot: bool | None = None
    members: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Group:
    """A user group and the person keys in it."""

    id: str
    handle: str
    members: tuple[str, ...]


@dataclass
class Cast:
    """Everybody and everything, with the look-ups that the servers need."""

    team: Team
    other_team: Team
    app_id: str
    bot_id: str
    bot_user: str
    bot_name: str
    people: dict[str, Person]
    channels: dict[str, Channel]
    groups: dict[str, Group]
    by_id: dict[str, Person] = field(init=False)
    by_dm: dict[str, Person] = field(init=False)

    def __post_init__(self) -> None:
        """Build the indexes by id."""
        self.by_id = {person.id: person for person in self.people.values()}
        self.by_dm = {person.dm: person for person in self.people.values()}

    def team_of(self, team_id: str) -> Team:
        """The team with this id (ours if it is neither)."""
        return self.other_team if team_id == self.other_team.id else self.team

    def channel(self, name_or_id: str) -> Channel | None:
        """A channel by id, name or #name."""
        wanted = name_or_id.lstrip("#")
        return self.channels.get(wanted) or next((c for c in self.channels.values() if c.name == wanted), None)

    def default_channel(self, person: Person) -> Channel:
        """Where this person types unless told otherwise."""
        own = self.channel(person.channel) if person.channel else None
        return own or next((c for c in self.channels.values() if c.default), next(iter(self.channels.values())))

    def seats(self, channel: Channel) -> tuple[list[str], bool]:
        """Who is in a channel at the very first start: (user ids, whether the bot is)."""
        bot = channel.bot if channel.bot is not None else (channel.default or channel.is_ext_shared)
        if channel.members is not None:
            return [self.people[key].id for key in channel.members if key in self.people], bot
        inside = []
        for person in self.people.values():
            foreign = person.team != self.team.id
            if foreign and not channel.is_ext_shared:
                continue
            if (person.is_restricted or person.is_ultra_restricted) and not channel.default:
                continue
            inside.append(person.id)
        return inside, bot


def load(source: Path | dict[str, Any] | None = None) -> Cast:
    """Read people.yml (or an equal mapping) into a Cast."""
    if isinstance(source, dict):
        raw = source
    else:
        raw = yaml.safe_load((source or DEFAULT).read_text(encoding="utf-8"))
    team = Team(**raw["team"])
    app = raw["app"]
    people = {
        key: Person(key=key, **{"team": team.id, **{k: v for k, v in fields.items() if k in Person.__annotations__}})
        for key, fields in raw["people"].items()
    }
    channels = {}
    for name, fields in raw["channels"].items():
        known = {k: v for k, v in fields.items() if k in Channel.__annotations__}
        if known.get("members") is not None:
            known["members"] = tuple(known["members"])
        channels[fields["id"]] = Channel(name=name, **known)
    groups = {
        fields["id"]: Group(id=fields["id"], handle=handle, members=tuple(fields.get("members", ())))
        for handle, fields in (raw.get("usergroups") or {}).items()
    }
    return Cast(
        team=team,
        other_team=Team(**raw["other_team"]),
        app_id=app["id"],
        bot_id=app["bot_id"],
        bot_user=app["bot_user"],
        bot_name=app["name"],
        people=people,
        channels=channels,
        groups=groups,
    )
