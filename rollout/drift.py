"""What is no longer as we set it, and what came after a stage was frozen. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

FELL_BACK: Final = "fell_back"  # we changed it, and it no longer holds what we wrote
APPEARED: Final = "appeared"  # on the old runtime in a stage that was frozen without it
REDEPLOYED: Final = "redeployed"  # we put it back by API, and its repository's deploy wrote the new runtime again

WORDS: Final = {
    FELL_BACK: "no longer on what we set",
    APPEARED: "appeared on the old runtime after the stage was frozen",
    REDEPLOYED: "put back by us and changed again by a deploy",
}


@dataclass(frozen=True, slots=True)
class Drift:
    """One target that is not as we set it. ``by`` and ``at``: who changed it and when, where the API says so."""

    what: str  # FELL_BACK, APPEARED or REDEPLOYED
    expected: str  # the runtime that it should be on
    found: str  # the one that it is on
    since: datetime  # when it was noticed
    by: str | None = None
    at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        at = self.at.isoformat() if self.at is not None else None
        since = self.since.isoformat()
        return {**self.key(), "since": since, "by": self.by, "at": at}

    def key(self) -> dict[str, Any]:
        """What makes it this drift and no other: the same one is not looked into twice."""
        return {"what": self.what, "expected": self.expected, "found": self.found}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Drift":
        at = datetime.fromisoformat(raw["at"]) if raw.get("at") else None
        since = datetime.fromisoformat(raw["since"])
        return Drift(str(raw["what"]), str(raw["expected"]), str(raw["found"]), since, raw.get("by"), at)


@dataclass(frozen=True, slots=True)
class Drifted:
    """A target with its drift, as it is reported."""

    name: str
    workspace: str
    kind: str
    stage: str | None
    owner: str | None
    repository: str | None
    drift: Drift


def grouped(found: Sequence[Drifted]) -> list[tuple[str, list[Drifted]]]:
    """By repository, else by owner: the largest group first."""
    groups: dict[str, list[Drifted]] = {}
    for one in found:
        who = f"repository {one.repository}" if one.repository else f"owner {one.owner or 'unknown'}"
        groups.setdefault(who, []).append(one)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def who_said(one: Drifted) -> str:
    """Who changed it and when; that the API does not say, where it does not."""
    if one.drift.by is not None and one.drift.at is not None:
        return f"edited by {one.drift.by} at {one.drift.at:%Y-%m-%d %H:%M} UTC"
    return "the API does not say by whom"
