"""Who pressed: established from Slack after every press, within a second, and refused when that fails."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any

import structlog
from slack_sdk import WebClient

from bot.clients import NotSent, Own, RateLimited, Refused, Unknown, call
from bot.press import Kind, Press
from commands.reply import Actor

log = structlog.get_logger("bot.identity")

_FAILURES = (RateLimited, Refused, NotSent, Unknown)
#: Errors by which Slack says that we may not see a channel: it cannot be shown that it is not shared.
_HIDDEN = frozenset({"channel_not_found", "missing_scope", "method_not_supported_for_channel_type"})


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
        group_cache: float = 60.0,
        channel_cache: float = 60.0,
        threads: int = 16,
    ) -> None:
        self._web, self._own, self._groups = web, own, groups
        self._seconds, self._group_cache, self._channel_cache = seconds, group_cache, channel_cache
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="identity")
        self._lock = threading.Lock()
        self._members: dict[str, tuple[float, frozenset[str]]] = {}
        self._shared: dict[str, tuple[float, bool]] = {}

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def find(self, press: Press) -> Found:
        """Who made the press. Never raises: what cannot be established is ``identity_unknown``."""
        fresh = press.acts
        until = time.monotonic() + self._seconds * 1.2
        user = self._pool.submit(call, self._web.users_info, user=press.user)
        wanted = self._groups()
        groups = {g: self._pool.submit(self._members_of, g, fresh) for g in sorted(wanted)}
        channel = self._pool.submit(self._is_shared, press.channel) if press.channel else None
        try:
            actor = self._actor(press, _answer(user, until)["user"])
            if actor.problem is None:
                held = frozenset(g for g, members in groups.items() if press.user in _answer(members, until))
                actor = Actor(actor.team_id, actor.user_id, held, None, actor.name)
        except (*_FAILURES, TooLate, KeyError) as error:
            log.warning("identity could not be established", user=press.user, error=_said(error))
            return Found(Actor(press.team or "", press.user, problem="identity_unknown"), False)
        if channel is None:
            return Found(actor, False)
        try:
            return Found(actor, _answer(channel, until))
        except Refused as error:
            log.warning("a channel cannot be looked at", channel=press.channel, error=_said(error))
            return Found(actor, fresh)
        except (*_FAILURES, TooLate) as error:
            log.warning("a channel cannot be looked at", channel=press.channel, error=_said(error))
            if fresh and actor.problem is None:
                actor = Actor(actor.team_id, actor.user_id, problem="identity_unknown", name=actor.name)
            return Found(actor, False)

    def _actor(self, press: Press, user: Mapping[str, Any]) -> Actor:
        problem = problem_of(user, self._own)
        if problem is None and press.kind in (Kind.ACTION, Kind.SUBMISSION) and not self._agrees(press.team, user):
            problem = "other_team"
        return Actor(str(user.get("team_id") or ""), press.user, problem=problem, name=_name(user))

    def _agrees(self, said: str | None, user: Mapping[str, Any]) -> bool:
        """Whether the team in the payload is the one that Slack gives for the user; inside one organisation any is."""
        if said == user.get("team_id"):
            return True
        return self._own.enterprise_id is not None and said is not None and said == self._own.team_id

    def _members_of(self, group: str, fresh: bool) -> frozenset[str]:
        now = time.monotonic()
        with self._lock:
            at, held = self._members.get(group, (float("-inf"), frozenset()))
        if not fresh and now - at < self._group_cache:
            return held
        found = members_of(self._web, group)
        with self._lock:
            self._members[group] = (now, found)
        return found

    def _is_shared(self, channel: str) -> bool:
        if channel.startswith("D"):
            return False  # a direct message: the person's own team is what counts
        now = time.monotonic()
        with self._lock:
            at, shared = self._shared.get(channel, (float("-inf"), False))
        if now - at < self._channel_cache:
            return shared
        info = call(self._web.conversations_info, channel=channel)["channel"]
        shared = bool(info.get("is_ext_shared") or info.get("is_pending_ext_shared"))
        with self._lock:
            self._shared[channel] = (now, shared)
        return shared


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
