"""Posting and editing messages in channels, with older blocks where Slack refuses the newer ones."""

from collections.abc import Callable
from typing import Any, Final

import structlog
from slack_sdk import WebClient

from bot.answers import BLOCKS, renderings
from bot.clients import Refused, call
from bot.render.messages import message
from commands.reply import Reply

log = structlog.get_logger("bot.posting")

#: Refusals that a person has to settle, and how. Until then the same call is repeated slowly.
ADVICE: Final[dict[str, str]] = {
    "channel_not_found": "invite the bot to the channel (/invite @rollout), or correct the channel id in the plan",
    "not_in_channel": "invite the bot to the channel: /invite @rollout",
    "channel_is_shared": "the channel is shared with another company: name an internal one in the plan",
    "is_archived": "unarchive the channel, or name another one in the plan",
    "restricted_action": "a workspace setting keeps the bot from posting there: allow it, or name another channel",
    "account_inactive": "the bot's account was deactivated: install the app again and renew SLACK_BOT_TOKEN",
    "invalid_auth": "renew SLACK_BOT_TOKEN",
    "not_authed": "set SLACK_BOT_TOKEN",
    "token_revoked": "the app was uninstalled: install it again and renew SLACK_BOT_TOKEN",
    "token_expired": "renew SLACK_BOT_TOKEN",
    "missing_scope": "install the app again from manifest.yml, which lists the scopes",
}

_NO_THREAD = frozenset({"thread_not_found", "invalid_thread_ts", "message_not_found"})


def refuse_shared(internal: Callable[[str], bool], channel: str) -> None:
    """Nothing of a rollout is shown to another company (facts 6, threat 3). Raises Refused, or NotSent if unknown."""
    if not internal(channel):
        raise Refused("channel_is_shared")


def post(
    web: WebClient,
    channel: str,
    reply: Reply,
    *,
    thread: str | None = None,
    broadcast: bool = False,
    repeated: bool = False,
) -> str:
    """Post a document and give its ts; where its thread is gone, in the channel. Raises as ``call`` does."""

    def send(body: dict[str, Any]) -> Any:
        extra: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": broadcast} if thread is not None else {}
        common = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
        try:
            return call(web.chat_postMessage, **common, **body, **extra)
        except Refused as error:
            if thread is None or error.error not in _NO_THREAD:
                raise
            return call(web.chat_postMessage, **common, **body)

    return str(_first_accepted(send, renderings(lambda detail: message(reply, detail, repeated=repeated)))["ts"])


def post_card(web: WebClient, channel: str, bodies: list[dict[str, Any]]) -> str:
    """Post a card, given its renderings, and give its ts. Raises as ``call`` does."""
    common = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
    return str(_first_accepted(lambda body: call(web.chat_postMessage, **common, **body), bodies)["ts"])


def edit_card(web: WebClient, channel: str, ts: str, bodies: list[dict[str, Any]]) -> None:
    """Edit a card, given its renderings. Raises as ``call`` does."""
    _first_accepted(lambda body: call(web.chat_update, channel=channel, ts=ts, **body), bodies)


def _first_accepted(send: Callable[[dict[str, Any]], Any], bodies: list[dict[str, Any]]) -> Any:
    for body in bodies:
        try:
            return send(body)
        except Refused as error:
            if error.error not in BLOCKS or body is bodies[-1]:
                raise
            log.warning("Slack refused blocks; sent again with older ones", error=str(error))
    raise AssertionError("there is always a rendering")


def backoff(attempts: int, first: float = 2.0, most: float = 300.0) -> float:
    """Seconds to wait after so many attempts."""
    return min(most, first * 2.0 ** min(attempts, 12))
