"""The ways in which the local Slack says no."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A Web API answer with ok false: Slack's error name, and what else the answer holds."""

    def __init__(self, error: str, messages: list[str] | None = None, **extra: Any) -> None:
        """`messages` become response_metadata.messages; `extra` are further fields of the answer."""
        super().__init__(error)
        self.error = error
        self.messages = messages or []
        self.extra = extra

    def answer(self) -> dict[str, Any]:
        """The JSON body."""
        body: dict[str, Any] = {"ok": False, "error": self.error, **self.extra}
        if self.messages:
            body["response_metadata"] = {"messages": self.messages}
        if self.error == "invalid_blocks":
            body["errors"] = [sentence.removeprefix("[ERROR] ") for sentence in self.messages]
        return body


class RateLimited(Refused):
    """HTTP 429 with Retry-After, in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        """`retry_after` is at least 1."""
        super().__init__("ratelimited")
        self.retry_after = retry_after


class PageError(Exception):
    """A bad request of the page or of a terminal, as a plain sentence."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        """`status` is 400, or 404 for what does not exist."""
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
