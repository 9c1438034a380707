"""What a command is: its name, its help, what it takes, and what carries it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from commands.call import Call
from commands.reply import Reply

Takes = Literal["nothing", "stage", "stage_or_target", "reason", "word"]


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. ``act``: it changes something; ``hidden``: it is a button only, and not in the help.

    ``harmless``: an act that neither leads to a write in a workspace nor signs for one, allowed also to a bot that may
    only look.

    ``check`` looks at the fields of a submitted form and raises FieldErrors; it must be quick and pure.
    ``check_at`` is the same for what is right or wrong by the calendar.
    """

    name: str
    usage: str
    summary: str
    takes: Takes
    run: Callable[[Call], Reply]
    act: bool = False
    hidden: bool = False
    harmless: bool = False
    detail: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], None] | None = None
    aliases: tuple[str, ...] = ()
    check_at: Callable[[Mapping[str, Any], datetime], None] | None = None

    def fields(self, given: Mapping[str, Any], now: datetime) -> None:
        """Look at the fields of a submitted form; ``now`` is a calendar instant. Raises FieldErrors."""
        if self.check is not None:
            self.check(given)
        if self.check_at is not None:
            self.check_at(given, now)
