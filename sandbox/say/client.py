"""The page API of the local Slack: paths and JSON in, JSON out; a problem leaves as one plain sentence (Trouble)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]


class Trouble(Exception):
    """Something a person should read: there is no such button, or Slack would show an error."""


class Page:
    """What one person sees and does, by the page API."""

    def __init__(self, port: int, person: str) -> None:
        """`person` is a key of people.yml."""
        self.port = port
        self.person = person
        self._link: http.client.HTTPConnection | None = None

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        payload = json.dumps(body).encode() if body is not None else None
        headers = {"content-type": "application/json"} if payload else {}
        for last in (False, True):
            link = self._link or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            fresh, self._link = self._link is None, link
            try:
                link.request(method, path, payload, headers)
                answer = link.getresponse()
                raw = answer.read()
                break
            except (OSError, http.client.HTTPException) as problem:
                link.close()
                self._link = None
                if fresh or last or method == "POST":
                    raise Trouble(
                        f"Nothing answers on http://127.0.0.1:{self.port}. Start the sandbox with: make sandbox"
                    ) from problem
        try:
            found = json.loads(raw) if raw else {}
        except ValueError:
            found = {}
        if answer.status >= 400:
            sentence = found.get("error") if isinstance(found, dict) else None
            raise Trouble(str(sentence or f"The local Slack answered {answer.status} to {path.split('?')[0]}."))
        return dict(found)

    def get(self, what: str, **query: object) -> Json:
        """GET /sandbox/WHAT as this person."""
        words = {"as": self.person, **{k: v for k, v in query.items() if v is not None}}
        return self._ask("GET", f"/sandbox/{what}?{urlencode(words)}")

    def post(self, what: str, **body: object) -> Json:
        """POST /sandbox/WHAT as this person."""
        return self._ask("POST", f"/sandbox/{what}", {"as": self.person, **body})

    def state(self) -> Json:
        """People, channels, commands."""
        return self.get("state")

    def views(self) -> list[Json]:
        """The open dialogs, top last."""
        return list(self.get("views")["views"])

    def messages(self, channel: str, thread: str | None = None) -> list[Json]:
        """What the person sees in a channel or thread, oldest first."""
        found = self.get("messages", channel=channel, thread=thread)["messages"]
        return [message for message in found if not message.get("deleted")]

    def request(self, name: str) -> Json:
        """How it went with a request."""
        return self.get(f"requests/{name}")


def blocks_of(thing: Json) -> list[Json]:
    """The blocks of a message or a view."""
    return list(thing.get("blocks") or [])


def working(things: Iterable[Json]) -> bool:
    """Whether any of these messages or views says that more is coming."""
    return any(str(block.get("block_id") or "").startswith("working") for thing in things for block in blocks_of(thing))
