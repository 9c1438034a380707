"""One crash point, in a process of its own: the workspaces, an engine that dies, and one that finishes its work."""

import asyncio
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from crash import comparing, recording
from crash.acting import PATIENCE, Scene, act
from crash.boundaries import KILLED
from crash.databases import Databases
from crash.fleet import LEAD, OPERATOR, STAGE
from crash.platform import Observed, stand, targets_of
from crash.shared import Line, MachineTime, StillDatabase, lines
from rollout.gates import Refuse
from rollout.states import WORKING, ActionState, StageState
from sandbox import calendar
from sandbox.databricks import persist
from sandbox.databricks.server import Server
from sandbox.databricks.workspace import Workspace
from storage import facts, intents, intents_rollback
from storage.acting import Who
from storage.clock import FileCalendar
from storage.models import KnownPerson, Rollout, Stage

OPS: Final = Who(OPERATOR, "T0CRASH", surface="terminal")
#: How long after its sender's death a call arrives that was on its way: no longer than a call may take.
_LATE: Final = 0.8 * PATIENCE.http


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a leg begins: a database to copy, the workspaces as they were, and both times."""

    url: str
    workspaces: Sequence[Workspace]
    calendar: datetime
    machine: float
    boundary: int = 1  # the number of the first boundary


@dataclass(slots=True)
class Halt:
    """How everything stood when a direction had ended."""

    database: dict[str, Any]
    workspaces: dict[str, Any]
    changed: dict[str, int]
    came_up: dict[str, int]
    idle: dict[str, int]


@dataclass(slots=True)
class Outcome:
    """What came of one point. ``name`` is that of the boundary at which the first engine died; None: it did not."""

    number: int | None
    name: str | None = None
    names: list[str] = field(default_factory=list)
    halts: dict[str, Halt] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    harmful: list[str] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)
    trouble: str | None = None
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        """Whether the end was that of the undisturbed run."""
        return not (self.differing or self.harmful or self.trouble)


class Trouble(Exception):
    """The point did not come to an end that could be compared."""


class Point:
    """A leg from a checkpoint up to the halt ``until``, with a death at boundary ``number`` if there is one."""

    def __init__(
        self,
        databases: Databases,
        begin: Checkpoint,
        until: StageState,
        seed: int,
        number: int | None = None,
        turn_back: bool = False,
    ) -> None:
        """``turn_back``: as soon as the first engine has died a person rolls the stage back."""
        self._databases, self._begin, self._until, self._seed = databases, begin, until, seed
        self._turn_back = turn_back
        self.outcome = Outcome(number)
        self._directory = Path(tempfile.mkdtemp(prefix="crash-"))
        self._kept: dict[int, bytes] = {}

    def run(self) -> Outcome:
        """Play it. Nothing is raised: what went wrong is in the outcome."""
        started = time.monotonic()
        try:
            self._play()
        except Trouble as trouble:
            self.outcome.trouble = str(trouble)
        except Exception:
            self.outcome.trouble = traceback.format_exc()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def save(self, file: Path) -> tuple[datetime, float]:
        """Keep the workspaces in ``file``; says calendar and machine time. The database is at ``url``."""
        persist.save(file, list(self.databricks.workspaces.values()))
        return self._ended, self._time.seconds()

    def _play(self) -> None:
        begin = self._begin
        self.url = self._databases.copy(begin.url)
        clock = self._directory / "clock.json"
        calendar.write(clock, begin.calendar, 0.0)
        self._time = MachineTime(begin.machine)
        self._calendar = FileCalendar(clock)
        self.databricks = Observed(begin.workspaces, calendar.read(clock), self._time)
        server = Server(self.databricks, 0, None)
        hosts = {ws.key: (ws.host, ws.token) for ws in begin.workspaces}

        def scene(owner: str, last: int | None) -> Scene:
            return Scene(self.url, clock, self._time, hosts, owner, self._seed, begin.boundary, last)

        # Both are forked now, while this process has no threads; the second waits until it is told to begin.
        first = _Engine(scene("first", self.outcome.number))
        second = _Engine(scene("second", None), (first,)) if self.outcome.number is not None else None
        thread = threading.Thread(target=lambda: asyncio.run(server.work()), daemon=True)
        thread.start()
        self._people = StillDatabase(self.url, self._time)
        try:
            if not self._follow(first) and second is not None:
                with self._people.read() as session:
                    self._kept = recording.backups(session)
                    state = session.execute(select(Stage.state)).scalar_one()
                if self._turn_back and state in WORKING:
                    self._roll_back()
                if not self._follow(second):
                    raise Trouble(f"the second engine ended with {second.wait()}")
        finally:
            self._people.close()
            for engine in (first, second):
                if engine is not None:
                    engine.end()
            server.stop()
            thread.join(timeout=5)

    def _follow(self, engine: "_Engine") -> bool:
        """Answer an engine's halts; False when it died where it should."""
        engine.line.say(begin=True)
        while True:
            message = engine.line.hear()
            if message is None:
                code = engine.wait()
                if code != KILLED or self.outcome.name is None:
                    raise Trouble(f"an engine ended with {code}; the last that it said was {self.outcome.name}")
                return False
            if "trouble" in message:
                raise Trouble(message["trouble"])
            if "name" in message:
                self.outcome.name = message["name"]
                if call := message["call"]:
                    self.databricks.later(**call, seconds=_LATE)
                continue
            self.outcome.names = message["names"]
            if self._halted(message["halt"]):
                engine.line.say(end=True)
                return True
            engine.line.say(end=False)

    def _halted(self, state: str) -> bool:
        """Note how everything stands, do what a person does now; True at the end."""
        self._ended = self._calendar()
        if state == StageState.READY:
            self._start()
        elif state in (StageState.REVIEW, StageState.ROLLED_BACK):
            if self.databricks.awaited:
                raise Trouble("the engine was ready before the call of the dead one arrived: nothing waited for it")
            self.outcome.halts[state] = self._note()
            if state == StageState.REVIEW:
                self._roll_back()
        else:
            raise Trouble(f"the stage is {state}: {self._unfinished()}")
        return state == self._until

    def _note(self) -> Halt:
        ledger = self.databricks.ledger_of_direction()
        with self._people.read() as session:
            found = recording.record(session)
            for key, text in recording.backups(session).items():
                if self._kept.setdefault(key, text) != text:
                    self.outcome.harmful.append(f"backup {key} was overwritten")
        halt = Halt(found, stand(self.databricks), dict(ledger.changed), dict(ledger.came_up), dict(ledger.idle))
        self.databricks.begin()
        return halt

    # -- what people do ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._people.write() as session:
            rollout_id = session.execute(select(Rollout.id)).scalar_one()
            for user in (OPERATOR, LEAD):
                known = KnownPerson(user_id=user, team_id=OPS.team_id, available=True, checked_at=self._calendar())
                session.add(known)
        with self._people.read() as session:
            digest = facts.digest_of(facts.change_set(session, rollout_id, STAGE))
        _done(intents.start(self._people, OPS, self._calendar(), rollout_id, STAGE, digest))

    def _roll_back(self) -> None:
        with self._people.read() as session:
            rollout_id = session.execute(select(Rollout.id)).scalar_one()
        _done(intents_rollback.roll_back(self._people, OPS, self._calendar(), rollout_id, (STAGE,), "a crash test"))

    def _unfinished(self) -> str:
        with self._people.read() as session:
            actions = recording.record(session)["actions"]
        return ", ".join(f"{name}: {a[0]} {a[1] or ''}".strip() for name, a in actions.items() if a[0] != "done")


class _Engine:
    """An engine in a process of its own, and the line to it."""

    def __init__(self, scene: Scene, others: Sequence["_Engine"] = ()) -> None:
        self.line, theirs = lines()
        self._code: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            for engine in (self, *others):
                engine.line.close()
            _child(lambda: _wait_and_act(scene, theirs), theirs)
        theirs.close()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self._code is None:
            _, status = os.waitpid(self._pid, 0)
            self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def end(self) -> None:
        """Hang up, and wait until it has noticed."""
        self.line.close()
        self.wait()


def _wait_and_act(scene: Scene, line: Line) -> None:
    if line.hear() is not None:
        act(scene, line)


def _child(work: Callable[[], None], line: Line) -> None:
    """Do that and nothing else: what the parent would do at its end is not done twice."""
    code = 1
    os.environ.clear()  # no settings are read from it; and each call would look through it for proxies
    try:
        work()
        code = 0
    except Exception:
        line.say(trouble=traceback.format_exc())
    finally:
        os._exit(code)


def _done(answer: Any) -> None:
    if isinstance(answer, Refuse):
        raise Trouble(f"refused: {answer}")


def judge(outcome: Outcome, undisturbed: dict[str, Halt], before: dict[str, Any]) -> None:
    """Compare the halts of a point with those of the undisturbed run, and its end with the beginning."""
    for state, halt in outcome.halts.items():
        wanted = undisturbed[state]
        for aim, found in ((wanted.database, halt.database), (wanted.workspaces, halt.workspaces)):
            differing = comparing.differences(comparing.named_alike(aim), comparing.named_alike(found))
            outcome.differing += [f"{state}: {d}" for d in differing]
        for what, aim, found in (
            ("write", wanted.changed, halt.changed),
            ("start", wanted.came_up, halt.came_up),
        ):
            lines = comparing.repeats(comparing.named_alike(aim), comparing.named_alike(found))
            outcome.harmful += [f"{state}: {what} {line}" for line in lines]
        outcome.harmless += [f"{state}: {what}" for what in halt.idle]
    if (last := outcome.halts.get(StageState.ROLLED_BACK)) is not None:
        _as_before(outcome, last, before)


def judge_turned_back(outcome: Outcome, before: dict[str, Any]) -> None:
    """Compare the end of a point that turned back with the beginning: a target may be touched once each way."""
    last = outcome.halts.get(StageState.ROLLED_BACK)
    if last is None:
        return
    _as_before(outcome, last, before)
    up = comparing.differences(before["clusters_up"], last.workspaces["clusters_up"])
    outcome.differing += [f"not as before: {d}" for d in up]
    if last.database["stage"]["block"] is not None:
        outcome.differing.append(f"rolled back: {last.database['stage']['block']}")
    for name, (state, code, _) in last.database["actions"].items():
        if state not in (ActionState.DONE, ActionState.SKIPPED):
            outcome.differing.append(f"rolled back: {name} is {state} {code or ''}".rstrip())
    done: Counter[str] = Counter()
    for halt in outcome.halts.values():
        done.update({f"write {what}": n for what, n in halt.changed.items()})
        done.update({f"start {what}": n for what, n in halt.came_up.items()})
        outcome.harmless += list(halt.idle)
    outcome.harmful += [f"{what}: {n} times, one each way" for what, n in done.items() if n > 2]


def _as_before(outcome: Outcome, last: Halt, before: dict[str, Any]) -> None:
    aim, found = dict(targets_of(before)), dict(targets_of(last.workspaces))
    outcome.differing += [f"not as before: {d}" for d in comparing.differences(aim, found)]
