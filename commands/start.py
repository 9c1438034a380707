"""``start STAGE``: shows the exact effects, and what is confirmed is what starts. On a blocked stage: retries."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from commands import machines, outlook, pins, supports, teamwords
from commands import managed as managed_edits
from commands.call import Call, Refused, refused
from commands.reply import (
    At,
    Block,
    Buttons,
    Code,
    FieldErrors,
    Form,
    Icon,
    Line,
    Moment,
    Note,
    Paragraph,
    Reply,
    Strong,
    line,
)
from commands.stagelook import lasting_seconds
from commands.words import change_words, count, listed, short
from rollout import gates
from rollout.gatefacts import retry_facts, start_facts
from rollout.limits import limit_words
from rollout.plan import Window
from rollout.sharing import sentence
from rollout.standing import StageStanding
from rollout.states import StageState
from storage import dryrun, intents, intents_schedule, managed, sharing
from storage.acting import stale
from storage.dryrun import Planned

_FIRST = 10
#: Up to so many targets a stage is taken for a canary, which ought to be isolated.
_FEW = 10


def start(call: Call) -> Reply:
    """Ask for confirmation, or start what was confirmed."""
    stage = _stage(call)
    check_version(call, stage)
    if stage.state is StageState.BLOCKED:
        return _retry(call, stage)
    call.proceed(gates.may_start(start_facts(call.standing, stage.key, call.actor, call.roles, call.now)))
    if not call.submitted:
        return _form(call, stage)
    if (lifted := pins.lift_asked(call, stage.key)) is not None:
        return lifted
    confirm = call.text("confirm")
    begin_at = moment(call.request.arguments.get("begin_at"))
    if begin_at is not None:
        return _schedule(call, stage, confirm, begin_at)
    done = intents.start(
        call.database, call.who, call.now, call.standing.id, stage.key, confirm, call.number("version")
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, stage.key)
    said = f"{stage.key} is under way: {count(done.targets, 'target')}."
    return Reply(
        said,
        (
            Paragraph(
                (
                    line(Icon("working"), " ", Strong(said)),
                    line("First every target is backed up, then changed, then checked."),
                    line(f"Watch its card in the channel, or type /rollout status {stage.key}"),
                )
            ),
            Buttons((call.button("Status", "status", stage=stage.key),)),
        ),
    )


def _stage(call: Call) -> StageStanding:
    if call.stage_key is not None:
        return call.stage
    current = call.standing.current()
    if current is None:
        raise refused("stage_passed", "All stages have passed; there is nothing to start.", "/rollout report")
    buttons = outlook.next_buttons(call.standing, current, call.now, (call.actor, call.roles))
    raise refused(
        "missing_argument",
        f"Which stage? The rollout is at {current.key}.",
        f"/rollout start {current.key}",
        *[b for b in buttons if b.verb == "start"],
    )


def check_version(call: Call, stage: StageStanding) -> None:
    """Refuse what was drawn from an older state of the stage."""
    version = call.number("version")
    if version is not None and version != stage.version:
        raise Refused(stale(stage.key).reasons, stage.key)


def _form(call: Call, stage: StageStanding) -> Reply:
    with call.database.read() as session:
        planned = dryrun.change_set(session, call.standing.id, stage.key)
    digest = dryrun.digest_of(planned)
    asked, inputs = pins.asked(call, stage.key)
    body = (*effects(call, stage, planned, digest), *asked)
    form = Form(
        title=f"Start {stage.key}",
        verb="start",
        arguments={
            "rollout": call.standing.id,
            "stage": stage.key,
            "version": stage.version,
            "confirm": digest,
        },
        submit=f"Start {stage.key}",
        body=body,
        inputs=(Moment("begin_at", "Begin later, at (empty: at once)"), *inputs),
    )
    targets = len(dryrun.targets_of(planned))
    return Reply(f"Start {stage.key}? {count(targets, 'target')} would be changed.", form=form)


def _schedule(call: Call, stage: StageStanding, confirm: str, begin_at: datetime) -> Reply:
    done = intents_schedule.schedule(
        call.database, call.who, call.now, call.standing.id, stage.key, confirm, begin_at, call.number("version")
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, stage.key)
    said = f"{stage.key} is to begin later: {count(done.targets, 'target')}."
    lines = (
        line(Icon("waiting"), " ", Strong(said), " At ", At(done.begin_at)),
        line("Whether it may begin is asked again then, in your name. If not, you and the channel are told."),
    )
    cancel_button = call.button("Cancel the start", "cancel", stage=stage.key)
    return Reply(said, (Paragraph(lines), Buttons((cancel_button, call.button("Status", "status", stage=stage.key)))))


def cancel(call: Call) -> Reply:
    """Take back a start that waits for its time."""
    done = intents_schedule.cancel(call.database, call.who, call.now, call.standing.id, call.stage.key)
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, call.stage.key)
    said = f"{done.stage} does not begin by itself any more."
    return Reply(said, (Paragraph((line(Icon("ok"), f" {said}"), line(f"Next: /rollout start {done.stage}"))),))


def moment(value: object) -> datetime | None:
    """The instant that a form carries; None when it was left empty. Raises ValueError for what is none."""
    if value is None or value == "":
        return None
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    found = datetime.fromisoformat(str(value).strip())
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def check_start(arguments: Mapping[str, Any], now: datetime) -> None:
    """A time to begin at can be read, and is still to come."""
    try:
        begin_at = moment(arguments.get("begin_at"))
    except (ValueError, OverflowError):
        raise FieldErrors({"begin_at": "Write day and time such as 2026-12-01 20:00 (UTC), or nothing."}) from None
    if begin_at is not None and begin_at <= now:
        raise FieldErrors(
            {"begin_at": f"That has passed: it is {now:%Y-%m-%d %H:%M} UTC now. Choose a later time, or none."}
        )


def effects(call: Call, stage: StageStanding, planned: list[Planned], digest: str) -> tuple[Block, ...]:
    """What a start would do, in numbers and by its first targets."""
    plan, standing = call.plan.stage(stage.key), call.standing
    targets = dryrun.targets_of(planned)
    kinds = Counter(p.kind for p in targets)
    restarts = sum(p.change.restarts for p in targets)
    numbers: list[Line] = [
        line(Strong(f"{count(len(targets), 'target')} will be changed"), f": {_kinds(kinds)}."),
        *supports.changed(planned),
        *supports.kept(call, stage.key),
        *machines.lines(call, stage.key, {p.workspace for p in targets}),
        line(_restarts(restarts, plan.busy)),
        line(calls_words(len(planned))),
    ]
    if stage.left_alone or stage.pinned:
        left = f"{stage.left_alone:,} left alone" + (f", {stage.pinned} pinned" if stage.pinned else "")
        numbers.append(line(f"{left}: /rollout plan {stage.key} says why."))
    numbers += _managed(call, stage)
    if (back := _way_back(call, targets)) is not None:
        numbers.append(back)
    if len(targets) <= _FEW:
        numbers += _not_isolated(call, targets)
    rules: list[Line] = [
        line(f"At most {plan.max_parallel} at once; it stops at {limit_words(plan.max_failures, 'failure')}."),
    ]
    if plan.max_run_failures is not None:
        limit = limit_words(plan.max_run_failures, "failed run")
        rules.append(line(f"It stops at {limit} on the new runtime, too."))
    if plan.windows:
        rules.append(line(f"Only {listed([window_words(w) for w in plan.windows[:4]])}."))
    elif standing.plan.shared_window is not None:
        rules.append(line(f"Running clusters that people work on: only {window_words(standing.plan.shared_window)}."))
    if (wait := outlook.window_wait(standing, stage, call.now)) is not None:
        rules.append(wait)
    if plan.bake:
        rules.append(line(f"Afterwards it bakes for {lasting_seconds(plan.bake)} before it can be approved."))
    needed = teamwords.missing(standing, standing.required(stage.key))
    rules.append(line(f"Then it needs to be signed by {listed(needed)}, and not by you who starts it."))
    rules += teamwords.division(standing, stage)
    first: list[Line] = [
        line(f"• {short(p.name, 60)} ({p.kind}, {p.workspace}): {change_words(p.change.to_json())}")
        for p in targets[:_FIRST]
    ]
    if len(targets) > _FIRST:
        first.append(line(f"and {len(targets) - _FIRST:,} more: /rollout plan {stage.key}"))
    blocks: list[Block] = [Paragraph(tuple(numbers)), Paragraph(tuple(rules)), Paragraph(tuple(first))]
    blocks.append(Note(line("Every target is backed up first. Change set ", Code(digest[:8]))))
    return tuple(blocks)


def _managed(call: Call, stage: StageStanding) -> list[Line]:
    """What repositories change themselves, and what is changed by API although a repository owns it."""
    with call.database.read() as session:
        forced = managed.forced(session, call.standing.id, stage.key)
    lines: list[Line] = []
    if stage.managed:
        left = stage.managed - stage.arrived
        text = f"{count(stage.managed, 'target')} deployed from repositories: backed up now, changed there"
        lines.append(line(f"{text}; {left:,} still to come. /rollout plan --managed has the edits."))
    lines += [forced_line(forced)] if forced else []
    return [*lines, *managed_edits.perhaps_lines(call, stage.key)]


def forced_line(forced: list[tuple[str, int]]) -> Line:
    """What the next deploy does to what is changed by API all the same."""
    names = listed([f"{repository} ({number:,})" for repository, number in forced[:4]])
    more = f" and {len(forced) - 4:,} more" if len(forced) > 4 else ""
    text = f" Changed by API although deployed from a repository: the next deploy of {names}{more} writes the old"
    return line(Icon("warning"), f"{text} runtime back unless it is changed there, too.")


def _way_back(call: Call, planned: list[Planned]) -> Line | None:
    """That a workspace no longer lists the old runtime, and what the way back is then; said before the start."""
    notes = [n for p in planned for n in p.change.notes if "the way back" in n]
    if not notes:
        return None
    return line(Icon("warning"), f" {count(len(notes), 'target')}: {notes[0]}.")


def _not_isolated(call: Call, planned: list[Planned]) -> list[Line]:
    """Of a stage with few targets: what else is touched when these move."""
    with call.database.read() as session:
        shared = sharing.shared_by(session, call.standing.id, [p.target_id for p in planned])
    said = [sentence(found, names) for found, names in shared]
    return [line(Icon("warning"), f" {text}") for text in said if text]


def _restarts(number: int, busy: str) -> str:
    if not number:
        return "Nothing is restarted."
    return f"{count(number, 'running cluster')} will be restarted: notebooks lose their state. {_RUNS[busy]}"


#: What happens to runs of jobs that are under way there.
_RUNS = {
    "wait": "Runs of jobs on them are waited for.",
    "ask": "Where a job runs on one, people are asked first.",
    "restart": "Runs of jobs on them end.",
}


def calls_words(targets: int) -> str:
    """How many calls a change set makes of Databricks: each target is read for its backup, for who may use it, and
    just before its write."""
    return f"API calls: {count(targets, 'write')} and about {targets * 3:,} reads."


def _kinds(kinds: Counter[str]) -> str:
    return listed([count(number, kind) for kind, number in sorted(kinds.items())])


def window_words(window: Window) -> str:
    """``mon-thu 20:00-23:00 Europe/Berlin``."""
    days = "every day" if len(window.days) == 7 else ", ".join(window.days)
    return f"{days} {window.start:%H:%M}-{window.end:%H:%M} {window.zone}"


def _retry(call: Call, stage: StageStanding) -> Reply:
    call.proceed(gates.may_retry(retry_facts(call.standing, stage.key, call.roles)))
    kind = stage.work_now
    bad = stage.tally(kind).bad if kind is not None else 0
    if not call.submitted:
        what = f"{count(bad, 'target')} will be tried again." if bad else "It goes on where it stopped."
        form = Form(
            title=f"Retry {stage.key}",
            verb="start",
            arguments={"rollout": call.standing.id, "stage": stage.key, "version": stage.version},
            submit=f"Start {stage.key}",
            body=(
                Paragraph(
                    (
                        line(Icon("blocked"), " ", stage.block_sentence or f"{stage.key} is blocked."),
                        line(Strong(what)),
                        line("To leave a failed target behind instead, type /rollout rollback TARGET: it is pinned."),
                    )
                ),
            ),
        )
        return Reply(f"Let {stage.key} go on? {what}", form=form)
    done = intents.retry(call.database, call.who, call.now, call.standing.id, stage.key, call.number("version"))
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, stage.key)
    again = f": {count(done.targets, 'target')} again" if done.targets else ""
    said = f"{stage.key} goes on{again}."
    return Reply(
        said,
        (
            Paragraph((line(Icon("working"), f" {said}"), line(f"/rollout status {stage.key} shows how far it is."))),
            Buttons((call.button("Status", "status", stage=stage.key),)),
        ),
    )
