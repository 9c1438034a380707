"""What clusters and the job clusters inside jobs have in common: one raw compute specification."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from rollout.about import Use
from rollout.change import FieldChange, Path, Raw, Skip, Upgrade
from rollout.policy import given, refusal
from rollout.pool import POOLS, token
from rollout.runtime import Mapped, map_runtime, release, shown
from workspace import machines

RUNTIME: Final = "spark_version"
ENGINE: Final = "runtime_engine"
FIELDS: Final = (RUNTIME, ENGINE)

#: The newer names of access modes, as they read back under the older ones (facts: databricks a2).
_ACCESS_MODES: Final = {
    "DATA_SECURITY_MODE_DEDICATED": "SINGLE_USER",
    "DATA_SECURITY_MODE_STANDARD": "USER_ISOLATION",
}
_PASSTHROUGH: Final = "spark.databricks.passthrough.enabled"


def plan_compute(spec: Raw, upgrade: Upgrade, path: Path = ()) -> tuple[FieldChange, ...] | Skip:
    """The fields of one compute specification that change, with ``path`` before their names; or why it is left alone.

    A specification on another release is skipped for that reason, whatever else is wrong with it.
    """
    if not spec.get(RUNTIME) and spec.get("policy_id"):
        return _supplied(str(spec["policy_id"]), upgrade)
    mapped = map_runtime(spec.get(RUNTIME), upgrade, value(spec, ENGINE))
    if isinstance(mapped, Skip) and mapped.code not in {"runtime_variant", "runtime_not_offered"}:
        return mapped
    blocked = _blocked(spec)
    if blocked is not None:
        return blocked
    if isinstance(mapped, Skip):
        return mapped
    fields = _fields(spec, mapped, path, upgrade)
    held = _governed(spec, fields, upgrade) or machines.held(spec, fields, upgrade)
    return held or (*fields, *_pooled(spec, path, upgrade))


def value(spec: Raw, field: str) -> Any:
    """The present value of a field, None where it is absent. ``NULL`` is how the API spells an absent engine."""
    found = spec.get(field)
    return None if field == ENGINE and found == "NULL" else found


def backup_of(raw: Raw) -> dict[str, Any]:
    """A copy of the raw configuration as it is."""
    return deepcopy(dict(raw))


def asked(raw: Raw) -> Raw:
    """A compute specification as people wrote it: a cluster shows beside it what the platform makes of it."""
    spec = raw.get("spec")
    return spec if isinstance(spec, Mapping) else raw


def new_pools(raw: Raw, upgrade: Upgrade) -> list[tuple[str, str]]:
    """Attribute and pool, as a policy sees them once this compute is on the new pools; what stays is left out.

    Without a driver pool of its own the driver comes from the pool of the workers.
    """
    spec = asked(raw)
    named = {POOLS[0]: spec.get(POOLS[0]), POOLS[1]: spec.get(POOLS[1]) or spec.get(POOLS[0])}
    return [(name, _stand_in(str(pool), upgrade)) for name, pool in named.items() if _replaced(pool, upgrade)]


def as_set(spec: Any) -> Any:
    """A copy in which the same setting reads the same wherever it stands: the API has two spellings of some."""
    if isinstance(spec, Mapping):
        return {
            name: _ACCESS_MODES.get(found, found) if name == "data_security_mode" else as_set(found)
            for name, found in spec.items()
            if not (name == ENGINE and found == "NULL")
        }
    return [as_set(entry) for entry in spec] if isinstance(spec, list) else spec


def uses_of(spec: Raw) -> Iterator[Use]:
    """The policy and the pools that a compute specification refers to."""
    for kind, name in (("policy", "policy_id"), ("pool", "instance_pool_id"), ("pool", "driver_instance_pool_id")):
        if spec.get(name):
            yield kind, str(spec[name])


def tags_of(raw: object) -> dict[str, str]:
    """Tags as text by text; nothing where there are none."""
    return {str(key): str(value) for key, value in raw.items()} if isinstance(raw, Mapping) else {}


def way_back_note(fields: Sequence[FieldChange], upgrade: Upgrade) -> str | None:
    """What a person must know of the way back before the way forward; None where the old runtime is still listed.

    A runtime that is not listed may still be taken (facts: databricks a1), so it is tried first.
    """
    missing = [f for f in fields if f.path[-1] == RUNTIME and f.before not in upgrade.versions]
    if not missing:
        return None
    field, old = missing[0], shown(missing[0].before)
    if field.fallback is None:
        return f"the workspace no longer lists {old}: the way back may be refused, and there is no other"
    return f"the workspace no longer lists {old}: where it is refused, the way back is to {shown(field.fallback)}"


def _supplied(policy_id: str, upgrade: Upgrade) -> Skip:
    """Why compute is left alone whose runtime comes from its policy only."""
    policy = upgrade.policies.get(policy_id)
    if policy is None or policy.rules is None:
        return Skip(
            "policy_unknown",
            f"It names no runtime, and its policy {policy_id} cannot be read: what it runs on is not known.",
            "Give the bot CAN_USE on the policy, or name the runtime there; then look again.",
        )
    supplied = given(policy, RUNTIME)
    if supplied is None:
        return Skip(
            "no_runtime",
            f"It names no runtime, and neither does its policy {policy.name}.",
            "Look at what it takes it from.",
        )
    key, fixed = supplied
    mapped = map_runtime(key, upgrade)
    if isinstance(mapped, Skip) and mapped.code not in {"runtime_variant", "runtime_not_offered"}:
        sentence = f"Its policy {policy.name} supplies the runtime {shown(key)}. {mapped.sentence}"
        return replace(mapped, sentence=sentence, release=release(key))
    word = "fixes it to" if fixed else "gives it the default"
    return Skip(
        "runtime_from_policy",
        f"It names no runtime of its own; its policy {policy.name} {word} {shown(key)}.",
        f"It moves when that policy does; or write the runtime into it, if {policy.name} takes {upgrade.target}.",
        release=release(key),
    )


def _fields(spec: Raw, mapped: Mapped, path: Path, upgrade: Upgrade) -> tuple[FieldChange, ...]:
    back: Mapped | None = None
    if upgrade.fallback is not None:
        found = map_runtime(spec[RUNTIME], replace(upgrade, target=upgrade.fallback), value(spec, ENGINE))
        back = found if isinstance(found, Mapped) else None
    fields = [FieldChange((*path, RUNTIME), spec[RUNTIME], mapped.key, back.key if back is not None else None)]
    if mapped.runtime_engine is not None:
        engine = back.runtime_engine if back is not None else None
        fields.append(FieldChange((*path, ENGINE), value(spec, ENGINE), mapped.runtime_engine, engine))
    return tuple(fields)


def _blocked(spec: Raw) -> Skip | None:
    if spec.get("docker_image"):
        return Skip(
            "custom_image",
            "It runs a container image of its own, which must fit the runtime.",
            "Build an image for the new runtime first, then change both by hand.",
        )
    mode = str(spec.get("data_security_mode") or "")
    conf = spec.get("spark_conf")
    passthrough = isinstance(conf, Mapping) and str(conf.get(_PASSTHROUGH, "")).lower() == "true"
    if mode.startswith("LEGACY_") or passthrough:
        return Skip(
            "legacy_access_mode",
            f"It uses the legacy access mode {mode if mode.startswith('LEGACY_') else 'credential passthrough'}.",
            "Move it to the standard or dedicated access mode first: the new runtime does not support this one.",
        )
    return None


def _pooled(raw: Raw, path: Path, upgrade: Upgrade) -> tuple[FieldChange, ...]:
    """The fields that name a pool for which another one stands in; none where the policy would refuse that."""
    spec = asked(raw)
    policy = upgrade.policies.get(str(spec.get("policy_id") or ""))
    if policy is not None and any(refusal(policy.after(), name, pool) for name, pool in new_pools(raw, upgrade)):
        return ()
    return tuple(
        FieldChange((*path, name), spec[name], token(str(spec[name])))
        for name in POOLS
        if _replaced(spec.get(name), upgrade)
    )


def _replaced(pool_id: Any, upgrade: Upgrade) -> bool:
    pool = upgrade.pools.get(str(pool_id)) if pool_id else None
    return pool is not None and pool.replaced


def _stand_in(pool_id: str, upgrade: Upgrade) -> str:
    return upgrade.pools[pool_id].stand_in or token(pool_id)


def _governed(spec: Raw, fields: tuple[FieldChange, ...], upgrade: Upgrade) -> Skip | None:
    """Why the policy of this compute would refuse the edit, so that it is not tried."""
    policy_id = spec.get("policy_id")
    if not policy_id:
        return None
    policy = upgrade.policies.get(str(policy_id))
    if policy is None:
        return Skip(
            "policy_unknown",
            f"Its policy {policy_id} was deleted, or the bot may not see it; then it cannot be edited.",
            "Give the bot CAN_USE on the policy, or move the compute to another policy; then look again.",
        )
    for field in fields:
        problem = refusal(policy.after(), field.path[-1], str(field.after))
        if problem is not None:
            return Skip(
                "policy_refuses",
                f"Its policy {policy.name} {policy.held or problem}.",
                f"Let that policy take {field.after} beside the old value, then look again.",
            )
    return None


def supports_of(specs: Iterable[tuple[Raw, tuple[FieldChange, ...]]], upgrade: Upgrade) -> tuple[str, ...]:
    """The ids of the policies that must be widened before these specifications can get their fields."""
    needed: dict[str, None] = {}
    for spec, fields in specs:
        moved = [f for f in fields if f.path[-1] in POOLS]
        wanted = [(f.path[-1], str(f.after)) for f in fields if f not in moved]
        wanted += new_pools(spec, upgrade) if moved else []
        policy = upgrade.policies.get(str(spec.get("policy_id") or ""))
        if policy is not None and any(refusal(policy, name, after) for name, after in wanted):
            needed[str(spec["policy_id"])] = None
        needed |= dict.fromkeys(str(f.before) for f in moved)
    return tuple(needed)


def support_notes(supports: Iterable[str], upgrade: Upgrade) -> list[str]:
    """What is said of the policies that are widened first, and of the pools that are made anew."""
    return [
        f"its policy {upgrade.policies[key].name} is widened first"
        if key in upgrade.policies
        else f"moves from the pool {upgrade.pools[key].name} to {upgrade.pools[key].new_name}, "
        f"which has {shown(upgrade.pools[key].loads)} loaded"
        for key in supports
    ]


def pool_notes(specs: Iterable[tuple[Raw, tuple[FieldChange, ...]]], upgrade: Upgrade) -> list[str]:
    """What is said of pools that have only the old runtime loaded, and are kept all the same."""
    said: dict[str, None] = {}
    for raw, fields in specs:
        moved = {str(f.before) for f in fields if f.path[-1] in POOLS}
        for pool_id in dict.fromkeys(str(asked(raw).get(name) or "") for name in POOLS):
            pool = upgrade.pools.get(pool_id)
            if pool is None or not pool.loads or pool_id in moved:
                continue
            why = f"{pool.held} ({pool.code})" if pool.code else "its policy takes no other pool"
            said[f"keeps its pool {pool.name}, which has the old runtime loaded, and starts slower: {why}"] = None
    return list(said)


def access_note(spec: Raw) -> str | None:
    """A sentence about an access mode that still works but deserves a look."""
    if spec.get("data_security_mode") == "NONE":
        return "no access isolation (mode NONE): users of one cluster see each other's data"
    return None


def interactive(raw: Raw) -> bool:
    """Whether people work on the cluster: an all-purpose one that was made by hand."""
    return raw.get("cluster_source") == "UI"
