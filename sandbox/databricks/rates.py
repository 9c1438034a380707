"""The published limits of requests per second, of each workspace. Real time: that is when clients ask."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.databricks.call import Call
from sandbox.databricks.errors import ApiError

PER_SECOND = {
    ("POST", "/api/2.2/jobs/create"): 20,
    ("POST", "/api/2.2/jobs/run-now"): 20,
    ("POST", "/api/2.2/jobs/runs/submit"): 35,
    ("GET", "/api/2.2/jobs/runs/get"): 100,
    ("GET", "/api/2.0/workspace/export"): 60,
}
PERMISSIONS = "/api/2.0/permissions/"
PERMISSIONS_PER_SECOND = {"GET": 100, "PUT": 30, "PATCH": 30}


class Rates:
    """A bucket of tokens for every workspace and limit: it holds those of one second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, workspace: str, call: Call) -> None:
        """Count a request; raises the 429 of the real service when there were too many in this second."""
        limit = PER_SECOND.get((call.method, call.path))
        of = f"{call.method} {call.path}"
        if limit is None:
            limit = PERMISSIONS_PER_SECOND.get(call.method) if call.path.startswith(PERMISSIONS) else None
            of = f"{'GET' if call.method == 'GET' else 'PUT'} {PERMISSIONS}"
            if limit is None:
                return
        now = self._clock()
        left, since = self._buckets.get((workspace, of), (float(limit), now))
        left = min(float(limit), left + (now - since) * limit)
        if left < 1:
            message = "Current request rate exceeds the limit of the workspace."
            raise ApiError(429, "REQUEST_LIMIT_EXCEEDED", message, {"Retry-After": "1"})
        self._buckets[workspace, of] = left - 1, now
