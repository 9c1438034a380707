"""What will be done to one target, and what to do when it must be undone.

A value of ``None`` means that the field is absent. A path names a field inside a raw configuration: a string is a
key; inside a list of entries the string is the entry's own key (``job_cluster_key`` or ``task_key``).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rollout.about import About
from rollout.machine import Machine
from rollout.policy import Policy
from rollout.pool import Pool

#: A policy no longer takes the old runtime; and it does again, which the way back of its targets needs first.
NARROWS: Final = "narrows"
WIDENS_AGAIN: Final = "widens_again"

Raw = Mapping[str, Any]
Path = tuple[str, ...]

#: Kinds that targets of several stages share: changed before the first that needs them, put back after the last. A
#: policy names pools, so that pools come before it, and after it on the way back.
SUPPORTS_IN_ORDER: Final = ("pool", "policy")
SUPPORTS: Final = frozenset(SUPPORTS_IN_ORDER)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The runtimes of a plan together with what one workspace offers.

    ``source``, ``target`` and ``fallback`` are release numbers such as ``13.3``; ``versions`` are the runtime keys
    (``spark_version``) that the workspace lists, ``policies`` its cluster policies and ``pools`` its instance pools by
    id, as far as we may see them; ``machines`` its machine types, None where they are not known.
    """

    source: str
    target: str
    versions: frozenset[str]
    policies: Mapping[str, Policy] = dataclasses.field(default_factory=dict)
    fallback: str | None = None  # the release to go back to where the source can no longer be selected
    force_managed: bool = False  # change by API what is deployed from a repository
    pools: Mapping[str, Pool] = dataclasses.field(default_factory=dict)
    machines: Mapping[str, Machine] | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after."""

    path: Path
    before: Any
    after: Any
    fallback: Any = None  # what is put back where ``before`` is refused; None: nothing else
    earlier: tuple[Any, ...] = ()  # what we had written there before ``after``, in the same generation

    def to_json(self) -> dict[str, Any]:
        more = {} if self.fallback is None else {"fallback": self.fallback}
        more |= {"earlier": list(self.earlier)} if self.earlier else {}
        return {"path": list(self.path), "before": self.before, "after": self.after, **more}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "FieldChange":
        earlier = tuple(raw.get("earlier", ()))
        return FieldChange(tuple(raw["path"]), raw["before"], raw["after"], raw.get("fallback"), earlier)


@dataclass(frozen=True, slots=True)
class Change:
    """What will be done to one target.

    ``restarts`` says that the target is running now and will be restarted by the change. ``notes`` are plain
    sentences for the person who confirms. ``supports`` are the ids of the policies that must be widened first, and of
    the pools for which new ones must be made first.
    """

    fields: tuple[FieldChange, ...]
    restarts: bool = False
    notes: tuple[str, ...] = ()
    supports: tuple[str, ...] = ()
    step: str = ""  # of a support: a later edit of it, NARROWS or its undoing WIDENS_AGAIN

    def to_json(self) -> dict[str, Any]:
        more = {"step": self.step} if self.step else {}
        return {
            "fields": [f.to_json() for f in self.fields],
            "restarts": self.restarts,
            "notes": list(self.notes),
            "supports": list(self.supports),
            **more,
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Change":
        return Change(
            tuple(FieldChange.from_json(f) for f in raw["fields"]),
            bool(raw["restarts"]),
            tuple(raw.get("notes", ())),
            tuple(raw.get("supports", ())),
            str(raw.get("step", "")),
        )

    def inverse(self) -> "Change":
        """The same fields, back to what they were."""
        return Change(tuple(FieldChange(f.path, f.after, f.before) for f in self.fields), self.restarts)


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a target is left alone: a reason code, a sentence and the next step for a person.

    ``proposal`` is what its repository would have to change; ``release`` the runtime that it is on where its own
    configuration does not say so.
    """

    code: str
    sentence: str
    next_step: str
    proposal: tuple[FieldChange, ...] = ()
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One target as discovery saw it. ``raw`` may hold secrets: it is never stored unencrypted or logged."""

    kind: str
    object_id: str
    name: str
    owner: str | None
    runtimes: tuple[str, ...]  # every spark_version it names, sorted, without repeats
    state: str  # RUNNING, TERMINATED, ...; for a job: SCHEDULED, PAUSED, CONTINUOUS or MANUAL
    raw: Raw
    about: About = dataclasses.field(default_factory=About)


class Holds(StrEnum):
    """What the fields of a change hold now."""

    BEFORE = "before"  # every field as before the change
    AFTER = "after"  # every field as wanted
    MIXED = "mixed"  # some before, some after: an interrupted or partial write
    OTHER = "other"  # at least one field holds a third value


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that somebody else changed: before, ours and now."""

    path: Path
    before: Any
    ours: Any
    now: Any

    def to_json(self) -> dict[str, Any]:
        return {"path": list(self.path), "before": self.before, "ours": self.ours, "now": self.now}


def compare(change: Change, values: Sequence[Any]) -> Holds:
    """What the fields hold, given their present ``values`` in the order of ``change.fields``."""
    if len(values) != len(change.fields):
        raise ValueError(f"{len(change.fields)} fields, {len(values)} values")
    at_after = [v == f.after for f, v in zip(change.fields, values, strict=True)]
    at_before = [v == f.before for f, v in zip(change.fields, values, strict=True)]
    if all(at_after):
        return Holds.AFTER
    if all(at_before):
        return Holds.BEFORE
    if all(a or b for a, b in zip(at_after, at_before, strict=True)):
        return Holds.MIXED
    return Holds.OTHER


@dataclass(frozen=True, slots=True)
class Revert:
    """The answer of a three-way revert: what to write back, and what somebody else changed since."""

    change: Change | None  # None: nothing left to write
    conflicts: tuple[FieldConflict, ...]


def three_way_revert(change: Change, values: Sequence[Any]) -> Revert:
    """Restore a field only if it still holds our value (DESIGN 6).

    ``values`` are the present values in the order of ``change.fields``. A field that is back at its old value needs
    nothing; a third value is a conflict and is never overwritten.
    """
    if len(values) != len(change.fields):
        raise ValueError(f"{len(change.fields)} fields, {len(values)} values")
    fields: list[FieldChange] = []
    conflicts: list[FieldConflict] = []
    for field, now in zip(change.fields, values, strict=True):
        if now == field.before:
            continue
        if now == field.after or now in field.earlier:
            fields.append(FieldChange(field.path, now, field.before))
        else:
            conflicts.append(FieldConflict(field.path, field.before, field.after, now))
    return Revert(Change(tuple(fields), change.restarts) if fields else None, tuple(conflicts))
