"""One look at a whole workspace: what it offers, and every target in it."""

import time
from dataclasses import dataclass
from typing import Any, Final

from rollout.change import Found
from rollout.machine import Machine
from rollout.policy import Policy
from workspace import machines, pipelines, policies
from workspace.client import Client
from workspace.errors import Forbidden, Gone, Refused
from workspace.kinds import KINDS

_MAY_BE_HIDDEN: Final = frozenset({"pipeline", "pool"})


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one look found, how long it took in machine seconds and how many calls it needed.

    ``policies`` are the cluster policies by id, not yet compared with what the targets want of them; ``machines`` the
    machine types by id, None where the workspace does not say.
    """

    versions: frozenset[str]
    policies: dict[str, Policy]
    found: list[Found]
    seconds: float
    calls: int
    machines: dict[str, Machine] | None = None
    hidden: frozenset[str] = frozenset()  # kinds that are only reported and could not be listed: nothing is known


def discover(client: Client) -> Discovery:
    """Look at every kind. All or nothing: a target that a failed listing hides would look deleted.

    Pipelines are only reported, and without pools targets are only slower, so that a bot that may not list them is
    told so and goes on.

    Raises the WorkspaceErrors of ``Client.get``, and Incomplete if a listing does not end.
    """
    started, calls = time.monotonic(), client.calls
    versions, offered = client.versions(), machines.offered(client)
    seen: dict[tuple[str, str], Found] = {}
    hidden: set[str] = set()
    kinds: dict[str, Any] = {**KINDS, "pipeline": pipelines}
    for name, kind in kinds.items():
        try:
            for found in kind.discover(client):
                # Pages shift while objects are made and deleted: the same one may come twice.
                seen[found.kind, found.object_id] = found
        except (Forbidden, Gone, Refused):
            if name not in _MAY_BE_HIDDEN:
                raise
            hidden.add(name)
    known = {f.object_id: policies.understood(f.raw) for f in seen.values() if f.kind == "policy"}
    seconds, made = time.monotonic() - started, client.calls - calls
    return Discovery(versions, known, list(seen.values()), seconds, made, offered, frozenset(hidden))
