"""All-purpose clusters (API 2.1). See ``workspace.kinds.Kind`` for what each function promises."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rollout.about import SYSTEM, About, managed
from rollout.change import Change, Found, Raw, Skip, Upgrade
from rollout.location import cluster_url
from rollout.pool import POOLS
from rollout.runtime import shown
from workspace import machines, permissions
from workspace.client import Client
from workspace.compute import (
    RUNTIME,
    access_note,
    as_set,
    asked,
    backup_of,
    plan_compute,
    pool_notes,
    support_notes,
    supports_of,
    tags_of,
    uses_of,
    value,
    way_back_note,
)
from workspace.elsewhere import forced_note, of_repository, proposed
from workspace.errors import Incomplete
from workspace.in_place import complete, runs_on, stands_in, unfinished
from workspace.runs import RunSeen, active_runs
from workspace.settling import Settled, Settlement

__all__ = [
    "apply",
    "backup_of",
    "compared",
    "complete",
    "discover",
    "editable",
    "edited_by",
    "edited_since",
    "in_use",
    "kept",
    "needed",
    "permissions_of",
    "plan",
    "read",
    "release_of",
    "runs_on",
    "settled",
    "stands_in",
    "start",
    "unfinished",
    "url",
    "values",
]

#: Made by a job, a served model or a warehouse for itself: they are changed where they come from.
_NOT_TARGETS: Final = frozenset({"JOB", "MODELS", "SQL"})
_LISTED: Final = ("UI", "API", "PIPELINE")
_EDITABLE: Final = frozenset({"RUNNING", "TERMINATED"})
#: Running, or on its way there: an edit then restarts it.
_UP: Final = frozenset({"RUNNING", "RESIZING", "RESTARTING", "PENDING"})
#: What the platform says of a cluster beside what people set; ``spec`` repeats what was asked for.
_PLATFORM: Final = frozenset(
    {
        "cluster_cores",
        "cluster_log_status",
        "cluster_memory_mb",
        "default_tags",
        "disk_spec",
        "driver",
        "effective_spark_version",
        "executors",
        "init_scripts_safe_mode",
        "jdbc_port",
        "last_activity_time",
        "last_restarted_time",
        "last_state_loss_time",
        "release_version",
        "spark_context_id",
        "spec",
        "start_time",
        "state",
        "state_message",
        "terminated_time",
        "termination_reason",
    }
)
#: How many pages of 24 runs are read to find those on one cluster, and how many of their jobs are named.
_RUN_PAGES: Final = 40
_NAMED: Final = 3
_ENDED_NORMALLY: Final = frozenset({"USER_REQUEST", "INACTIVITY", "JOB_FINISHED"})


def discover(client: Client) -> Iterator[Found]:
    # Asked of the server, because a busy workspace lists thousands of clusters that lived for one run.
    wanted = {"page_size": 100, "filter_by": {"cluster_sources": list(_LISTED)}}
    for page in client.pages("/api/2.1/clusters/list", wanted):
        for raw in page.get("clusters") or ():
            if raw.get("cluster_source") not in _NOT_TARGETS:
                yield _found(raw)


def plan(raw: Raw, upgrade: Upgrade) -> Change | Skip:
    source = str(raw.get("cluster_source") or "")
    if source.startswith("PIPELINE"):
        return Skip(
            "managed_pipeline", "A pipeline made it for itself.", "Nothing to do here: the pipeline's channel decides."
        )
    if source in _NOT_TARGETS:
        return Skip("job_created", f"It was made for itself by a {source.lower()}.", "Change it where it comes from.")
    fields = plan_compute(raw, upgrade)
    if isinstance(fields, Skip):
        return fields
    elsewhere = managed(tags_of(raw.get("custom_tags")))
    if elsewhere is not None and (elsewhere.by == SYSTEM or not upgrade.force_managed):
        return proposed(elsewhere, of_repository(fields))
    state = raw.get("state")
    if state == "ERROR":
        return Skip(
            "cluster_error",
            "It is in the state ERROR, in which it cannot be edited.",
            "Start or terminate it, then look again.",
        )
    supports = supports_of([(raw, fields)], upgrade)
    notes = [forced_note(elsewhere)] if elsewhere is not None else []
    if warning := way_back_note(fields, upgrade):
        notes.append(warning)
    notes += machines.notes(raw, fields, upgrade)
    notes += [_effect(str(state)), *support_notes(supports, upgrade), *pool_notes([(raw, fields)], upgrade)]
    if note := access_note(raw):
        notes.append(note)
    return Change(fields, restarts=state in _UP, notes=tuple(notes), supports=supports)


def read(client: Client, object_id: str) -> dict[str, Any]:
    return client.get("/api/2.1/clusters/get", {"cluster_id": object_id})


def values(raw: Raw, change: Change) -> list[Any]:
    return [value(raw, _name(f.path)) for f in change.fields]


def editable(raw: Raw) -> bool:
    return raw.get("state") in _EDITABLE


def apply(client: Client, object_id: str, change: Change, raw: Raw) -> None:
    # A field that is in the mask and not in the cluster is removed; nothing outside of the mask is touched.
    wanted = {_name(f.path): f.after for f in change.fields}
    mask = list(wanted)
    if POOLS[0] in wanted and POOLS[1] not in wanted and not asked(raw).get(POOLS[1]):
        mask.append(POOLS[1])  # nobody chose one for the driver: it goes with the workers
    body = {
        "cluster_id": object_id,
        "update_mask": ",".join(mask),
        "cluster": {name: after for name, after in wanted.items() if after is not None},
    }
    client.write("/api/2.1/clusters/update", body)


def start(client: Client, object_id: str) -> bool:
    client.write("/api/2.1/clusters/start", {"cluster_id": object_id})
    return True


def in_use(client: Client, object_id: str, raw: Raw) -> str | None:
    if raw.get("state") not in _UP:
        return None
    found: list[RunSeen] = []
    try:
        found += [run for run in active_runs(client, _RUN_PAGES) if object_id in run.cluster_ids]
    except Incomplete:
        if not found:
            return "More runs are under way in the workspace than can be read, so that some may be on it."
    if not found:
        return None
    jobs = sorted({str(run.job_id) for run in found})
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    since = min(run.started for run in found)
    runs = "1 run is" if len(found) == 1 else f"{len(found)} runs are"
    what = "job" if len(jobs) == 1 else "jobs"
    return f"{runs} under way on it since {since:%a %d %b %H:%M} UTC ({what} {', '.join(jobs[:_NAMED])}{more})."


def settled(raw: Raw, before: Raw) -> Settlement:
    state = str(raw.get("state") or "UNKNOWN")
    was_up = before.get("state") in _UP
    if state == "RUNNING":
        if before.get("state") == "RUNNING" and not _restarted(raw, before):
            # Right after the edit the old state may still be shown.
            return Settlement(Settled.NOT_YET, "The restart has not begun yet.")
        return Settlement(Settled.YES, "It is running.")
    if state == "ERROR":
        return Settlement(Settled.FAILED, f"It is in the state ERROR. {_why(raw)}".strip())
    if state != "TERMINATED":
        return Settlement(Settled.NOT_YET, f"It is {state}.")
    if not was_up:
        return Settlement(Settled.YES, "It is terminated, as before; the new runtime takes effect at the next start.")
    if _ended_normally(raw):
        return Settlement(Settled.YES, f"It was terminated since. {_why(raw)}".strip())
    return Settlement(Settled.FAILED, f"It was running and did not come up again. {_why(raw)}".strip())


def kept(raw: Raw) -> dict[str, Any]:
    return machines.kept(asked(raw))  # what was asked for: beside it the platform shows defaults of its own


def edited_since(client: Client, object_id: str, since: datetime) -> bool | None:
    start = int(since.timestamp() * 1000)
    wanted = {"cluster_id": object_id, "event_types": ["EDITED"], "start_time": start, "order": "DESC", "page_size": 50}
    events = client.ask("/api/2.1/clusters/events", wanted).get("events") or ()
    # Looked at again here: a server that ignores a filter must not make us believe that our edit arrived.
    return any(e.get("type") == "EDITED" and int(e.get("timestamp") or 0) >= start for e in events)


def edited_by(client: Client, object_id: str) -> tuple[str, datetime] | None:
    wanted = {"cluster_id": object_id, "event_types": ["EDITED"], "order": "DESC", "page_size": 50}
    for event in client.ask("/api/2.1/clusters/events", wanted).get("events") or ():
        user = (event.get("details") or {}).get("user")
        if event.get("type") == "EDITED" and user:
            return str(user), datetime.fromtimestamp(int(event.get("timestamp") or 0) / 1000, UTC)
    return None


def permissions_of(client: Client, object_id: str) -> dict[str, Any]:
    return permissions.read(client, "cluster", object_id)


def needed(client: Client, object_id: str, backup: Raw) -> str | None:
    return None


def compared(raw: Raw) -> dict[str, Any]:
    left_out = _PLATFORM | ({"num_workers"} if raw.get("autoscale") else frozenset())  # then it is the size of now
    found: dict[str, Any] = as_set({name: value for name, value in raw.items() if name not in left_out})
    return found


def release_of(raw: Raw) -> str:
    return shown(raw.get(RUNTIME))


def url(host: str, object_id: str) -> str:
    return cluster_url(host, object_id)


def _found(raw: Mapping[str, Any]) -> Found:
    key = raw.get(RUNTIME)
    return Found(
        kind="cluster",
        object_id=str(raw["cluster_id"]),
        name=str(raw.get("cluster_name") or raw["cluster_id"]),
        owner=raw.get("single_user_name") or raw.get("creator_user_name"),
        runtimes=(str(key),) if key else (),
        state=str(raw.get("state") or "UNKNOWN"),
        raw=raw,
        about=_about(raw),
    )


def _about(raw: Raw) -> About:
    tags = tags_of(raw.get("custom_tags"))
    return About(
        creator=raw.get("creator_user_name"),
        run_as=raw.get("single_user_name"),
        tags=tags,
        uses=tuple(sorted(set(uses_of(raw)))),
        managed=managed(tags),
    )


def _name(path: tuple[str, ...]) -> str:
    if len(path) != 1:
        raise ValueError(f"a cluster has no field {path}")
    return path[0]


def _effect(state: str) -> str:
    if state == "RUNNING":
        return "restarts the running cluster: attached notebooks and runs on it end"
    if state in _UP:
        return f"is {state} now: once it is running it is restarted; attached notebooks and runs on it end"
    return "takes effect at the next start"


def _restarted(raw: Raw, before: Raw) -> bool:
    """Whether it came up anew since ``before``. If the API gives no such time, RUNNING must do."""
    at = raw.get("last_restarted_time")
    return at is None or at != before.get("last_restarted_time")


def _ended_normally(raw: Raw) -> bool:
    reason = raw.get("termination_reason") or {}
    return reason.get("type") == "SUCCESS" or reason.get("code") in _ENDED_NORMALLY


def _why(raw: Raw) -> str:
    reason = raw.get("termination_reason") or {}
    code = str(reason.get("code") or "")
    # The state message is the server's prose and may quote the configuration: only the code is shown.
    return f"Reason: {code}." if code else ""
