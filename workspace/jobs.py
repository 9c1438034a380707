"""Jobs (API 2.2). See ``workspace.kinds.Kind`` for what each function promises."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rollout.about import About, Use
from rollout.change import Change, Found, Raw
from rollout.location import job_url
from rollout.runtime import release, shown
from workspace import machines, permissions
from workspace.client import Client, Json
from workspace.compute import RUNTIME, as_set, tags_of, uses_of
from workspace.compute import backup_of as copy_of
from workspace.errors import Forbidden, Gone, Incomplete, Refused
from workspace.in_place import in_use, stands_in
from workspace.job_places import ENTRY_KEYS, Place, entry, entry_with, field_at, inner, places, settings, tasks
from workspace.job_plan import managed_elsewhere, plan
from workspace.runs import seen_of
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

#: The arrays that come in pages of 100 entries; a later page has empty ones where an array is complete.
_PAGED: Final = ("tasks", "job_clusters", "parameters", "environments")
#: What the platform says of a job beside what people set.
_PLATFORM: Final = frozenset(
    {"effective_budget_policy_id", "effective_usage_policy_id", "has_more", "next_page_token", "trigger_state"}
)
#: Beside a continuous job, ours, never sent and never backed up: its runs that have not ended.
_UNDER_WAY: Final = "runs_under_way"
#: 750 tasks are the platform's own limit for one job.
_MOST_PAGES: Final = 50


def discover(client: Client) -> Iterator[Found]:
    for page in client.pages("/api/2.2/jobs/list", {"expand_tasks": True, "limit": 100}):
        for raw in page.get("jobs") or ():
            whole = raw
            if raw.get("has_more"):
                try:
                    whole = read(client, str(raw["job_id"]))
                except Gone:
                    continue
                except Forbidden:
                    pass  # ``has_more`` stays, and ``plan`` says that only a part can be read
            yield _found(whole)


def read(client: Client, object_id: str) -> dict[str, Any]:
    asked: Json = {"job_id": object_id}
    whole = client.get("/api/2.2/jobs/get", asked)
    token = whole.pop("next_page_token", None)
    merged: Json = dict(whole.get("settings") or {})
    for _ in range(_MOST_PAGES):
        if not token:
            break
        page = client.get("/api/2.2/jobs/get", {**asked, "page_token": token})
        for array in _PAGED:
            more = (page.get("settings") or {}).get(array)
            if more:
                merged[array] = [*(merged.get(array) or ()), *more]
        token = page.get("next_page_token")
    if token:
        raise Incomplete(f"job {object_id} has more than {_MOST_PAGES} pages of tasks")
    whole.pop("has_more", None)
    raw = {**whole, "settings": merged}
    return {**raw, _UNDER_WAY: _under_way(client, object_id)} if _state(merged) == "CONTINUOUS" else raw


def _under_way(client: Client, object_id: str) -> list[dict[str, Any]]:
    """Id and release of the runs that have not ended and are not ending. One call."""
    asked = {"job_id": object_id, "active_only": True, "expand_tasks": True, "limit": 24}
    listed = client.get("/api/2.2/jobs/runs/list", asked).get("runs") or ()
    ending = {"TERMINATING", "CANCELING"}
    return [
        {"run_id": int(run["run_id"]), "release": seen_of(run).runtime}
        for run in listed
        if str(run.get("job_id")) == object_id
        and run.get("start_time")
        and (run.get("state") or {}).get("life_cycle_state") not in ending
    ]


def values(raw: Raw, change: Change) -> list[Any]:
    return [field_at(raw, f.path) for f in change.fields]


def editable(raw: Raw) -> bool:
    return True


def apply(client: Client, object_id: str, change: Change, raw: Raw) -> None:
    # The API replaces a matched entry as a whole and leaves all others, so each touched entry is sent as it was read.
    touched: dict[tuple[str, str], dict[str, Any]] = {}
    for field in change.fields:
        root, array, key, *rest = field.path
        present = touched.get((array, key)) or entry(raw, array, key)
        if root != "settings" or array not in ENTRY_KEYS or present is None:
            raise Refused(f"the job no longer has {array} {key}")
        try:
            touched[array, key] = entry_with(present, tuple(rest), field.after)
        except LookupError as err:
            raise Refused(f"the job no longer has {err} in {array} {key}") from None
    new: dict[str, list[dict[str, Any]]] = {}
    for (array, _), whole in touched.items():
        new.setdefault(array, []).append(whole)
    client.write("/api/2.2/jobs/update", {"job_id": int(object_id), "new_settings": new})


def start(client: Client, object_id: str) -> bool:
    return False  # its schedule runs it


def runs_on(raw: Raw) -> bool:
    return bool(raw.get(_UNDER_WAY))


def unfinished(raw: Raw) -> str | None:
    old = _outdated(raw)
    return f"It runs continuously, and its present run is on {old['release']} still." if old is not None else None


def complete(client: Client, object_id: str, raw: Raw) -> None:
    # Of a continuous job this ends the present run and begins the next one (facts: databricks a3). The token is that of
    # the run which it ends, so that a repeated call begins nothing more.
    old = _outdated(raw)
    assert old is not None
    token = f"rollout-instead-of-{old['run_id']}"
    client.write("/api/2.2/jobs/run-now", {"job_id": int(object_id), "idempotency_token": token})


def _outdated(raw: Raw) -> dict[str, Any] | None:
    """The run under way on a release that the settings no longer name."""
    named = set(_sorted_releases(raw))
    runs = raw.get(_UNDER_WAY) or ()
    return next((run for run in runs if run["release"] and not set(run["release"].split(" + ")) <= named), None)


def settled(raw: Raw, before: Raw) -> Settlement:
    return Settlement(Settled.YES, "New runs take the new settings; a run that is under way keeps the old ones.")


def kept(raw: Raw) -> dict[str, Any]:
    return {
        f"{name} of {place.title}": value for place in places(raw) for name, value in machines.kept(place.spec).items()
    }


def edited_since(client: Client, object_id: str, since: datetime) -> bool | None:
    return None  # the API keeps no history of a job's settings


def edited_by(client: Client, object_id: str) -> tuple[str, datetime] | None:
    return None  # nor does it name who edited it


def permissions_of(client: Client, object_id: str) -> dict[str, Any]:
    return permissions.read(client, "job", object_id)


def needed(client: Client, object_id: str, backup: Raw) -> str | None:
    return None


def backup_of(raw: Raw) -> dict[str, Any]:
    return {name: value for name, value in copy_of(raw).items() if name != _UNDER_WAY}


def compared(raw: Raw) -> dict[str, Any]:
    found: dict[str, Any] = as_set({name: value for name, value in raw.items() if name not in _PLATFORM | {_UNDER_WAY}})
    return found


def release_of(raw: Raw) -> str:
    return " + ".join(_sorted_releases(raw)) or "-"


def url(host: str, object_id: str) -> str:
    return job_url(host, object_id)


def _sorted_releases(raw: Raw) -> list[str]:
    found = {shown(p.spec.get(RUNTIME)): release(p.spec.get(RUNTIME)) for p in places(raw) if p.spec.get(RUNTIME)}
    return sorted(found, key=lambda text: ([int(n) for n in (found[text] or "99.99").split(".")], text))


def _found(raw: Mapping[str, Any]) -> Found:
    name, computes = settings(raw).get("name"), list(places(raw))
    return Found(
        kind="job",
        object_id=str(raw["job_id"]),
        name=str(name or raw["job_id"]),
        owner=raw.get("run_as_user_name") or raw.get("creator_user_name"),
        runtimes=tuple(sorted({str(p.spec[RUNTIME]) for p in computes if p.spec.get(RUNTIME)})),
        state=_state(settings(raw)),
        raw=raw,
        about=_about(raw, computes),
    )


def _about(raw: Raw, computes: Sequence[Place]) -> About:
    tags = tags_of(settings(raw).get("tags"))
    for place in computes:
        tags = {**tags_of(place.spec.get("custom_tags")), **tags}
    return About(
        creator=raw.get("creator_user_name"),
        run_as=raw.get("run_as_user_name"),
        tags=tags,
        uses=tuple(sorted(set(_uses(raw, computes)))),
        managed=managed_elsewhere(raw),
    )


def _uses(raw: Raw, computes: Sequence[Place]) -> Iterator[Use]:
    """What a job shares with others: clusters it runs on, jobs and pipelines it starts, policies and pools."""
    for place in computes:
        yield from uses_of(place.spec)
    for task in tasks(raw):
        work = inner(task)
        if work.get("existing_cluster_id"):
            yield "cluster", str(work["existing_cluster_id"])
        if started := (work.get("run_job_task") or {}).get("job_id"):
            yield "job", str(started)
        if started := (work.get("pipeline_task") or {}).get("pipeline_id"):
            yield "pipeline", str(started)


def _state(own: Mapping[str, Any]) -> str:
    """SCHEDULED, PAUSED, CONTINUOUS or MANUAL, from whatever starts the job by itself."""
    starters = [own[name] for name in ("continuous", "schedule", "trigger") if own.get(name)]
    starters += list(own.get("triggers") or ())
    if not starters:
        return "MANUAL"
    active = [s for s in starters if s.get("pause_status") != "PAUSED"]
    if not active:
        return "PAUSED"
    return "CONTINUOUS" if own.get("continuous") in active or any(s.get("continuous") for s in active) else "SCHEDULED"
