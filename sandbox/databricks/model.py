"""What a workspace holds: clusters, jobs, runs. Configurations are raw JSON, kept with every field that was sent."""

from __future__ import annotations

import random
import zlib
from collections import deque
from dataclasses import dataclass, field

from sandbox.databricks.errors import Json
from sandbox.databricks.shape import Shape

RUNS_KEPT = 300
"""How many runs of one job are remembered; older ones are forgotten, as the real service does after 60 days."""


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
    """{from: 17, error: CAST_INVALID_INPUT}: fails on runtimes from that major version on."""
    slower: Json | None = None
    """{from: 17, times: 1.6}: takes that many times as long from that major version on."""


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
    turn: int = 0
    due: int = 0
    """When its schedule starts it next; 0 when it has none or is paused."""
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


@dataclass(slots=True)
class Run:
    """One run. Its state is a function of these instants and the calendar; only `closed` is set by the simulation."""

    run_id: int
    job_id: int
    shape: Shape
    trigger: str
    start: int
    begin: int = 0
    """When it left the queue; 0 while it waits there."""
    ready: int = 0
    """When its compute was up."""
    end: int = 0
    code: str = "SUCCESS"
    error: str = ""
    failing: int = -1
    """The task that fails, as an index; -1 for none."""
    cancelled: bool = False
    closed: bool = False
    only: tuple[str, ...] = ()
    parameters: Json | None = None


def draw(*parts: object) -> random.Random:
    """Repeatable randomness for one occasion: the same parts give the same numbers, whatever happened before."""
    return random.Random(zlib.crc32("/".join(map(str, parts)).encode()))
