"""The process of one engine: it works until the stage halts, dies where it shall, and moves time on when idle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from crash.boundaries import Boundaries, Caller, Journal
from crash.fleet import STAGE, plan
from crash.shared import Line, MachineTime
from crash.turns import Crew
from engine import discover
from engine.lock import EngineLock
from engine.loop import Engine
from engine.parts import Parts
from engine.pool import Pool
from rollout.states import ACTION_OPEN, StageState
from rollout.steps import Patience
from sandbox import calendar
from storage import actions
from storage.clock import FileCalendar
from storage.database import Database
from storage.models import Action, Stage
from storage.opening import open_rollouts
from storage.secrets import Vault
from workspace.access import access

KEY: Final = "qC1Yx0d4ZrY3bG0cQm9tq0o8c0k5mQe1l3JcC2m1m1s="
#: Short leases (6.6 s), which the second engine waits out on PostgreSQL.
PATIENCE: Final = Patience(http=3.0, settle=0.3)
PARALLEL: Final = 6
#: (machine, calendar) seconds from one round to the next: while something is in flight, and while a stage bakes.
_SHORT: Final = (0.6, 60.0)
_LONG: Final = (5.0, 600.0)
_MOST_ROUNDS: Final = 400
#: Machine seconds between two ticks.
_TICK: Final = 1.0
HALTS: Final = frozenset({StageState.READY, StageState.REVIEW, StageState.ROLLED_BACK, StageState.BLOCKED})


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an engine acts: all that is known before the process is forked."""

    url: str
    clock: Path
    time: MachineTime
    workspaces: dict[str, tuple[str, str]]  # key -> host, token
    owner: str
    seed: int
    first: int = 1
    last: int | None = None  # the boundary at which it dies


class Stepped(Engine):
    """The engine without threads and ticks of its own: it goes round when it is told to."""

    def __init__(self, parts: Parts, crew: Crew, boundaries: Boundaries) -> None:
        super().__init__(parts)
        self._crew, self._boundaries = crew, boundaries
        self._pool = self._looks = self._bakes = crew
        self._ticked: datetime | None = None

    def begin(self) -> None:
        """What ``start`` does before its threads begin."""
        if self._parts.database.is_sqlite:
            actions.forget_leases(self._parts.database)

    def round(self) -> None:
        """One pass and, where it is time, one tick of each kind; and whatever they began."""
        now = self._parts.database.machine()
        if self._ticked is None or (now - self._ticked).total_seconds() >= _TICK:
            self._ticked = now
            self._tick_schedule()
            self._tick_looks()
            self._crew.rest()
        self.pass_once()
        self._crew.rest()

    def _submit(self, work: Callable[[], None]) -> None:
        claim: actions.Claim = work.args[1]  # type: ignore[attr-defined]
        name = f"{claim.kind} {claim.target_kind} {claim.target_name}"
        super()._submit(partial(self._named, name, work))

    def _once(self, name: str, work: Callable[[], object], pool: Pool) -> None:
        super()._once(name, partial(self._named, name.split(":")[0], work), pool)

    def _named(self, name: str, work: Callable[[], Any]) -> Any:
        with self._boundaries.doing(name):
            return work()


def act(scene: Scene, line: Line) -> None:
    """Be an engine, until the other end of the line says that it is enough.

    Said on the line: ``halt`` with the stage's state each time it halts or does not get there (stuck), and the ``name``
    of the boundary at which it dies.
    """
    boundaries = Boundaries(Crew(scene.seed), scene.first, scene.last, line.say)
    with engine(scene, boundaries) as (stepped, parts):
        while True:
            state = _until_it_halts(stepped, parts, scene)
            line.say(halt=state, names=boundaries.names)
            answer = line.hear()
            if answer is None or answer.get("end"):
                return


@contextmanager
def engine(scene: Scene, boundaries: Boundaries, read_budget: float = 2.0) -> Iterator[tuple[Stepped, Parts]]:
    """An engine that has begun, with its parts, for the length of the block."""
    database = Journal(scene.url, scene.time, boundaries)
    lock = EngineLock(Path(database.url.database or "")) if database.is_sqlite else None
    clients = {
        key: Caller(access(host=host, token=token), boundaries, time_limit=PATIENCE.http, read_budget=read_budget)
        for key, (host, token) in scene.workspaces.items()
    }
    parts = Parts(database, FileCalendar(scene.clock), clients, Vault([KEY]), scene.owner, PATIENCE, PARALLEL)
    open_rollouts(database, [plan()], parts.calendar())
    stepped = Stepped(parts, boundaries.crew, boundaries)
    stepped.begin()
    yield stepped, parts
    database.close()
    if lock is not None:
        lock.release()


def step(scene: Scene, state: StageState) -> None:
    """Let the time pass that passes until an engine goes round again."""
    machine, calendar_seconds = _LONG if state is StageState.BAKING else _SHORT
    scene.time.step(machine)
    calendar.step(scene.clock, calendar_seconds)


def _until_it_halts(stepped: Stepped, parts: Parts, scene: Scene) -> str:
    for _ in range(_MOST_ROUNDS):
        stepped.round()
        state, in_flight = _stand(parts.database)
        if state in HALTS and not in_flight and not discover.due(parts):
            return str(state)
        step(scene, state)
    return "stuck"


def _stand(database: Database) -> tuple[StageState, int]:
    with database.read() as session:
        state = session.execute(select(Stage.state).where(Stage.key == STAGE)).scalar_one()
        open_ = select(func.count()).select_from(Action).where(Action.state.in_(ACTION_OPEN))
        return state, session.execute(open_).scalar_one()
