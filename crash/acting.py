"""The process of one engine: it works until the stage halts, dies where it shall, and moves time on when idle."""

from collections.abc import Callable
from dataclasses import dataclass
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
#: Steps of time in an idle engine: (machine, calendar) seconds, while something is in flight and while a stage bakes.
_SHORT: Final = (0.6, 30.0)
_LONG: Final = (5.0, 600.0)
_MOST_STEPS: Final = 400
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
    """The engine without threads and ticks of its own: a round is one pass and one tick of each kind."""

    def __init__(self, parts: Parts, crew: Crew, boundaries: Boundaries) -> None:
        super().__init__(parts)
        self._crew, self._boundaries = crew, boundaries
        self._pool = self._looks = self._bakes = crew

    def begin(self) -> None:
        """What ``start`` does before its threads begin."""
        if self._parts.database.is_sqlite:
            actions.forget_leases(self._parts.database)

    def round(self) -> None:
        """One pass, and whatever it began."""
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

    Said on the line: ``halt`` with the stage's state each time it halts, ``stuck`` when it does not get there,
    ``name`` of the boundary at which it dies.
    """
    crew = Crew(scene.seed)
    boundaries = Boundaries(crew, scene.first, scene.last, line.say)
    database = Journal(scene.url, scene.time, boundaries)
    lock = EngineLock(Path(database.url.database or "")) if database.is_sqlite else None
    clients = {}
    for key, (host, token) in scene.workspaces.items():
        clients[key] = Caller(access(host=host, token=token), time_limit=PATIENCE.http, read_budget=2.0)
        clients[key].boundaries = boundaries
    parts = Parts(
        database, FileCalendar(scene.clock), clients, Vault([KEY]), scene.owner, PATIENCE, PARALLEL
    )
    open_rollouts(database, [plan()], parts.calendar())
    engine = Stepped(parts, crew, boundaries)
    engine.begin()
    while True:
        state = _until_it_halts(engine, parts, boundaries, scene)
        line.say(halt=state, names=boundaries.names)
        answer = line.hear()
        if answer is None or answer.get("end"):
            break
    database.close()
    if lock is not None:
        lock.release()


def _until_it_halts(engine: Stepped, parts: Parts, boundaries: Boundaries, scene: Scene) -> str:
    for _ in range(_MOST_STEPS):
        moved = -1
        while boundaries.count != moved:
            moved = boundaries.count
            engine.round()
        state, in_flight = _stand(parts.database)
        if state in HALTS and not in_flight and not discover.due(parts):
            return str(state)
        machine, calendar_seconds = _LONG if state is StageState.BAKING else _SHORT
        scene.time.step(machine)
        calendar.step(scene.clock, calendar_seconds)
    return "stuck"


def _stand(database: Database) -> tuple[StageState, int]:
    with database.read() as session:
        state = session.execute(select(Stage.state).where(Stage.key == STAGE)).scalar_one()
        open_ = select(func.count()).select_from(Action).where(Action.state.in_(ACTION_OPEN))
        return state, session.execute(open_).scalar_one()
