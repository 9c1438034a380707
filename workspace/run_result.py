"""How a run ended, in the few words that matter here. Pure (facts: databricks a3)."""

from collections.abc import Mapping
from typing import Any, Final

_BY_RESULT: Final = {
    "SUCCESS": "success",
    # Some task failed, even if the last ones did not: never counted as good.
    "SUCCESS_WITH_FAILURES": "failed",
    "FAILED": "failed",
    "UPSTREAM_FAILED": "failed",
    "TIMEDOUT": "timedout",
    "CANCELED": "canceled",
    "UPSTREAM_CANCELED": "canceled",
    "EXCLUDED": "skipped",
    "DISABLED": "skipped",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "skipped",
}
_BY_CODE: Final = {
    "SUCCESS": "success",
    "SUCCESS_WITH_FAILURES": "failed",
    "USER_CANCELED": "canceled",
    "CANCELED": "canceled",
    "SKIPPED": "skipped",
    "DISABLED": "skipped",
    "MAX_CONCURRENT_RUNS_EXCEEDED": "skipped",
    "MAX_JOB_QUEUE_SIZE_EXCEEDED": "skipped",
    "WORKSPACE_RUN_LIMIT_EXCEEDED": "skipped",
}
#: A new runtime may cause these even when the platform takes the blame: a JVM that does not start is a driver error.
_SUSPECT: Final = frozenset(
    {
        "BREAKING_CHANGE",
        "DRIVER_ERROR",
        "INVALID_CLUSTER_REQUEST",
        "INVALID_RUN_CONFIGURATION",
        "LIBRARY_INSTALLATION_ERROR",
        "RUN_EXECUTION_ERROR",
    }
)
_PLATFORM: Final = frozenset({"CLOUD_FAILURE", "INTERNAL_ERROR"})
_ENDED: Final = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})


def result_of(raw: Mapping[str, Any]) -> str:
    """``active``, ``success``, ``failed``, ``timedout``, ``canceled``, ``skipped`` or ``platform``.

    The platform is blamed only where the API says so; whatever is not known counts as failed.
    """
    state = raw.get("state") or {}
    status = raw.get("status") or {}
    life = state.get("life_cycle_state") or status.get("state")
    if life not in _ENDED:
        return "active"
    details = status.get("termination_details") or {}
    code = str(details.get("code") or "")
    result = _BY_RESULT.get(str(state.get("result_state") or ""))
    if life == "SKIPPED":
        return "skipped"
    if result == "timedout":
        return result
    if result in (None, "failed") and code in _BY_CODE and _BY_CODE[code] != "success":
        return _BY_CODE[code]
    if result in (None, "failed") and details.get("type") in _PLATFORM and code not in _SUSPECT:
        return "platform"
    if result is None and code == "SUCCESS" and life != "INTERNAL_ERROR":
        return "success"
    return result or "failed"
