"""Commands, faults, people and time in any order, against what must hold of the engine (DESIGN 5), by hypothesis."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from engine import execute, looking
from rollout import steps
from rollout.change import Holds
from rollout.gates import Refuse
from rollout.states import ACTION_OPEN, ActionState, StageState
from sandbox.databricks.call import Call
from sandbox.databricks.errors import ApiError
from sandbox.databricks.workspace import Workspace
from storage import facts, intents, intents_pins, intents_rollback, intents_signing
from storage.acting import Who
from storage.models import Action, Rollout, Stage, Target
from tests.engine.byhand import ByHand, Killed, reads
from tests.engine.harness import OPS, plan_of_two
from tests.engine.oracle import Oracle, Thing

OLD, NEW, THIRD = "13.3.x-scala2.12", "17.3.x-scala2.13", "15.4.x-scala2.12"
POLICY = "AAAA000000000001"
SPEC = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
FLEET: dict[str, Any] = {
    "seed": 5,
    "templates": {"job_clusters": {"small": SPEC, "governed": {**SPEC, "policy_id": POLICY}}},
    "workspaces": {
        "dev": {
            "policies": [
                {
                    "policy_id": POLICY,
                    "name": "etl",
                    "definition": '{"spark_version":  {"type":"fixed", "value":"13.3.x-scala2.12"}}',
                }
            ],
            "clusters": [
                {"name": "up", "state": "RUNNING", "autotermination_minutes": 0, **SPEC},
                {"name": "down", "state": "TERMINATED", **SPEC},
                {"name": "governed", "state": "TERMINATED", **SPEC, "policy_id": POLICY},
            ],
            "jobs": [{"name": "nightly", "minutes": 5, "compute": "governed"}],
        },
        "prod": {
            "clusters": [{"name": "live", "state": "RUNNING", "autotermination_minutes": 0, **SPEC}],
            "jobs": [{"name": "hourly", "minutes": 5, "compute": "small"}],
        },
    },
}
TARGETS = ["up", "down", "governed", "nightly", "live", "hourly"]
STAGES = ["first", "second"]
MAX_PARALLEL = {"dev": 2, "prod": 1}
BAKE = 3600
QA, LEAD = Who("U0QA000001", "T0TEST"), Who("U0LEAD0001", "T0TEST")
#: Where a stage halts: only a person, or time that the calendar has to bring, moves it on.
HALTS = {
    StageState.WAITING,
    StageState.READY,
    StageState.BLOCKED,
    StageState.REVIEW,
    StageState.PASSED,
    StageState.ROLLED_BACK,
}
PATHS = ["*", "*/update", "*/update", "*/edit", "*/get", "*/events", "/api/2.2/jobs/*"]
WEATHER = ["429", "500", "503", "403", "reset", "lost-answer", "slow", "eventual"]
DEEDS = ["kill", "kill after", "freeze", "pause", "roll back", "edit", "tag", "delete", "roll back target", "nothing"]

stage = st.sampled_from(STAGES)
target = st.sampled_from(TARGETS)


def plan() -> Any:
    """Two stages, the second with a bake; few at once, so that something is always left."""
    found = plan_of_two(bake=BAKE)
    first, second = found.stages
    return found.model_copy(
        update={
            "stages": (
                first.model_copy(update={"max_parallel": MAX_PARALLEL["dev"], "max_failures": 2}),
                second.model_copy(update={"max_parallel": MAX_PARALLEL["prod"]}),
            )
        }
    )


class AnyOrder(RuleBasedStateMachine):
    """One rollout of two stages."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.home = Path(tempfile.mkdtemp(prefix="machine-", dir=memory))
        database = shutil.copyfile(self.template, self.home / "rollout.db")
        self.world = ByHand(f"sqlite:///{database}", self.home, FLEET, plan())
        self.oracle = Oracle(self.world, MAX_PARALLEL)
        self.world.before_call = self.before_call
        self.seen = self.oracle._after_call
        self.world.after_call = self.after_call
        self.coming: list[tuple[int, str, str]] = []  # at which call, what happens, to whom
        with self.world.database.read() as session:
            self.rollout_id = session.execute(select(Rollout.id)).scalar_one()

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.come_to_an_end()
        finally:
            self.world.close()
            shutil.rmtree(self.home, ignore_errors=True)

    @initialize(begin=st.sampled_from([True, True, True, False]))
    def looked(self, begin: bool) -> None:
        self.go(2, 1.0, 1.0)
        if begin:
            self.start("first")

    # -- time ----------------------------------------------------------------------------------------------------------

    @rule(rounds=st.integers(1, 8), machine=st.sampled_from([0.1, 0.6, 8.0]), seconds=st.sampled_from([5, 120, 4000]))
    def go(self, rounds: int, machine: float, seconds: float) -> None:
        for _ in range(rounds):
            self.round()
            self.oracle.look()
            self.world.pass_time(machine, seconds)

    def round(self) -> None:
        try:
            self.world.replica.round()
        except Killed:
            self.world.new_replica()

    # -- what people say to the bot ------------------------------------------------------------------------------------

    def now(self) -> Any:
        return self.world.calendar()

    @rule(key=stage)
    def start(self, key: str) -> None:
        database = self.world.database
        with database.read() as session:
            digest = facts.digest_of(facts.change_set(session, self.rollout_id, key))
        done = intents.start(database, OPS, self.now(), self.rollout_id, key, digest)
        if isinstance(done, intents.Started):
            self.oracle.release([key])

    @rule(key=stage)
    def retry(self, key: str) -> None:
        intents.retry(self.world.database, OPS, self.now(), self.rollout_id, key)

    @rule()
    def pause(self) -> None:
        if not isinstance(intents.pause(self.world.database, OPS, self.now(), self.rollout_id, "hold"), Refuse):
            self.oracle.hold(STAGES)

    @rule()
    def resume(self) -> None:
        if not isinstance(intents.resume(self.world.database, OPS, self.now(), self.rollout_id), Refuse):
            with self.world.database.read() as session:
                free = select(Stage.key).where(Stage.locked.is_(False))
                self.oracle.release(session.execute(free).scalars())

    @rule(key=stage)
    def approve(self, key: str) -> None:
        who = QA if key == "first" else LEAD
        intents_signing.approve(self.world.database, who, self.now(), self.rollout_id, key)

    @rule(keys=st.sampled_from([("first",), ("second",), ("first", "second")]))
    def roll_back(self, keys: tuple[str, ...]) -> None:
        done = intents_rollback.roll_back(self.world.database, OPS, self.now(), self.rollout_id, keys, "test")
        if not isinstance(done, Refuse):
            self.oracle.hold(keys)

    @rule(key=stage)
    def unlock(self, key: str) -> None:
        intents_rollback.unlock(self.world.database, OPS, self.now(), self.rollout_id, key, "again")

    @rule(name=target)
    def roll_back_target(self, name: str) -> None:
        if (row := self.row(name)) is not None:
            intents_rollback.roll_back_target(
                self.world.database, OPS, self.now(), self.rollout_id, row.id, "odd results"
            )

    @rule(key=stage)
    def pin_failed(self, key: str) -> None:
        intents_rollback.pin_failed(self.world.database, OPS, self.now(), self.rollout_id, key, "odd", None)

    @rule(name=target, lift=st.booleans())
    def pin(self, name: str, lift: bool) -> None:
        if (row := self.row(name)) is None:
            return
        database = self.world.database
        if lift:
            intents_pins.unpin(database, OPS, self.now(), self.rollout_id, row.id)
        else:
            intents_pins.pin(database, OPS, self.now(), self.rollout_id, row.id, "not yet", OPS.user_id)

    @rule()
    def look_again(self) -> None:
        intents.look_again(self.world.database, OPS, self.now(), self.rollout_id)

    # -- weather and deaths --------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(WEATHER), path=st.sampled_from(PATHS), times=st.integers(1, 4))
    def weather(self, kind: str, path: str, times: int) -> None:
        # A read lags, and a call takes, no longer than the engine has to reckon with.
        seconds = 0.4 if kind == "eventual" else 2.5
        self.world.databricks.faults.add(path, kind, times=times, seconds=seconds)

    @rule()
    @precondition(lambda self: self.world.databricks.faults.rules)
    def fine_weather(self) -> None:
        self.world.databricks.faults.clear()

    @rule(writes=st.integers(1, 3))
    def writes_arrive_late(self, writes: int) -> None:
        self.world.late_writes = writes

    @rule(alone=st.booleans())
    def another_process(self, alone: bool) -> None:
        self.world.new_replica(alone)

    @rule(calls=st.integers(1, 12), deed=st.sampled_from(DEEDS), name=target)
    def meanwhile(self, calls: int, deed: str, name: str) -> None:
        self.coming.append((self.world.calls + calls, deed, name))

    def before_call(self, ws: Workspace, call: Call) -> None:
        now = [c for c in self.coming if c[0] <= self.world.calls and c[1] != "kill after"]
        self.coming = [c for c in self.coming if c not in now]
        for _, deed, name in now:
            if deed == "kill":
                raise Killed
            if deed == "freeze":
                if reads(call):
                    self.freeze()
            elif deed == "pause":
                self.pause()
            elif deed == "roll back":
                self.roll_back(("first", "second"))
            elif deed == "roll back target":
                self.roll_back_target(name)
            elif deed != "nothing":
                self.somebody(name, deed)

    def after_call(self, ws: Workspace, call: Call) -> None:
        self.seen(ws, call)
        if any(c[0] <= self.world.calls and c[1] == "kill after" for c in self.coming):
            self.coming = [c for c in self.coming if c[1] != "kill after"]
            raise Killed

    def freeze(self) -> None:
        """This process sleeps past its leases, and another one takes over; afterwards this one wakes."""
        frozen = self.world.replica
        self.world.new_replica(alone=False)
        seen = {thing: past.seen for thing, past in self.oracle.things.items()}
        for _ in range(3):
            self.world.pass_time(8.0, 60)
            with suppress(Killed):
                self.world.replica.round()
        for thing, number in seen.items():  # what the other one saw, this one did not
            self.oracle.things[thing].seen = number
        self.world.replica = frozen

    # -- what people do to the workspaces ------------------------------------------------------------------------------

    @rule(name=target, what=st.sampled_from(["edit", "old", "new", "tag"]))
    def somebody(self, name: str, what: str) -> None:
        thing = self.thing(name)
        raw = self.oracle.raw(thing)
        if raw is None:
            return
        version = {"edit": THIRD, "old": OLD, "new": NEW}.get(what)
        if what == "delete":
            path = "/api/2.1/clusters/permanent-delete" if thing[1] == "cluster" else "/api/2.2/jobs/delete"
            body: dict[str, Any] = {self.id_of(thing): self.given(thing)}
        elif thing[1] == "cluster":
            mask = "custom_tags" if version is None else "spark_version"
            cluster = {"custom_tags": {"by": "person"}} if version is None else {"spark_version": version}
            path, body = "/api/2.1/clusters/update", {"cluster_id": thing[2], "update_mask": mask, "cluster": cluster}
        elif version is None:
            path, body = "/api/2.2/jobs/update", {"job_id": int(thing[2]), "new_settings": {"timeout_seconds": 600}}
        else:
            [entry] = raw["settings"]["job_clusters"]
            entry = {**entry, "new_cluster": {**entry["new_cluster"], "spark_version": version}}
            path, body = "/api/2.2/jobs/update", {"job_id": int(thing[2]), "new_settings": {"job_clusters": [entry]}}
        if self.people(thing[0], path, body):
            self.oracle.touch(thing)

    @rule(name=st.sampled_from(["down", "governed", "hourly"]))
    def delete(self, name: str) -> None:
        self.somebody(name, "delete")

    @rule(name=st.sampled_from(["up", "down", "live"]), what=st.sampled_from(["start", "delete", "restart"]))
    def use(self, name: str, what: str) -> None:
        thing = self.thing(name)
        self.people(thing[0], f"/api/2.1/clusters/{what}", {"cluster_id": thing[2]})

    def people(self, workspace: str, path: str, body: dict[str, Any]) -> bool:
        """By the API, without weather; whether it was taken."""
        ws = self.world.databricks.workspaces[workspace]
        try:
            self.world.databricks.answer(ws, Call("POST", path, body=body), f"Bearer {ws.token}")
        except ApiError:
            return False
        return True

    # -- names ---------------------------------------------------------------------------------------------------------

    def thing(self, name: str) -> Thing:
        key = "prod" if name in ("live", "hourly") else "dev"
        kind = "job" if name in ("nightly", "hourly") else "cluster"
        return next(t for t in self.names()[name] if (t[0], t[1]) == (key, kind))

    def names(self) -> dict[str, list[Thing]]:
        found: dict[str, list[Thing]] = {}
        for thing in self.oracle.first:
            content = self.oracle.first[thing] or ""
            for name in TARGETS:
                if f'"cluster_name": "{name}"' in content or f'"name": "{name}"' in content:
                    found.setdefault(name, []).append(thing)
        return found

    def id_of(self, thing: Thing) -> str:
        return "cluster_id" if thing[1] == "cluster" else "job_id"

    def given(self, thing: Thing) -> str | int:
        return thing[2] if thing[1] == "cluster" else int(thing[2])

    def stage_state(self, key: str) -> StageState:
        with self.world.database.read() as session:
            return session.execute(select(Stage.state).where(Stage.key == key)).scalar_one()

    def row(self, name: str) -> Target | None:
        with self.world.database.read() as session:
            return session.execute(select(Target).where(Target.name == name)).scalar_one_or_none()

    # -- the end -------------------------------------------------------------------------------------------------------

    def come_to_an_end(self) -> None:
        """In fine weather everything halts by itself, nothing is forgotten, and everything can be put back."""
        self.world.databricks.faults.clear()
        self.world.late_writes = 0
        self.coming.clear()
        self.until_all_halt()
        self.resume()
        self.until_all_halt()
        for _ in range(2):  # what failed for the weather is tried again
            self.roll_back(("second",))
            self.roll_back(("first",))
            self.roll_back(("first", "second"))
            self.until_all_halt()
        with self.world.database.read() as session:
            states = {tuple(row) for row in session.execute(select(Stage.key, Stage.state))}
        assert {state for _, state in states} <= {StageState.WAITING, StageState.READY, StageState.ROLLED_BACK}, states
        self.oracle.everything_is_as_before()

    def until_all_halt(self) -> None:
        for n in range(200):
            self.round()
            self.oracle.look()
            if self.halted():
                return
            self.world.pass_time(2.0, 120 if n < 40 else 1800)
        raise AssertionError(f"it does not come to an end: {self.unfinished()}")

    def halted(self) -> bool:
        with self.world.database.read() as session:
            paused = session.execute(select(Rollout.paused)).scalar_one()
            states = session.execute(select(Stage.id, Stage.state)).all()
            work = session.execute(select(Action.stage_id, Action.state).where(Action.state.in_(ACTION_OPEN))).all()
        halted = {i for i, state in states if state in HALTS}
        running = any(state is ActionState.RUNNING for _, state in work)
        return not running and (paused or (len(halted) == len(states) and not self.begun(states, work)))

    def begun(self, states: Any, work: Any) -> bool:
        """Whether something waits that nobody holds: a blocked stage keeps what it had not begun."""
        blocked = {i for i, state in states if state is StageState.BLOCKED}
        return any(stage_id not in blocked for stage_id, _ in work)

    def unfinished(self) -> Any:
        with self.world.database.read() as session:
            states = session.execute(select(Stage.key, Stage.state)).all()
            rows = session.execute(
                select(Target.name, Action.kind, Action.state, Action.looks, Action.poll_at, Action.seen)
                .join(Target, Target.id == Action.target_id)
                .where(Action.state.in_(ACTION_OPEN))
            ).all()
            return states, [tuple(map(str, row)) for row in rows]


def play(template: Path, examples: int, steps: int, shrink: bool = True) -> None:
    """So many rollouts of at most so many steps; the same ones each time."""
    machine: Callable[[], RuleBasedStateMachine] = type("Machine", (AnyOrder,), {"template": template})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


def test_in_any_order_of_commands_faults_and_time_the_invariants_hold(sqlite_template: Path) -> None:
    play(sqlite_template, examples=6, steps=20)


@pytest.mark.soak
def test_in_very_many_orders_of_commands_faults_and_time_the_invariants_hold(sqlite_template: Path) -> None:
    play(sqlite_template, examples=40, steps=35)


def hasty(look: steps.Look, patience: steps.Patience) -> steps.Step:
    """Sends a write of unknown outcome again without waiting for it."""
    if look.intended and not look.answered and look.holds is Holds.BEFORE:
        return steps.Step.FORGET_INTENT
    return steps.decide(look, patience)


def credulous(look: steps.Look, patience: steps.Patience) -> steps.Step:
    """Takes an answer for the deed."""
    return steps.Step.DONE if look.answered or look.intended else steps.decide(look, patience)


def bad_weather(machine: AnyOrder) -> None:
    machine.weather("500", "*/update", 4)


def late_writes(machine: AnyOrder) -> None:
    machine.writes_arrive_late(3)


@pytest.mark.parametrize(
    ("what", "instead", "begin"),
    [
        ("decide", credulous, bad_weather),
        ("decide", hasty, late_writes),
    ],
)
def test_a_careless_engine_is_found_out(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch, what: str, instead: Any, begin: Callable[[AnyOrder], None]
) -> None:
    for module in (execute, looking):
        monkeypatch.setattr(module, what, instead, raising=False)
    machine = type("Machine", (AnyOrder,), {"template": sqlite_template})()
    try:
        machine.looked(begin=True)
        while machine.stage_state("first") is not StageState.UPGRADING:
            machine.go(1, 0.6, 5)
        begin(machine)
        with pytest.raises(AssertionError):
            machine.go(30, 0.6, 60)
    finally:
        machine.world.close()
        shutil.rmtree(machine.home, ignore_errors=True)
