"""Issues found on the way: what is known of one, which ones count, and which ones hold a stage. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rollout.plan import Issues

#: What an issue may be about, and what it is called. Those about data are counted by themselves.
ABOUT: Final = {"data": "the quality of data", "runs": "jobs, clusters or performance", "other": "something else"}
#: Which issues a line of the plan counts, as adjectives.
WHICH: Final[dict[Issues, str]] = {"critical": "critical issue", "data": "issue about data", "all": "issue"}


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of a rollout, by its number there. Without a stage it is about the whole rollout."""

    number: int
    title: str
    critical: bool
    about: str
    stage: str | None
    owner: str
    reporter: str
    reported_at: datetime
    target_id: int | None = None
    target: str = ""
    comment: str = ""
    permalink: str = ""
    open: bool = True
    cause: str = ""
    fix: str = ""
    resolved_by: str | None = None
    resolved_at: datetime | None = None
    version: int = 1

    @property
    def named(self) -> str:
        """``#3 Orders are late``."""
        return f"#{self.number} {self.title}"


def counted(issues: Iterable[Issue], which: Issues) -> tuple[Issue, ...]:
    """The open ones among ``issues`` that a line of the plan counts."""
    return tuple(
        i for i in issues if i.open and (which == "all" or (i.critical if which == "critical" else i.about == "data"))
    )


def upto(issues: Iterable[Issue], stage: str, stages: Sequence[str]) -> tuple[Issue, ...]:
    """Those of ``stage``, of the stages before it (``stages`` in the order of the plan) and of the whole rollout.

    An issue of a stage that the plan no longer has is taken for one of the whole rollout: doubt never opens a gate.
    """
    later = set(stages[stages.index(stage) + 1 :]) if stage in stages else set()
    return tuple(i for i in issues if i.stage not in later)
