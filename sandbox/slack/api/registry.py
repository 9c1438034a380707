"""The registry: every method that is modelled, with the token, the scopes and the rate that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.slack.api.arguments import Arguments
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

Handler = Callable[[Workspace, Arguments], Json]


@dataclass(frozen=True)
class Method:
    """One Web API method. `reads` methods take form fields or a query only, never a JSON body."""

    name: str
    handler: Handler
    scopes: tuple[str, ...]
    token: str
    tier: int | None
    reads: bool


METHODS: dict[str, Method] = {}


def method(
    name: str, *, scopes: tuple[str, ...] = (), token: str = "bot", tier: int | None = None, reads: bool = False
) -> Callable[[Handler], Handler]:
    """Register a handler, which gets the workspace and the arguments and returns the answer without `ok`."""

    def register(handler: Handler) -> Handler:
        METHODS[name] = Method(name, handler, scopes, token, tier, reads)
        return handler

    return register
