"""How things are said: states, counts, times. One place, so that they are said alike everywhere. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from commands.reply import Icon, Line, line
from rollout.issues import counted
from rollout.pool import POOLS
from rollout.runtime import shown
from rollout.standing import StageStanding, Standing
from rollout.states import ActionKind, StageState, Verdict


class _Words(dict[StageState, str]):
    """What states are called; one that only a newer process knows is called by its value."""

    def __missing__(self, state: str) -> str:
        return str(state).replace("_", " ")


STATE: Final = _Words(
    {
        StageState.WAITING: "waiting",
        StageState.READY: "ready",
        StageState.PREPARING: "preparing",
        StageState.UPGRADING: "upgrading",
        StageState.VALIDATING: "validating",
        StageState.BAKING: "baking",
        StageState.REVIEW: "in review",
        StageState.PASSED: "passed",
        StageState.BLOCKED: "blocked",
        StageState.ROLLING_BACK: "rolling back",
        StageState.ROLLED_BACK: "rolled back",
    }
)

_ICON: Final = {
    StageState.WAITING: "waiting",
    StageState.READY: "ready",
    StageState.REVIEW: "info",
    StageState.PASSED: "ok",
    StageState.BLOCKED: "blocked",
    StageState.ROLLING_BACK: "back",
    StageState.ROLLED_BACK: "locked",
}

#: What a kind of work is called while it goes on, and what its targets are afterwards.
WORK: Final = {
    ActionKind.BACKUP: "backed up",
    ActionKind.CHANGE: "upgraded",
    ActionKind.VALIDATE: "checked",
    ActionKind.REVERT: "put back",
    ActionKind.COMPARE: "compared with its backup",
}


def icon(stage: StageStanding) -> Icon:
    """The icon of a stage's state."""
    return Icon(_ICON.get(stage.state, "working"))


def count(number: int, one: str, many: str = "") -> str:
    """``1 target``, ``2 targets``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def lasting(span: timedelta) -> str:
    """A span of time in its two largest units: ``1 d 4 h``, ``12 min``, ``under a minute``."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 60:
        return "under a minute"
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def ago(when: datetime, now: datetime) -> str:
    """How long ago: ``5 min ago``, ``just now``."""
    span = now - when
    return "just now" if span < timedelta(minutes=1) else f"{lasting(span)} ago"


def doing(stage: StageStanding, now: datetime) -> str:
    """What a stage does now, to follow its name: ``is upgrading (3 of 12 targets)``."""
    kind = stage.work_now
    match stage.state:
        case StageState.WAITING:
            return "waits for the stages before it"
        case StageState.READY:
            return "has not been started"
        case StageState.BAKING:
            left = f" for another {lasting(stage.bake_until - now)}" if stage.bake_until else ""
            return f"is baking{left}"
        case StageState.REVIEW:
            return "is in review"
        case StageState.PASSED:
            return "has passed"
        case StageState.BLOCKED:
            return "is blocked and needs a person"
        case StageState.ROLLED_BACK:
            return "was rolled back"
    tally = stage.tally(kind) if kind is not None else None
    total = max(tally.total if tally else 0, stage.total if kind is not ActionKind.REVERT else 0)
    numbers = f" ({tally.good if tally else 0} of {count(total, 'target')} {WORK[kind]})" if kind and total else ""
    return f"is {STATE[stage.state]}{numbers}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return ", ".join(parts[:-1]) + f" {last} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def day_advice(standing: Standing, stage: StageStanding, now: datetime) -> str:
    """``planned day 3-5, now day 6``; empty before the first start, without a timeline, or once passed."""
    planned = standing.plan.stage(stage.key).days
    begun = min((s.started_at for s in standing.stages if s.started_at is not None), default=None)
    if not planned or stage.state in {StageState.PASSED, StageState.ROLLED_BACK}:
        return ""
    if begun is None or not stage.started:
        return f"planned day {planned}"
    zone = ZoneInfo(standing.plan.zone) if standing.plan.zone != "UTC" else None
    today, first = (now.astimezone(zone), begun.astimezone(zone)) if zone else (now, begun)
    return f"planned day {planned}, now day {(today.date() - first.date()).days + 1}"


def criteria_line(standing: Standing, stage: StageStanding) -> Line | None:
    """How many criteria hold, by check and by people; None before the first verdict."""
    criteria = standing.plan.stage(stage.key).criteria
    checked = [c for c in criteria if c.by == "check"]
    people = sum(c.by == "person" for c in criteria)
    if not criteria or not stage.findings or stage.state in (StageState.ROLLING_BACK, StageState.ROLLED_BACK):
        return None
    verdicts = [stage.findings[c.key].verdict if c.key in stage.findings else None for c in checked]
    for c in criteria:
        if c.issues is not None:  # counted whenever one looks, like the issues themselves
            verdicts.append(Verdict.FAIL if counted(standing.issues_of(stage.key), c.issues) else Verdict.PASS)
    words = []
    for verdict, word in ((Verdict.PASS, "hold"), (Verdict.FAIL, "FAIL"), (Verdict.INCONCLUSIVE, "unclear")):
        if number := verdicts.count(verdict):
            words.append(f"{number} {word}")
    if number := verdicts.count(None):
        words.append(f"{number} not checked yet")
    if people:
        words.append(f"{people} for people to judge")
    bad = Verdict.FAIL in verdicts or Verdict.INCONCLUSIVE in verdicts
    return line(Icon("warning") if bad else "", " " if bad else "", f"Criteria: {', '.join(words)}")


#: Where the rules of a policy stand: their fields are texts of JSON, not values.
POLICY_TEXTS = frozenset({"definition", "policy_family_definition_overrides"})


def change_words(change: Mapping[str, Any] | None) -> str:
    """A planned change in one short line: ``13.3 → 17.3``, with how many places and what else."""
    if not change:
        return "-"
    runtimes: dict[str, int] = {}
    others: dict[str, None] = {}
    for f in change.get("fields", ()):
        name = str(f["path"][-1])
        if str(f["path"][0]) in POLICY_TEXTS:
            what = "pool" if name in POOLS else "runtime"
            others[f"takes the new {what} beside the old one"] = None
        elif name == "new_pool":
            others["a new pool with the new runtime loaded"] = None
        elif name in POOLS:
            others["its new pool" if f["after"] != f["before"] else f"pool {f['before']}"] = None
        elif name == "spark_version":
            words = f"{shown(f['before'])} → {shown(f['after'])}"
            runtimes[words] = runtimes.get(words, 0) + 1
        else:
            # The old key said Photon in its name, the new one says it in a field of its own.
            photon = name == "runtime_engine" and f["after"] == "PHOTON"
            others["Photon stays" if photon else f"{name} → {f['after'] or 'none'}"[:40]] = None
    said = [words + (f" (×{n})" if n > 1 else "") for words, n in runtimes.items()]
    return ", ".join([*said, *others])[:120]


def short(text: str, most: int) -> str:
    """``text`` in at most ``most`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def pieces(text: str, most: int = 1000) -> list[str]:
    """A long text in pieces that a surface shows whole, each as a line of its own."""
    return [text[i : i + most] for i in range(0, len(text), most)]
