"""The live card of a stage: its header, how far it is, what failed, what the runs say, and what to press next."""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from commands import compared, issues, managed, outlook, override, pins
from commands.reply import (
    Block,
    Button,
    Buttons,
    Code,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Person,
    Reply,
    Strong,
    line,
)
from commands.shown import progress, stage_lines
from commands.words import STATE, count, lasting, short
from rollout.issues import WHICH, counted
from rollout.plan import Issues
from rollout.standing import StageStanding, Standing
from rollout.states import ActionKind, StageState, Verdict
from storage import managed as stored
from storage import runfailures, tallies
from storage.models import Stage

_FAILURES = 5
#: The check whose numbers are shown; also without a criterion of the plan its evidence has this name.
RUNS = "runs_compared"
_VERDICT = {Verdict.PASS: "ok", Verdict.FAIL: "failed", Verdict.INCONCLUSIVE: "warning"}
#: With fewer ended targets an estimate would be a guess.
_ENOUGH = 3


def card(session: Session, standing: Standing, key: str, now: datetime) -> Reply:
    """The card as it is now."""
    stage = standing.stage(key)
    title = standing.plan.stage(key).title
    blocks: list[Block] = [Heading(short(f"{key} · {title}", 140)), Paragraph(tuple(stage_lines(standing, stage, now)))]
    if (bar := progress(stage)) is not None:
        blocks.append(bar)
    blocks += pace(session, standing, stage, now)
    blocks += failures(session, stage)
    blocks += compared.blocks(session, stage, _FAILURES)
    blocks += owned_elsewhere(session, standing, stage)
    blocks += pins.listed(standing, tuple(p for p in standing.pins if p.stage == key), 5)
    blocks += issues.of_stage(standing, stage)
    blocks += runs(standing, stage)
    if stage.state is StageState.REVIEW:
        blocks += [*criteria(standing, stage), *override.at_criteria(standing, key)]
    blocks.append(Paragraph(_next(standing, stage, now)))
    details = Button("Details", "status", {"rollout": standing.id, "stage": key})
    report = Button("Report an issue…", "issue", {"rollout": standing.id, "stage": key})
    pressed = outlook.next_buttons(standing, stage, now)
    forward, back = [b for b in pressed if b.style != "danger"], [b for b in pressed if b.style == "danger"]
    blocks.append(Buttons((*forward, *compared.button(standing, stage), details, report, *back)))
    if stage.started_by:
        digest = (stage.change_set_digest or "")[:8]
        again = f" · try {stage.generation}" if stage.generation > 1 else ""
        blocks.append(Note(line("Started by ", Person(stage.started_by), " · change set ", Code(digest), again)))
    return Reply(f"{key} is {STATE[stage.state]}.", tuple(blocks))


def pace(session: Session, standing: Standing, stage: StageStanding, now: datetime) -> list[Block]:
    """An honest estimate from the pace so far; nothing where there is none to give."""
    kind = stage.work_now
    if kind is None or stage.state is StageState.BLOCKED:
        return []
    slow = outlook.throttled(standing, now, standing.plan.stage(stage.key).targets.workspaces)
    return [*([Paragraph(tuple(slow))] if slow else []), *_pace(session, standing, stage, kind, now)]


def _pace(session: Session, standing: Standing, stage: StageStanding, kind: ActionKind, now: datetime) -> list[Block]:
    if stage.state is not StageState.ROLLING_BACK:
        if standing.paused:
            return [Paragraph((line(Icon("paused"), " Paused: nothing new is begun."),))]
        if kind is ActionKind.CHANGE and (wait := outlook.window_wait(standing, stage, now)) is not None:
            return [Paragraph((wait,))]
        if kind is ActionKind.CHANGE and stage.waiting_for_runs and not stage.tally(kind).running:
            return [Paragraph((outlook.runs_wait(stage),))]
    tally = stage.tally(kind)
    left = tally.pending + tally.running
    if not left:
        return []
    ended, began = tallies.pace(session, stage.id, stage.generation, kind)
    if began is None or ended < _ENOUGH or now <= began:
        return [Note(line(f"{count(left, 'target')} to go; too early for an estimate."))]
    estimate = timedelta(seconds=(now - began).total_seconds() / ended * left)
    return [Note(line(f"{count(left, 'target')} to go, about {lasting(estimate)} at the present pace."))]


def failures(session: Session, stage: StageStanding, most: int = _FAILURES) -> list[Block]:
    """The first failures with their reasons."""
    kinds = [k for k in ActionKind if stage.tally(k).bad and k is not ActionKind.COMPARE]
    ran = _failed_runs(session, stage, most)
    if not kinds:
        return ran
    lines: list[Line] = []
    total = sum(stage.tally(k).bad for k in kinds)
    for kind in kinds:
        for action, target in tallies.newest_bad(session, stage.id, stage.generation, kind)[: most - len(lines)]:
            why = short(action.sentence or "no reason was given", 200)
            code = f" ({action.reason_code})" if action.reason_code else ""
            lines.append(
                line(Icon("failed"), " ", Strong(short(target.name, 60)), f" · {target.workspace}: {why}{code}")
            )
    more = total - len(lines)
    if more > 0:
        lines.append(line(f"and {more} more: /rollout status {stage.key}"))
    return [Paragraph((line(Strong(f"{count(total, 'failure')}")), *lines)), *ran]


def _failed_runs(session: Session, stage: StageStanding, most: int) -> list[Block]:
    """For a stage that stands still because of them: the targets whose runs failed on the new runtime."""
    if stage.state is not StageState.BLOCKED or stage.block_code != "max_run_failures":
        return []
    found = runfailures.failed(session, session.get_one(Stage, stage.id))
    times = Counter((run.target, run.workspace) for run in found)
    lines: list[Line] = [
        line(Icon("failed"), " ", Strong(short(name, 60)), f" · {workspace}: {count(number, 'failed run')}")
        for (name, workspace), number in times.most_common(most)
    ]
    if len(times) > most:
        lines.append(line(f"and {len(times) - most} more targets"))
    return [Paragraph((line(Strong(f"{count(len(found), 'failed run')} on the new runtime")), *lines))]


def owned_elsewhere(session: Session, standing: Standing, stage: StageStanding) -> list[Block]:
    """How far the repositories are with their edits of this stage."""
    if not stage.managed or stage.state in (StageState.ROLLING_BACK, StageState.ROLLED_BACK):
        return []
    lines = managed.arrival_lines(stored.arrivals(session, standing.id, stage.key), 5)
    return [Paragraph((line(Strong("Repositories")), *lines))]


def runs(standing: Standing, stage: StageStanding) -> list[Block]:
    """The runs on the old runtime beside those on the new one: numbers for people, they decide nothing."""
    planned = standing.plan.stage(stage.key).criteria
    key = next((c.key for c in planned if c.check == RUNS), RUNS)
    found = stage.findings.get(key)
    if found is None:
        return []
    lines: list[Line] = [line(Strong("Runs of its jobs"))]
    for side, label in (("old", "before"), ("new", "now")):
        numbers = found.facts.get(side)
        if isinstance(numbers, dict):
            lines.append(line(f"{label} ({numbers.get('release', '?')}): {run_words(numbers)}"))
    if len(lines) == 1 or found.verdict is not Verdict.INCONCLUSIVE:
        lines.append(line(Icon(_VERDICT[found.verdict]), f" {short(found.sentence, 300)}"))
    return [Paragraph(tuple(lines))]


def run_words(numbers: dict[str, object]) -> str:
    """``120 runs, 2 failed, median 3 min 5 s``."""
    ran, failed, median = numbers.get("runs"), numbers.get("failures"), numbers.get("median")
    words = [count(int(ran), "run") if isinstance(ran, int | float) else "no runs"]
    if isinstance(failed, int | float):
        words.append(f"{int(failed)} failed")
    if isinstance(median, int | float):
        minutes, seconds = divmod(round(median), 60)
        words.append(f"median {f'{minutes} min ' if minutes else ''}{seconds} s")
    return ", ".join(words)


def criteria(standing: Standing, stage: StageStanding, most: int = 12) -> list[Block]:
    """Each verdict, then what the bot has still to check and what people judge. What was put back has no verdict."""
    planned = standing.plan.stage(stage.key).criteria
    if not planned or stage.state in (StageState.ROLLING_BACK, StageState.ROLLED_BACK):
        return []
    found = [(c, stage.findings[c.key]) for c in planned if c.key in stage.findings]
    lines: list[Line] = [
        line(Icon(_VERDICT[f.verdict]), f" {c.title}: {short(f.sentence, 200)}") for c, f in found[:most]
    ]
    if len(found) > most:
        lines.append(line(f"and {len(found) - most} more: /rollout status {stage.key}"))
    for c in planned:
        if c.issues is not None:
            lines.append(_counted(standing, stage, c.title, c.issues))
    unchecked = [c.title for c in planned if c.by == "check" and c.key not in stage.findings]
    if unchecked:
        lines.append(line(Icon("waiting"), " The bot checks when the work has ended: ", _few(unchecked, most)))
    judged = [c.title for c in planned if c.by == "person"]
    if judged:
        lines.append(line(Icon("info"), " Those who sign judge: ", _few(judged, most)))
    return [Paragraph((line(Strong("Criteria")), *lines))]


def _counted(standing: Standing, stage: StageStanding, title: str, which: Issues) -> Line:
    """A criterion that counts open issues: it fails while there is one."""
    found = counted(standing.issues_of(stage.key), which)
    if not found:
        return line(Icon("ok"), f" {title}: no {WHICH[which]} is open")
    named = _few([short(i.named, 80) for i in found], 3)
    return line(Icon("failed"), f" {title}: {count(len(found), f'open {WHICH[which]}', _many(which))}: {named}")


def _many(which: Issues) -> str:
    return f"open {WHICH[which].replace('issue', 'issues', 1)}"


def _few(titles: list[str], most: int) -> str:
    more = f"; and {len(titles) - most} more" if len(titles) > most else ""
    return "; ".join(titles[:most]) + more


def _next(standing: Standing, stage: StageStanding, now: datetime) -> tuple[Line, ...]:
    if stage.state is StageState.PASSED:
        after = standing.plan.after(stage.key)
        if after:
            return (line(Icon("ok"), f" It is accepted. {outlook.after_passing(standing, stage.key, now)}"),)
        said = f" It is accepted. {outlook.after_passing(standing, stage.key, now)} /rollout report shows it."
        return (line(Icon("ok"), said),)
    current = standing.current()
    if current is not None and current.key == stage.key:
        return (line(Strong("Next")), *outlook.who_must_act(standing, now))
    return (line(f"/rollout status {stage.key} shows the details."),)
