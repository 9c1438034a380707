"""All crash points on one kind of database: the undisturbed run first, then each point against it."""

import gc
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from crash.acting import Scene, engine, step
from crash.boundaries import Boundaries
from crash.databases import Databases
from crash.fleet import FLEET
from crash.forking import alone, forked
from crash.platform import stand
from crash.point import Checkpoint, Halt, Outcome, Point, judge, judge_turned_back
from crash.points import spread
from crash.shared import MachineTime
from crash.turns import Crew
from rollout.states import StageState
from sandbox import calendar, fleets
from sandbox.databricks import build, persist
from sandbox.databricks.databricks import Databricks

#: Machine seconds, real ones, after which a point hangs.
LIMIT = 120.0
_MACHINE = calendar.FIRST_MORNING.timestamp()


@dataclass(slots=True)
class Undisturbed:
    """The run without a crash: what it is compared with, and where its two directions begin."""

    before: dict[str, Any]
    forward: Checkpoint
    back: Checkpoint
    names: list[str]
    halts: dict[str, Halt]


@dataclass(slots=True)
class Tally:
    """What came of the points of one kind of database."""

    name: str
    total: int
    tried: int = 0
    equal: int = 0
    unreached: int = 0
    renamed: int = 0  # points at which another boundary was met than in the undisturbed run
    harmful: int = 0
    harmless: int = 0
    seconds: float = 0.0
    broken: list[Outcome] = field(default_factory=list)


def undisturbed(databases: Databases, seed: int, directory: Path) -> Undisturbed:
    """Run a stage forward and back. Raises RuntimeError when that does not end well."""
    moment = calendar.FIRST_MORNING
    workspaces = build.workspaces(fleets.load(FLEET), int(moment.timestamp() * 1000))
    empty = Checkpoint(databases.empty(), workspaces, moment, _MACHINE)
    with tempfile.TemporaryDirectory() as home:
        clock = calendar.make(Path(home) / "clock.json")
        before = stand(Databricks(workspaces, clock))
    ready, _ = _leg(databases, empty, StageState.READY, seed, directory / "ready")
    review, forward = _leg(databases, ready, StageState.REVIEW, seed, directory / "review", 1)
    first_back = len(forward.names) + 1
    _, back = _leg(databases, review, StageState.ROLLED_BACK, seed, directory / "back", first_back)
    names = [*forward.names, *back.names]
    review = Checkpoint(review.url, review.workspaces, review.calendar, review.machine, first_back)
    found = Undisturbed(before, ready, review, names, {**forward.halts, **back.halts})
    judge(back, found.halts, before)
    if back.differing:
        raise RuntimeError("the undisturbed way back does not lead back:\n" + "\n".join(back.differing))
    return found


def _leg(
    databases: Databases, begin: Checkpoint, until: StageState, seed: int, file: Path, boundary: int = 1
) -> tuple[Checkpoint, Outcome]:
    begin = Checkpoint(begin.url, begin.workspaces, begin.calendar, begin.machine, boundary)

    def play() -> tuple[Outcome, str, Any, float]:
        point = Point(databases, begin, until, seed)
        outcome = point.run()
        if outcome.trouble:
            raise RuntimeError(f"undisturbed, up to {until}: {outcome.trouble}")
        return outcome, point.url, *point.save(file)

    outcome, url, moment, machine = alone(play, LIMIT)
    return Checkpoint(url, persist.load(file), moment, machine), outcome


def warm(databases: Databases, found: Undisturbed) -> None:
    """Do here what each forked engine would do for the first time: building a statement takes longer than using it.

    The engine works on copies, and reaches no workspace. Afterwards this process has no threads again.
    """
    for begin in (found.forward, found.back):
        url = databases.copy(begin.url)
        with tempfile.TemporaryDirectory() as home:
            clock = Path(home) / "clock.json"
            calendar.write(clock, begin.calendar, 0.0)
            hosts = {ws.key: ("http://127.0.0.1:9", ws.token) for ws in begin.workspaces}
            scene = Scene(url, clock, MachineTime(begin.machine), hosts, "warm", 1)
            boundaries = Boundaries(Crew(scene.seed), 1, None, lambda **_: None)
            with engine(scene, boundaries, read_budget=0.0) as (stepped, _):
                for _round in range(3):
                    stepped.round()
                    step(scene, StageState.UPGRADING)
        databases.drop(url)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)
    gc.collect()
    gc.freeze()  # the pages that all points share stay shared


def tried(
    databases: Databases,
    found: Undisturbed,
    numbers: Sequence[int],
    seed: int,
    workers: int,
    until: float,
    turn_back: bool = False,
) -> Iterator[Outcome]:
    """The outcomes of these points, as they come; none is begun after ``until`` (monotonic).

    ``turn_back``: after the crash the stage is rolled back instead of being finished.
    """

    def play(number: int) -> Outcome:
        begin = found.back if number >= found.back.boundary else found.forward
        point = Point(databases, begin, StageState.ROLLED_BACK, seed, number, turn_back)
        outcome = point.run()
        databases.drop(point.url)
        if turn_back:
            judge_turned_back(outcome, found.before)
        else:
            judge(outcome, found.halts, found.before)
        outcome.halts, outcome.names = {}, []  # judged: not carried any further
        return outcome

    order = list(spread(numbers))
    pieces: Iterator[Callable[[], Outcome]] = (partial(_named, play, number) for number in order)
    for result in forked(pieces, workers, LIMIT, until):
        if isinstance(result, Exception):
            yield Outcome(None, trouble=str(result))
        else:
            yield result


def _named(play: Callable[[int], Outcome], number: int) -> Outcome:
    try:
        return play(number)
    except Exception as error:
        return Outcome(number, trouble=repr(error))


def count(tally: Tally, outcome: Outcome, names: Sequence[str]) -> None:
    """Add one outcome to the tally."""
    if outcome.name is None and outcome.trouble is None:
        tally.unreached += 1
        return
    tally.tried += 1
    tally.harmful += len(outcome.harmful)
    tally.harmless += len(outcome.harmless)
    if outcome.number is not None and outcome.name != names[outcome.number - 1]:
        tally.renamed += 1
    if outcome.well:
        tally.equal += 1
    else:
        tally.broken.append(outcome)
