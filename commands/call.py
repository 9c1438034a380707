"""What a command gets: the request with everything the door found out, and how it refuses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from commands.reply import Button, Line, Request
from rollout.gates import Decision, Refuse
from rollout.plan import Plan
from rollout.reasons import Reason
from rollout.standing import StageStanding, Standing
from storage.acting import Who
from storage.database import Database


class Refused(Exception):
    """The wish is refused: all the reasons, buttons that resolve them, and further lines to show."""

    def __init__(
        self,
        reasons: Sequence[Reason],
        stage: str | None = None,
        buttons: Sequence[Button] = (),
        lines: Sequence[Line] = (),
    ) -> None:
        super().__init__(", ".join(r.code for r in reasons))
        self.reasons, self.stage = tuple(reasons), stage
        self.buttons, self.lines = tuple(buttons), tuple(lines)


def refused(code: str, sentence: str, next_step: str = "", *buttons: Button, stage: str | None = None) -> Refused:
    """A refusal for one reason."""
    return Refused((Reason(code, sentence, next_step),), stage, buttons)


@dataclass(frozen=True, slots=True)
class Call:
    """One request at one rollout, with stage, target and reason found."""

    request: Request
    database: Database
    now: datetime
    standing: Standing
    roles: frozenset[str]
    stage_key: str | None = None
    target_id: int | None = None
    reason: str = ""
    word: str = ""
    guess: str = ""  # how the target was found, where it was not named whole
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.standing.plan

    @property
    def actor(self) -> str:
        return self.request.actor.user_id

    @property
    def who(self) -> Who:
        actor = self.request.actor
        return Who(actor.user_id, actor.team_id, actor.groups, str(self.request.surface))

    @property
    def stage(self) -> StageStanding:
        """The stage of the request. Raises Refused when none was named."""
        if self.stage_key is None:
            raise refused("missing_argument", "Which stage?", f"/rollout {self.request.verb} STAGE")
        return self.standing.stage(self.stage_key)

    @property
    def submitted(self) -> bool:
        return bool(self.request.arguments.get("submitted"))

    @property
    def page(self) -> int:
        page = self.number("page")
        return page if page is not None and page >= 0 else 0

    def number(self, name: str) -> int | None:
        """A whole number that a button or form carried."""
        value = self.request.arguments.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def text(self, name: str, most: int = 1000) -> str:
        """A text that a form carried, without white space around it."""
        value = self.request.arguments.get(name)
        return value.strip()[:most] if isinstance(value, str) else ""

    def proceed(self, decision: Decision, *buttons: Button) -> None:
        """Go on, or refuse with all the reasons of the gate."""
        if isinstance(decision, Refuse):
            raise Refused(decision.reasons, self.stage_key, buttons)

    def button(self, label: str, verb: str, style: str = "", **arguments: Any) -> Button:
        """A button that stays with this rollout."""
        return Button(label, verb, {"rollout": self.standing.id, **arguments}, style)
