"""Raw configurations for tests, shaped as the API gives them."""

from typing import Any

from rollout.change import Upgrade

UP = Upgrade(
    "13.3",
    "17.3",
    frozenset({"17.3.x-scala2.13", "17.3.x-cpu-ml-scala2.13", "15.4.x-scala2.12", "13.3.x-scala2.12"}),
)
OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"


def spec(key: str | None = OLD, **more: Any) -> dict[str, Any]:
    """A compute specification, with a field that we do not know."""
    made: dict[str, Any] = {"num_workers": 2, "node_type_id": "i3.xlarge", "unknown_field": {"a": []}, **more}
    return made if key is None else {"spark_version": key, **made}


def cluster(key: str | None = OLD, state: str = "TERMINATED", **more: Any) -> dict[str, Any]:
    """A cluster as clusters/get gives it."""
    return {
        "cluster_id": "0101-123456-abcd1234",
        "cluster_name": "etl",
        "cluster_source": "UI",
        "creator_user_name": "a@example.com",
        "state": state,
        "last_restarted_time": 1000,
        **spec(key, **more),
    }


def task(key: str, **more: Any) -> dict[str, Any]:
    """A task of a job."""
    return {"task_key": key, "notebook_task": {"notebook_path": f"/{key}"}, "timeout_seconds": 0, **more}


def job(*tasks: dict[str, Any], clusters: dict[str, dict[str, Any]] | None = None, **settings: Any) -> dict[str, Any]:
    """A job as jobs/get gives it; ``clusters`` are its job clusters by key."""
    own: dict[str, Any] = {"name": "nightly", "tasks": list(tasks), "max_concurrent_runs": 1, **settings}
    if clusters is not None:
        own["job_clusters"] = [{"job_cluster_key": key, "new_cluster": new} for key, new in clusters.items()]
    return {"job_id": 77, "creator_user_name": "a@example.com", "run_as_user_name": "bot", "settings": own}
