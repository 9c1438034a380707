"""Configurations of clusters: what is refused in one, what the server fills in, and what an answer shows of it.

Used for all-purpose clusters and the `new_cluster` of jobs alike. Fields that are not known here are kept as they came.
"""

from __future__ import annotations

import copy

from sandbox.databricks import versions
from sandbox.databricks.errors import Json, invalid, malformed
from sandbox.databricks.model import Cluster

ATTRIBUTES = frozenset(
    {
        "autoscale",
        "autotermination_minutes",
        "aws_attributes",
        "azure_attributes",
        "cluster_log_conf",
        "cluster_name",
        "custom_tags",
        "data_security_mode",
        "dependency_mode",
        "docker_image",
        "driver_instance_pool_id",
        "driver_node_type_flexibility",
        "driver_node_type_id",
        "enable_elastic_disk",
        "enable_local_disk_encryption",
        "gcp_attributes",
        "init_scripts",
        "instance_pool_id",
        "is_single_node",
        "kind",
        "node_type_id",
        "num_workers",
        "policy_id",
        "remote_disk_throughput",
        "runtime_engine",
        "single_user_name",
        "spark_conf",
        "spark_env_vars",
        "spark_version",
        "ssh_public_keys",
        "total_initial_remote_disk_size",
        "use_ml_runtime",
        "worker_node_type_flexibility",
        "workload_type",
    }
)
"""What an update mask may name."""

MAPS = frozenset({"custom_tags", "spark_conf", "spark_env_vars"})
OBJECTS = MAPS | {
    "autoscale",
    "aws_attributes",
    "azure_attributes",
    "cluster_log_conf",
    "docker_image",
    "workload_type",
}
LISTS = frozenset({"init_scripts", "ssh_public_keys"})
NOT_WITH_POOL = ("node_type_id", "driver_node_type_id", "enable_elastic_disk")
"""What the pool decides, so that nobody else may."""
MODES = {
    "DATA_SECURITY_MODE_STANDARD": "USER_ISOLATION",
    "DATA_SECURITY_MODE_DEDICATED": "SINGLE_USER",
}
"""Access modes that have two names, and the older one, which is the one that is read."""
TEXTS = frozenset(
    {
        "cluster_name",
        "data_security_mode",
        "driver_instance_pool_id",
        "driver_node_type_id",
        "instance_pool_id",
        "node_type_id",
        "policy_id",
        "runtime_engine",
        "single_user_name",
        "spark_version",
    }
)
NUMBERS = frozenset({"autotermination_minutes"})
CONTROLS = frozenset({"cluster_id", "idempotency_token", "clone_from", "update_mask"})
"""Fields of a request that are not part of the configuration."""

SOURCES_NOT_EDITABLE = {"JOB": "JobLauncher", "PIPELINE": "Pipelines", "PIPELINE_MAINTENANCE": "Pipelines"}


def configuration(body: Json) -> Json:
    """The configuration in a create or edit request, every unknown field included."""
    return {name: copy.deepcopy(value) for name, value in body.items() if name not in CONTROLS and value is not None}


def check(spec: Json, caller: str, all_purpose: bool = True) -> None:
    """Refuse what the real API refuses; give a single-user cluster without a user to the caller, as it does."""
    check_types(spec)
    versions.check(spec.get("spark_version"))
    engine = spec.get("runtime_engine")
    if engine not in (None, "STANDARD", "PHOTON", "NULL"):
        raise invalid(f"Invalid value for runtime_engine: {engine}")
    if engine in ("STANDARD", "PHOTON") and "-photon-" in spec["spark_version"]:
        raise invalid(
            f"The field runtime_engine is not compatible with the spark_version {spec['spark_version']}: remove "
            "-photon- from the spark_version and set runtime_engine to PHOTON."
        )
    _check_size(spec)
    _check_pool(spec)
    if all_purpose:
        claim(spec, caller)


def claim(spec: Json, caller: str) -> None:
    """A cluster for a single user who is not named is the caller's."""
    if canonical_mode(str(spec.get("data_security_mode"))) == "SINGLE_USER":
        spec.setdefault("single_user_name", caller)


def canonical_mode(mode: str) -> str:
    """The one name of an access mode that has two."""
    return MODES.get(mode, mode)


def access_mode(spec: Json) -> str:
    """The access mode that counts: AUTO is one of the two, single user for a named user or an ML runtime."""
    mode = str(spec.get("data_security_mode") or "")
    if mode != "DATA_SECURITY_MODE_AUTO":
        return canonical_mode(mode)
    alone = spec.get("single_user_name") or spec.get("use_ml_runtime") or "-ml-" in str(spec.get("spark_version"))
    return "SINGLE_USER" if alone else "USER_ISOLATION"


def effective_version(spec: Json, node: str) -> str:
    """The runtime that really starts: the plain key of a simple-form cluster becomes that of the ML image."""
    key = str(spec.get("spark_version") or "")
    if not (spec.get("kind") == "CLASSIC_PREVIEW" and spec.get("use_ml_runtime")):
        return key
    return key.replace("-scala", f"-{'gpu' if versions.has_gpu(node) else 'cpu'}-ml-scala", 1)


def check_types(spec: Json) -> None:
    """Refuse fields of the wrong type, as far as anything here reads them."""
    kinds = (
        (OBJECTS, dict, "an object"),
        (LISTS, list, "a list"),
        (TEXTS, str, "a string"),
        (NUMBERS, int, "a number"),
    )
    for names, kind, words in kinds:
        for name in names:
            if name in spec and (not isinstance(spec[name], kind) or isinstance(spec[name], bool)):
                raise malformed(f"Could not parse request object: {name} must be {words}")


def _check_size(spec: Json) -> None:
    if "autoscale" in spec and "num_workers" in spec:
        raise invalid("Only one of num_workers and autoscale may be specified")
    if "autoscale" in spec:
        low, high = (spec["autoscale"].get(name) for name in ("min_workers", "max_workers"))
        if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low <= high:
            raise invalid("autoscale needs min_workers and max_workers, and min_workers must not be larger")
    elif "num_workers" in spec:
        if not isinstance(spec["num_workers"], int) or isinstance(spec["num_workers"], bool) or spec["num_workers"] < 0:
            raise invalid(f"Invalid value for num_workers: {spec['num_workers']}")
    elif not spec.get("is_single_node"):
        raise invalid("Missing required field: size")


def _check_pool(spec: Json) -> None:
    if not spec.get("instance_pool_id"):
        if spec.get("driver_instance_pool_id"):
            raise invalid("The field 'instance_pool_id' must be supplied when a driver instance pool ID is provided.")
        if not spec.get("node_type_id"):
            raise invalid("Missing required field: node_type_id")
        return
    for name in NOT_WITH_POOL:
        if name in spec:
            raise invalid(f"The field '{name}' cannot be supplied when an instance pool ID is provided.")
    for name in set(spec.get("aws_attributes") or {}) - {"instance_profile_arn"}:
        raise invalid(f"The field 'aws_attributes.{name}' cannot be supplied when an instance pool ID is provided.")


def masked(spec: Json, change: Json, mask: str) -> Json:
    """The configuration after an update: only what the mask names is touched; named but not sent means removed."""
    if not isinstance(mask, str) or not mask:
        raise invalid("Missing required field: update_mask")
    if mask == "*":
        return configuration(change)
    result = copy.deepcopy(spec)
    for path in mask.split(","):
        head, _, rest = path.partition(".")
        if head not in ATTRIBUTES:
            raise invalid(f"Invalid update_mask: field '{path}' is not a field of the cluster resource")
        if rest and (head in MAPS or not isinstance(change.get(head, {}), dict) or "." in rest):
            raise invalid(f"Invalid update_mask: elements of '{head}' cannot be named, only the whole field")
        source, goal, name = (
            (change.get(head) or {}, result.setdefault(head, {}), rest) if rest else (change, result, head)
        )
        if source.get(name) is None:
            goal.pop(name, None)
        else:
            goal[name] = copy.deepcopy(source[name])
    if "autoscale" in mask.split(",") and "autoscale" in result and "num_workers" not in mask:
        result.pop("num_workers", None)
    if "num_workers" in mask.split(",") and "num_workers" in result and "autoscale" not in mask:
        result.pop("autoscale", None)
    return result


def view(cluster: Cluster, pools: dict[str, Json]) -> Json:
    """What `get` and `list` answer: the effective configuration above, the one that was asked for under `spec`."""
    spec = cluster.spec
    running = cluster.state in ("RUNNING", "RESIZING")
    workers = size_of(spec)
    node = spec.get("node_type_id") or _pool_node(spec.get("instance_pool_id"), pools)
    driver = _pool_node(spec["driver_instance_pool_id"], pools) if spec.get("driver_instance_pool_id") else node
    cores, memory = versions.size(node)
    answer: Json = {
        **spec,
        "cluster_id": cluster.cluster_id,
        "creator_user_name": cluster.creator,
        "cluster_source": cluster.source,
        "state": cluster.state,
        "state_message": cluster.message,
        "start_time": cluster.created,
        "last_state_loss_time": 0,
        "node_type_id": node,
        "driver_node_type_id": spec.get("driver_node_type_id", driver),
        "enable_elastic_disk": spec.get("enable_elastic_disk", True),
        "enable_local_disk_encryption": spec.get("enable_local_disk_encryption", False),
        "autotermination_minutes": spec.get("autotermination_minutes", 0),
        "default_tags": {
            "Vendor": "Databricks",
            "Creator": cluster.creator,
            "ClusterName": cluster.name,
            "ClusterId": cluster.cluster_id,
        },
        "aws_attributes": {
            "first_on_demand": 1,
            "availability": "SPOT_WITH_FALLBACK",
            "zone_id": "auto",
            "spot_bid_price_percent": 100,
            **(spec.get("aws_attributes") or {}),
        },
        "effective_spark_version": effective_version(spec, node),
        "release_version": versions.release(str(spec.get("spark_version", ""))),
        "spec": spec if cluster.asked is None else cluster.asked,
    }
    answer.pop("apply_policy_default_values", None)
    if spec.get("data_security_mode"):
        answer["data_security_mode"] = access_mode(spec)
    if spec.get("instance_pool_id"):
        answer.setdefault("driver_instance_pool_id", spec["instance_pool_id"])
    if "autoscale" not in spec:
        answer.setdefault("num_workers", 0)
    if cluster.restarted:
        answer["last_restarted_time"] = cluster.restarted
    if cluster.pinned:
        answer["pinned_by_user_name"] = cluster.creator
    if cluster.terminated:
        answer["terminated_time"] = cluster.terminated
    if cluster.reason and cluster.state in ("TERMINATING", "TERMINATED"):
        answer["termination_reason"] = cluster.reason
    if running:
        answer["num_workers"] = workers
        answer["jdbc_port"] = 10000
        answer["spark_context_id"] = 7_000_000_000_000_000_000 + cluster.restarted
        answer["cluster_cores"] = float(cores * (1 + workers))
        answer["cluster_memory_mb"] = memory * (1 + workers)
        answer["driver"] = {
            "node_id": f"i-{cluster.cluster_id[-8:]}",
            "private_ip": "10.0.0.1",
            "start_timestamp": cluster.restarted,
        }
        answer["executors"] = [
            {
                "node_id": f"i-{cluster.cluster_id[-8:]}{n}",
                "private_ip": f"10.0.0.{n + 2}",
                "start_timestamp": cluster.restarted,
            }
            for n in range(min(workers, 8))
        ]
    return answer


def size_of(spec: Json) -> int:
    """How many workers a cluster of this configuration starts with."""
    autoscale = spec.get("autoscale")
    return int(autoscale.get("min_workers", 1)) if autoscale else int(spec.get("num_workers") or 0)


def _pool_node(pool_id: object, pools: dict[str, Json]) -> str:
    return str(pools.get(str(pool_id), {}).get("node_type_id", "i3.xlarge"))
