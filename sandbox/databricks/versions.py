"""The runtimes that a workspace offers, and the machine types that there are."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sandbox.databricks.errors import Json, invalid

_RELEASES = [
    # prefix of the key, name, Spark, Scala versions, maintenance release
    ("13.3.x", "13.3 LTS", "3.4.1", ("2.12",), "13.3.41"),
    ("14.3.x", "14.3 LTS", "3.5.0", ("2.12",), "14.3.33"),
    ("15.4.x", "15.4 LTS", "3.5.0", ("2.12",), "15.4.29"),
    ("16.4.x", "16.4 LTS", "3.5.2", ("2.12", "2.13"), "16.4.18"),
    ("17.3.x", "17.3 LTS", "4.0.0", ("2.13",), "17.3.10"),
    ("18.x", "18 LTS", "4.1.0", ("2.13",), "18.0.6"),
]
_VARIANTS = [
    ("", ""),
    ("photon-", " Photon"),
    ("aarch64-", " aarch64"),
    ("cpu-ml-", " ML"),
    ("gpu-ml-", " ML GPU"),
]
_UNLISTED = ("12.2.x", "11.3.x", "10.4.x")
"""Past their end of support: not offered any more, but still accepted."""


def listed() -> list[Json]:
    """What `clusters/spark-versions` answers, newest first."""
    found = []
    for prefix, name, spark, scalas, _ in reversed(_RELEASES):
        for infix, suffix in _VARIANTS:
            for scala in scalas:
                detail = f"includes Apache Spark {spark},{' GPU,' if 'gpu' in infix else ''} Scala {scala}"
                found.append(
                    {"key": f"{prefix}-{infix}scala{scala}", "name": f"{name}{suffix.replace(' GPU', '')} ({detail})"}
                )
    return found


_LISTED = frozenset(version["key"] for version in listed())
_UNLISTED_KEY = re.compile(rf"^({'|'.join(map(re.escape, _UNLISTED))})-(photon-|aarch64-|cpu-ml-|gpu-ml-)?scala2\.12$")


def check(key: object) -> None:
    """Refuses a `spark_version` that no cluster can be made with."""
    if not isinstance(key, str) or not (key in _LISTED or _UNLISTED_KEY.match(key) or key.startswith("custom:")):
        raise invalid(f"Invalid spark version {key if key is not None else ''}.")


AUTOMATIC = re.compile(r"^auto:(latest|latest-lts|prev-major|prev-lts)(-ml)?$")


def resolve(value: str, gpu: bool = False) -> str:
    """The key that a special value of a policy stands for at this moment; any other value is returned as it is.

    All releases here are LTS, so that the latest one is the latest LTS too. `gpu` chooses the image for GPU machines,
    which only the ML variants have. Raises ValueError for an `auto:` value that there is not.
    """
    if not value.startswith("auto:"):
        return value
    found = AUTOMATIC.match(value)
    if not found:
        raise ValueError(f"{value} is not a special value for spark_version")
    prefix, _, _, scalas, _ = _RELEASES[-1 if found[1].startswith("latest") else -2]
    infix = ("gpu-ml-" if gpu else "cpu-ml-") if found[2] else ""
    return f"{prefix}-{infix}scala{scalas[-1]}"


def has_gpu(node_type_id: object) -> bool:
    """Whether a machine type has GPUs."""
    return any(node[0] == node_type_id and node[4] for node in _NODES)


@lru_cache(maxsize=1024)
def major(key: str) -> int:
    """17 of `17.3.x-scala2.13`; 0 where the key does not say (custom, pipelines)."""
    found = re.match(r"(\d+)\.", key)
    return int(found.group(1)) if found else 0


@lru_cache(maxsize=1024)
def scala(key: str) -> str:
    """2.13 of `17.3.x-scala2.13`; empty where the key does not say."""
    found = re.search(r"scala(2\.\d+)", key)
    return found.group(1) if found else ""


def release(key: str) -> str:
    """The maintenance release behind a key, e.g. 17.3.10; it changes in reality while the key stays."""
    for prefix, _, _, _, full in _RELEASES:
        if key.startswith(prefix):
            return full
    return key.split("-")[0]


_NODES = [
    # id, family, vCPU, memory MB, GPUs, Graviton
    ("i3.xlarge", "Storage Optimized", 4, 31232, 0, False),
    ("i3.2xlarge", "Storage Optimized", 8, 62464, 0, False),
    ("i3.4xlarge", "Storage Optimized", 16, 124928, 0, False),
    ("m5d.large", "General Purpose", 2, 8192, 0, False),
    ("m5d.xlarge", "General Purpose", 4, 16384, 0, False),
    ("r5d.2xlarge", "Memory Optimized", 8, 65536, 0, False),
    ("c5d.2xlarge", "Compute Optimized", 8, 16384, 0, False),
    ("m6gd.xlarge", "General Purpose", 4, 16384, 0, True),
    ("r6gd.2xlarge", "Memory Optimized", 8, 65536, 0, True),
    ("g4dn.xlarge", "GPU Accelerated", 4, 16384, 1, False),
    ("g5.2xlarge", "GPU Accelerated", 8, 32768, 1, False),
]
_SIZES = {node[0]: (node[2], node[3]) for node in _NODES}


def size(node_type_id: str) -> tuple[int, int]:
    """Cores and memory in MB of a machine type; that of an unknown one is guessed, since fleets may name any."""
    return _SIZES.get(node_type_id, (4, 16384))


def node_types() -> list[Json]:
    """Every machine type that there is, as `clusters/list-node-types` gives one; offered.py knows a workspace's own."""
    return [_node(*node) for node in _NODES]


def _node(node_id: str, category: str, cores: int, memory: int, gpus: int, graviton: bool) -> dict[str, Any]:
    return {
        "node_type_id": node_id,
        "memory_mb": memory,
        "num_cores": float(cores),
        "description": node_id,
        "instance_type_id": node_id,
        "category": category,
        "is_deprecated": False,
        "is_hidden": False,
        "is_graviton": graviton,
        "is_io_cache_enabled": "d." in node_id or node_id.startswith("i3"),
        "num_gpus": gpus,
        "photon_driver_capable": gpus == 0,
        "photon_worker_capable": gpus == 0,
        "support_cluster_tags": True,
        "support_ebs_volumes": True,
        "support_port_forwarding": True,
        "node_instance_type": {
            "instance_type_id": node_id,
            "local_disks": 1,
            "local_disk_size_gb": 100,
            "local_nvme_disks": 0,
        },
        "node_info": {"status": [], "available_core_quota": 350, "total_core_quota": 350},
    }
