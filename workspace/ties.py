"""What a target uses and does not own, and its tags: read from its raw configuration. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from rollout.change import Found, Raw
from rollout.firstlook import Ties
from workspace.job_places import inner, places, settings, tasks


def ties_of(found: Found) -> Ties:
    """Shared clusters and jobs that a job uses, and the pools and policies of its compute."""
    if found.kind != "job":
        return Ties(pools=_named([found.raw], "instance_pool_id", "driver_instance_pool_id"), policies=_policies(found))
    specs = [place.spec for place in places(found.raw)]
    works = [work for task in tasks(found.raw) for work in (task, inner(task))]
    return Ties(
        clusters=_named(works, "existing_cluster_id"),
        jobs=_sorted((work.get("run_job_task") or {}).get("job_id") for work in works),
        pools=_named(specs, "instance_pool_id", "driver_instance_pool_id"),
        policies=_named(specs, "policy_id"),
    )


def tags_of(found: Found) -> dict[str, str]:
    """The tags of a target; of a job its own before those of its compute."""
    if found.kind != "job":
        return _texts(found.raw.get("custom_tags"))
    tags: dict[str, str] = {}
    for place in places(found.raw):
        tags.update(_texts(place.spec.get("custom_tags")))
    return {**tags, **_texts(settings(found.raw).get("tags"))}


def _policies(found: Found) -> tuple[str, ...]:
    return _named([found.raw], "policy_id")


def _named(specs: Iterable[Raw], *fields: str) -> tuple[str, ...]:
    return _sorted(spec.get(name) for spec in specs for name in fields)


def _sorted(ids: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted({str(i) for i in ids if i}))


def _texts(raw: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in raw.items()} if isinstance(raw, Mapping) else {}
