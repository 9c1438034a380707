"""What kinds share that are changed in place: nothing is made to stand in for one, and one write does it all."""

from rollout.change import Raw
from workspace.client import Client

__all__ = ["complete", "in_use", "runs_on", "stands_in", "unfinished"]


def runs_on(raw: Raw) -> bool:
    return False


def stands_in(raw: Raw) -> str | None:
    return None


def in_use(client: Client, object_id: str, raw: Raw) -> str | None:
    return None  # an edit ends nothing that runs


def unfinished(raw: Raw) -> str | None:
    return None


def complete(client: Client, object_id: str, raw: Raw) -> None:
    raise NotImplementedError("there is nothing to complete")
