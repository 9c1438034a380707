"""The machine types of a workspace, and those that compute asks for. See ``rollout.machine`` for what they mean."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rollout.change import FieldChange, Raw, Skip, Upgrade
from rollout.machine import KEPT, Doubt, Machine, Used, doubts
from rollout.policy import MACHINES, given
from rollout.pool import POOLS
from rollout.runtime import PHOTON, variant
from workspace.client import Client
from workspace.errors import Forbidden, Gone, Refused

#: Set where compute takes what its policy gives as a default (facts: databricks a4).
_DEFAULTS: Final = "apply_policy_default_values"


def offered(client: Client) -> dict[str, Machine] | None:
    """The machine types of the workspace by id; None where it does not say. One call.

    Raises the WorkspaceErrors of ``Client.get`` but those that say that we may not ask.
    """
    try:
        listed = client.get("/api/2.1/clusters/list-node-types").get("node_types") or ()
    except (Forbidden, Gone, Refused):
        return None
    # None at all is no answer: there is no workspace without machines.
    return {str(raw["node_type_id"]): _machine(raw) for raw in listed if raw.get("node_type_id")} or None


def _machine(raw: Mapping[str, Any]) -> Machine:
    capable = [raw[name] for name in ("photon_worker_capable", "photon_driver_capable") if name in raw]
    return Machine(
        deprecated=bool(raw.get("is_deprecated")),
        hidden=bool(raw.get("is_hidden")),
        arm=bool(raw["is_graviton"]) if raw.get("is_graviton") is not None else None,
        gpus=int(raw["num_gpus"]) if raw.get("num_gpus") is not None else None,
        photon=all(capable) if capable else None,
        unavailable=tuple(str(said) for said in (raw.get("node_info") or {}).get("status") or ()),
    )


def held(spec: Raw, fields: Iterable[FieldChange], upgrade: Upgrade) -> Skip | None:
    """Why compute is left alone whose machines are not to be had or do not fit the new runtime; None: it is not."""
    for doubt in of_compute(spec, fields, upgrade):
        if doubt.holds:
            return Skip(doubt.code, f"{_capital(doubt.sentence)}.", f"{_capital(doubt.next_step)}.")
    return None


def notes(spec: Raw, fields: Iterable[FieldChange], upgrade: Upgrade) -> list[str]:
    """What people are told of the machines of compute before the start."""
    return [doubt.note for doubt in of_compute(spec, fields, upgrade) if not doubt.holds]


def of_compute(spec: Raw, fields: Iterable[FieldChange], upgrade: Upgrade) -> list[Doubt]:
    """What speaks against the machines of one compute specification, once ``fields`` are written."""
    after = {f.path[-1]: f.after for f in fields}
    engine = after.get("runtime_engine", spec.get("runtime_engine"))
    return doubts(_used(spec, upgrade), upgrade.machines, variant(after.get("spark_version")) or "", engine == PHOTON)


def _used(spec: Raw, upgrade: Upgrade) -> list[Used]:
    """The machine types of workers and driver; where a pool or its policy gives the machines, those."""
    found: dict[str, str] = {}
    for role, name, pool_name in zip(("worker", "driver"), MACHINES, POOLS, strict=True):
        pool = upgrade.pools.get(str(spec.get(pool_name) or ""))
        supplied = _supplied(spec, name, upgrade)
        if pool is not None and pool.machine:
            found.setdefault(pool.machine, f"machine type (from its pool {pool.name})")
        elif supplied is not None:
            found.setdefault(*supplied)
        elif spec.get(name):
            found.setdefault(str(spec[name]), f"{role} machine type")
    if len(found) == 1:
        return [Used(title.removeprefix("worker "), machine) for machine, title in found.items()]
    return [Used(title, machine) for machine, title in found.items()]


def _supplied(spec: Raw, attribute: str, upgrade: Upgrade) -> tuple[str, str] | None:
    """The machine type that the policy of compute gives it, and how that is called. A fixed one counts whatever the
    compute names (facts: databricks a4); a default where the compute names none and takes defaults."""
    policy = upgrade.policies.get(str(spec.get("policy_id") or ""))
    if policy is None or (rule := given(policy, attribute)) is None:
        return None
    machine, fixed = rule
    taken = fixed or (spec.get(_DEFAULTS) and not spec.get(attribute))
    return (machine, f"machine type (from its policy {policy.name})") if taken else None


def kept(spec: Raw) -> dict[str, Any]:
    """Machine types and spot settings that a compute specification names, by name."""
    found: dict[str, Any] = {}
    for head, *rest in KEPT:
        value = spec.get(head)
        for name in rest:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            found[".".join((head, *rest))] = value
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
