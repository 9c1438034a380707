"""What the sealed record tells of issues, checklist items and starters, held against their tables. Only looks.

Their rows carry no signature: they change with every act. The last sealed event about each says how it must stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.states import ItemState
from storage.models import Event, Issue, Item, Stage


@dataclass(slots=True)
class Told:
    """What the events so far tell: of issues by number (open, critical), of items by key (state, by whom, comment; an
    older event tells of no comment), of stages by key (generation, who started it)."""

    issues: dict[int, tuple[bool, bool]] = field(default_factory=dict)
    items: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)
    starts: dict[str, tuple[int, str]] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Take in the next event of the record."""
        data, by = event.data, event.actor or ""
        if event.outcome != "done":
            return
        if event.kind == "issue" and isinstance(data.get("issue"), int):
            self.issues[data["issue"]] = bool(data.get("open")), bool(data.get("critical"))
        if event.kind == "checklist" and isinstance(data.get("item"), str):
            self.items[data["item"]] = str(data.get("state")), by, data.get("comment")
        if event.kind == "start" and event.stage_key is not None:
            self.starts[event.stage_key] = event.generation or 0, by

    def problems(self, session: Session, rollout_id: int) -> Iterator[str]:
        """Everything that does not stand as the record tells, as sentences without a full stop."""
        yield from self._issues(session, rollout_id)
        yield from self._items(session, rollout_id)
        yield from self._starters(session, rollout_id)

    def _issues(self, session: Session, rollout_id: int) -> Iterator[str]:
        rows = session.execute(
            select(Issue.number, Issue.open, Issue.critical)
            .where(Issue.rollout_id == rollout_id)
            .order_by(Issue.number)
        )
        there = {number: (is_open, critical) for number, is_open, critical in rows}
        for number, now in there.items():
            known = self.issues.get(number)
            if known is None:
                yield f"issue #{number} is there, and the record does not tell of it"
            elif known != now:
                yield f"issue #{number} is {_issue(*now)}; the record says that it is {_issue(*known)}"
        for number in sorted(self.issues.keys() - there.keys()):
            yield f"issue #{number}, which the record tells of, is not there any more"

    def _items(self, session: Session, rollout_id: int) -> Iterator[str]:
        rows = session.execute(select(Item).where(Item.rollout_id == rollout_id)).scalars()
        there = {row.key: row for row in rows}
        for key in sorted(there.keys() | self.items.keys()):
            row, known = there.get(key), self.items.get(key, (str(ItemState.OPEN), "", None))
            now = str(row.state if row is not None else ItemState.OPEN)
            if now != known[0]:
                yield f"checklist item {key} is {now}; the record says that it is {known[0]}"
            elif row is not None and (row.by, row.comment) != (known[1], row.comment if known[2] is None else known[2]):
                yield f"checklist item {key} does not say what {known[1] or 'its author'} said of it"

    def _starters(self, session: Session, rollout_id: int) -> Iterator[str]:
        rows = session.execute(
            select(Stage.key, Stage.generation, Stage.started_by).where(Stage.rollout_id == rollout_id)
        )
        for key, generation, started_by in rows:
            known = self.starts.get(key)
            if known is not None and known[0] == generation and known[1] != (started_by or ""):
                yield f"{key} was started by {started_by or 'nobody'}; the record says by {known[1]}"


def _issue(is_open: bool, critical: bool) -> str:
    return f"{'open' if is_open else 'resolved'}{' and critical' if critical else ''}"
