"""What a changed plan would mean for a rollout under way: whether it may be, what differs, and what people signed that
no longer holds. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rollout.digest import digest
from rollout.plan import Plan
from rollout.planfile import canonical
from rollout.states import StageState

#: Of a stage: what people accept when they sign it. Pace, windows and words are not.
_TERMS: Final = (
    "targets",
    "criteria",
    "sign_offs",
    "bake",
    "max_failures",
    "max_run_failures",
    "override",
    "production",
    "each_team",
)
#: What makes an entry of a list the same one in two plans.
_KEYS: Final = ("key", "role")
#: Seconds in the plan.
_DURATIONS: Final = frozenset({"bake", "after"})
#: Nothing was begun in these.
_UNBEGUN: Final = frozenset({StageState.WAITING, StageState.READY})
#: Work goes on, or waits for a person, with the runtimes that it began with.
_AT_REST: Final = frozenset({*_UNBEGUN, StageState.REVIEW, StageState.PASSED, StageState.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class At:
    """Where one stage of the rollout stands: ``passed`` truly, ``begun`` in this or an earlier generation; ``waived``:
    a sign-off of it was passed over."""

    key: str
    state: StageState
    begun: bool
    passed: bool
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A changed plan beside the one in force, and where the rollout stands.

    ``acted`` are the workspaces in which something was done.
    """

    old: Plan
    new: Plan
    stages: tuple[At, ...]
    acted: frozenset[str] = frozenset()


def terms(plan: Plan, stage_key: str) -> str:
    """The digest of what people accept when they sign that stage, as far as the plan says it. Raises KeyError."""
    said = json.loads(canonical(plan))
    stage = next(s for s in said["stages"] if s["key"] == stage_key)
    own = {word: stage[word] for word in _TERMS}
    items = [i for i in said["checklist"] if stage_key in (i["stage"], i["blocks"])]
    override = stage["override"] or said["override"]
    asked = {"runtimes": said["runtimes"], "stage": {**own, "override": override}, "items": items}
    if stage["each_team"]:
        asked["teams"] = {key: team["select"] for key, team in said["teams"].items()}
    return digest(asked)


def problems(wanted: Wanted) -> list[str]:
    """Why the plan cannot be changed so; empty when it can."""
    old, new = wanted.old, wanted.new
    if old.key != new.key:
        return [f"this is plan {new.key}, and the rollout is one of {old.key}"]
    if canonical(old) == canonical(new):
        return ["this is the plan that is in force already: nothing differs"]
    found = [*_order(wanted), *_signed(wanted)]
    busy = [at.key for at in wanted.stages if at.state not in _AT_REST]
    if busy and old.runtimes != new.runtimes:
        found.append(f"the runtimes cannot change while {', '.join(busy)} is under way")
    found += [
        f"workspace {key} cannot be left out: targets in it were touched, and may have to be put back"
        for key in old.workspaces
        if key in wanted.acted and key not in new.workspaces
    ]
    return found


def _order(wanted: Wanted) -> Iterator[str]:
    """What has begun, and what comes before it, stays where it is."""
    before, after = [s.key for s in wanted.old.stages], [s.key for s in wanted.new.stages]
    begun = [at.key for at in wanted.stages if at.begun]
    last = max((before.index(key) for key in begun), default=-1)
    gone = [key for key in begun if key not in after]
    for key in gone:
        yield f"stage {key} has begun and cannot be left out"
    if not gone and after[: last + 1] != before[: last + 1]:
        kept = ", ".join(before[: last + 1])
        yield f"the stages up to {before[last]} stay in their order ({kept}): new ones come after them"


def _signed(wanted: Wanted) -> Iterator[str]:
    for at in wanted.stages:
        if not at.passed or at.key not in {s.key for s in wanted.new.stages}:
            continue
        if wanted.old.stage(at.key).sign_offs != wanted.new.stage(at.key).sign_offs:
            yield f"{at.key} has passed: who signs it cannot change any more"
        if at.waived and _override(wanted.old, at.key) != _override(wanted.new, at.key):
            yield f"{at.key} has passed with an overridden sign-off: who may override there cannot change any more"


def altered(wanted: Wanted) -> list[str]:
    """Unfinished stages whose targets or criteria the new plan changes."""
    kept = {s.key for s in wanted.new.stages}
    return [
        at.key
        for at in wanted.stages
        if at.key in kept and not at.passed and terms(wanted.old, at.key) != terms(wanted.new, at.key)
    ]


def _override(plan: Plan, stage_key: str) -> tuple[Any, bool]:
    return plan.override_of(stage_key), plan.stage(stage_key).production


def stale(wanted: Wanted) -> list[str]:
    """Of these the ones in review: what was signed of them, or is about to be, holds no longer."""
    review = {at.key for at in wanted.stages if at.state is StageState.REVIEW}
    return [key for key in altered(wanted) if key in review]


def moves_targets(old: Plan, new: Plan) -> bool:
    """Whether targets have to be assigned to stages anew."""
    shape = [(p.runtimes, p.workspaces, [(s.key, s.targets) for s in p.stages]) for p in (old, new)]
    return shape[0] != shape[1]


# -- in words ----------------------------------------------------------------------------------------------------------


def difference(old: Plan, new: Plan) -> list[str]:
    """Everything that differs, one line each, in the order of the plan's words. No difference is left out."""
    before, after = (json.loads(canonical(plan)) for plan in (old, new))
    words = [*Plan.model_fields, *(word for word in after if word not in Plan.model_fields)]
    return list(_differs((), {w: before[w] for w in words}, {w: after[w] for w in words}))


def _differs(path: tuple[str, ...], before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for word in [*before, *(w for w in after if w not in before)]:
            yield from _entry((*path, str(word)), word in before, before.get(word), word in after, after.get(word))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(path, before, after)
    else:
        yield f"{_place(path)}: {_said(path, before)} → {_said(path, after)}"


def _entry(path: tuple[str, ...], was: bool, before: Any, is_: bool, after: Any) -> Iterator[str]:
    if was and is_:
        yield from _differs(path, before, after)
    elif is_:
        yield f"{_place(path)}: new: {_said(path, after)}"
    else:
        yield f"{_place(path)}: taken out (was {_said(path, before)})"


def _lists(path: tuple[str, ...], before: list[Any], after: list[Any]) -> Iterator[str]:
    old, new = _keyed(before), _keyed(after)
    if old is not None and new is not None:
        for key in [*old, *(k for k in new if k not in old)]:
            yield from _entry((*path, key), key in old, old.get(key), key in new, new.get(key))
        kept = [k for k in new if k in old]
        if kept != [k for k in old if k in new]:
            yield f"{_place(path)}: in another order: {', '.join(kept)}"
        return
    added = [v for v in after if v not in before]
    removed = [v for v in before if v not in after]
    if added:
        yield f"{_place(path)}: new: {_said(path, added)}"
    if removed:
        yield f"{_place(path)}: taken out: {_said(path, removed)}"
    if not added and not removed:
        yield f"{_place(path)}: {_said(path, before)} → {_said(path, after)}"


def _keyed(entries: list[Any]) -> dict[str, Any] | None:
    """The entries of a list by their key; None where they have none."""
    for name in _KEYS:
        if all(isinstance(e, dict) and isinstance(e.get(name), str) for e in entries):
            found = {e[name]: e for e in entries}
            return found if len(found) == len(entries) else None
    return None


def _word(word: str) -> str:
    return word.replace("_", " ")


def _place(path: tuple[str, ...]) -> str:
    if path[0] == "stages" and len(path) > 1:
        return " ".join(["stages", path[1], *map(_word, path[2:])])
    return " ".join(map(_word, path))


def _said(path: tuple[str, ...], value: Any) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return "nothing"
    if path[-1] in _DURATIONS and isinstance(value, int):
        return _lasting(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        parts = [
            f"{_word(str(k))} {_said((*path, str(k)), v)}" for k, v in value.items() if v not in (None, "", [], {})
        ]
        return "; ".join(parts) or "nothing"
    if isinstance(value, list):
        return ", ".join(_said(path, v) if not isinstance(v, Mapping) else f"({_said(path, v)})" for v in value)
    return str(value)


def _lasting(seconds: int) -> str:
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0"
