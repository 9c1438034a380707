"""What waits for one person: on the Home tab, and in the daily reminder what is theirs by name. Pure."""

from collections.abc import Collection
from datetime import datetime

from commands.checklist import whose
from commands.issues import line_of
from commands.outlook import items_left
from commands.reply import Block, Button, Icon, Line, Note, Paragraph, Strong, line
from commands.words import count
from rollout import awaited, conditions, gates
from rollout.awaited import Awaited
from rollout.gatefacts import sign_facts, start_facts
from rollout.gates import Proceed
from rollout.standing import StageStanding, Standing
from rollout.states import StageState


def blocks(standing: Standing, waits: Awaited, now: datetime, most: int = 5) -> list[Block]:
    """The items, issues and stages, ``most`` of each kind; nothing where nothing waits."""
    at = {"rollout": standing.id}
    found: list[Block] = []
    for key in waits.stages[:most]:
        button = Button(f"Approve {key}", "approve", {**at, "stage": key, "version": standing.stage(key).version})
        found.append(Paragraph((line(Icon("info"), " ", Strong(key), " waits for your sign-off."),), button))
    for item in waits.items[:most]:
        icon = Icon("warning" if awaited.overdue(standing, item.key, now) else "waiting")
        said = line(icon, " ", Strong(item.title), *whose(standing, item.key, now))
        found.append(Paragraph((said,), Button("Open", "item", {**at, "item": item.key})))
    for issue in waits.issues[:most]:
        button = Button(f"Issue #{issue.number}", "issues", {**at, "issue": issue.number})
        found.append(Paragraph((line_of(issue),), button))
    kinds = ((waits.stages, "stage"), (waits.items, "item"), (waits.issues, "issue"))
    more = [count(len(of) - most, f"more {what}") for of, what in kinds if len(of) > most]
    return [*found, *([Note(line(f"And {', '.join(more)}: /rollout checklist, /rollout issues"))] if more else [])]


def waits_for(standing: Standing, actor: str, roles: Collection[str], now: datetime) -> list[Line]:
    """What waits for this very person."""
    found: list[Line] = []
    if standing.read_only:
        return found
    if standing.paused and set(roles) & set(standing.plan.capabilities.may_resume):
        found.append(line(Icon("paused"), " The rollout is paused: ", Strong("/rollout resume"), " lets it go on."))
    starts = bool(set(roles) & set(standing.plan.capabilities.start))
    for stage in standing.stages:
        if stage.state in {StageState.REVIEW, StageState.PASSED}:  # may_approve says no to what has truly passed
            facts = sign_facts(standing, stage.key, actor, roles, "")
            if isinstance(gates.may_approve(facts), Proceed):
                found.append(line(Icon("info"), " ", Strong(stage.key), " waits for your sign-off."))
        if starts:
            found += _left_to_starters(standing, stage)
    current = standing.current()
    if current is not None and current.state is StageState.READY:
        decision = gates.may_start(start_facts(standing, current.key, actor, roles, now))
        if isinstance(decision, Proceed):
            text = f" may be started: {count(current.planned, 'target')}. "
            typed = Strong(f"/rollout start {current.key}")
            found.append(line(Icon("ready"), " ", Strong(current.key), text, typed))
    items = standing.blocking_items(current.key) if current is not None else items_left(standing)
    mine = [i for i in items if roles and (not i.attest or set(i.attest) & set(roles))]
    if mine:
        one = len(mine) == 1
        what = f"{'is' if one else 'are'} left" if current is None else f"{'holds' if one else 'hold'} {current.key}"
        found.append(line(Icon("info"), f" {count(len(mine), 'checklist item')} you could tick {what}."))
    return found


def _left_to_starters(standing: Standing, stage: StageStanding) -> list[Line]:
    """What a stage that has begun waits for from those who may start it: ``who_must_act`` names them."""
    key, name = stage.key, Strong(stage.key)
    back, unlock = Strong(f"/rollout rollback {key}"), Strong(f"/rollout unlock {key} REASON")
    match stage.state:
        case StageState.BLOCKED:
            why = (stage.block_sentence or "it needs a person").rstrip(".")
            again = Strong(f"/rollout start {key}")
            return [line(Icon("blocked"), " ", name, f" is blocked: {why}. ", again, " tries again.")]
        case StageState.REVIEW if stage.rejections:
            return [line(Icon("warning"), " ", name, " was rejected: look into it, or ", back)]
        case StageState.REVIEW if conditions.criteria(standing, key):
            again = Strong(f"/rollout recheck {key}")
            return [line(Icon("warning"), " A check holds ", name, ": ", again, " once it is mended.")]
        case StageState.PASSED if stage.evidence_doubt or not stage.evidence_digest:
            return [line(Icon("warning"), " ", name, " opens no gate: ", Strong(f"/rollout audit {key}"), " says why.")]
        case StageState.ROLLED_BACK if standing.current() == stage:
            first = (" could not be put back whole: ", back, " tries again, then ") if stage.block_code else (": ",)
            return [line(Icon("locked"), " ", name, *first, unlock, " makes it ready again.")]
    return []
