"""What the parts of the engine share: who we are, what time it is, and whom we can call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollout.steps import Patience
from storage.database import Database
from storage.secrets import Vault
from workspace.client import Client


@dataclass(frozen=True, slots=True)
class Parts:
    """Built by app.py. ``owner`` is unique per process start, so that a former self is somebody else.

    ``clients`` are by workspace key; ``parallel`` is how many actions are carried out at once in this process.
    ``read_only``: no action is claimed, forward or backward; looks, checks and reports go on.
    """

    database: Database
    calendar: Callable[[], datetime]
    clients: Mapping[str, Client]
    vault: Vault
    owner: str
    patience: Patience
    parallel: int = 16
    read_only: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # where the addresses of web hooks are

    @property
    def lease_seconds(self) -> float:
        """Two calls with their settle time: a call begun in the first half never outlives its lease (DESIGN 5.5)."""
        return 2 * self.patience.unknown
