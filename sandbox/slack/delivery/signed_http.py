"""Signed HTTP: one POST per payload to the bot's request URL, as Slack signs it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.slack.delivery import DISPATCH_FAILED, OPERATION_TIMEOUT, Cut, Outcome, Parcel
from sandbox.slack.limits import Limits
from sandbox.slack.outbound import Answer, call
from sandbox.slack.wire import strict


class SignedHttp:
    """Delivery to `url`, which takes commands, interactions and events alike."""

    mode = "http"
    timed_out = "http_timeout"

    def __init__(self, url: str, secret: str, limits: Limits, machine: Callable[[], float]) -> None:
        """`secret` is the signing secret."""
        self.url = url
        self._secret = secret
        self._limits = limits
        self._machine = machine

    def _encode(self, parcel: Parcel) -> tuple[str, bytes]:
        """The content type and body of each kind of payload."""
        if parcel.kind == "events_api":
            return "application/json", json.dumps(parcel.payload).encode()
        if parcel.kind == "slash_commands":
            fields = {k: v for k, v in parcel.payload.items() if v is not None}
            return "application/x-www-form-urlencoded", urlencode(fields).encode()
        return "application/x-www-form-urlencoded", urlencode({"payload": json.dumps(parcel.payload)}).encode()

    def signed(self, content_type: str, body: bytes) -> dict[str, str]:
        """The headers of a request with this body."""
        stamp = str(int(self._machine()))
        digest = hmac.new(self._secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Accept": "application/json,*/*",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={digest}",
        }

    async def deliver(self, parcel: Parcel) -> Outcome:
        """POST and read the answer: 200 acknowledges (an event: any 2xx), anything else is dispatch_failed."""
        if parcel.cut is Cut.BEFORE:
            return Outcome(error=DISPATCH_FAILED, reason="connection_failed")
        content_type, body = self._encode(parcel)
        headers = self.signed(content_type, body)
        if parcel.attempt:
            headers["X-Slack-Retry-Num"] = str(parcel.attempt)
            headers["X-Slack-Retry-Reason"] = parcel.reason
        parcel.sent(self._machine())
        try:
            answer = await asyncio.wait_for(call("POST", self.url, headers, body), self._limits.ack_seconds)
        except TimeoutError:
            return Outcome(error=OPERATION_TIMEOUT, reason=self.timed_out)
        except OSError:
            return Outcome(error=DISPATCH_FAILED, reason="connection_failed")
        moment = self._machine()
        if parcel.cut is Cut.AFTER:
            return Outcome(error=DISPATCH_FAILED, reason="connection_failed")
        if answer.status != 200 and not (parcel.kind == "events_api" and 200 <= answer.status < 300):
            stop = answer.headers.get("x-slack-no-retry") == "1"
            return Outcome(error=DISPATCH_FAILED, reason="http_error", no_retry=stop)
        return Outcome(acknowledged=moment, body=self._body(answer) if parcel.accepts_response else None)

    def _body(self, answer: Answer) -> Any:
        """The response payload: a mapping from JSON, {"text": ...} from plain text, None from nothing."""
        text = answer.body.decode("utf-8", "replace")
        if not text.strip():
            return None
        if "json" in answer.headers.get("content-type", ""):
            try:
                return strict(text)
            except (ValueError, RecursionError):
                return text
        return {"text": text}

    async def connected(self) -> bool:
        """Whether somebody listens at the bot's address."""
        parts = urlsplit(self.url)
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, parts.port or 80), 0.5)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def close(self) -> None:
        """Nothing to stop."""
