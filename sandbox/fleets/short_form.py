"""From the short form of a fleet file (explained in sample.yml) to configurations as the API takes them."""

from __future__ import annotations

import copy
import random
import string
import zlib
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

CLUSTER_FACTS = (
    "state",
    "source",
    "age_days",
    "pinned",
    "office",
    "resizes",
    "restarts_late",
    "permission",
    "acl",
    "libraries",
)
"""What is said about a cluster and is not in its configuration."""
SHORT = ("policies", "pools", "clusters", "jobs", "submits", "pipelines")
"""The parts of a workspace that have a short form or a default; all others are taken as they are."""
JOB_FACTS = ("permission", "acl", "run_as")
HABITS = ("minutes", "spread", "failure", "breaks", "slower", "writes", "output")


def expand(content: Mapping[str, Any]) -> Json:
    """The whole fleet. Raises ValueError naming the entry that makes no sense."""
    templates, owners = content.get("templates", {}), content.get("owners", {})
    found: Json = {"seed": content.get("seed", 1), "workspaces": {}}
    for key, raw in content["workspaces"].items():
        found["workspaces"][key] = {
            "policies": raw.get("policies", []),
            "pools": raw.get("pools", []),
            "clusters": [_cluster(key, entry, templates) for entry in raw.get("clusters", [])],
            "jobs": [_job(key, _owned(entry, owners), templates) for entry in raw.get("jobs", [])],
            "pipelines": [_pipeline(key, entry) for entry in raw.get("pipelines", [])],
            "submits": [_submit(key, entry, templates) for entry in raw.get("submits", [])],
            **{name: value for name, value in raw.items() if name not in SHORT},
        }
    return found


def cluster_id(workspace: str, name: str) -> str:
    """The id that a cluster of this name gets: the same in every sandbox."""
    chosen = random.Random(zlib.crc32(f"cluster/{workspace}/{name}".encode()))
    stamp = (
        f"{chosen.randint(1, 10):02d}{chosen.randint(1, 28):02d}-{chosen.randint(8, 17):02d}{chosen.randint(0, 59):02d}"
    )
    letters = "".join(chosen.choices(string.ascii_lowercase + string.digits, k=7))
    return f"{stamp}{chosen.randint(0, 59):02d}-{chosen.choice('abcdefghijklmnop')}{letters}"


def job_id(workspace: str, name: str) -> int:
    """The id that a job of this name gets: the same in every sandbox."""
    return 10**14 + random.Random(zlib.crc32(f"job/{workspace}/{name}".encode())).randrange(8 * 10**14)


def pipeline_id(workspace: str, name: str) -> str:
    """The id that a pipeline of this name gets: the same in every sandbox."""
    digits = f"{random.Random(zlib.crc32(f'pipeline/{workspace}/{name}'.encode())).getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def owner_of(name: str) -> str:
    """The team that a name begins with."""
    return f"{name.split('-')[0]}-team@example.com"


def _owned(job: Mapping[str, Any], owners: Mapping[str, str]) -> Json:
    """A job with the person who owns what begins so, unless it names an owner itself."""
    known = owners.get(str(job.get("name")).split("-")[0])
    return {"owner": known, **job} if known else dict(job)


def merge(base: Json, over: Mapping[str, Any]) -> Json:
    """`over` on top of `base`, objects field by field; null removes."""
    result = copy.deepcopy(base)
    for name, value in over.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(result.get(name), dict):
            result[name] = merge(result[name], value)
        else:
            result[name] = copy.deepcopy(value)
    return result


def _template(templates: Mapping[str, Any], kind: str, name: str, who: str) -> Json:
    known = templates.get(kind, {})
    if name not in known:
        raise ValueError(f"{who}: there is no template {kind}.{name}")
    entry = dict(known[name])
    like = entry.pop("like", None)
    return merge(_template(templates, kind, like, who), entry) if like else copy.deepcopy(entry)


def _cluster(workspace: str, entry: Mapping[str, Any], templates: Mapping[str, Any]) -> Json:
    raw = dict(entry)
    name = str(raw.pop("name"))
    found: Json = {fact: raw.pop(fact) for fact in CLUSTER_FACTS if fact in raw}
    found.update(id=raw.pop("id", cluster_id(workspace, name)), owner=raw.pop("owner", owner_of(name)))
    like = raw.pop("like", None)
    spec = _template(templates, "clusters", like, name) if like else {}
    found["spec"] = merge({"cluster_name": name, **spec}, raw)
    return found


def _job(workspace: str, entry: Mapping[str, Any], templates: Mapping[str, Any]) -> Json:
    raw = dict(entry)
    name = str(raw.pop("name"))
    found: Json = {fact: raw.pop(fact) for fact in JOB_FACTS if fact in raw}
    found.update(id=raw.pop("id", job_id(workspace, name)), owner=raw.pop("owner", owner_of(name)))
    found["habit"] = {habit: raw.pop(habit) for habit in HABITS if habit in raw}
    settings: Json = {"name": name, **copy.deepcopy(raw.pop("settings", {}))}
    where, inline = str(raw.pop("compute", "serverless")), raw.pop("inline", False)
    compute: Json = {}
    if where.startswith("@"):
        compute = {"existing_cluster_id": cluster_id(workspace, where[1:])}
    elif where != "serverless":
        new_cluster = merge(_template(templates, "job_clusters", where, name), raw.pop("with", {}))
        if inline:
            compute = {"new_cluster": new_cluster}
        else:
            settings["job_clusters"] = [
                {"job_cluster_key": "main", "new_cluster": new_cluster},
                *settings.get("job_clusters", []),
            ]
            compute = {"job_cluster_key": "main"}
    settings["tasks"] = _tasks(workspace, name, raw.pop("tasks", ["main"]), compute)
    cron = raw.pop("cron", None)
    if cron:
        zone = raw.pop("zone", "UTC")
        settings["schedule"] = {"quartz_cron_expression": cron, "timezone_id": zone}
        if raw.pop("paused", False):
            settings["schedule"]["pause_status"] = "PAUSED"
    if raw:
        raise ValueError(f"{name}: unknown fields {', '.join(map(str, raw))}")
    found["settings"] = settings
    return found


def _pipeline(workspace: str, entry: Mapping[str, Any]) -> Json:
    raw = dict(entry)
    name = str(raw["name"])
    found: Json = {
        "pipeline_id": raw.pop("id", pipeline_id(workspace, name)),
        "owner": raw.pop("owner", owner_of(name)),
    }
    if "cluster" in raw:
        found["cluster_id"] = cluster_id(workspace, raw.pop("cluster"))
    found["habit"] = {habit: raw.pop(habit) for habit in ("minutes", "spread", "failure", "tables") if habit in raw}
    return {**found, "spec": raw}


def _submit(workspace: str, entry: Mapping[str, Any], templates: Mapping[str, Any]) -> Json:
    """A scheduler outside, written like a job: what it submits, and when."""
    job = _job(workspace, {**entry, "inline": True}, templates)
    settings = job["settings"]
    cron = settings.pop("schedule")
    settings["run_name"] = settings.pop("name")
    return {
        "name": settings["run_name"],
        "owner": job["owner"],
        "cron": cron["quartz_cron_expression"],
        "zone": cron["timezone_id"],
        "habit": job["habit"],
        "settings": settings,
    }


def _tasks(workspace: str, job: str, tasks: Any, compute: Json) -> list[Json]:
    if isinstance(tasks, Mapping):
        return _fan(job, int(tasks["count"]), int(tasks["width"]), compute)
    found: list[Json] = []
    for task in tasks:
        extra = {"key": task} if isinstance(task, str) else copy.deepcopy(dict(task))
        key = extra.pop("key")
        after = extra.pop("after", [found[-1]["task_key"]] if found else [])
        entry: Json = {"task_key": key, **({"depends_on": [{"task_key": name} for name in after]} if after else {})}
        if "run_job" in extra:
            entry["run_job_task"] = {"job_id": job_id(workspace, extra.pop("run_job"))}
        elif "pipeline" in extra:
            entry["pipeline_task"] = {"pipeline_id": pipeline_id(workspace, extra.pop("pipeline"))}
        elif "for_each" in extra:
            inner = {"task_key": f"{key}_each", **_notebook(job, key), **compute}
            entry["for_each_task"] = {"inputs": extra.pop("for_each"), "concurrency": 4, "task": inner}
        elif not any(name.endswith("_task") for name in extra):
            entry.update(_notebook(job, key))
        apart = ("run_job_task", "pipeline_task", "for_each_task")
        if not any(name in entry for name in apart) and not extra.pop("no_compute", False):
            own = any(name in extra for name in ("new_cluster", "existing_cluster_id", "environment_key"))
            entry.update({} if own else compute)
        found.append({**entry, **extra})
    return found


def _fan(job: str, count: int, width: int, compute: Json) -> list[Json]:
    """Many tasks in rows of `width`; each waits for the one above it."""
    found = []
    for number in range(count):
        entry: Json = {"task_key": f"table_{number:03d}", **_notebook(job, "load_table"), **compute}
        if number >= width:
            entry["depends_on"] = [{"task_key": f"table_{number - width:03d}"}]
        found.append(entry)
    return found


def _notebook(job: str, task: str) -> Json:
    return {"notebook_task": {"notebook_path": f"/Workspace/Shared/{job}/{task}", "source": "WORKSPACE"}}
