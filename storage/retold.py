"""What the sealed record tells of issues and checklist items, held against their tables. Only looks.

Their rows carry no signature: they change with every act. The last sealed event about each says how it must stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.states import ItemState
from storage.models import Event, Issue, Item


@dataclass(slots=True)
class Told:
    """What the events so far tell: of issues by number (open, critical), of items by key (their state)."""

    issues: dict[int, tuple[bool, bool]] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Take in the next event of the record."""
        data = event.data
        if event.kind == "issue" and event.outcome == "done" and isinstance(data.get("issue"), int):
            self.issues[data["issue"]] = bool(data.get("open")), bool(data.get("critical"))
        if event.kind == "checklist" and event.outcome == "done" and isinstance(data.get("item"), str):
            self.items[data["item"]] = str(data.get("state"))

    def problems(self, session: Session, rollout_id: int) -> Iterator[str]:
        """Every issue and item that does not stand as the record tells, as sentences without a full stop."""
        yield from self._issues(session, rollout_id)
        yield from self._items(session, rollout_id)

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
        rows = session.execute(select(Item.key, Item.state).where(Item.rollout_id == rollout_id))
        there = {key: str(state) for key, state in rows}
        for key in sorted(there.keys() | self.items.keys()):
            now, known = there.get(key, str(ItemState.OPEN)), self.items.get(key, str(ItemState.OPEN))
            if now != known:
                yield f"checklist item {key} is {now}; the record says that it is {known}"


def _issue(is_open: bool, critical: bool) -> str:
    return f"{'open' if is_open else 'resolved'}{' and critical' if critical else ''}"
