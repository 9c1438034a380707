"""Where a job hides a runtime, and how to read and write one field there. Pure.

Three places hold a compute specification: a shared job cluster, a task, and the task inside a for-each task. Everything
else a task may run on (shared cluster, pipeline, warehouse, serverless, another job) has no runtime of this job.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from rollout.change import Path, Raw
from workspace.compute import FIELDS, value

#: The arrays of a job's settings whose entries are found by a key of their own.
ENTRY_KEYS: Final = {"job_clusters": "job_cluster_key", "tasks": "task_key"}
_INSIDE: Final = ("for_each_task", "task")


@dataclass(frozen=True, slots=True)
class Place:
    """One compute specification of a job: its path, how people call it, and the keys of the tasks that run on it."""

    path: Path
    title: str
    spec: Raw
    tasks: tuple[str, ...]


def settings(raw: Raw) -> Mapping[str, Any]:
    """The settings of a raw job."""
    found = raw.get("settings")
    return found if isinstance(found, Mapping) else {}


def tasks(raw: Raw) -> list[Mapping[str, Any]]:
    """The tasks of a raw job."""
    return list(settings(raw).get("tasks") or ())


def inner(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """The task that does the work: the one inside a for-each task, else the task itself."""
    found = (task.get("for_each_task") or {}).get("task")
    return found if isinstance(found, Mapping) else task


def places(raw: Raw) -> Iterator[Place]:
    """Every compute specification of the job, in the order of its settings."""
    for entry in settings(raw).get("job_clusters") or ():
        key = str(entry.get("job_cluster_key"))
        spec = entry.get("new_cluster")
        if spec:
            users = tuple(str(t.get("task_key")) for t in tasks(raw) if key in _job_cluster_keys(t))
            yield Place(("settings", "job_clusters", key, "new_cluster"), f"job cluster {key}", spec, users)
    for task in tasks(raw):
        key = str(task.get("task_key"))
        path: Path = ("settings", "tasks", key)
        if spec := task.get("new_cluster"):
            yield Place((*path, "new_cluster"), f"task {key}", spec, (key,))
        nested = inner(task)
        if nested is not task and (spec := nested.get("new_cluster")):
            yield Place((*path, *_INSIDE, "new_cluster"), f"for-each task {key}", spec, (key,))


def _job_cluster_keys(task: Mapping[str, Any]) -> set[str]:
    return {str(t["job_cluster_key"]) for t in (task, inner(task)) if t.get("job_cluster_key")}


def field_at(raw: Raw, path: Path) -> Any:
    """The value of the field at ``path``, None if it or anything on the way is absent."""
    here: Any = raw
    for step, name in enumerate(path):
        if isinstance(here, Mapping):
            here = value(here, name) if name in FIELDS else here.get(name)
        elif isinstance(here, list):
            here = _entry(here, path[step - 1], name)
        else:
            return None
    return here


def entry_with(entry: Mapping[str, Any], rest: Path, wanted: Any) -> dict[str, Any]:
    """A copy of one entry in which the field at ``rest`` is ``wanted``; None removes it.

    Raises LookupError if something on the way is absent: nothing is invented.
    """
    copy = deepcopy(dict(entry))
    here: Any = copy
    for name in rest[:-1]:
        here = here.get(name) if isinstance(here, dict) else None
    if not isinstance(here, dict):
        raise LookupError(".".join(rest))
    if wanted is None:
        here.pop(rest[-1], None)
    else:
        here[rest[-1]] = wanted
    return copy


def entry(raw: Raw, array: str, key: str) -> Mapping[str, Any] | None:
    """The entry of ``job_clusters`` or ``tasks`` with this key, None if it is absent."""
    return _entry(settings(raw).get(array) or [], array, key)


def _entry(entries: list[Any], array: str, key: str) -> Mapping[str, Any] | None:
    own = ENTRY_KEYS.get(array)
    return next((e for e in entries if own and isinstance(e, Mapping) and e.get(own) == key), None)
