"""Who sits in which channel: members, and whether the bot is one."""

from __future__ import annotations

from sandbox.slack.people import Cast, Person
from sandbox.slack.store import Json, Store


class Seats:
    """Membership, kept in the store so that an invitation survives a restart."""

    def __init__(self, store: Store, cast: Cast) -> None:
        """Seat everybody in channels that have no record yet."""
        self._store = store
        self._cast = cast
        for channel in cast.channels.values():
            if store.get("members", channel.id) is None:
                users, bot = cast.seats(channel)
                store.put("members", channel.id, {"users": users, "bot": bot})

    def _record(self, channel: str) -> Json:
        return self._store.get("members", channel) or {"users": [], "bot": False}

    def bot(self, channel: str) -> bool:
        """Whether the bot is in this channel. It is in every direct-message channel of its own."""
        return channel in self._cast.by_dm or bool(self._record(channel)["bot"])

    def users(self, channel: str) -> list[str]:
        """The user ids of the people who see this channel (deactivated accounts too, whose page is still open)."""
        owner = self._cast.by_dm.get(channel)
        return [owner.id] if owner else [u for u in self._record(channel)["users"] if u in self._cast.by_id]

    def members(self, channel: str) -> list[str]:
        """The members as the Web API lists them: active people, and the bot."""
        users = [user for user in self.users(channel) if not self._cast.by_id[user].deleted]
        return [*users, self._cast.bot_user] if self.bot(channel) else users

    def sees(self, person: Person, channel: str) -> bool:
        """Whether this person reads this channel."""
        return person.id in self.users(channel)

    def set_bot(self, channel: str, inside: bool) -> None:
        """Invite the bot, or remove it."""
        record = self._record(channel)
        self._store.put("members", channel, {**record, "bot": inside})

    def knows(self, channel: str) -> bool:
        """Whether there is a channel with this id, direct messages included."""
        return channel in self._cast.channels or channel in self._cast.by_dm
