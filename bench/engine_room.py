"""An engine on a SQLite file of its own against a served fleet, with one stage that holds everything."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import func, select

from bench.fleet_server import Server
from engine.loop import Engine
from engine.parts import Parts
from rollout.gates import Refuse
from rollout.plan import Plan
from rollout.states import ActionKind, ActionState, StageState
from rollout.steps import Patience
from storage import facts, intents, intents_rollback
from storage.acting import Who
from storage.clock import FileCalendar
from storage.database import Database
from storage.migrate import migrate
from storage.models import Action, KnownPerson, Rollout, Stage, Workspace
from storage.opening import open_rollouts
from storage.secrets import Vault
from workspace.access import access
from workspace.client import Client

WIDTH = 16
PATIENCE = Patience(http=10.0, settle=1.0)
_OPS = Who("U0OPS00001", "T0BENCH", surface="terminal")
_STAGE = "all"


class EngineRoom:
    """The parts of an engine. ``begin`` starts one; several may follow each other on the same file."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.database = Database(f"sqlite:///{directory / 'rollout.db'}")
        migrate(self.database)
        self.calendar = FileCalendar(server.clock)
        open_rollouts(self.database, [_plan(server.workspaces)], self.calendar())
        with self.database.write() as session:
            for user in ("U0OPS00001", "U0QA000001"):
                known = {"user_id": user, "team_id": _OPS.team_id, "available": True}
                session.add(KnownPerson(**known, checked_at=self.database.machine()))
        self._clients = {key: client(server, key, PATIENCE.http) for key in server.workspaces}
        self._vault = Vault([Fernet.generate_key().decode()])
        self._begun = 0
        self.engine: Engine | None = None

    def parts(self) -> Parts:
        self._begun += 1
        owner = f"bench-{os.getpid()}-{self._begun}"
        return Parts(self.database, self.calendar, self._clients, self._vault, owner, PATIENCE, WIDTH)

    def begin(self) -> Parts:
        parts = self.parts()
        self.engine = Engine(parts)
        self.engine.start()
        return parts

    def close(self) -> None:
        if self.engine is not None:
            self.engine.stop()
        self.database.close()

    def looked(self) -> None:
        """Wait for the first look at every workspace."""
        unseen = select(func.count()).where(Workspace.looked_at.is_(None))
        until(lambda: self._count(unseen) == 0, "the first look")

    def start(self) -> None:
        """Start the stage, with the change set as it is."""
        rollout = self._rollout()
        with self.database.read() as session:
            digest = facts.digest_of(facts.change_set(session, rollout, _STAGE))
        self._obeyed(intents.start(self.database, _OPS, self.calendar(), rollout, _STAGE, digest))

    def roll_back(self) -> None:
        """Roll the stage back."""
        now = self.calendar()
        self._obeyed(intents_rollback.roll_back(self.database, _OPS, now, self._rollout(), (_STAGE,), "bench"))

    def stage_is(self, state: StageState) -> None:
        """Wait until the stage is there; a blocked one ends the run."""

        def there() -> bool:
            with self.database.read() as session:
                now = session.execute(select(Stage.state)).scalar_one()
            if now is StageState.BLOCKED:
                raise SystemExit(f"the stage is blocked: {self._bad()}")
            return now is state

        until(there, f"the stage to be {state}")

    def done(self, kind: ActionKind) -> int:
        """How many actions of a kind ended well."""
        return self._count(select(func.count()).where(Action.kind == kind, Action.state == ActionState.DONE))

    def begun_by(self, owner: str) -> bool:
        """Whether that engine has claimed anything."""
        return self._count(select(func.count()).where(Action.owner == owner)) > 0

    def _rollout(self) -> int:
        return self._count(select(Rollout.id))

    def _obeyed(self, answer: object) -> None:
        if isinstance(answer, Refuse):
            raise SystemExit(f"refused: {answer}")
        assert self.engine is not None
        self.engine.wake()

    def _bad(self) -> Sequence[Any]:
        with self.database.read() as session:
            rows = session.execute(
                select(Action.kind, Action.state, Action.reason_code, func.count())
                .where(Action.state.in_([ActionState.FAILED, ActionState.CONFLICT]))
                .group_by(Action.kind, Action.state, Action.reason_code)
            )
            return [tuple(row) for row in rows]

    def _count(self, wanted: Any) -> int:
        with self.database.read() as session:
            return int(session.execute(wanted).scalar_one())


@contextmanager
def engine_room(server: Server, directory: Path) -> Iterator[EngineRoom]:
    """A room that is closed at the end."""
    room = EngineRoom(server, directory)
    try:
        yield room
    finally:
        room.close()


def client(server: Server, key: str, time_limit: float) -> Client:
    """A client of one workspace."""
    workspace = server.workspaces[key]
    return Client(access(host=workspace["host"], token=workspace["token"]), time_limit=time_limit)


def until(done: Callable[[], bool], what: str, seconds: float = 600.0) -> None:
    """Wait until ``done``; leaves the benchmark after so many seconds."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)  # it runs beside what is measured


def _plan(workspaces: Mapping[str, object]) -> Plan:
    return Plan.model_validate(
        {
            "key": "bench",
            "title": "Everything in one stage",
            "runtimes": {"source": "13.3", "target": "17.3"},
            "workspaces": sorted(workspaces),
            "channel": "C0BENCH001",
            "roles": {
                "devops": {"title": "DevOps", "members": ["U0OPS00001"]},
                "qa": {"title": "QA", "members": ["U0QA000001"]},
            },
            "capabilities": {"start": ["devops"], "rollback": ["devops"], "pause": ["devops"]},
            "limits": {key: {"calls_per_second": 1000, "max_parallel": WIDTH} for key in workspaces},
            "stages": [
                {
                    "key": _STAGE,
                    "title": "Everything",
                    "targets": {"workspaces": sorted(workspaces)},
                    "sign_offs": {"qa": 1},
                    "max_parallel": WIDTH,
                    "max_failures": 100_000,
                }
            ],
        }
    )
