"""What several looks show alike: the situation, a stage in a few lines, its bar, the age of facts, page buttons."""

from datetime import datetime
from typing import Any

from commands import escalation, outlook, override, teamwords
from commands.call import Call
from commands.reply import (
    At,
    Block,
    Button,
    Buttons,
    Icon,
    Line,
    Paragraph,
    Part,
    Person,
    Progress,
    Strong,
    line,
)
from commands.teamwords import sign_off_line
from commands.words import (
    STATE,
    WORK,
    ago,
    count,
    criteria_line,
    day_advice,
    icon,
    lasting,
    listed,
)
from rollout.planfile import differing_words
from rollout.standing import StageStanding, Standing
from rollout.states import ENGINE_STATES, ActionKind, StageState


def situation(standing: Standing, now: datetime) -> list[Block]:
    """Where we are, what holds us, who must act."""
    blocks: list[Block] = [Paragraph((outlook.where(standing, now),))]
    if holding := outlook.holds(standing, now):
        blocks.append(Paragraph((line(Strong("What holds us")), *holding)))
    blocks.append(Paragraph((line(Strong("Who must act")), *outlook.who_must_act(standing, now))))
    return [*blocks, *warnings(standing)]


def plain_status(standing: Standing, now: datetime) -> str:
    """The answer in a sentence or two."""
    stage = standing.current()
    if stage is None:
        return f"{standing.plan.title}: all stages have passed."
    passed = sum(standing.has_passed(s.key) for s in standing.stages)
    if stage.state is StageState.PASSED:
        return f"{standing.plan.title}: {stage.key} counts as passed, but what was signed does not carry that."
    held = " The rollout is paused." if standing.paused else ""
    held += " The bot runs read only." if standing.read_only else ""
    of = f"{outlook.passed_of(passed, len(standing.stages))}."
    return f"{standing.plan.title}: {stage.key} is {STATE[stage.state]}; {of}{held}"


def stage_lines(standing: Standing, stage: StageStanding, now: datetime) -> list[Line]:
    """One stage in a few lines: state, counts, criteria, sign-offs, bake, timeline."""
    words: list[Part] = [icon(stage), " ", Strong(stage.key), f" · {STATE[stage.state]} · ", targets_words(stage)]
    if advice := day_advice(standing, stage, now):
        words.append(f" · {advice}")
    lines: list[Line] = [tuple(words)]
    if (criteria := criteria_line(standing, stage)) is not None:
        lines.append(criteria)
    if stage.state in {StageState.ROLLING_BACK, StageState.ROLLED_BACK}:
        pass  # what was signed no longer counts
    elif stage.state in {StageState.REVIEW, StageState.PASSED} or stage.signatures:
        lines += [sign_off_line(standing, stage), *teamwords.lines(standing, stage)]
    elif stage.state in {StageState.READY, *ENGINE_STATES} - {StageState.ROLLING_BACK}:
        wanted = teamwords.missing(standing, dict.fromkeys(standing.required(stage.key), 1))
        lines.append(line("Sign-offs needed: ", listed(wanted)))
    lines += [*escalation.looked_after(stage), *override.lines(stage)]
    if stage.begin_at is not None and not stage.started:
        by: Line = (", scheduled by ", Person(stage.begin_by)) if stage.begin_by else ()
        lines.append(line(Icon("waiting"), " Begins ", At(stage.begin_at), *by))
    if stage.state is StageState.BAKING and stage.bake_until is not None:
        lines.append(line(f"Bake: another {lasting(stage.bake_until - now)}"))
    if stage.state is StageState.BLOCKED or (stage.state is StageState.ROLLED_BACK and stage.block_sentence):
        lines.append(line(Icon("warning"), f" {stage.block_sentence}"))
    if (compared := backups_line(stage)) is not None:
        lines.append(compared)
    if stage.locked and stage.state is StageState.ROLLED_BACK:
        lines.append(line("Locked", *outlook.locked_words(stage)))
    return lines


def backups_line(stage: StageStanding) -> Line | None:
    """``118 of 120 equal to their backups, 2 differ``; None where nothing was put back or compared yet."""
    found = stage.compared
    if stage.state not in {StageState.ROLLING_BACK, StageState.ROLLED_BACK} or not found.total:
        return None
    if stage.state is StageState.ROLLING_BACK and found.waiting == found.total:
        return None  # it is still being put back
    icon = "ok" if found.clean else "working" if found.waiting else "warning"
    return line(Icon(icon), f" {found.words()}")


def targets_words(stage: StageStanding) -> str:
    """``8 of 12 targets upgraded, 1 failed, 1 pinned``."""
    words: list[str] = []
    if not stage.started:
        words.append(f"{count(stage.planned, 'target')} to change")
        if stage.left_alone:
            words.append(f"{stage.left_alone:,} left alone")
    elif stage.state in {StageState.ROLLING_BACK, StageState.ROLLED_BACK}:
        tally = stage.tally(ActionKind.REVERT)
        words.append(f"{tally.good} of {count(tally.total, 'target')} put back")
        if tally.bad:
            words.append(f"{tally.bad} could not be put back")
    else:
        changed = stage.tally(ActionKind.CHANGE)
        words.append(f"{changed.good} of {count(stage.total, 'target')} upgraded")
        work = stage.work_now
        if work in {ActionKind.BACKUP, ActionKind.VALIDATE}:
            words.append(f"{stage.tally(work).good} {WORK[work]}")
        if failed := sum(stage.tally(k).bad for k in (ActionKind.BACKUP, ActionKind.CHANGE, ActionKind.VALIDATE)):
            words.append(f"{failed} failed")
    if stage.managed and stage.state not in {StageState.ROLLING_BACK, StageState.ROLLED_BACK}:
        if stage.started or stage.arrived:
            words.append(f"{stage.arrived} of {count(stage.managed, 'repository edit')} arrived")
        else:
            edit = "edit" if stage.managed == 1 else "edits"
            words.append(f"{stage.managed:,} deployed from repositories (/rollout plan --managed has the {edit})")
    if stage.pinned:
        words.append(f"{stage.pinned} pinned")
    if stage.drifted:
        words.append(f"{stage.drifted} drifted")
    return ", ".join(words)


def warnings(standing: Standing) -> list[Block]:
    """What somebody has to look at although it holds nothing now: orphans, overlaps and drift."""
    lines: list[Line] = []
    if standing.orphans:
        text = (
            f" {count(standing.orphans, 'target')} on {standing.plan.runtimes.source} in no stage: nobody moves them."
        )
        lines.append(line(Icon("warning"), f"{text} /rollout plan lists them."))
    if standing.overlaps:
        stages = listed(sorted(standing.overlaps))
        lines.append(line(Icon("warning"), f" {stages} select the same targets: /rollout plan says which."))
    if number := sum(s.drifted for s in standing.stages):
        text = f" {count(number, 'target')} {'is' if number == 1 else 'are'} not as we set them, or appeared since"
        lines.append(line(Icon("warning"), f"{text}: /rollout report says which."))
    return [Paragraph(tuple(lines))] if lines else []


def progress(stage: StageStanding) -> Progress | None:
    """The bar of the work that goes on now, or of a way back that did not end well; None when no work is counted.

    Where the work has ended the counts say it all: a full bar would be taken for the upgrade's.
    """
    undone = stage.state is StageState.ROLLED_BACK and stage.tally(ActionKind.REVERT).bad
    kind = ActionKind.REVERT if undone else stage.work_now
    if kind is None:
        return None
    tally = stage.tally(kind)
    total = tally.total if kind is ActionKind.REVERT else max(stage.total, tally.total)
    return Progress(tally.good, total, tally.bad, WORK[kind]) if total else None


def facts_age(standing: Standing, now: datetime) -> Line:
    """How old what is known of the workspaces is."""
    looks = [standing.workspaces.get(key) for key in standing.plan.workspaces]
    ages = [w.looked_at for w in looks if w is not None and w.looked_at is not None]
    missing = [k for k, w in zip(standing.plan.workspaces, looks, strict=True) if w is None or w.looked_at is None]
    words: list[str] = []
    if missing and not ages:
        words.append("The first look at the workspaces is under way.")
    elif missing:
        words.append(f"Not looked at yet: {listed(missing)}.")
    if ages:
        words.append(f"Workspaces last looked at {ago(min(ages), now)}.")
    if any(w.look_pending for w in looks if w is not None):
        words.append("A fresh look is under way.")
    return line(" ".join(words))


def plan_file(standing: Standing) -> list[Block]:
    """That the configured file is not the plan in force, where it is so."""
    if not standing.file_differs:
        return []
    said = differing_words(standing.plan.key, standing.file_older)
    return [Paragraph((line(Icon("warning"), f" {said}"),))]


def pages(call: Call, verb: str, total: int, size: int, **arguments: Any) -> Buttons:
    """Previous and next, as far as there are any; the labels count."""
    last = max((total - 1) // size, 0)
    page = min(call.page, last)
    found: list[Button] = []
    if page > 0:
        found.append(call.button("Previous", verb, page=page - 1, **arguments))
    if page < last:
        found.append(call.button(f"Next ({page + 2} of {last + 1})", verb, page=page + 1, **arguments))
    return Buttons(tuple(found))
