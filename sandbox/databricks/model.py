"""What a workspace holds: clusters, jobs, runs. Configurations are raw JSON, kept with every field that was sent."""

from __future__ import annotations

import random
import zlib
from collections import deque
from dataclasses import dataclass, field

from sandbox.databricks.errors import Json
from sandbox.databricks.shape import Shape

APART = 100_000
"""How far apart the ids of runs are."""
RUNS_KEPT = 300
"""How many runs of one job are remembered. The real service has no such limit, only the 60 days."""


@dataclass(slots=True)
class Cluster:
    """One all-purpose (or pipeline-made) cluster. `spec` is its configuration, which counts; the rest is its life."""

    cluster_id: str
    spec: Json
    creator: str
    created: int
    source: str = "UI"
    state: str = "TERMINATED"
    message: str = ""
    until: int = 0
    """When the present state ends by itself; 0 where it does not."""
    restarted: int = 0
    terminated: int = 0
    reason: Json | None = None
    running_since: int = 0
    last_used: int = 0
    turn: int = 0
    """Counts the changes of state: makes stale plans recognisable and random draws repeatable."""
    pinned: bool = False
    office: bool = False
    """People work on it on weekdays: it does not fall idle then, and somebody starts it in the morning."""
    resizes: int = 0
    """Every how many minutes the autoscaler resizes it; 0 never."""
    restarts_late: int = 0
    """How many seconds after an edit it still shows itself as RUNNING before it restarts."""
    asked: Json | None = None
    """What its owner wrote, where its policy filled in more; otherwise that is `spec`."""
    pending: Json | None = None
    """The enforcement of its policy that waits for its end or restart, as the compliance API shows it."""
    events: list[Json] = field(default_factory=list)
    active: set[int] = field(default_factory=set)
    """Runs that are on it now."""

    @property
    def name(self) -> str:
        """Its name, which need not be unique."""
        return str(self.spec.get("cluster_name", ""))


@dataclass(slots=True)
class Habit:
    """How a job behaves: what no API shows, and what makes its runs."""

    minutes: float = 8.0
    spread: float = 0.2
    failure: float = 0.01
    writes: list[str] = field(default_factory=list)
    """Tables (catalog.schema.table) that get a new version whenever a run succeeds."""
    breaks: Json | None = None
    """{from: 17, error: CAST_INVALID_INPUT}: fails on runtimes from that major version on. `task` says which task (the
    first on such a runtime without it), `code` how the platform calls the failure."""
    slower: Json | None = None
    """{from: 17, times: 1.6}: takes that many times as long from that major version on."""
    output: int = 0
    """How many bytes its tasks give back as their result; 0 for a plain OK."""


@dataclass(slots=True)
class Job:
    """One job: its settings, its habit and its latest runs (oldest first)."""

    job_id: int
    settings: Json
    creator: str
    run_as: str
    created: int
    habit: Habit
    shape: Shape
    submitted: bool = False
    """Made by runs/submit for one run: in no list of jobs."""
    turn: int = 0
    dues: list[int] = field(default_factory=list)
    """When each of its triggers starts it next; 0 for one that is paused."""
    count: int = 0
    ok: int = 0
    failed: int = 0
    runs: deque[Run] = field(default_factory=deque)
    active: dict[int, Run] = field(default_factory=dict)
    waiting: deque[Run] = field(default_factory=deque)

    @property
    def name(self) -> str:
        """Its name, which need not be unique."""
        return str(self.settings.get("name", "Untitled"))

    @property
    def due(self) -> int:
        """When it starts next by itself; 0 when nothing starts it."""
        return min((at for at in self.dues if at), default=0)


@dataclass(slots=True)
class Attempt:
    """One attempt at one task: planned when the run or its repair begins, cut short by whatever comes between."""

    task: int
    """Its place among the tasks of the settings."""
    number: int = 0
    """Counts the retries and repairs of the task."""
    leg: int = 0
    """0 is the run as it was started, 1 its first repair."""
    since: int = 0
    """From when on the API shows it."""
    begin: int = 0
    """0 where it never begins."""
    ready: int = 0
    """When its compute was up."""
    end: int = 0
    code: str = "SUCCESS"
    error: str = ""


@dataclass(slots=True)
class Leg:
    """What a run was before it was repaired."""

    repair_id: int
    """0 for the run as it was started."""
    shape: Shape
    begin: int
    ready: int
    end: int
    code: str
    error: str
    cancelled: bool


@dataclass(slots=True)
class Run:
    """One run. Its state is a function of these instants and the calendar; only `closed` is set by the simulation."""

    run_id: int
    job_id: int
    shape: Shape
    trigger: str
    start: int
    begin: int = 0
    """When it left the queue, or when its latest repair began; 0 while it waits in the queue."""
    ready: int = 0
    """When its compute was up."""
    end: int = 0
    code: str = "SUCCESS"
    error: str = ""
    cancelled: bool = False
    closed: bool = False
    only: tuple[str, ...] = ()
    parameters: Json | None = None
    attempts: list[Attempt] | None = None
    """None where every task does it at the first attempt: then they follow from the instants of the run."""
    legs: list[Leg] | None = None
    """What it was before its repairs, oldest first; the run itself is the latest."""
    repair_id: int = 0

    @property
    def leg(self) -> int:
        """How often it was repaired."""
        return len(self.legs) if self.legs else 0

    def shape_of(self, attempt: Attempt) -> Shape:
        """The settings by which this attempt was made."""
        return self.legs[attempt.leg].shape if self.legs and attempt.leg < len(self.legs) else self.shape


def draw(*parts: object) -> random.Random:
    """Repeatable randomness for one occasion: the same parts give the same numbers, whatever happened before."""
    return random.Random(zlib.crc32("/".join(map(str, parts)).encode()))
