"""One action at a time, without a loop and without HTTP: a made-up kind of target, and a machine clock to push."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import progress
from engine.execute import execute
from engine.loop import Engine
from engine.parts import Parts
from rollout.change import Change, FieldChange, Found, Raw, Skip, Upgrade
from rollout.plan import Plan
from rollout.states import ActionKind, ActionState, StageState
from rollout.steps import Patience
from storage import claiming
from storage.actions import Claim
from storage.database import Database
from storage.models import Action, Rollout, Stage, Target
from storage.opening import open_rollouts
from storage.secrets import Vault
from tests.engine.harness import KEY, plan_of_two
from workspace import clusters
from workspace.kinds import KINDS
from workspace.settling import Settlement

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
CHANGE = Change((FieldChange(("spark_version",), OLD, NEW),))
PATIENCE = Patience(http=30, settle=5)


class PushedClock(Database):
    """A database whose machine time is pushed on by the test."""

    shift = timedelta()

    def machine_now(self, session: Session) -> datetime:
        return super().machine_now(session) + self.shift

    def machine(self) -> datetime:
        return super().machine() + self.shift

    def push(self, seconds: float) -> None:
        self.shift += timedelta(seconds=seconds)


class MadeUp:
    """A kind of target that does what the test says; like a cluster in all else."""

    def __init__(self) -> None:
        self.raws: dict[str, dict[str, Any]] = {}
        self.rights: dict[str, dict[str, list[str]]] = {}
        self.writes: list[str] = []
        self.starts: list[str] = []
        self.users: dict[str, str] = {}
        self.editors: dict[str, tuple[str, datetime]] = {}
        self.on_start: Callable[[str], None] = lambda _: None
        self.on_read: Callable[[str], None] = lambda _: None
        self.on_apply: Callable[[str], None] = lambda _: None

    def discover(self, _client: Any) -> Iterator[Found]:
        for key, raw in self.raws.items():
            yield Found("cluster", key, key, None, (), str(raw["state"]), dict(raw))

    def plan(self, raw: Raw, _upgrade: Upgrade) -> Change | Skip:
        return CHANGE if raw["spark_version"] == OLD else Skip("already_target", "It is there.", "Nothing to do.")

    def read(self, _client: Any, object_id: str) -> dict[str, Any]:
        self.on_read(object_id)
        return dict(self.raws[object_id])

    def values(self, raw: Raw, change: Change) -> list[Any]:
        return [raw.get(f.path[0]) for f in change.fields]

    def editable(self, raw: Raw) -> bool:
        return clusters.editable(raw)

    def apply(self, _client: Any, object_id: str, change: Change, _raw: Raw) -> None:
        self.on_apply(object_id)
        self.writes.append(object_id)
        self.raws[object_id].update({f.path[0]: f.after for f in change.fields})

    def runs_on(self, _raw: Raw) -> bool:
        return False

    def in_use(self, _client: Any, object_id: str, raw: Raw) -> str | None:
        return self.users.get(object_id) if raw["state"] == "RUNNING" else None

    def start(self, _client: Any, object_id: str) -> bool:
        self.starts.append(object_id)
        self.on_start(object_id)
        return True

    def kept(self, raw: Raw) -> dict[str, Any]:
        return clusters.kept(raw)

    def settled(self, raw: Raw, before: Raw) -> Settlement:
        return clusters.settled(raw, before)

    def stands_in(self, _raw: Raw) -> str | None:
        return None

    def unfinished(self, _raw: Raw) -> str | None:
        return None

    def complete(self, _client: Any, _object_id: str, _raw: Raw) -> None:
        raise AssertionError("nothing is ever unfinished")

    def edited_since(self, _client: Any, _object_id: str, _since: datetime) -> bool | None:
        return None

    def edited_by(self, _client: Any, object_id: str) -> tuple[str, datetime] | None:
        return self.editors.get(object_id)

    def permissions_of(self, _client: Any, object_id: str) -> dict[str, Any]:
        entries = [
            {f"{who.split()[0]}_name": who.split()[1], "all_permissions": [{"permission_level": level}]}
            for who, levels in self.rights.get(object_id, {}).items()
            for level in levels
        ]
        return {"object_id": object_id, "access_control_list": entries}

    def needed(self, _client: Any, _object_id: str, _backup: Raw) -> str | None:
        return None

    def release_of(self, raw: Raw) -> str:
        return str(raw["spark_version"])[:4]

    def backup_of(self, raw: Raw) -> dict[str, Any]:
        return dict(raw)

    def compared(self, raw: Raw) -> dict[str, Any]:
        return clusters.compared(raw)


class Desk:
    """A rollout of stages ``first`` (workspace dev) and ``second`` (prod), with targets put there by the test."""

    def __init__(self, database: PushedClock, plan: Plan) -> None:
        self.database = database
        self.kind = MadeUp()
        self.now = NOW
        clients: Any = {"dev": object(), "prod": object()}
        self.parts = Parts(database, lambda: self.now, clients, Vault([KEY]), "desk", PATIENCE)
        open_rollouts(database, [plan], NOW)

    def replica(self, owner: str) -> Parts:
        parts = self.parts
        return Parts(parts.database, parts.calendar, parts.clients, parts.vault, owner, parts.patience)

    def stage(self, key: str = "first") -> Stage:
        with self.database.read() as session:
            return session.execute(select(Stage).where(Stage.key == key)).scalar_one()

    def put(self, state: StageState, key: str = "first", **columns: Any) -> None:
        """Put a stage into a state."""
        with self.database.write() as session:
            stage = session.execute(select(Stage).where(Stage.key == key)).scalar_one()
            for name, value in {"state": state, "started_at": NOW, **columns}.items():
                setattr(stage, name, value)

    def target(self, name: str, key: str = "first", state: str = "TERMINATED", version: str = OLD, **more: Any) -> int:
        """A new target; its configuration is ``desk.kind.raws[name]``."""
        self.kind.raws[name] = {"state": state, "spark_version": version, "last_restarted_time": 1}
        with self.database.write() as session:
            row = Target(
                rollout_id=session.execute(select(Rollout.id)).scalar_one(),
                workspace={"first": "dev", "second": "prod"}[key],
                kind=more.pop("kind", "cluster"),
                object_id=name,
                name=name,
                stage_key=key,
                change=CHANGE.to_json(),
                seen_at=NOW,
                seen_machine=self.database.machine_now(session),
                **more,
            )
            session.add(row)
            session.flush()
            return row.id

    def action(self, target: int, kind: ActionKind, state: ActionState = ActionState.PENDING, **columns: Any) -> int:
        with self.database.write() as session:
            of = session.execute(select(Target).where(Target.id == target)).scalar_one()
            stage = session.execute(select(Stage).where(Stage.key == of.stage_key)).scalar_one()
            row = Action(
                **{
                    "rollout_id": of.rollout_id,
                    "stage_id": stage.id,
                    "generation": stage.generation,
                    "target_id": target,
                    "workspace": of.workspace,
                    "kind": kind,
                    "state": state,
                    "change": CHANGE.to_json(),
                    "created_at": NOW,
                    **columns,
                }
            )
            session.add(row)
            session.flush()
            return row.id

    def backed_up(self, name: str, key: str = "first", **more: Any) -> int:
        """A new target whose backup is taken."""
        target = self.target(name, key, **more)
        self.action(target, ActionKind.BACKUP)
        before = self.stage(key).state
        self.put(StageState.PREPARING, key)
        for claim in self.claim(key):
            execute(self.parts, claim)
        self.put(before, key)
        return target

    def wants(self, key: str = "first") -> list[claiming.Want]:
        engine = Engine(self.parts)
        return [w for w in engine.wants() if w.stage_id == self.stage(key).id]

    def claim(self, key: str = "first", parts: Parts | None = None) -> list[Claim]:
        parts = parts or self.parts
        with self.database.write() as session:
            return claiming.claim(
                session,
                self.database.machine_now(session),
                self.now,
                [{"first": "dev", "second": "prod"}[key]],
                parts.owner,
                self.wants(key),
                parts.lease_seconds,
                100,
            )

    def work(self, key: str = "first", seconds: float = 6.0, rounds: int = 1) -> None:
        """Claim and carry out, ``rounds`` times, with some machine time between."""
        for _ in range(rounds):
            for claim in self.claim(key):
                execute(self.parts, claim)
            self.database.push(seconds)

    def advance(self, key: str = "first") -> StageState:
        """Let the stage move on as far as it goes now."""
        while progress.advance(self.parts, self.stage(key).id):
            pass
        return self.stage(key).state

    def get(self, action: int) -> Action:
        with self.database.read() as session:
            return session.execute(select(Action).where(Action.id == action)).scalar_one()

    def of(self, target: int, kind: ActionKind) -> list[Action]:
        with self.database.read() as session:
            rows = session.execute(
                select(Action).where(Action.target_id == target, Action.kind == kind).order_by(Action.attempt)
            )
            return list(rows.scalars())


@contextmanager
def desk(url: str, monkeypatch: pytest.MonkeyPatch, plan: Plan | None = None) -> Iterator[Desk]:
    """A desk on a migrated database, with the plan of two stages or another."""
    database = PushedClock(url)
    made = Desk(database, plan or plan_of_two())
    monkeypatch.setitem(KINDS, "cluster", made.kind)
    try:
        yield made
    finally:
        database.close()


def seen(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a change notes of its target just before it writes."""
    return {"state": raw["state"], "start_time": None, "last_restarted_time": 1, "calendar": NOW.isoformat()}
