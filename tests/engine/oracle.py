"""What must hold of the engine, whatever people, weather and deaths do: asked at each write and each step.

The oracle looks at the raw store of the local Databricks, which shows no lag, and at the rows of the database.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from rollout.change import SUPPORTS, Change, Holds, compare
from rollout.states import ACTION_BAD, ACTION_OPEN, BACKWARD, ActionKind, ActionState, StageState
from sandbox.databricks.call import Call
from sandbox.databricks.errors import ApiError
from sandbox.databricks.workspace import Workspace
from storage.models import Action, Backup, Rollout, Stage, Target
from tests.engine.byhand import ByHand, reads
from workspace.kinds import KINDS

READ = {
    "cluster": ("/api/2.1/clusters/get", "cluster_id", "clusters"),
    "job": ("/api/2.2/jobs/get", "job_id", "jobs"),
    "policy": ("/api/2.0/policies/clusters/get", "policy_id", "policies"),
}
EDITS = ("/clusters/update", "/jobs/update", "/policies/clusters/edit")
Thing = tuple[str, str, str]  # workspace, kind, id


@dataclass(slots=True)
class Past:
    """What happened to one thing, as numbers of calls."""

    seen: int = 0  # the engine's newest read of it that did not lag
    touched: int = 0  # somebody else's newest edit
    ever: bool = False  # somebody else edited or deleted it
    writes: Counter[str] = field(default_factory=Counter)


class Oracle:
    """Watches one world. Whatever is not as it must be is an AssertionError."""

    def __init__(self, world: ByHand, max_parallel: Mapping[str, int]) -> None:
        self.world, self._max_parallel = world, max_parallel
        self.things: dict[Thing, Past] = {}
        self._backups: dict[int, bytes] = {}
        self._ended: dict[int, tuple[Any, ...]] = {}
        self._held: dict[str, int] = {}  # stage -> since which call nothing forward may be begun
        for ws in world.databricks.workspaces.values():
            for kind, ids in (("cluster", ws.clusters), ("job", ws.jobs), ("policy", ws.shelf("policies"))):
                for object_id in ids:
                    self.things[(ws.key, kind, str(object_id))] = Past()
        self.first = {thing: self.essence(thing) for thing in self.things}
        world.after_call = self._after_call
        world.around_write = self._around_write

    # -- the world -----------------------------------------------------------------------------------------------------

    def raw(self, thing: Thing) -> dict[str, Any] | None:
        """How it really is."""
        key, kind, object_id = thing
        path, name, _ = READ[kind]
        return self.world.truth(self.world.databricks.workspaces[key], path, **{name: object_id})

    def essence(self, thing: Thing) -> str | None:
        """What people configured of it, and nothing that the platform sets by itself."""
        raw = self.raw(thing)
        if raw is None:
            return None
        mine = {"cluster": raw.get("spec"), "job": raw.get("settings"), "policy": raw}[thing[1]]
        return json.dumps(mine, sort_keys=True)

    def touch(self, thing: Thing) -> None:
        """Somebody else edits it now."""
        past = self.things[thing]
        past.touched, past.ever = self.world.calls + 1, True

    def hold(self, stages: Iterable[str]) -> None:
        """From now on nothing forward may be begun in these stages."""
        for stage in stages:
            self._held.setdefault(stage, self.world.calls - self.world.calling)  # before the call that is being made

    def release(self, stages: Iterable[str]) -> None:
        """They may go on."""
        for stage in stages:
            self._held.pop(stage, None)

    # -- at each call --------------------------------------------------------------------------------------------------

    def _named(self, ws: Workspace, call: Call) -> Thing | None:
        for kind, (_, name, _) in READ.items():
            given = call.body.get(name) or call.text(name)
            if given and (ws.key, kind, str(given)) in self.things:
                return ws.key, kind, str(given)
        return None

    def _after_call(self, ws: Workspace, call: Call) -> None:
        thing = self._named(ws, call)
        if thing is None or not reads(call) or not call.path.endswith("/get"):
            return
        key: Any = int(thing[2]) if thing[1] == "job" else thing[2]
        if not self.world.databricks.lag.hides(ws, READ[thing[1]][2], key):
            self.things[thing].seen = self.world.calls

    def _around_write(self, ws: Workspace, call: Call, send: Callable[[], Any]) -> Any:
        thing = self._named(ws, call)
        assert thing is not None, f"{call.path} of something that nobody knows: {call.body}"
        if not call.path.endswith(EDITS):
            assert call.path.endswith("/clusters/start"), f"nobody asked for {call.path}"
            return send()
        past, before, raw = self.things[thing], self.essence(thing), self.raw(thing)
        action, stage = self._action(thing)
        looked = past.touched < past.seen  # else it was edited in the moment between look and write
        if action.kind is ActionKind.CHANGE and raw is not None and looked:
            holds = compare(Change.from_json(action.change or {}), self._values(thing, raw, action))
            assert holds is Holds.BEFORE, f"{thing} is written to while it holds {holds}"
        if action.kind is ActionKind.CHANGE:
            held = self._held.get(stage.key)
            assert held is None or held >= past.seen, f"{thing} is changed although {stage.key} is held"
        thirds = self._thirds(thing, raw, action) if raw is not None and looked else {}
        answer = send()
        after, now = self.essence(thing), self.raw(thing)
        assert not looked or before != after, f"a needless write: {call.path} of {thing} by {action.kind}"
        if now is not None:
            kept = self._thirds(thing, now, action)
            assert all(kept.get(path) == value for path, value in thirds.items()), f"{thing}: {thirds} written over"
        past.writes[f"{stage.key} {stage.generation} {action.kind}"] += 1
        return answer

    def _action(self, thing: Thing) -> tuple[Action, Stage]:
        """The action that writes now: begun, its intent committed, and its target backed up."""
        key, kind, object_id = thing
        with self.world.database.read() as session:
            rows = session.execute(
                select(Action, Stage)
                .join(Target, Target.id == Action.target_id)
                .join(Stage, Stage.id == Action.stage_id)
                .where(
                    Target.workspace == key,
                    Target.kind == kind,
                    Target.object_id == object_id,
                    Action.state.in_(ACTION_OPEN),
                )
            ).all()
            assert len(rows) == 1, f"{thing} is written to by {len(rows)} open actions"
            action, stage = rows[0]
            assert action.state is ActionState.RUNNING, f"{thing}: {action.kind} is {action.state}"
            assert action.intent_at is not None, f"{thing}: written to before the intent was committed"
            backup = select(Backup).where(
                Backup.target_id == action.target_id,
                Backup.stage_id == stage.id,
                Backup.generation == action.generation,
            )
            assert session.execute(backup).scalar_one_or_none() is not None, f"{thing}: written to without a backup"
            return action, stage

    def _values(self, thing: Thing, raw: dict[str, Any], action: Action) -> list[Any]:
        return KINDS[thing[1]].values(raw, Change.from_json(action.change or {}))

    def _thirds(self, thing: Thing, raw: dict[str, Any], action: Action) -> dict[tuple[str, ...], Any]:
        """The fields that hold somebody else's value."""
        change = Change.from_json(action.change or {})
        values = self._values(thing, raw, action)
        return {f.path: v for f, v in zip(change.fields, values, strict=True) if v not in (f.before, f.after)}

    # -- after each step -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask for everything that must always hold."""
        with self.world.database.read() as session:
            rollout = session.execute(select(Rollout)).scalar_one()
            stages = {s.id: s for s in session.execute(select(Stage)).scalars()}
            rows = session.execute(select(Action, Target).join(Target, Target.id == Action.target_id)).all()
            backups = session.execute(select(Backup)).scalars().all()
        for backup in backups:
            assert self._backups.setdefault(backup.id, backup.ciphertext) == backup.ciphertext, "a backup was changed"
        in_flight: Counter[tuple[str, bool]] = Counter()
        open_: Counter[int] = Counter()
        for action, target in rows:
            thing = (target.workspace, target.kind, target.object_id)
            assert action.reason_code not in ("internal_error", "no_backup"), f"{thing}: {action.sentence}"
            open_[target.id] += action.state in ACTION_OPEN
            in_flight[(action.workspace, action.kind is ActionKind.REVERT)] += action.state is ActionState.RUNNING
            if action.state in ACTION_OPEN:
                assert action.id not in self._ended, f"{thing}: {action.kind} had ended and goes on"
                continue
            said = (action.state, action.reason_code, action.sentence, action.ended_at)
            if action.id not in self._ended:
                self._ended[action.id] = said
                self._has_ended(thing, action)
            assert self._ended[action.id] == said, f"{thing}: an ended {action.kind} was changed"
        assert max(open_.values(), default=0) <= 1, "two open actions of one target"
        for (workspace, _), number in in_flight.items():
            assert number <= self._max_parallel[workspace], f"{number} in flight in {workspace}"
        for stage in stages.values():
            mine = [(a, t) for a, t in rows if a.stage_id == stage.id and a.generation == stage.generation]
            self._status(rollout, stage, mine)

    def _has_ended(self, thing: Thing, action: Action) -> None:
        """What an action that ended well says of the world is so, unless somebody else came since the last look."""
        past, raw = self.things[thing], self.raw(thing)
        if action.state is not ActionState.DONE or action.change is None or past.touched >= past.seen:
            return
        assert raw is not None, f"{thing} is gone, and {action.kind} is done"
        holds = compare(Change.from_json(action.change), self._values(thing, raw, action))
        if action.kind in (ActionKind.CHANGE, ActionKind.VALIDATE):
            assert holds is Holds.AFTER, f"{thing}: {action.kind} is done, and it holds {holds}"
        elif action.kind is ActionKind.REVERT and not past.ever:
            assert holds is Holds.BEFORE, f"{thing}: put back, and it holds {holds}"

    def _status(self, rollout: Rollout, stage: Stage, rows: list[tuple[Action, Target]]) -> None:
        """A stage never says that it is done, passed or rolled back when that is not so."""
        newest = {(t.id, a.kind): (a, t) for a, t in sorted(rows, key=lambda row: row[0].attempt)}
        forward = [(a, t) for (_, kind), (a, t) in newest.items() if kind is ActionKind.CHANGE]
        if stage.state in (StageState.BAKING, StageState.REVIEW, StageState.PASSED):
            # One target may be put back by itself; and a policy's default flips once its last stage has passed.
            ended = stage.state is StageState.PASSED
            ours = [(a, t) for a, t in rows if a.kind not in BACKWARD and not (ended and t.kind in SUPPORTS)]
            open_ = [t.name for a, t in ours if a.state in ACTION_OPEN]
            assert not open_, f"{stage.key} is {stage.state} with {open_} unfinished"
            for a, t in forward:
                assert a.state not in ACTION_BAD or t.pinned_reason, f"{stage.key} is {stage.state}, {t.name} {a.state}"
                self._is(t, a, Holds.AFTER, stage)
        if stage.state is StageState.ROLLED_BACK:
            open_ = [t.name for a, t in rows if a.state in ACTION_OPEN]
            assert not open_, f"{stage.key} is rolled back with {open_} unfinished"
            back = [(a, t) for (_, kind), (a, t) in newest.items() if kind is ActionKind.REVERT]
            bad = [t.name for a, t in back if a.state in ACTION_BAD]
            assert bool(bad) == (stage.block_code is not None), f"{stage.key}: {bad}, and it says {stage.block_code}"
            for _, t in rows:
                thing = (t.workspace, t.kind, t.object_id)
                left = t.kind in SUPPORTS and stage.generation == 1 and thing in self.things
                if not bad and not self.things[thing].ever and not (left and self._kept_for_others(rows)):
                    assert self.essence(thing) == self.first[thing], f"{stage.key} is rolled back, {t.name} is not"

    def _kept_for_others(self, rows: list[tuple[Action, Target]]) -> bool:
        """Whether a support was left as it was because somebody needs it."""
        return any(a.reason_code == "support_in_use" for a, _ in rows)

    def _is(self, target: Target, action: Action, wanted: Holds, stage: Stage) -> None:
        thing = (target.workspace, target.kind, target.object_id)
        past, raw = self.things[thing], self.raw(thing)
        if target.pinned_reason or action.change is None or past.ever or action.state is not ActionState.DONE:
            return
        assert raw is not None
        holds = compare(Change.from_json(action.change), self._values(thing, raw, action))
        assert holds is wanted, f"{stage.key} is {stage.state}, and {target.name} holds {holds}"

    def everything_is_as_before(self) -> None:
        """At the end, when all was rolled back: whatever nobody else touched is as it was at first."""
        different = {
            thing: (self.first[thing], found)
            for thing, past in self.things.items()
            if not past.ever and (found := self.essence(thing)) != self.first[thing]
        }
        assert not different, different


__all__ = ["ApiError", "Oracle", "Thing"]
