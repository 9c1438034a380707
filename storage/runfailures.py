"""Runs that failed on the new runtime, among the jobs that a stage changed and the jobs on clusters that it changed.

Failures of the platform and cancelled or skipped runs say nothing of the runtime, and do not count.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.limits import allowed
from rollout.states import ActionKind, ActionState
from storage import attempts
from storage.models import Action, Run, Stage, Target
from storage.plans import plan_of

FAILED: Final = ("failed", "timedout")
COUNTED: Final = (*FAILED, "success")


@dataclass(frozen=True, slots=True)
class RunOfTarget:
    """A run on the new runtime, with the target of the stage that it speaks of."""

    target_id: int
    target: str
    workspace: str
    job_id: str
    run_id: str
    result: str
    ended_at: datetime


def changed(session: Session, stage: Stage) -> Sequence[Any]:
    """(target id, name, workspace, kind, object id, when the change was verified) of what is on the new runtime."""
    return session.execute(
        select(Target.id, Target.name, Target.workspace, Target.kind, Target.object_id, Action.ended_at)
        .join(Action, Action.target_id == Target.id)
        .where(
            attempts.newest(stage.id, stage.generation, ActionKind.CHANGE),
            Action.state == ActionState.DONE,
            Action.ended_at.is_not(None),
            Target.pinned_reason.is_(None),
        )
    ).all()


def failed(session: Session, stage: Stage) -> list[RunOfTarget]:
    """The failed runs that count now, the newest first."""
    return sorted(_runs(session, stage, FAILED), key=lambda r: (r.ended_at, r.run_id), reverse=True)


def spent(session: Session, stage: Stage) -> bool:
    """Whether so many runs failed that nothing new may be begun. Without a limit in the plan they do not count."""
    limit = plan_of(stage.rollout).stage(stage.key).max_run_failures
    if limit is None:
        return False
    runs = list(_runs(session, stage, FAILED if isinstance(limit, int) else COUNTED))
    bad = sum(run.result in FAILED for run in runs)
    return bad > 0 and bad >= allowed(limit, len(runs))


def _runs(session: Session, stage: Stage, results: Collection[str]) -> Iterator[RunOfTarget]:
    rows = changed(session, stage)
    if not rows:
        return
    release = plan_of(stage.rollout).runtimes.target
    targets = {(row.workspace, row.kind, row.object_id): row for row in rows}
    wanted = select(Run).where(
        Run.workspace.in_({row.workspace for row in rows}),
        Run.result.in_(results),
        Run.started_at >= min(row.ended_at for row in rows),
    )
    if stage.runs_from is not None:
        wanted = wanted.where(Run.ended_at > stage.runs_from)
    for run in session.execute(wanted).scalars():
        of_run = [("job", run.job_id), *(("cluster", str(c)) for c in run.cluster_ids)]
        found = [targets[run.workspace, *what] for what in of_run if (run.workspace, *what) in targets]
        for row in found:
            # What ran on a changed cluster does not tell its runtime: it began after the change.
            if run.started_at >= row.ended_at and (run.release is None or release in run.release.split(" + ")):
                yield RunOfTarget(row.id, row.name, run.workspace, run.job_id, run.run_id, run.result, run.ended_at)
                break  # one run is one failure, whatever it ran on
