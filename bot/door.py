"""What the bot needs of the one door (``commands.door.Door`` is one)."""

from collections.abc import Mapping
from typing import Any, Protocol

from commands.reply import Actor, Reply, Request


class Door(Protocol):
    """Takes requests in and gives documents out. Touches only the database, so it answers in milliseconds."""

    def handle(self, request: Request) -> Reply:
        """Do what was asked, or say why not. Raises FieldErrors for a submitted form only."""
        ...

    def check_form(self, request: Request) -> None:
        """Raises FieldErrors when the fields of a submitted form are wrong."""
        ...

    def card(self, stage_id: int) -> Reply:
        """The live message of a stage as it stands now."""
        ...

    def document(self, kind: str, rollout_id: int | None, stage_id: int | None, ids: Mapping[str, Any]) -> Reply | None:
        """A message to post, or None when there is nothing to say any more."""
        ...

    def closing(
        self, kind: str, stage_id: int | None, rollout_id: int | None = None, ids: Mapping[str, Any] | None = None
    ) -> Reply:
        """What a posted message says once its time is over: no buttons."""
        ...

    def home(self, actor: Actor) -> Reply:
        """The Home tab of a person."""
        ...
