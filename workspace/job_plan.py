"""What will be done to a job, or why it is left alone. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rollout.about import SYSTEM, Managed, managed
from rollout.change import Change, FieldChange, Raw, Skip, Upgrade
from rollout.runtime import release, scala, shown
from workspace import machines
from workspace.compute import (
    RUNTIME,
    access_note,
    plan_compute,
    pool_notes,
    support_notes,
    supports_of,
    tags_of,
    way_back_note,
)
from workspace.elsewhere import forced_note, of_repository, proposed
from workspace.job_places import Place, inner, places, settings, tasks

#: On the source release, but not to be changed by us: then the whole job waits for a person.
_BLOCKING: Final = frozenset(
    {
        "custom_image",
        "legacy_access_mode",
        "machine_mismatch",
        "machine_not_offered",
        "policy_refuses",
        "policy_unknown",
        "runtime_from_policy",
        "runtime_not_offered",
        "runtime_variant",
    }
)
#: Places that are understood and need nothing from us.
_HARMLESS: Final = ("other_runtime", "no_runtime", "already_target")
_SCALA_SUFFIX = re.compile(r"_(2\.1[0-3])(?=[:.\-_/]|$)")


def plan(raw: Raw, upgrade: Upgrade) -> Change | Skip:
    """See ``workspace.kinds.Kind.plan``.

    Places on other releases are left alone and noted. One place on the source release that we may not change holds the
    whole job: half a job on the new runtime would look done.
    """
    if raw.get("has_more"):
        return Skip(
            "permission_denied",
            "Only a part of its tasks can be read.",
            "Give the bot CAN_MANAGE on this job, then look again.",
        )
    outcomes = [(place, plan_compute(place.spec, upgrade, place.path)) for place in places(raw)]
    changed = [(place, fields) for place, fields in outcomes if not isinstance(fields, Skip)]
    skipped = [(place, skip) for place, skip in outcomes if isinstance(skip, Skip)]
    held = [(p, s) for p, s in skipped if s.code in _BLOCKING and _on_source(p, upgrade)]
    if not changed and not held:
        return _nothing_to_change(raw, [s for _, s in skipped])
    fields = tuple(f for _, some in changed for f in some)
    elsewhere = managed_elsewhere(raw)
    library = _scala_library(raw, changed)
    if elsewhere is not None and (elsewhere.by == SYSTEM or not upgrade.force_managed):
        # Half an edit is no edit: what we would not change ourselves is not proposed either.
        own = () if held or library else of_repository(fields)
        return _with_more(proposed(elsewhere, own), held[0][1] if held else library)
    if held:
        place, skip = held[0]
        return replace(skip, sentence=f"{_capital(place.title)}: {skip.sentence}")
    if library is not None:
        return library
    specs = [(place.spec, some) for place, some in changed]
    supports = supports_of(specs, upgrade)
    notes = [forced_note(elsewhere)] if elsewhere is not None else []
    notes += [*support_notes(supports, upgrade), *pool_notes(specs, upgrade), *_notes(raw, changed, skipped, upgrade)]
    return Change(fields, restarts=False, notes=tuple(notes), supports=supports)


def _on_source(place: Place, upgrade: Upgrade) -> bool:
    return release(place.spec.get(RUNTIME)) == upgrade.source or not release(place.spec.get(RUNTIME))


def _with_more(skip: Skip, more: Skip | None) -> Skip:
    return skip if more is None else replace(skip, sentence=f"{skip.sentence} And: {more.sentence} {more.next_step}")


def managed_elsewhere(raw: Raw) -> Managed | None:
    """Where a job is deployed from; None where nothing speaks for it."""
    own = settings(raw)
    deployment = own.get("deployment")
    edit_mode = own.get("edit_mode")
    return managed(
        tags_of(own.get("tags")), deployment if isinstance(deployment, Mapping) else None, str(edit_mode or "")
    )


def _nothing_to_change(raw: Raw, skips: Sequence[Skip]) -> Skip:
    """Why a job without a place to change is left alone; what is not understood before what is, what is done last."""
    for skip in skips:
        if skip.code not in _HARMLESS:
            return skip
    for code in _HARMLESS:
        for skip in skips:
            if skip.code == code:
                return skip
    works = [inner(t) for t in tasks(raw)]
    shared = sorted({str(t["existing_cluster_id"]) for t in works if t.get("existing_cluster_id")})
    if shared:
        return Skip(
            "uses_shared_cluster",
            f"Its tasks run on {'the shared cluster' if len(shared) == 1 else 'shared clusters'} {', '.join(shared)}.",
            "Nothing to do here: it moves with the cluster.",
        )
    if works and all(t.get("pipeline_task") for t in works):
        return Skip(
            "managed_pipeline", "Its tasks only start pipelines.", "Nothing to do here: the pipeline's channel decides."
        )
    if works and all(t.get("sql_task") or t.get("dashboard_task") or _dbt_on_warehouse(t) for t in works):
        return Skip(
            "sql_warehouse",
            "Its tasks run on a SQL warehouse, whose version Databricks chooses.",
            "Nothing to do here: a warehouse has no runtime to choose.",
        )
    if any(not (t.get("run_job_task") or t.get("condition_task") or t.get("pipeline_task")) for t in works):
        return Skip(
            "serverless",
            "Its tasks run serverless or on a warehouse, whose runtime Databricks chooses.",
            "Nothing to do here.",
        )
    return Skip("no_runtime", "It names no runtime of its own.", "Look at the jobs that it starts.")


def _dbt_on_warehouse(task: Mapping[str, Any]) -> bool:
    return bool((task.get("dbt_task") or {}).get("warehouse_id")) and not task.get("job_cluster_key")


def _scala_library(raw: Raw, changed: Sequence[tuple[Place, tuple[FieldChange, ...]]]) -> Skip | None:
    """A library for the old Scala in a task that would come to run on the new one."""
    old: dict[str, str] = {}  # task -> the Scala version that it leaves
    for place, fields in changed:
        before, after = scala(fields[0].before), scala(fields[0].after)
        if before and before != after:
            old.update(dict.fromkeys(place.tasks, before))
    for task in tasks(raw):
        leaves = old.get(str(task.get("task_key")))
        for name in _artefacts(task) if leaves else ():
            found = _SCALA_SUFFIX.search(name)
            if found and found[1] == leaves:
                library = name.rsplit("/", 1)[-1][:80]
                return Skip(
                    "scala_library",
                    f"Task {task.get('task_key')} needs {library}, which is built for Scala {leaves}.",
                    "Provide a build for the new Scala version, change the library and the runtime together.",
                )
    return None


def _artefacts(task: Mapping[str, Any]) -> Iterator[str]:
    """The names of the JVM artefacts of a task: libraries, its own jar, and what spark-submit is given."""
    for one in (task, inner(task)):
        for library in one.get("libraries") or ():
            yield str((library.get("maven") or {}).get("coordinates") or library.get("jar") or "")
        yield str((one.get("spark_jar_task") or {}).get("jar_uri") or "")
        for parameter in (one.get("spark_submit_task") or {}).get("parameters") or ():
            yield from str(parameter).split(",")


def _notes(
    raw: Raw,
    changed: Sequence[tuple[Place, tuple[FieldChange, ...]]],
    skipped: Sequence[tuple[Place, Skip]],
    upgrade: Upgrade,
) -> Iterator[str]:
    if warning := way_back_note([f for _, fields in changed for f in fields], upgrade):
        yield warning
    for place, fields in changed:
        yield from (f"{place.title}: {note}" for note in machines.notes(place.spec, fields, upgrade))
    for place, _ in changed:
        if place.path[1] == "job_clusters":
            yield f"{place.title}: {_count(len(place.tasks), 'task')} use{'s' if len(place.tasks) == 1 else ''} it"
        if note := access_note(place.spec):
            yield f"{place.title}: {note}"
    for place, skip in skipped:
        if skip.code == "other_runtime":
            yield f"{place.title} stays on {shown(place.spec.get(RUNTIME))}"
        elif skip.code != "already_target":
            yield f"{place.title} is left alone: {skip.sentence[0].lower()}{skip.sentence[1:].rstrip('.')}"
    on_shared = [str(t.get("task_key")) for t in tasks(raw) if inner(t).get("existing_cluster_id")]
    if on_shared:
        verb = "runs on a shared cluster and moves" if len(on_shared) == 1 else "run on a shared cluster and move"
        yield f"{_count(len(on_shared), 'task')} {verb} with it"
    started = {
        str((t.get("run_job_task") or {}).get("job_id")) for t in map(inner, tasks(raw)) if t.get("run_job_task")
    }
    if started:
        moves = "which moves with its own stage" if len(started) == 1 else "which move with their own stages"
        yield f"starts {_count(len(started), 'other job')}, {moves}"
    own = settings(raw)
    if own.get("continuous"):
        paused = own["continuous"].get("pause_status") == "PAUSED"
        yield "runs continuously, paused now" if paused else "runs continuously: its run is ended and begun anew"
    else:
        yield "takes effect at the next run"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
