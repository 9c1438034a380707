"""What policies and pools say to the configuration of a cluster: when it is written and when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.databricks import acl, cluster_config, policy_rules, versions
from sandbox.databricks.errors import ApiError, Json, denied, invalid

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

POOLS = ("instance_pool_id", "driver_instance_pool_id")


def govern(ws: Workspace, spec: Json, kind: str) -> Json:
    """The configuration that somebody writes, with what its policy fills in; raises ApiError when it is refused.

    `kind` is `all-purpose`, or `job` for the clusters of a job. A malformed policy lets every job through, which then
    fails when it is launched.
    """
    cluster_config.check_types(spec)
    _check_pools(ws, spec)
    policy_id = spec.get("policy_id")
    if not policy_id:
        return spec
    if str(spec.get("spark_version", "")).startswith("auto:"):
        versions.check(spec["spark_version"])
    policy = _policy(ws, policy_id)
    try:
        rules = policy_rules.parse(policy["definition"])
    except policy_rules.Malformed as error:
        if kind == "job":
            return spec
        raise _malformed(policy) from error
    _check_modelled(rules)
    result = policy_rules.filled(spec, rules, bool(spec.get("apply_policy_default_values")))
    cluster_config.check_types(result)
    wrong = policy_rules.violations(result, rules, kind)
    if wrong:
        raise invalid(f"Cluster validation error: {'; '.join(wrong.values())}")
    _check_pools(ws, result)
    return result


def settled(ws: Workspace, spec: Json) -> Json:
    """As `govern`, of what was put in place before the policy became what it is: filled in, and never refused."""
    policy = ws.shelf("policies").get(str(spec.get("policy_id") or ""))
    try:
        rules = policy_rules.parse(policy["definition"]) if policy else ()
    except policy_rules.Malformed:
        return spec
    return policy_rules.filled(spec, rules, bool(spec.get("apply_policy_default_values"))) if rules else spec


def launch_problem(ws: Workspace, spec: Json) -> ApiError | None:
    """Why no cluster of this configuration can be started now; None when one can."""
    policy = ws.shelf("policies").get(str(spec["policy_id"])) if spec.get("policy_id") else None
    if policy is not None:
        try:
            policy_rules.parse(policy["definition"])
        except policy_rules.Malformed:
            return _malformed(policy)
    return _missing_pool(ws, spec)


def rules_of(ws: Workspace, policy_id: object) -> tuple[policy_rules.Rule, ...]:
    """The rules of a policy; refused when there is no such policy or its definition is malformed."""
    policy = ws.shelf("policies").get(str(policy_id))
    if policy is None:
        raise no_policy(policy_id)
    try:
        return policy_rules.parse(policy["definition"])
    except policy_rules.Malformed as error:
        raise _malformed(policy) from error


def no_policy(policy_id: object) -> ApiError:
    """What the API says of a policy that there is not."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Can't find a cluster policy with id: {policy_id}.")


def _policy(ws: Workspace, policy_id: object) -> Json:
    policy = ws.shelf("policies").get(policy_id) if isinstance(policy_id, str) else None
    if policy is None:
        raise invalid(f"Cluster validation error: Can't find a cluster policy with id: {policy_id}.")
    if not acl.may_use(ws, "cluster-policies", policy["policy_id"]):
        raise denied(f"{ws.client_id} is not authorized to use the policy {policy['policy_id']}")
    return policy


def _malformed(policy: Json) -> ApiError:
    return invalid(
        f"Requests for the policy {policy['policy_id']} cannot be satisfied due to the malformed policy definition. "
        "Please contact your administrator to correct it."
    )


def _check_modelled(rules: tuple[policy_rules.Rule, ...]) -> None:
    if any(rule.path == "dbus_per_hour" for rule in rules):
        raise ApiError(501, "NOT_IMPLEMENTED", "the local Databricks does not model prices: no rules on dbus_per_hour")


def _check_pools(ws: Workspace, spec: Json) -> None:
    problem = _missing_pool(ws, spec)
    if problem:
        raise problem
    for name in POOLS:
        if spec.get(name) and not acl.may_use(ws, "instance-pools", str(spec[name])):
            raise denied(f"{ws.client_id} does not have Attach permissions on instance pool {spec[name]}")


def _missing_pool(ws: Workspace, spec: Json) -> ApiError | None:
    for name in POOLS:
        if spec.get(name) and spec[name] not in ws.shelf("pools"):
            return invalid(f"Cluster validation error: Can't find an instance pool with id: {spec[name]}.")
    return None
