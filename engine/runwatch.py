"""While a stage changes targets and while it bakes: read the runs on what it changed, and stop it when too many fail.

By paged listing of a whole workspace, newest first and only what is new, so that no job costs a call of its own.
"""

import threading
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from engine.parts import Parts
from engine.progress import block
from engine.stored_run import stored
from rollout.states import StageState
from storage import leases, runfailures, runs
from storage.models import Rollout, Stage
from storage.plans import plan_of
from storage.transitions import Lost, lock_stage
from workspace.errors import Incomplete, WorkspaceError
from workspace.runs import runs_since

log = structlog.get_logger(__name__)

#: Between two looks at the runs of a workspace: calendar time, and machine seconds where the calendar runs fast.
EVERY = timedelta(seconds=60)
LEAST_APART = timedelta(seconds=5)
#: One replica looks; another one takes over when it has not for so long (machine seconds).
LEASE = 150.0
#: What is listed again although it was read: listings may lag behind.
OVERLAP = timedelta(minutes=10)
WATCHED = frozenset({StageState.UPGRADING, StageState.VALIDATING, StageState.BAKING})


class RunWatch:
    """What one replica remembers of its looks; nothing of it is needed after a restart."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._looked: dict[str, tuple[datetime, datetime]] = {}  # calendar, machine
        self._since: dict[str, datetime] = {}
        self.stages: frozenset[int] = frozenset()  # those whose runs count, as of the last ``due``

    def due(self) -> list[str]:
        """The workspaces whose runs should be read now."""
        now, machine = self._parts.calendar(), self._parts.database.machine()
        with self._lock:
            looked = dict(self._looked)
        return [
            key
            for key in sorted(self._wanted())
            if key not in looked or (now - looked[key][0] >= EVERY and machine - looked[key][1] >= LEAST_APART)
        ]

    def look(self, key: str) -> bool:
        """Read and store the new runs of one workspace; whether any failed. Never raises for what it answers."""
        parts = self._parts
        now = parts.calendar()
        with self._lock:
            self._looked[key] = now, parts.database.machine()
        if not leases.take(parts.database, f"runs:{key}", parts.owner, LEASE):
            return False
        wanted = self._wanted().get(key)
        if wanted is None:
            return False
        since, objects = wanted
        asked = max(since, self._since.get(key, since))
        seen, oldest = [], now
        try:
            for run in runs_since(parts.clients[key], None, asked, active=True):
                of_run = {("job", str(run.job_id)), *(("cluster", c) for c in run.cluster_ids)}
                if not of_run & objects:
                    continue
                ended = stored(run)
                if ended is not None:
                    seen.append(ended)
                else:
                    oldest = min(oldest, run.started)
        except Incomplete:
            log.warning("runs_incomplete", workspace=key)
            oldest = asked  # what was not reached is asked for again
        except WorkspaceError as error:
            log.warning("runs_not_read", workspace=key, error=str(error))
            return False
        runs.store(parts.database, key, seen)
        with self._lock:
            self._since[key] = min(oldest, now - OVERLAP)
        return any(run.result in runfailures.FAILED for run in seen)

    def _wanted(self) -> dict[str, tuple[datetime, set[tuple[str, str]]]]:
        """Workspace -> since when, and the jobs and clusters that were changed there."""
        found: dict[str, tuple[datetime, set[tuple[str, str]]]] = {}
        counting = set()
        with self._parts.database.read() as session:
            stages = session.execute(
                select(Stage).join(Rollout).where(Rollout.open, Stage.state.in_(WATCHED))
            ).scalars()
            for stage in stages:
                if plan_of(stage.rollout).stage(stage.key).max_run_failures is None:
                    continue
                counting.add(stage.id)
                for row in runfailures.changed(session, stage):
                    if row.workspace in self._parts.clients:
                        since, objects = found.get(row.workspace, (row.ended_at, set()))
                        objects.add((row.kind, row.object_id))
                        found[row.workspace] = min(since, row.ended_at), objects
        self.stages = frozenset(counting)
        return found


def stop(parts: Parts, stage_id: int) -> bool:
    """Block the stage when so many runs failed on the new runtime that its limit is spent; whether it is blocked."""
    with parts.database.read() as session:
        stage = session.get(Stage, stage_id)
        if stage is None or stage.state not in WATCHED or not runfailures.spent(session, stage):
            return False
    try:
        with parts.database.write() as session:
            stage = lock_stage(session, stage_id)
            if stage.state not in WATCHED or not runfailures.spent(session, stage):
                return False
            found = runfailures.failed(session, stage)
            of = len({run.target_id for run in found})
            ran = f"{len(found)} run{'' if len(found) == 1 else 's'} failed on the new runtime"
            sentence = f"{ran}, of {of} target{'' if of == 1 else 's'}."
            block(session, stage, "max_run_failures", sentence, parts.calendar())
            return True
    except Lost:
        return False
