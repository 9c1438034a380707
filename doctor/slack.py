"""Slack: our tokens, what they may do, the channels of the plans, and whether our clock agrees with Slack's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from slack_sdk import WebClient

from bot.clients import NotSent, Own, RateLimited, Refused, Unknown, call, client
from doctor.finding import Finding, fail, ok, warn
from rollout.placeholders import WORD

FAILURES: Final = (RateLimited, Refused, NotSent, Unknown)
INSTALL: Final = "docs/install.md, 1. The Slack app"
#: Slack takes no request that is signed more than 5 minutes apart.
_SKEW, _MOST_SKEW = 60.0, 240.0

#: The scope without which groups cannot be read.
GROUPS: Final = "usergroups:read"


@dataclass(frozen=True, slots=True)
class Scopes:
    """What manifest.yml asks for."""

    required: tuple[str, ...]
    optional: tuple[str, ...]

    @staticmethod
    def of(manifest: Mapping[str, Any]) -> "Scopes":
        """Those of a manifest as YAML gives it."""
        scopes = manifest["oauth_config"]["scopes"]
        return Scopes(tuple(scopes["bot"]), tuple(scopes.get("bot_optional") or ()))


@dataclass(frozen=True, slots=True)
class Answer:
    """What auth.test said: who we are, which scopes we have (None: not told), and what time it is there."""

    own: Own
    team: str
    user: str
    scopes: frozenset[str] | None
    date: datetime | None


def who(web: WebClient) -> Answer:
    """Ask auth.test. Raises as ``bot.clients.call``."""
    headers: dict[str, str] = {}

    def asked() -> Any:
        response = web.auth_test()
        headers.update({k.lower(): v[0] if isinstance(v, list) else v for k, v in response.headers.items()})
        return response

    said = call(asked)
    given = headers.get("x-oauth-scopes")
    scopes = frozenset(s.strip() for s in given.split(",") if s.strip()) if given is not None else None
    own = Own(str(said["team_id"]), str(said["user_id"]), said.get("enterprise_id"))
    return Answer(own, str(said.get("team") or ""), str(said.get("user") or ""), scopes, _date(headers.get("date")))


def bot(web: WebClient, wanted: Scopes, groups_named: bool, now: datetime) -> Iterator[Finding]:
    """The bot token: that it is accepted, its scopes, and our clock (``now`` is machine time)."""
    try:
        answer = who(web)
    except FAILURES as error:
        yield fail("slack bot token", said(error), _next(error, f"Check SLACK_BOT_TOKEN ({INSTALL})."))
        return
    yield ok("slack bot token", f"{answer.user} ({answer.own.user_id}) in {answer.team} ({answer.own.team_id})")
    yield _scopes(answer.scopes, wanted, groups_named)
    if answer.date is not None:
        yield clock(answer.date, now)


def clock(theirs: datetime, ours: datetime) -> Finding:
    """Whether this machine's clock agrees with Slack's."""
    apart = abs((theirs - ours).total_seconds())
    if apart <= _SKEW:
        return ok("clock", f"agrees with Slack's within {max(apart, 1):.0f} s")
    todo = "Set this machine's clock (NTP): Slack refuses what is signed more than 5 minutes apart."
    return (fail if apart > _MOST_SKEW else warn)("clock", f"{apart:.0f} s apart from Slack's", todo)


def _scopes(have: frozenset[str] | None, wanted: Scopes, groups_named: bool) -> Finding:
    subject = "slack scopes"
    if have is None:
        return warn(subject, "Slack did not say them", f"Compare those of the app with manifest.yml ({INSTALL}).")
    lacking = [s for s in wanted.required if s not in have]
    if lacking:
        todo = "Add them under OAuth & Permissions and install the app again; the tokens stay."
        return fail(subject, f"missing: {', '.join(lacking)}", todo)
    optional = [s for s in wanted.optional if s not in have]
    if GROUPS in optional and groups_named:
        todo = "Add it and install the app again, or name people instead of groups in the plan."
        return fail(subject, f"missing: {GROUPS}, and a plan names user groups", todo)
    more = f"; without the optional {', '.join(optional)}" if optional else ""
    return ok(subject, f"all {len(wanted.required)} of manifest.yml{more}")


def app(token: str, base_url: str, seconds: float) -> Iterator[Finding]:
    """The app-level token: that Socket Mode gives us a connection. None is opened, so no press is taken away."""
    subject = "slack app token"
    try:
        call(client(token, base_url, seconds).apps_connections_open, app_token=token)
    except FAILURES as error:
        switched_off = isinstance(error, Refused) and error.error == "socket_mode_not_enabled"
        todo = (
            "Switch Socket Mode on in the app, or set ROLLOUT_MODE=http."
            if switched_off
            else f"Check SLACK_APP_TOKEN: an app-level token with connections:write ({INSTALL})."
        )
        yield fail(subject, said(error), _next(error, todo))
        return
    # Only who is connected is told how many are, and who is connected takes a share of the presses.
    yield ok(subject, "Socket Mode takes it; a running bot logs other_connections when somebody else uses it, too")


def channels(web: WebClient, wanted: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """The channel of each plan: (plan key, channel id)."""
    for plan, channel in wanted:
        yield _channel(web, f"channel of {plan}", channel)


def _channel(web: WebClient, subject: str, channel: str) -> Finding:
    if WORD in channel:
        return fail(subject, f"{channel} is still to be filled in", "Put the id of the channel into the plan.")
    try:
        info = call(web.conversations_info, channel=channel)["channel"]
    except FAILURES as error:
        if isinstance(error, Refused) and error.error == "channel_not_found":
            todo = "Check its id in the plan; into a private channel the bot has to be invited: /invite @rollout"
            return fail(subject, f"{channel} does not exist, or is private and without the bot", todo)
        refused = isinstance(error, Refused) and error.error in _NO_TOKEN
        todo = "Mend the bot token first." if refused else "Look again, and at the scopes above."
        return fail(subject, f"{channel}: {said(error)}", _next(error, todo))
    name = f"#{info.get('name')} ({channel})"
    if info.get("is_archived"):
        return fail(subject, f"{name} is archived", "Name another channel in the plan.")
    if info.get("is_ext_shared") or info.get("is_pending_ext_shared"):
        todo = "Name a channel in the plan that only your own company is in: in this one nothing may be decided."
        return fail(subject, f"{name} is shared with another company, or about to be", todo)
    if not info.get("is_member"):
        return fail(subject, f"the bot is not in {name}", f"Type /invite @rollout in {name}.")
    return ok(subject, f"{name}: the bot is in it, and it is not shared with another company")


def said(error: Exception) -> str:
    """What a failure of Slack is, without anything of the request."""
    if isinstance(error, Refused):
        return f"Slack says {error.error}"
    if isinstance(error, RateLimited):
        return f"Slack asks to wait {error.seconds:.0f} s"
    return "Slack cannot be reached"


_NO_TOKEN: Final = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})


def _next(error: Exception, todo: str) -> str:
    return todo if isinstance(error, Refused) else "Look whether Slack can be reached from here (proxy, SLACK_API_URL)."


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
