"""Who pressed: established from Slack after every press, within a second, and refused when that fails."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import structlog
from slack_sdk import WebClient

from bot.clients import NotSent, Own, RateLimited, Refused, Unknown, call
from bot.press import Kind, Press
from commands.reply import Actor

log = structlog.get_logger("bot.identity")

MOST_KEPT: Final = 1000
#: How long a person is let wait, in seconds, because Slack limits how often we may ask. What is found then opens a
#: dialog within the 3 s of a trigger, or a button that opens it.
PATIENCE: Final = 5.0

_FAILURES = (RateLimited, Refused, NotSent, Unknown)
#: What an answer of another shape than expected raises.
_ODD = (KeyError, TypeError, AttributeError, ValueError)


T = TypeVar("T")


class Kept(Generic[T]):
    """What was looked up, for some seconds of machine time. Failures are never kept."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, T]] = {}

    def get(self, key: str, look: Callable[[str], T], fresh: bool = False) -> T:
        """The kept value, or that of ``look(key)``; ``fresh`` always looks. Raises what ``look`` raises."""
        now = time.monotonic()
        with self._lock:
            held = self._found.get(key)
        if held is not None and not fresh and now - held[0] < self._seconds:
            return held[1]
        found = look(key)
        with self._lock:
            if len(self._found) >= MOST_KEPT:
                self._found.clear()
            self._found[key] = (now, found)
        return found

    def last(self, key: str, seconds: float) -> T | None:
        """What was found last, if that is not longer ago."""
        with self._lock:
            held = self._found.get(key)
        return held[1] if held is not None and time.monotonic() - held[0] < seconds else None


@dataclass(frozen=True, slots=True)
class Found:
    """The actor, and whether the channel is shared with another company (or cannot be shown not to be)."""

    actor: Actor
    shared_channel: bool


class Identity:
    """Looks people, groups and channels up. ``groups`` gives the ids of the user groups that plans name."""

    def __init__(
        self,
        web: WebClient,
        own: Own,
        groups: Callable[[], frozenset[str]],
        *,
        seconds: float = 1.0,
        user_cache: float = 30.0,
        group_cache: float = 60.0,
        channel_cache: float = 60.0,
        threads: int = 16,
    ) -> None:
        self._web, self._own, self._groups = web, own, groups
        self._seconds = seconds
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="identity")
        # Only looks are answered from what was kept: users.info allows about 100 calls a minute for all replicas.
        self._users: Kept[Mapping[str, Any]] = Kept(user_cache)
        self._members: Kept[frozenset[str]] = Kept(group_cache)
        self._shared: Kept[bool] = Kept(channel_cache)

    def close(self) -> None:
        """End the threads, and every wait."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def is_internal(self, channel: str) -> bool:
        """Whether a channel is not shared with another company, as far as we may look. Raises NotSent when Slack does
        not answer and did not within the hour: then nothing may be posted there."""
        try:
            return not self._is_shared(channel)
        except Refused:
            return True  # a channel that we may not see refuses the message itself
        except (*_FAILURES, *_ODD) as error:
            held = self._shared.last(channel, 3600.0)
            if held is None:
                raise NotSent("the channel cannot be looked at") from error
            return not held

    def find(self, press: Press) -> Found:
        """Who made the press. Never raises: what cannot be established is ``identity_unknown``, or
        ``slack_rate_limited`` when Slack asks for a longer wait than a person has patience for.

        After a wait everything is asked again: what counts is what is so when it is decided.
        """
        left = PATIENCE
        while True:
            try:
                return self._found(press)
            except RateLimited as limit:
                if limit.seconds > left or self._pause(limit.seconds):
                    log.warning("identity could not be established", user=press.user, error=_said(limit))
                    again = math.ceil(limit.seconds)
                    problem = "slack_rate_limited"
                    return Found(Actor(press.team or "", press.user, problem=problem, again_in=again), False)
                left -= limit.seconds

    def _pause(self, seconds: float) -> bool:
        """Wait; True when the bot ends in the meantime."""
        return self._closed.wait(seconds)

    def _found(self, press: Press) -> Found:
        """As ``find``, but raises RateLimited."""
        fresh = press.acts
        until = time.monotonic() + self._seconds * 1.2
        user = self._pool.submit(self._users.get, press.user, self._look_at_user, fresh)
        wanted = self._groups()
        groups = {g: self._pool.submit(self._members.get, g, self._look_at_group, fresh) for g in sorted(wanted)}
        channel = self._pool.submit(self._is_shared, press.channel) if press.channel else None
        try:
            actor = self._actor(press, _answer(user, until))
            if actor.problem is None:
                held = frozenset(g for g, members in groups.items() if press.user in _answer(members, until))
                actor = Actor(actor.team_id, actor.user_id, held, None, actor.name)
        except RateLimited:
            raise
        except (*_FAILURES, *_ODD, TooLate) as error:
            log.warning("identity could not be established", user=press.user, error=_said(error))
            return Found(Actor(press.team or "", press.user, problem="identity_unknown"), False)
        if channel is None:
            return Found(actor, False)
        try:
            return Found(actor, _answer(channel, until))
        except Refused as error:
            log.warning("a channel cannot be looked at", channel=press.channel, error=_said(error))
            return Found(actor, fresh)
        except RateLimited:
            if fresh and actor.problem is None:
                raise
            return Found(actor, False)  # a look, or refused anyway
        except (*_FAILURES, *_ODD, TooLate) as error:
            log.warning("a channel cannot be looked at", channel=press.channel, error=_said(error))
            if fresh and actor.problem is None:
                actor = Actor(actor.team_id, actor.user_id, problem="identity_unknown", name=actor.name)
            return Found(actor, False)

    def _actor(self, press: Press, user: Mapping[str, Any]) -> Actor:
        problem = problem_of(user, self._own)
        says = press.kind in (Kind.ACTION, Kind.SUBMISSION) or (press.kind == Kind.SHORTCUT and press.team is not None)
        if problem is None and says and not self._agrees(press.team, user):
            problem = "other_team"
        return Actor(str(user.get("team_id") or ""), press.user, problem=problem, name=_name(user))

    def _agrees(self, said: str | None, user: Mapping[str, Any]) -> bool:
        """Whether the team in the payload is the one that Slack gives for the user; inside one organisation any is."""
        if said == user.get("team_id"):
            return True
        return self._own.enterprise_id is not None and said is not None and said == self._own.team_id

    def _look_at_user(self, user: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = call(self._web.users_info, user=user)["user"]
        return found

    def _look_at_group(self, group: str) -> frozenset[str]:
        return members_of(self._web, group)

    def _is_shared(self, channel: str) -> bool:
        if channel.startswith("D"):
            return False  # a direct message: the person's own team is what counts
        return self._shared.get(channel, self._look_at_channel)

    def _look_at_channel(self, channel: str) -> bool:
        info = call(self._web.conversations_info, channel=channel)["channel"]
        return bool(info.get("is_ext_shared") or info.get("is_pending_ext_shared"))


def problem_of(user: Mapping[str, Any], own: Own) -> str | None:
    """The reason code why this account may not act, or None (facts 1.10)."""
    if user.get("deleted"):
        return "deactivated_account"
    if user.get("is_bot") or user.get("is_app_user") or user.get("id") == "USLACKBOT":
        return "bot_account"
    enterprise = (user.get("enterprise_user") or {}).get("enterprise_id")
    same_company = own.enterprise_id is not None and enterprise == own.enterprise_id
    if user.get("team_id") != own.team_id and not same_company:
        return "other_team"
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return "guest_account"
    return None


def members_of(web: WebClient, group: str) -> frozenset[str]:
    """The members of a user group. Raises as ``call`` does."""
    return frozenset(call(web.usergroups_users_list, usergroup=group)["users"])


def _answer(future: "Future[Any]", until: float) -> Any:
    return future.result(timeout=max(0.0, until - time.monotonic()))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _name(user: Mapping[str, Any]) -> str:
    return str(user.get("real_name") or user.get("name") or "")
