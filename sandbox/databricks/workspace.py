"""One workspace: its clusters, jobs and runs, and the queue of what happens next on the calendar.

Nothing runs in the background. Each request first calls `advance(now)`, which lets everything happen that was due since
the last one, in order of its instants; so a step of 24 hours makes the same runs as 24 hours of waiting.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator

from sandbox.databricks import acl, cluster_life, outcome, run_life, statement_life
from sandbox.databricks.errors import Json, no_cluster, no_job, no_run
from sandbox.databricks.model import APART, RUNS_KEPT, Cluster, Job, Run, draw
from sandbox.databricks.sql.lake import Lake

Plan = tuple[int, int, str, str, int]
"""An instant (ms), a number that keeps the order, what happens, to what, and the turn for which it was planned."""


class Workspace:
    """One Databricks workspace, raw."""

    def __init__(self, key: str, number: int, seed: int, token: str, client_id: str, client_secret: str) -> None:
        self.key = key
        self.number = number
        """The workspace id, in URLs and in the header x-databricks-org-id."""
        self.seed = seed
        self.token = token
        self.client_id = client_id
        self.client_secret = client_secret
        self.host = ""
        self.now = 0
        self.clusters: dict[str, Cluster] = {}
        self.jobs: dict[int, Job] = {}
        self.order_of_jobs: tuple[tuple[int, int], list[int]] = (0, 0), []
        """Kept by jobs.py: for how many jobs and which last one, and their ids in the order of the list."""
        self.views: dict[str, tuple[object, bytes]] = {}
        """Kept by clusters.py: the encoded entry of a cluster in lists, and for what it was made."""
        self.run_views: dict[tuple[int, int, bool, bool], bytes] = {}
        """Kept by runs.py: the encoded entries of ended runs in lists."""
        self.submitted: dict[int, Job] = {}
        """The unseen jobs under runs that were submitted on their own."""
        self.runs: dict[int, Run] = {}
        self.log: list[Run] = []
        """All runs in the order of their start; forgotten ones are swept out now and then."""
        self.shelves: dict[str, dict[str, Json]] = {}
        self.admin = True
        """Whether the bot's service principal is an administrator of the workspace."""
        self.granted: dict[str, int] = {}
        """Idempotency tokens and the runs they gave."""
        self.plans: list[Plan] = []
        self.order = itertools.count(1)
        self.run_number = 100_000 + number % 9973
        self.rehearsing = False
        """True while history is made up: jobs run, clusters stand still."""
        self.lake = Lake()
        self.changes = 0
        """Grows with everything that happens, so that one can tell whether there is something to save."""

    # --- time ---

    def plan(self, at: int, what: str, whom: str, turn: int) -> None:
        """Let something happen at an instant of the calendar."""
        heapq.heappush(self.plans, (at, next(self.order), what, whom, turn))

    def advance(self, now: int) -> None:
        """Let everything happen that is due by `now`."""
        plans = self.plans
        while plans and plans[0][0] <= now:
            at, _, what, whom, turn = heapq.heappop(plans)
            self.now = max(self.now, at)
            self.changes += 1
            HAPPENINGS[what](self, whom, turn, at)
        self.now = max(self.now, now)
        if len(self.log) > 2 * len(self.runs) + 1000:
            self.log = [run for run in self.log if run.run_id in self.runs]

    def next_plan(self) -> int:
        """The next instant at which something may happen; 0 when nothing will."""
        return self.plans[0][0] if self.plans else 0

    def chance(self, *parts: object) -> float:
        """A repeatable number between 0 and 1 for one occasion."""
        return draw(self.seed, self.key, *parts).random()

    # --- things ---

    def shelf(self, family: str) -> dict[str, Json]:
        """Where an API family keeps its things by id: plain JSON, saved with the workspace. Say `changes += 1`."""
        return self.shelves.setdefault(family, {})

    def cluster(self, cluster_id: object) -> Cluster:
        """The cluster with this id, or the refusal that the API gives."""
        found = self.clusters.get(cluster_id) if isinstance(cluster_id, str) else None
        if found is None:
            raise no_cluster(cluster_id)
        return found

    def job(self, job_id: int) -> Job:
        """The job with this id, or the refusal that the API gives."""
        found = self.jobs.get(job_id)
        if found is None:
            raise no_job(job_id)
        return found

    def run(self, run_id: int) -> tuple[Run, int]:
        """The run with this id and -1, or the run of a task with this id and its place among the attempts."""
        found = self.runs.get(run_id - run_id % APART)
        position = run_id % APART - 1
        if found is None or position >= len(outcome.attempts(found)):
            raise no_run(run_id)
        return found, position

    def owner(self, run: Run) -> Job | None:
        """The job of a run; None when it was deleted."""
        return self.jobs.get(run.job_id) or self.submitted.get(run.job_id)

    def new_run_id(self) -> int:
        """Ids of runs are far apart: the numbers between are the runs of their tasks, in the order of the attempts."""
        self.run_number += 1
        return (self.run_number * 7919 % 900_000_007 + 100_000_000) * APART

    def remember(self, job: Job, run: Run) -> None:
        """Keep a new run, and forget the job's oldest ones."""
        self.runs[run.run_id] = run
        self.log.append(run)
        job.runs.append(run)
        while job.runs[0].closed and len(job.runs) > RUNS_KEPT:
            self.forget(job.runs.popleft())

    def forget(self, run: Run) -> None:
        """Drop a run from the index; a token that gave it keeps its id, so that its second use is refused."""
        self.runs.pop(run.run_id, None)
        self.submitted.pop(run.job_id, None)

    def newest_runs(self) -> Iterator[Run]:
        """All remembered runs, the latest start first."""
        return (run for run in reversed(self.log) if run.run_id in self.runs)

    def may(self, what: str) -> str:
        """The highest permission that the bot has on `clusters/ID`, `jobs/ID` and so on; empty for none."""
        kind, _, name = what.partition("/")
        return acl.level(self, kind, name)

    def restarts_of(self, cluster_id: str) -> int:
        """How often this cluster went through RESTARTING."""
        return sum(1 for event in self.clusters[cluster_id].events if event["type"] == "RESTARTING")


Happening = Callable[[Workspace, str, int, int], None]

HAPPENINGS: dict[str, Happening] = {
    "due": run_life.due,
    "child": run_life.child_due,
    "finish": run_life.finish,
    "compute": run_life.compute,
    "purge": run_life.purge,
    "settle": cluster_life.settle,
    "idle": cluster_life.idle,
    "morning": cluster_life.morning,
    "resize": cluster_life.resize,
    "restart": cluster_life.late_restart,
    "statement": statement_life.due,
}
