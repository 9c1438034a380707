"""`state` and `status` of runs and of the attempts at their tasks, as they are at an instant."""

from __future__ import annotations

from sandbox.databricks import outcome
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Attempt, Run

RESULTS = {
    "SUCCESS": "SUCCESS",
    "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES",
    "USER_CANCELED": "CANCELED",
    "TIMEDOUT": "TIMEDOUT",
    "UPSTREAM_FAILED": "UPSTREAM_FAILED",
    "UPSTREAM_CANCELED": "UPSTREAM_CANCELED",
    "EXCLUDED": "EXCLUDED",
    "DISABLED": "DISABLED",
    "MAX_CONCURRENT_RUNS_EXCEEDED": "MAXIMUM_CONCURRENT_RUNS_REACHED",
}
"""state.result_state by code; all others are FAILED."""
CODES = {
    "TIMEDOUT": "CANCELED",  # cancelled by the platform, as against USER_CANCELED
    "UPSTREAM_FAILED": "SKIPPED",
    "UPSTREAM_CANCELED": "SKIPPED",
    "EXCLUDED": "SKIPPED",
}
"""termination_details.code where it is not the same."""
KINDS = {
    "SUCCESS": "SUCCESS",
    "SUCCESS_WITH_FAILURES": "SUCCESS",
    "EXCLUDED": "SUCCESS",
    "DISABLED": "SUCCESS",
    "CLOUD_FAILURE": "CLOUD_FAILURE",
    "INTERNAL_ERROR": "INTERNAL_ERROR",
    "DRIVER_ERROR": "INTERNAL_ERROR",
}
"""termination_details.type by code; what is not here is the client's fault."""
LIVES = {
    "MAX_CONCURRENT_RUNS_EXCEEDED": "SKIPPED",
    "EXCLUDED": "SKIPPED",
    "DISABLED": "SKIPPED",
    "CLOUD_FAILURE": "INTERNAL_ERROR",
    "CLUSTER_ERROR": "INTERNAL_ERROR",
    "INTERNAL_ERROR": "INTERNAL_ERROR",
    "INVALID_CLUSTER_REQUEST": "INTERNAL_ERROR",
    "LIBRARY_INSTALLATION_ERROR": "INTERNAL_ERROR",
}
"""The life cycle state at the end by code: INTERNAL_ERROR where the code of the task did not even come to run."""
MESSAGES = {"PENDING": "Waiting for cluster", "RUNNING": "In run", "TERMINATING": "Terminating the run"}


def of_run(run: Run, now: int) -> Json:
    """Of the whole run."""
    if not run.begin:
        reason = f"Queued due to reaching maximum concurrent runs of {run.shape.max_concurrent}."
        details = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": reason}
        return {
            "state": {"life_cycle_state": "QUEUED", "state_message": "", "queue_reason": reason},
            "status": {"state": "QUEUED", "queue_details": details},
        }
    if not run.closed:
        return _going("TERMINATING" if run.cancelled else "RUNNING" if now >= run.ready else "PENDING")
    return ended(run.code, run.error, run.cancelled)


def of_attempt(run: Run, attempt: Attempt, now: int) -> Json:
    """Of one attempt at a task."""
    if attempt.end <= now and (run.closed or attempt.end < run.end or attempt.leg < run.leg):
        return ended(attempt.code, outcome.message(attempt), attempt.code == "USER_CANCELED", bool(attempt.begin))
    if run.cancelled:
        return _going("TERMINATING")
    if not attempt.begin or now < attempt.begin:
        waits = attempt.number and attempt.begin and attempt.since < attempt.begin
        word = "WAITING_FOR_RETRY" if waits else "BLOCKED"
        return {"state": {"life_cycle_state": word, "state_message": ""}, "status": {"state": word.partition("_")[0]}}
    return _going("RUNNING" if now >= attempt.ready else "PENDING")


def ended(code: str, error: str, cancelled: bool, begun: bool = True) -> Json:
    """Of something that is over."""
    return {
        "state": {
            "life_cycle_state": "SKIPPED" if code == "USER_CANCELED" and not begun else LIVES.get(code, "TERMINATED"),
            "result_state": RESULTS.get(code, "FAILED"),
            "state_message": error,
            "user_cancelled_or_timedout": cancelled or code == "TIMEDOUT",
        },
        "status": {
            "state": "TERMINATED",
            "termination_details": {
                "code": CODES.get(code, code),
                "type": KINDS.get(code, "CLIENT_ERROR"),
                "message": error,
            },
        },
    }


def _going(word: str) -> Json:
    return {"state": {"life_cycle_state": word, "state_message": MESSAGES[word]}, "status": {"state": word}}
