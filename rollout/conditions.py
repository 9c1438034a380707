"""The conditions of a stage that one may name: which of them are unmet, and whether people may pass over one. Pure.

A condition is called ``criterion:KEY``, ``item:KEY`` or ``sign-off:ROLE``. What is wrong with the record itself (a
broken chain, an altered sign-off, altered evidence) is no condition: nobody passes over that.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rollout.plan import Override, Plan
from rollout.states import StageState, Verdict

if TYPE_CHECKING:
    from rollout.standing import Standing

CRITERION: Final = "criterion"
ITEM: Final = "item"
SIGN_OFF: Final = "sign-off"
#: What the plan calls them.
_COVERS: Final = {CRITERION: "verdicts", ITEM: "items", SIGN_OFF: "sign-offs"}
#: The numbers are there, and the sign-off is the judgement of them.
PEOPLE_JUDGE: Final = "people_judge"


@dataclass(frozen=True, slots=True)
class Unmet:
    """One condition that does not hold now, and why in a sentence."""

    condition: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Waiver:
    """One condition that two people passed over. ``doubt`` says why it does not count now; empty: it counts."""

    id: int
    condition: str
    title: str
    reason: str
    asked_by: str
    second: str
    at: datetime
    generation: int
    doubt: str = ""


def kind_of(condition: str) -> str:
    """``criterion``, ``item`` or ``sign-off``."""
    return condition.partition(":")[0]


def covered(plan: Plan, stage_key: str, condition: str) -> Override | None:
    """Who may pass over that kind of condition in that stage; None: nobody."""
    rule = plan.override_of(stage_key)
    kind = kind_of(condition)
    if rule is None or _COVERS.get(kind, "") not in rule.covers:
        return None
    # Also where a plan was stored that no check has seen: production is never signed by nobody.
    return None if kind == SIGN_OFF and plan.stage(stage_key).production else rule


def unmet(standing: "Standing", stage_key: str) -> tuple[Unmet, ...]:
    """What does not hold of the stage and is not passed over: of its start before it has begun, else of its review."""
    stage = standing.stage(stage_key)
    if stage.state in {StageState.WAITING, StageState.READY}:
        items = standing.blocking_items(stage_key)
        return tuple(Unmet(f"{ITEM}:{i.key}", i.title, "it is required, and open") for i in items)
    if stage.state is not StageState.REVIEW:
        return ()
    titles = standing.titles()
    required = standing.required(stage_key)
    lacking = stage.lacking(required)
    if sum(f"{SIGN_OFF}:{role}" not in stage.waived for role in required) < 2:
        lacking = {}  # somebody has to sign: the last role is never passed over
    return (
        *criteria(standing, stage_key),
        *(Unmet(f"{SIGN_OFF}:{r}", f"sign-off of {titles.get(r, r)}", f"{n} missing") for r, n in lacking.items()),
    )


def criteria(standing: "Standing", stage_key: str) -> tuple[Unmet, ...]:
    """Criteria that were looked at and do not hold: FAIL and INCONCLUSIVE alike, but for what people are to judge."""
    stage = standing.stage(stage_key)
    found = []
    for criterion in standing.plan.stage(stage_key).criteria:
        look = stage.findings.get(criterion.key)
        condition = f"{CRITERION}:{criterion.key}"
        if criterion.check is None or look is None or look.verdict is Verdict.PASS or condition in stage.waived:
            continue
        if look.verdict is Verdict.INCONCLUSIVE and look.reason_code == PEOPLE_JUDGE:
            continue
        found.append(Unmet(condition, criterion.title, f"{look.verdict}: {look.sentence}"))
    return tuple(found)


def may_pass(standing: "Standing", stage_key: str) -> bool:
    """Whether the stage passes now: its sign-offs are there, and nothing holds it over which nobody could sign."""
    held = criteria(standing, stage_key) or standing.issues_holding_review(stage_key)
    return standing.is_accepted(stage_key) and not held


def named(standing: "Standing", stage_key: str, word: str) -> Unmet | None:
    """The unmet condition of that name, written whole or as its key alone; None when none or several fit."""
    found = [u for u in unmet(standing, stage_key) if word in (u.condition, u.condition.partition(":")[2])]
    return found[0] if len(found) == 1 else None


def counting(waivers: Collection[Waiver]) -> frozenset[str]:
    """The conditions that are passed over now."""
    return frozenset(w.condition for w in waivers if not w.doubt)
