"""Watch a stage under bake: the runs of its jobs on both runtimes; and gather the evidence when the bake has ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from checks import CHECKS, Found
from checks.evidence import StageLook
from engine.parts import Parts
from engine.resting import Waits, present_at_rest
from engine.stored_run import stored
from engine.targetlook import Present, look_at_targets
from monitoring.looks import SeenRun, compare_runs, got_worse
from rollout.change import SUPPORTS
from rollout.plan import Plan
from rollout.states import ActionKind, ActionState, StageState, Verdict
from storage import amended, attempts, escalating, evidence, managed, runfailures, runs
from storage.models import Action, Evidence, Run, Stage, Target
from storage.plans import plan_of
from storage.record import ENGINE, post, touch_card
from storage.transitions import Lost, lock_stage, move
from workspace.errors import WorkspaceError
from workspace.runs import collect_runs

log = structlog.get_logger(__name__)

#: How far back runs on the old runtime are compared.
BASELINE = timedelta(days=7)
#: The evidence of the hourly look, also for a plan that has no criterion with this check.
RUNS = "runs_compared"


def look_at_runs(parts: Parts, stage_id: int, period: str) -> None:
    """One look at a baking stage's runs: store evidence, edit the card, and post only when something got worse."""
    facts, error = _read_runs(parts, stage_id)
    if facts is None:
        log.warning("runs_not_read", stage=stage_id, error=error)
        return
    now = parts.calendar()
    with parts.database.write() as session:
        stage = lock_stage(session, stage_id)
        if stage.state is not StageState.BAKING:
            return
        plan = plan_of(stage.rollout)
        criterion = _runs_criterion(plan, stage.key)
        before = _latest(session, stage, criterion)
        found = CHECKS[RUNS](StageLook(plan.runtimes.target, 0, (), (), facts))
        _store(session, stage, criterion, found, now)
        touch_card(session, stage)
        worse = got_worse(before.facts if before is not None else None, facts)
        if worse:
            key = f"bake_worse:{stage.id}:{stage.generation}:{period}"
            ids = {"sentence": worse}
            post(session, now, key, "bake_worse", rollout_id=stage.rollout_id, stage_id=stage.id, ids=ids, repeat=True)


def finish_bake(parts: Parts, stage_id: int, waits: Waits | None = None) -> bool:
    """The bake has ended: look once more, store the evidence for every check, and open the review.

    False when it has not, or while a target is on its way to another state; ``waits`` remembers what was seen.
    """
    with parts.database.read() as session:
        stage = session.get(Stage, stage_id)
        if stage is None or not _bake_over(stage, parts.calendar()):
            return False
        watched = is_watched(plan_of(stage.rollout), stage.key)
    present = present_at_rest(parts, stage, {} if waits is None else waits) if watched else None
    if watched and present is None:
        return False
    facts, error = _read_runs(parts, stage_id) if watched else (None, None)
    now = parts.calendar()
    try:
        with parts.database.write() as session:
            stage = lock_stage(session, stage_id)
            if not _bake_over(stage, now) or runfailures.spent(session, stage):
                return False
            open_review(session, stage, now, facts, error, present)
            return True
    except Lost:
        return False


def _bake_over(stage: Stage, now: datetime) -> bool:
    if stage.state is not StageState.BAKING or stage.rollout.paused:
        return False
    return stage.bake_until is not None and now >= stage.bake_until


def open_review(
    session: Session,
    stage: Stage,
    now: datetime,
    facts: dict[str, Any] | None = None,
    error: str | None = None,
    present: Present | None = None,
) -> None:
    """Store what every check finds, freeze the evidence and ask for sign-offs.

    ``facts`` are those of the runs; ``present`` are the targets as they are now; None: validated just now.
    """
    plan = plan_of(stage.rollout)
    look = _stage_look(session, stage, plan, facts, error, present)
    checked: set[str] = set()
    failed: list[str] = []
    for criterion in plan.stage(stage.key).criteria:
        if criterion.check is None:
            continue
        found = CHECKS[criterion.check](look)
        _store(session, stage, criterion.key, found, now)
        checked.add(criterion.key)
        if found.verdict is Verdict.FAIL:
            failed.append(f"{criterion.title}: {found.sentence}")
    if look.runs is not None and _runs_criterion(plan, stage.key) not in checked:
        _store(session, stage, RUNS, CHECKS[RUNS](look), now)
    bundle = evidence.freeze(session, stage)
    sentence = "The work is done; the evidence is frozen and waits for sign-offs."
    move(
        session,
        stage,
        StageState.REVIEW,
        now,
        ENGINE,
        sentence,
        reviewed_at=now,
        evidence_digest=bundle.digest,
        evidence_text=bundle.text,
    )
    amended.tell_givers(session, stage, now)
    if failed:
        said = f"a check fails: {failed[0]}" + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
        escalating.begin(session, stage, "verdict", said, f"verdict:{stage.id}:{stage.version}", now)
    key = f"decision_wanted:{stage.id}:{stage.generation}:{stage.version}"  # a review may begin again
    post(session, now, key, "decision_wanted", rollout_id=stage.rollout_id, stage_id=stage.id, repeat=True)


def stage_look(parts: Parts, stage_id: int) -> StageLook:
    """What the checks are given of a stage now, without its runs."""
    present = look_at_targets(parts, stage_id)
    with parts.database.read() as session:
        stage = session.execute(select(Stage).where(Stage.id == stage_id)).scalar_one()
        return _stage_look(session, stage, plan_of(stage.rollout), None, None, present)


def _stage_look(
    session: Session,
    stage: Stage,
    plan: Plan,
    facts: dict[str, Any] | None,
    error: str | None,
    present: Present | None,
) -> StageLook:
    rows = session.execute(
        select(Action.state, Target.name, Target.pinned_reason)
        .join(Target, Target.id == Action.target_id)
        .where(attempts.newest(stage.id, stage.generation, ActionKind.VALIDATE), Target.kind.not_in(SUPPORTS))
        .order_by(Target.name)
    ).all()
    standing = [(state, name) for state, name, pinned in rows if pinned is None]
    unchanged = {name for state, name in standing if state is not ActionState.DONE}
    now = present or Present()
    arrivals = managed.arrivals(session, stage.rollout_id, stage.key)
    return StageLook(
        target_release=plan.runtimes.target,
        changed=sum(state is ActionState.DONE for state, _ in standing),
        unchanged=tuple(sorted(unchanged | set(now.elsewhere))),
        unsettled=now.down,
        runs=facts,
        runs_error=error,
        moving=now.moving,
        targets_error=now.error,
        managed=tuple((a.repository, a.arrived, a.total) for a in arrivals),
    )


def _read_runs(parts: Parts, stage_id: int) -> tuple[dict[str, Any] | None, str | None]:
    """Fetch what is new, store it, and compare. None with a sentence when a workspace did not answer."""
    with parts.database.read() as session:
        stage = session.get(Stage, stage_id)
        if stage is None or stage.started_at is None:
            return None, "the stage has not started"
        plan = plan_of(stage.rollout)
        jobs = _changed_jobs(session, stage)
        since = stage.started_at - BASELINE
        first = _latest(session, stage, _runs_criterion(plan, stage.key)) is None
    complete = True
    try:
        for key in sorted({workspace for workspace, _ in jobs}):
            if key not in parts.clients:
                return None, f"there are no settings for the workspace {key}"
            ids = {job for workspace, job in jobs if workspace == key}
            with parts.database.read() as session:
                known = runs.newest_end(session, key, ids)
            # The first look reads the whole baseline: of other looks only the newest runs are known.
            asked = since if first or known is None else max(since, known - timedelta(hours=6))
            collected = collect_runs(parts.clients[key], ids, asked)
            complete = complete and collected.complete
            runs.store(parts.database, key, [ended for run in collected.runs if (ended := stored(run)) is not None])
    except WorkspaceError as err:
        return None, str(err)
    with parts.database.read() as session:
        known_runs = runs.between(session, set(jobs), since, parts.calendar())
    names = {f"{w}/{j}": name for (w, j), (name, _) in jobs.items()}
    target = plan.runtimes.target
    seen_runs = [
        SeenRun(f"{r.workspace}/{r.job_id}", _release(r, jobs, plan), r.result, r.ended_at, r.duration)
        for r in known_runs
        if r.release != target or _since_change(r, jobs)
    ]
    compared = compare_runs(seen_runs, plan.runtimes.source, plan.runtimes.target, names, since)
    return {**compared, "complete": complete}, None


def _since_change(run: Run, jobs: Mapping[tuple[str, str], tuple[str, datetime | None]]) -> bool:
    """Whether a run on the new runtime belongs to this generation, not to one that was put back."""
    _, changed = jobs.get((run.workspace, run.job_id), ("", None))
    return changed is None or run.started_at >= changed


def _changed_jobs(session: Session, stage: Stage) -> dict[tuple[str, str], tuple[str, datetime | None]]:
    """(workspace, job id) -> (name, when its change was verified) of the stage's changed jobs."""
    rows = session.execute(
        select(Target.workspace, Target.object_id, Target.name, Action.ended_at)
        .join(Action, Action.target_id == Target.id)
        .where(
            attempts.newest(stage.id, stage.generation, ActionKind.CHANGE),
            Target.kind == "job",
            Action.state == ActionState.DONE,
        )
    ).all()
    return {(w, i): (name, ended) for w, i, name, ended in rows}


def _release(run: Run, jobs: Mapping[tuple[str, str], tuple[str, datetime | None]], plan: Plan) -> str:
    """On which release it ran. Where the run does not tell: whether it began before or after its job's change."""
    if run.release is not None:
        return run.release
    _, changed = jobs.get((run.workspace, run.job_id), ("", None))
    if changed is None:
        return ""
    return plan.runtimes.target if run.started_at >= changed else plan.runtimes.source


def is_watched(plan: Plan, stage_key: str) -> bool:
    """A stage without a bake has had no time for runs: its numbers would say nothing."""
    stage = plan.stage(stage_key)
    return stage.bake > 0 or any(c.check == RUNS for c in stage.criteria)


def _runs_criterion(plan: Plan, stage_key: str) -> str:
    for criterion in plan.stage(stage_key).criteria:
        if criterion.check == RUNS:
            return criterion.key
    return RUNS


def _latest(session: Session, stage: Stage, criterion: str) -> Evidence | None:
    return session.execute(
        select(Evidence)
        .where(Evidence.stage_id == stage.id, Evidence.generation == stage.generation, Evidence.criterion == criterion)
        .order_by(Evidence.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def _store(session: Session, stage: Stage, criterion: str, found: Found, now: datetime) -> None:
    latest = _latest(session, stage, criterion)
    same = latest is not None and (latest.verdict, latest.sentence, latest.facts) == (
        found.verdict,
        found.sentence,
        dict(found.facts),
    )
    if same:
        return
    session.add(
        Evidence(
            stage_id=stage.id,
            generation=stage.generation,
            criterion=criterion,
            verdict=Verdict(found.verdict),
            reason_code=found.reason_code,
            sentence=found.sentence,
            facts=dict(found.facts),
            at=now,
        )
    )
    session.flush()
