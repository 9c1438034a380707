"""Which compute a policy or a pool serves, and what that compute will want of its policy."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from rollout.change import Found, Raw, Skip, Upgrade
from rollout.policy import Policy, plan_widening
from rollout.pool import POOLS
from rollout.runtime import map_runtime
from workspace import clusters, jobs
from workspace.client import Client
from workspace.compute import ENGINE, RUNTIME, asked, new_pools, value
from workspace.job_places import places


def computes(found: Found) -> list[Raw]:
    """Every compute specification of a cluster or job, as people wrote it; none of anything else."""
    if found.kind == "cluster":
        return [asked(found.raw)]
    return [place.spec for place in places(found.raw)] if found.kind == "job" else []


def widenings(found: Iterable[Found], known: Mapping[str, Policy], upgrade: Upgrade) -> dict[str, Policy]:
    """The policies of a workspace with what has to be done to each, so that the targets' new runtimes and pools are
    taken. ``upgrade.pools`` says which pools are replaced."""
    wants: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    omitted: dict[str, list[str]] = defaultdict(list)
    poolless: dict[str, list[str]] = defaultdict(list)
    for one in found:
        for spec in computes(one):
            policy_id = str(spec.get("policy_id") or "")
            if not policy_id:
                continue
            if not spec.get(POOLS[0]):
                poolless[policy_id].append(one.name)
            if not spec.get(RUNTIME):
                omitted[policy_id].append(one.name)
                continue
            mapped = map_runtime(spec.get(RUNTIME), upgrade, value(spec, ENGINE))
            if not isinstance(mapped, Skip):
                wants[policy_id][RUNTIME].add(mapped.key)
                if mapped.runtime_engine:
                    wants[policy_id][ENGINE].add(mapped.runtime_engine)
                for attribute, pool in new_pools(spec, upgrade):
                    wants[policy_id][attribute].add(pool)
    return {key: plan_widening(policy, wants[key], omitted[key], poolless[key]) for key, policy in known.items()}


def every_compute(client: Client) -> Iterator[tuple[Found, Raw]]:
    """Every compute specification in the workspace, by listing. Raises the errors of ``Client.get``."""
    for kind in (clusters, jobs):
        for found in kind.discover(client):
            for spec in computes(found):
                yield found, spec


def referents(client: Client, policy_id: str) -> Iterator[tuple[Found, Raw]]:
    """Every compute in the workspace that the policy governs, by listing. Raises the errors of ``Client.get``."""
    for found, spec in every_compute(client):
        if str(spec.get("policy_id") or "") == policy_id:
            yield found, spec


def policies_naming(client: Client, pool_id: str) -> list[str]:
    """The names of the policies whose rules name a pool. Raises the errors of ``Client.get``."""
    found = client.get("/api/2.0/policies/clusters/list").get("policies") or ()
    texts = ("definition", "policy_family_definition_overrides")
    return [str(raw.get("name")) for raw in found if any(pool_id in str(raw.get(text) or "") for text in texts)]
