"""Which compute a policy governs, and what that compute will want of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from rollout.change import Found, Raw, Skip, Upgrade
from rollout.policy import Policy, plan_widening
from rollout.runtime import map_runtime
from workspace import clusters, jobs
from workspace.client import Client
from workspace.compute import ENGINE, RUNTIME, value
from workspace.job_places import places


def computes(found: Found) -> list[Raw]:
    """Every compute specification of a cluster or job, as people wrote it; none of anything else."""
    if found.kind == "cluster":
        spec = found.raw.get("spec")
        return [spec if isinstance(spec, Mapping) else found.raw]
    return [place.spec for place in places(found.raw)] if found.kind == "job" else []


def widenings(found: Iterable[Found], known: Mapping[str, Policy], upgrade: Upgrade) -> dict[str, Policy]:
    """The policies of a workspace with what has to be done to each, so that the targets' new runtimes are taken."""
    wants: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    omitted: dict[str, list[str]] = defaultdict(list)
    for one in found:
        for spec in computes(one):
            policy_id = spec.get("policy_id")
            if not policy_id:
                continue
            if not spec.get(RUNTIME):
                omitted[str(policy_id)].append(one.name)
                continue
            mapped = map_runtime(spec.get(RUNTIME), upgrade, value(spec, ENGINE))
            if not isinstance(mapped, Skip):
                wants[str(policy_id)][RUNTIME].add(mapped.key)
                if mapped.runtime_engine:
                    wants[str(policy_id)][ENGINE].add(mapped.runtime_engine)
    return {key: plan_widening(policy, wants[key], omitted[key]) for key, policy in known.items()}


def referents(client: Client, policy_id: str) -> Iterator[tuple[Found, Raw]]:
    """Every compute in the workspace that the policy governs, by listing. Raises the errors of ``Client.get``."""
    for kind in (clusters, jobs):
        for found in kind.discover(client):
            for spec in computes(found):
                if str(spec.get("policy_id") or "") == policy_id:
                    yield found, spec
