"""Runs of jobs: what happened since, how it ended, how long it took and on which runtime."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rollout.runtime import release
from workspace.client import Client, Json
from workspace.errors import Incomplete
from workspace.run_result import result_of

#: Asking job by job costs a call each; from this many on the whole workspace is listed instead.
_MOST_SINGLE_JOBS: Final = 20
_PAGE: Final = 24  # the API takes less than 25
MOST_PAGES: Final = 200
_BY_ITSELF: Final = frozenset({"PERIODIC", "FILE_ARRIVAL", "TABLE", "CONTINUOUS"})


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One run of a job.

    ``result`` is ``success``, ``failed``, ``timedout``, ``canceled``, ``skipped`` or ``platform`` (the platform's
    fault), or ``active`` while it has not ended. ``seconds`` is the time of execution without queue and set-up, None
    while active or unknown; of a run with several tasks it is their sum. ``attempt`` is 0 when nothing was tried twice.
    ``runtime`` is the release, ``13.3 + 17.3`` if it used two, None if the run does not tell; ``cluster_ids`` are the
    shared clusters it ran on, whose runtime it does not tell.
    """

    run_id: int
    job_id: int
    started: datetime
    ended: datetime | None
    result: str
    seconds: float | None
    attempt: int
    runtime: str | None
    cluster_ids: tuple[str, ...] = ()
    by: str | None = None  # who or what the platform names as the one who started it
    by_schedule: bool = False

    @property
    def key(self) -> str:
        """Unique for one attempt of one run."""
        return f"{self.job_id}:{self.run_id}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class RunsSeen:
    """Runs, newest first; ``complete`` says whether these are all that there were."""

    runs: tuple[RunSeen, ...]
    complete: bool


def runs_since(
    client: Client,
    job_ids: Collection[str] | None,
    since: datetime,
    *,
    active: bool = False,
    most_pages: int = MOST_PAGES,
) -> Iterator[RunSeen]:
    """The runs that started at or after ``since`` (Databricks' time), of these jobs or (None) of all, newest first.

    With ``active`` also those that have not ended. Runs that were submitted without a job are left out. Raises the
    WorkspaceErrors of ``Client.get``, and Incomplete at the end if ``most_pages`` were not enough.
    """
    base: Json = {"limit": _PAGE, "expand_tasks": True, "start_time_from": _milliseconds(since), "run_type": "JOB_RUN"}
    if not active:
        base["completed_only"] = True
    if job_ids is None or len(job_ids) > _MOST_SINGLE_JOBS:
        queries = [base]
    else:
        queries = [{**base, "job_id": job_id} for job_id in sorted(job_ids)]
    wanted = None if job_ids is None else frozenset(job_ids)
    earliest = base["start_time_from"]
    left = most_pages
    for query in queries:
        if left <= 0:
            raise Incomplete(f"more than {most_pages} pages of runs")
        for page in client.pages("/api/2.2/jobs/runs/list", query, left):
            left -= 1
            for raw in page.get("runs") or ():
                # Looked at again here: a filter that a server ignores must not bring in older or foreign runs.
                if wanted is not None and str(raw.get("job_id")) not in wanted:
                    continue
                if int(raw.get("start_time") or 0) < earliest:
                    continue
                seen = seen_of(raw)
                if active or seen.result != "active":
                    yield seen


def active_runs(client: Client, most_pages: int = MOST_PAGES) -> Iterator[RunSeen]:
    """The runs of jobs that have not ended, whenever they started: a stream's may be months old. Newest first.

    Raises the WorkspaceErrors of ``Client.get``, and Incomplete at the end if ``most_pages`` were not enough.
    """
    query = {"limit": _PAGE, "expand_tasks": True, "active_only": True, "run_type": "JOB_RUN"}
    for page in client.pages("/api/2.2/jobs/runs/list", query, most_pages):
        for raw in page.get("runs") or ():
            if raw.get("job_id") and raw.get("start_time"):
                seen = seen_of(raw)
                if seen.result == "active":
                    yield seen


@dataclass(frozen=True, slots=True)
class Submitted:
    """Runs without a job, submitted by one creator under one name on one release."""

    creator: str
    name: str
    release: str
    runs: int
    last: datetime

    def to_json(self) -> dict[str, Any]:
        last = self.last.isoformat()
        return {"creator": self.creator, "name": self.name, "release": self.release, "runs": self.runs, "last": last}


def submitted_since(client: Client, since: datetime, most_pages: int = MOST_PAGES) -> tuple[list[Submitted], bool]:
    """What was submitted without a job (by Airflow, Data Factory, scripts) since then and names a runtime of its own.

    The most frequent first, and whether all could be read. Nobody can change these here: they carry their own cluster.
    Raises the WorkspaceErrors of ``Client.get`` but Incomplete.
    """
    earliest = _milliseconds(since)
    query = {"limit": _PAGE, "expand_tasks": True, "start_time_from": earliest, "run_type": "SUBMIT_RUN"}
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    complete = True
    try:
        for page in client.pages("/api/2.2/jobs/runs/list", query, most_pages):
            for raw in page.get("runs") or ():
                runtime, at = _runtime(raw), int(raw.get("start_time") or 0)
                if runtime is None or at < earliest or raw.get("run_type", "SUBMIT_RUN") != "SUBMIT_RUN":
                    continue
                key = (str(raw.get("creator_user_name") or "unknown"), str(raw.get("run_name") or "-")[:200], runtime)
                number, last = found.get(key, (0, 0))
                found[key] = (number + 1, max(last, at))
    except Incomplete:
        complete = False
    made = [Submitted(*key, number, _instant(last)) for key, (number, last) in found.items()]
    return sorted(made, key=lambda s: (-s.runs, s.creator, s.name)), complete


def collect_runs(client: Client, job_ids: Collection[str] | None, since: datetime, *, active: bool = False) -> RunsSeen:
    """As ``runs_since``, but with a flag in the place of Incomplete."""
    found: list[RunSeen] = []
    try:
        for run in runs_since(client, job_ids, since, active=active):
            found.append(run)  # one by one: what was read before a listing breaks off is kept
    except Incomplete:
        return RunsSeen(_newest_first(found), False)
    return RunsSeen(_newest_first(found), True)


def seen_of(raw: Mapping[str, Any]) -> RunSeen:
    """One raw run of jobs/runs/list as we use it. Pure. Raises KeyError without run id, job id or start time."""
    result = result_of(raw)
    end = int(raw.get("end_time") or 0)
    return RunSeen(
        run_id=int(raw["run_id"]),
        job_id=int(raw["job_id"]),
        started=_instant(int(raw["start_time"])),
        ended=_instant(end) if end else None,
        result=result,
        seconds=None if result == "active" else _seconds(raw),
        attempt=max(int(r.get("attempt_number") or 0) for r in (raw, *(raw.get("tasks") or ()))),
        runtime=_runtime(raw),
        cluster_ids=_shared_clusters(raw),
        by=raw.get("creator_user_name"),
        by_schedule=str(raw.get("trigger") or "") in _BY_ITSELF,
    )


def _newest_first(runs: list[RunSeen]) -> tuple[RunSeen, ...]:
    return tuple(sorted(runs, key=lambda r: (r.started, r.run_id), reverse=True))


def _seconds(raw: Mapping[str, Any]) -> float | None:
    own = int(raw.get("execution_duration") or 0)
    if own:
        return own / 1000
    # A run of several tasks says 0: the sum of its tasks' executions, which does not count the start of clusters.
    tasks = sum(int(t.get("execution_duration") or 0) for t in _last_attempts(raw))
    if tasks:
        return tasks / 1000
    run, setup, queue = (int(raw.get(f"{part}_duration") or 0) for part in ("run", "setup", "queue"))
    whole = run - setup - queue
    return whole / 1000 if whole > 0 else None


def _last_attempts(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    last: dict[str, Mapping[str, Any]] = {}
    for task in raw.get("tasks") or ():
        key = str(task.get("task_key"))
        if key not in last or int(task.get("attempt_number") or 0) >= int(last[key].get("attempt_number") or 0):
            last[key] = task
    return list(last.values())


def _runtime(raw: Mapping[str, Any]) -> str | None:
    tasks = raw.get("tasks") or ()
    specs = [raw.get("cluster_spec") or {}, *(t.get("cluster_spec") or {} for t in tasks)]
    clusters = [s.get("new_cluster") for s in (*specs, *tasks, *(raw.get("job_clusters") or ()))]
    clusters += [((t.get("for_each_task") or {}).get("task") or {}).get("new_cluster") for t in tasks]
    found = {release((c or {}).get("spark_version")) for c in clusters} - {None}
    return " + ".join(sorted(str(r) for r in found)) or None


def _shared_clusters(raw: Mapping[str, Any]) -> tuple[str, ...]:
    tasks = raw.get("tasks") or ()
    inside = [(t.get("for_each_task") or {}).get("task") or {} for t in tasks]
    named = [s.get("existing_cluster_id") for s in (raw.get("cluster_spec") or {}, *tasks, *inside)]
    return tuple(sorted({str(c) for c in named if c}))


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
