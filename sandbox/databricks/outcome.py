"""How a run ends and how long it takes: the job's habit, the runtimes under its tasks, and chance.

`plan` writes down the attempts at every task when a run or a repair begins; `cut` and `mend` change that plan when
something comes between. Nothing here looks at the clock.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from sandbox.databricks import governance, job_settings, versions
from sandbox.databricks.model import Attempt, Job, Run, draw
from sandbox.databricks.shape import HANDLES_FAILURE, Shape, TaskShape

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

MINUTE = 60_000
NEVER = 1 << 53
MOST_ATTEMPTS = 100
"""How far ahead the attempts at one task are planned, where it is retried for ever."""

ERRORS = {
    "CAST_INVALID_INPUT": (
        '[CAST_INVALID_INPUT] The value \'N/A\' of the type "STRING" cannot be cast to "DOUBLE" because it is '
        "malformed. Correct the value as per the syntax, or change its target type. Use `try_cast` to tolerate "
        "malformed input and return NULL instead. SQLSTATE: 22018"
    ),
    "DIVIDE_BY_ZERO": (
        "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead. "
        "SQLSTATE: 22012"
    ),
}
ACCIDENTS = [
    # code, weight, message
    ("RUN_EXECUTION_ERROR", 70, "Job aborted due to stage failure: Task 17 in stage 42.0 failed 4 times"),
    ("DRIVER_ERROR", 12, "The spark driver has stopped unexpectedly and is restarting."),
    ("CLOUD_FAILURE", 18, "Cloud provider launch failure: insufficient instance capacity in the zone"),
]
NOT_BEGUN = ("LIBRARY_INSTALLATION_ERROR", "INVALID_CLUSTER_REQUEST")
"""Failures before any code of the task ran."""
FINE = ("SUCCESS", "EXCLUDED", "DISABLED")
"""What does not keep the tasks after it from running."""


def plan(ws: Workspace, job: Job, run: Run, at: int, wait: int, chosen: set[int] | None = None) -> None:
    """Fill in when its compute is up, when it ends, how, and the attempts at the chosen tasks (without: at all)."""
    shape, habit = run.shape, job.habit
    luck = draw(ws.seed, ws.key, job.job_id, job.count, run.start, *([run.repair_id] if run.repair_id else []))
    run.ready = at + wait + (int(luck.uniform(2, 6) * MINUTE) if shape.own_compute else int(luck.uniform(5, 20) * 1000))
    minutes = habit.minutes * luck.lognormvariate(0.0, habit.spread)
    if habit.slower and _newest(ws, shape) >= int(habit.slower["from"]):
        minutes *= float(habit.slower["times"])
    share = max(5_000, int(minutes * MINUTE)) // shape.depth
    accident = _accident(habit.failure, len(shape.tasks), luck.random(), luck.random())
    lasting = _lasting(ws, job, shape)
    if not (accident or lasting or chosen or run.only or run.attempts) and shape.plain:
        run.end, run.code, run.error = run.ready + share * shape.depth, "SUCCESS", ""
    else:
        places = chosen if chosen is not None else {p for p in range(len(shape.tasks)) if _wanted(run, shape.tasks[p])}
        attempts = run.attempts if run.attempts is not None else []
        run.attempts = attempts
        _walk(run, places, at, share, habit.failure, accident, lasting, luck)
        conclude(run)
    if shape.timeout and run.end - at > shape.timeout:
        limit = at + shape.timeout
        cut(run, limit, limit, "TIMEDOUT", f"Run timed out after {shape.timeout // 1000} seconds.")


def attempts(run: Run) -> list[Attempt]:
    """The attempts at all its tasks, also of a run that went as it should or did not begin."""
    if run.attempts is not None:
        return run.attempts
    shape = run.shape
    if not run.begin or (run.closed and run.begin == run.end):
        end, code = (run.end, run.code) if run.closed else (NEVER, "")
        return [
            Attempt(place, since=run.start, end=end, code=code, error=run.error)
            for place, task in enumerate(shape.tasks)
            if _wanted(run, task)
        ]
    share = (run.end - run.ready) // shape.depth
    found = []
    for place, task in enumerate(shape.tasks):
        ready = run.ready + task.level * share
        end = run.end if task.level + 1 == shape.depth else ready + share
        found.append(Attempt(place, 0, 0, run.start, ready if task.level else run.begin, ready, end))
    return found


def latest(run: Run) -> dict[str, Attempt]:
    """The attempt that counts, for every task by its key."""
    return {run.shape_of(attempt).tasks[attempt.task].key: attempt for attempt in attempts(run)}


def cut(run: Run, now: int, at: int, code: str, error: str) -> None:
    """Nothing begins any more from now on, everything ends by that instant, and the run with it."""
    kept = []
    for attempt in attempts(run):
        if attempt.end > at:
            if attempt.since > now and attempt.number:
                continue  # a retry that was to come
            begun = 0 < attempt.begin <= now
            attempt.end, attempt.ready = at, min(attempt.ready, at)
            attempt.code, attempt.error = (code, error) if begun or code == "USER_CANCELED" else ("UPSTREAM_FAILED", "")
            attempt.begin = attempt.begin if begun else 0
        kept.append(attempt)
    run.attempts = kept
    run.end, run.ready, run.code, run.error = at, min(run.ready, at), code, error


def mend(ws: Workspace, job: Job, run: Run, at: int, broken: set[int], code: str, error: str) -> None:
    """The attempts under way at these tasks fail now; what follows from it is planned anew."""
    shape, planned = run.shape, attempts(run)
    run.attempts = kept = [a for a in planned if 0 < a.begin <= at or a.end <= at]
    share = max(5_000, (run.end - run.ready) // shape.depth)
    for attempt in kept:
        if attempt.task in broken and attempt.leg == run.leg and attempt.end > at:
            attempt.end, attempt.ready, attempt.code, attempt.error = at, min(attempt.ready, at), code, error
    begun = {a.task: a for a in kept if a.leg == run.leg}
    again = {a.task for a in planned if a.leg == run.leg} - begun.keys()
    again |= {place for place in broken & begun.keys() if _again(run, begun[place])}
    luck = draw(ws.seed, ws.key, run.run_id, at)
    lasting = _lasting(ws, job, shape)
    _walk(run, again, at, share, job.habit.failure, None, lasting, luck)
    conclude(run)


def conclude(run: Run) -> None:
    """The end and the result of the whole run: what its last tasks say."""
    keys = {task.key for task in run.shape.tasks}
    found = {key: attempt for key, attempt in latest(run).items() if key in keys}
    run.end = max((a.end for a in found.values()), default=run.ready)
    needed = {run.shape.tasks[need].key for task in run.shape.tasks for need in task.needs if task.key in found}
    failed = [(key, a) for key, a in found.items() if a.code not in (*FINE, "UPSTREAM_FAILED", "UPSTREAM_CANCELED")]
    leaves = [a for key, a in found.items() if key not in needed]
    if all(a.code in FINE for a in leaves):
        run.code, run.error = ("SUCCESS_WITH_FAILURES" if failed else "SUCCESS"), ""
        return
    key, first = min(failed, key=lambda entry: entry[1].end, default=("", leaves[0]))
    run.code = first.code
    skipped = any(a.code == "UPSTREAM_FAILED" for a in found.values())
    run.error = f"Task {key} failed with message: {message(first)}."
    if skipped:
        run.error += " This caused all downstream tasks to get skipped."


def message(attempt: Attempt) -> str:
    """What the state of a task tells of its error: of code that failed, nothing."""
    return "Workload failed, see run output for details" if attempt.code == "RUN_EXECUTION_ERROR" else attempt.error


def _walk(
    run: Run,
    places: set[int],
    at: int,
    share: int,
    failure: float,
    accident: tuple[int, str, str] | None,
    lasting: dict[int, tuple[str, str]],
    luck: random.Random,
) -> None:
    """Plan attempts at these tasks from an instant on, each after the tasks that it needs."""
    assert run.attempts is not None
    shape, done = run.shape, latest(run)
    for place in sorted(places, key=lambda p: (shape.tasks[p].level, p)):
        task = shape.tasks[place]
        before = done.get(task.key)
        needs = [done[shape.tasks[n].key] for n in task.needs if shape.tasks[n].key in done]
        begin = max((need.end for need in needs), default=at)
        number = before.number + 1 if before else 0
        mended = before is not None and before.leg == run.leg
        since = before.end if mended and before else at
        verdict = "DISABLED" if task.disabled else _verdict(task, needs)
        if verdict:
            done[task.key] = Attempt(place, number, run.leg, since, 0, 0, max(begin, at), verdict, _why(verdict))
            run.attempts.append(done[task.key])
            continue
        begin = max(begin, at) + (task.pause if mended else 0)
        for count in range(MOST_ATTEMPTS):
            ready = max(run.ready, begin)
            attempt = Attempt(place, number + count, run.leg, since, begin, ready, ready + share)
            trouble = lasting.get(place)
            if trouble is None and accident and accident[0] == place and not count:
                trouble = accident[1:]
            elif trouble is None and (count or mended) and luck.random() < failure:
                trouble = ACCIDENTS[0][0], ACCIDENTS[0][2]
            if trouble:
                attempt.code, attempt.error = trouble
                early = 30_000 if attempt.code in NOT_BEGUN else share * (0.2 + 0.7 * luck.random())
                attempt.end = ready + max(2_000, int(early))
            if task.timeout and attempt.end - begin > task.timeout:
                attempt.end, attempt.ready = begin + task.timeout, min(ready, begin + task.timeout)
                attempt.code, attempt.error = "TIMEDOUT", f"Run timed out after {task.timeout // 1000} seconds."
            run.attempts.append(attempt)
            done[task.key] = attempt
            if not _again(run, attempt):
                break
            since, begin = attempt.end, attempt.end + task.pause


def _again(run: Run, attempt: Attempt) -> bool:
    """Whether another attempt follows on this one, which is of the latest leg."""
    task = run.shape.tasks[attempt.task]
    if attempt.code in FINE or not attempt.begin or (attempt.code == "TIMEDOUT" and not task.retry_on_timeout):
        return False
    tried = sum(1 for other in run.attempts or () if other.task == attempt.task and other.leg == run.leg)
    return task.retries < 0 or tried <= task.retries


def _verdict(task: TaskShape, needs: list[Attempt]) -> str:
    """Why a task is not run after those that it needs; empty where it is."""
    if not needs:
        return ""
    codes = [need.code for need in needs]
    if all(code == "EXCLUDED" for code in codes):
        return "EXCLUDED"
    bad = [code for code in codes if code not in FINE]
    good = len(codes) - len(bad)
    met = {
        "ALL_SUCCESS": not bad,
        "NONE_FAILED": not bad,
        "AT_LEAST_ONE_SUCCESS": good > 0,
        "ALL_DONE": True,
        "AT_LEAST_ONE_FAILED": bool(bad),
        "ALL_FAILED": not good,
    }[task.run_if]
    if met:
        return ""
    if task.run_if in HANDLES_FAILURE:
        return "EXCLUDED"
    return "UPSTREAM_CANCELED" if set(bad) <= {"USER_CANCELED", "UPSTREAM_CANCELED"} else "UPSTREAM_FAILED"


def _why(verdict: str) -> str:
    return {
        "EXCLUDED": "Task was not run because its run condition was not met.",
        "DISABLED": "Task is disabled.",
        "UPSTREAM_CANCELED": "An upstream task was canceled.",
    }.get(verdict, "An upstream task failed.")


def _wanted(run: Run, task: TaskShape) -> bool:
    return not run.only or any(key.strip("+") == task.key for key in run.only)


def _runtime(ws: Workspace, task: TaskShape) -> str:
    if task.cluster_id:
        cluster = ws.clusters.get(task.cluster_id)
        return str(cluster.spec.get("spark_version", "")) if cluster else ""
    return task.spark_version


def _newest(ws: Workspace, shape: Shape) -> int:
    shared = (versions.major(_runtime(ws, task)) for task in shape.tasks if task.cluster_id)
    return max(shape.newest, *shared) if shape.cluster_ids else shape.newest


def _lasting(ws: Workspace, job: Job, shape: Shape) -> dict[int, tuple[str, str]]:
    """The tasks that fail at every attempt, with code and message."""
    if shape.described is None:
        shape.described = job_settings.new_clusters(shape.settings)
    refusals = (governance.launch_problem(ws, spec) for spec in shape.described)
    if refusal := next(filter(None, refusals), None):
        first = (place for place, task in enumerate(shape.tasks) if not task.needs)
        return dict.fromkeys(first, ("INVALID_CLUSTER_REQUEST", refusal.message))
    if shape.lasting is not None:
        return shape.lasting
    found: dict[int, tuple[str, str]] = {}
    breaks = job.habit.breaks
    for place, task in enumerate(shape.tasks):
        runtime = _runtime(ws, task)
        if task.cluster_id and task.cluster_id not in ws.clusters:
            found[place] = "CLUSTER_ERROR", f"Cluster {task.cluster_id} does not exist"
        elif task.library and versions.scala(runtime) == "2.13":
            found[place] = (
                "LIBRARY_INSTALLATION_ERROR",
                f"Library installation failed for library {task.library}: it is built for Scala 2.12 and this cluster "
                "runs Scala 2.13. Error code: DRIVER_LIBRARY_INSTALLATION_FAILURE",
            )
        elif (
            breaks
            and breaks.get("task", task.key) == task.key
            and versions.major(runtime) >= int(breaks["from"])
            and not _ansi_off(ws, task)
        ):
            error = str(breaks.get("error", "CAST_INVALID_INPUT"))
            found[place] = str(breaks.get("code", "RUN_EXECUTION_ERROR")), ERRORS.get(error, error)
            breaks = None
    if not shape.cluster_ids:
        shape.lasting = found
    return found


def _accident(rate: float, tasks: int, luck: float, which: float) -> tuple[int, str, str] | None:
    """The task that fails by bad luck, its code and its message."""
    if luck >= rate or not tasks:
        return None
    mark = which * sum(weight for _, weight, _ in ACCIDENTS)
    for code, weight, text in ACCIDENTS:
        mark -= weight
        if mark <= 0:
            return int(which * 997) % tasks, code, text
    return None


def _ansi_off(ws: Workspace, task: TaskShape) -> bool:
    if not task.cluster_id:
        return task.ansi_off
    conf = ws.clusters[task.cluster_id].spec.get("spark_conf") or {}
    return str(conf.get("spark.sql.ansi.enabled", "")).lower() == "false"
