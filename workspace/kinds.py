"""The kinds of targets and supports, each a module with the same few functions, so that the engine knows no kind.

A new kind is one new module and one line in ``KINDS``.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Protocol

from rollout.change import Change, Found, Raw, Skip, Upgrade
from workspace import clusters, jobs, policies, pools
from workspace.client import Client
from workspace.settling import Settlement


class Kind(Protocol):
    """What every kind can do. ``raw`` is the raw configuration as the API gives it; it may hold secrets."""

    def discover(self, client: Client) -> Iterator[Found]:
        """Every object of this kind in the workspace, by listing. Raises the WorkspaceErrors of ``Client.get``."""
        ...

    def plan(self, raw: Raw, upgrade: Upgrade) -> Change | Skip:
        """What will be done to it, or why it is left alone. Pure."""
        ...

    def read(self, client: Client, object_id: str) -> dict[str, Any]:
        """The complete raw configuration, now. Raises Gone and the other WorkspaceErrors of ``Client.get``."""
        ...

    def values(self, raw: Raw, change: Change) -> list[Any]:
        """The present values of ``change.fields``, in their order; None where absent. Pure."""
        ...

    def editable(self, raw: Raw) -> bool:
        """Whether the workspace takes an edit in the present state; if not, wait and read again. Pure."""
        ...

    def apply(self, client: Client, object_id: str, change: Change, raw: Raw) -> None:
        """Exactly one write: the ``after`` of each field, None removes it. ``raw`` is what was read just before.

        The inverse of a change is applied the same way. Raises the WorkspaceErrors of ``Client.write``.
        """
        ...

    def in_use(self, client: Client, object_id: str, raw: Raw) -> str | None:
        """What runs on it now and would be ended by an edit; None where nothing is. At most one listing.

        What cannot all be read counts as in use. Raises the WorkspaceErrors of ``Client.get`` but Incomplete.
        """
        ...

    def runs_on(self, raw: Raw) -> bool:
        """Whether something of it runs on as it was after a change, until it is begun anew (``unfinished``). Pure."""
        ...

    def start(self, client: Client, object_id: str) -> bool:
        """Have it run again; False where there is nothing to start. A second start does no harm.

        Raises the WorkspaceErrors of ``Client.write``.
        """
        ...

    def kept(self, raw: Raw) -> dict[str, Any]:
        """What a change leaves as it is and is looked at after it: machine types and spot settings, by name. Pure."""
        ...

    def settled(self, raw: Raw, before: Raw) -> Settlement:
        """Whether the write has come to rest, given what was read just before it (else the backup). Pure."""
        ...

    def stands_in(self, raw: Raw) -> str | None:
        """The id of what we made to stand in for it, where it cannot be changed itself. Pure."""
        ...

    def unfinished(self, raw: Raw) -> str | None:
        """What is still missing although its fields hold, as a sentence; ``complete`` does it. Pure."""
        ...

    def complete(self, client: Client, object_id: str, raw: Raw) -> None:
        """One more write, for what is ``unfinished``; a second one does no harm.

        Raises the WorkspaceErrors of ``Client.write``.
        """
        ...

    def edited_since(self, client: Client, object_id: str, since: datetime) -> bool | None:
        """Whether somebody, we included, edited it since (Databricks' time); None: the API cannot tell."""
        ...

    def edited_by(self, client: Client, object_id: str) -> tuple[str, datetime] | None:
        """Who edited it last and when (Databricks' time), we included; None: the API does not say.

        One call. Raises the WorkspaceErrors of ``Client.get``.
        """
        ...

    def permissions_of(self, client: Client, object_id: str) -> dict[str, Any]:
        """Who may do what with it, as the API gives it. One call. Raises the WorkspaceErrors of ``Client.get``."""
        ...

    def needed(self, client: Client, object_id: str, backup: Raw) -> str | None:
        """Why it may not be put back to ``backup`` yet, because others need it as it is; None where nothing needs it.

        Only supports are ever needed. Raises the WorkspaceErrors of ``Client.get``.
        """
        ...

    def release_of(self, raw: Raw) -> str:
        """Its runtime as people are shown it: ``13.3``, ``13.3 + 17.3``, ``-``. Pure."""
        ...

    def url(self, host: str, object_id: str) -> str:
        """The address of its page. Pure."""
        ...

    def backup_of(self, raw: Raw) -> dict[str, Any]:
        """What a backup stores: the raw configuration as it is. Pure."""
        ...

    def compared(self, raw: Raw) -> dict[str, Any]:
        """What of it can differ from a backup: all but what the platform itself sets, texts of JSON opened. Pure."""
        ...


KINDS: Final[dict[str, Kind]] = {"cluster": clusters, "job": jobs, "pool": pools, "policy": policies}
