"""The engine: one thread that reconciles and claims, a pool that carries out, and APScheduler that ticks."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as Ticks
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from engine import confirm, discover, escalation, progress, runwatch, schedule, watch
from engine.execute import execute
from engine.parts import Parts
from engine.pool import Pool
from engine.resting import Waits
from rollout.states import ENGINE_STATES, WORK_OF, ActionKind, StageState
from rollout.windows import may_touch
from storage import actions, attempts, claiming, evidence, intents_schedule, owners, teamdue
from storage.claiming import Want
from storage.models import Rollout, Stage
from storage.plans import plan_of
from storage.record import touch_card
from storage.sealing import Sealer

log = structlog.get_logger(__name__)

#: Machine seconds between two passes when nothing wakes the loop earlier.
PASS_EVERY = 0.5
#: Machine seconds between two passes at least: many actions end at about the same time, and each wakes the loop.
LEAST_APART = 0.03
#: Machine seconds between two looks at how the stages stand, while actions end all the time: each only makes room.
RECONCILE_EVERY = 0.25
#: Machine seconds between two edits of a progress bar.
PROGRESS_EVERY = 2.0
#: Machine seconds before work that ended with an error is begun again.
AFTER_FAILURE = 3.0


class Engine:
    """Start it, wake it after an intent was stored, stop it. One per process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pool = Pool(parts.parallel, "action")
        self._looks = Pool(max(len(parts.clients), 1), "look")  # discovery: all workspaces at once
        self._waits: Waits = {}
        self._bakes = Pool(2, "bake")  # runs, and the ends of bakes: they wait for no discovery
        self._ticks = Pool(5, "tick")
        self._sealer = Sealer(parts.database, parts.owner)
        self._wake = threading.Event()
        self._news = True  # something may have changed that is more than an action that ended
        self._reconciled = 0.0
        self._wants: list[Want] = []
        self._stopping = threading.Event()
        self._busy = 0
        self._count = threading.Lock()
        self._under_way: set[str] = set()
        self._runs = runwatch.RunWatch(parts)
        self._confirmed: set[tuple[int, int]] = set()  # stages, with their generation
        self._progress: dict[int, tuple[tuple[Any, ...], float]] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": Ticks(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        if self._parts.database.is_sqlite:
            # Only one engine runs on a SQLite file, so whoever held a lease before us is dead.
            actions.forget_leases(self._parts.database)
        ticks = (
            ("schedule", self._tick_schedule),
            ("looks", self._tick_looks),
            ("seals", self._tick_seals),
            ("escalation", partial(escalation.tick, self._parts)),
            ("hooks", partial(escalation.call_hooks, self._parts)),
        )
        for name, tick in ticks:
            # Only handed on: whatever hangs in a tick must not hold up the end of the process.
            begin = partial(self._once, f"tick:{name}", tick, self._ticks)
            self._scheduler.add_job(begin, "interval", seconds=1, id=name)
        self._say_what_cannot_be_done()
        if self._parts.read_only:
            log.warning("read_only", detail="nothing is begun, changed or put back: ROLLOUT_READ_ONLY is set")
        self._scheduler.start()
        self._tick_looks()
        self._thread.start()

    def wake(self) -> None:
        """Something was stored that the engine should see now."""
        self._news = True
        self._wake.set()

    def stop(self, timeout: float = 8.0) -> None:
        """Claim nothing more, finish the calls in hand, stop; after ``timeout`` machine seconds whatever still hangs.

        A write that is then still under way is of unknown outcome to the next engine, which looks before it writes.
        """
        until = time.monotonic() + timeout
        self._stopping.set()
        self._wake.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for pool in self._pools:
            pool.close()
        if self._thread.is_alive():
            self._thread.join(max(until - time.monotonic(), 0.0))
        ended = [pool.join(until) for pool in self._pools]
        if not all(ended):
            log.warning("stopped_with_calls_in_hand")

    def die(self) -> None:
        """For tests: stop as if the process had been killed; nothing is finished, nothing given back."""
        self._stopping.set()
        self._wake.set()
        self._scheduler.shutdown(wait=False)
        for pool in self._pools:
            pool.close()

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self._pool, self._looks, self._bakes, self._ticks

    def _say_what_cannot_be_done(self) -> None:
        """Work in a workspace for which this process has no settings would wait for ever: the log names it."""
        with self._parts.database.read() as session:
            found = actions.workspaces_with_open(session)
        for workspace in sorted(found - self._parts.clients.keys()):
            log.error("workspace_without_settings", workspace=workspace, setting=f"DATABRICKS_{workspace.upper()}_HOST")

    # -- passes --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._news or self._busy == 0 or time.monotonic() - self._reconciled >= RECONCILE_EVERY:
                    self.pass_once()
                else:
                    self._claim()  # only room was made
            except SQLAlchemyError as error:
                # The database is away or busy: the next pass reads everything anew.
                log.error("pass_failed", error=type(error).__name__)
                self._stopping.wait(1.0)
            except Exception:
                log.exception("pass_failed_unexpectedly")
                self._stopping.wait(1.0)
            self._stopping.wait(LEAST_APART)
            self._wake.wait(PASS_EVERY)
            self._wake.clear()

    def pass_once(self) -> None:
        """Reconcile every open stage, then claim what may be claimed."""
        self._news, self._reconciled = False, time.monotonic()
        with self._parts.database.read() as session:
            stages = session.execute(
                select(Stage.id, Stage.state)
                .join(Rollout)
                .where(Rollout.open, Stage.state.in_(ENGINE_STATES))
                .order_by(Stage.position.desc())
            ).all()
        for stage_id, state in stages:
            try:
                self._move(stage_id, state)
            except SQLAlchemyError:
                raise
            except Exception:
                # A defect that one stage brings up must not hold the others, least of all a rollback.
                log.exception("stage_not_moved", stage=stage_id)
        self._wants = self.wants()
        self._claim()

    def _move(self, stage_id: int, state: StageState) -> None:
        if stage_id in self._runs.stages and runwatch.stop(self._parts, stage_id):
            return
        if state is StageState.BAKING:
            self._once(f"bake:{stage_id}", partial(watch.finish_bake, self._parts, stage_id, self._waits), self._bakes)
            return
        while progress.advance(self._parts, stage_id):
            pass
        self._show_progress(stage_id)

    def _show_progress(self, stage_id: int) -> None:
        """Edit the card when the counts moved, but not at every action."""
        machine = self._parts.database.machine().timestamp()
        shown, at = self._progress.get(stage_id, ((), 0.0))
        if machine - at < PROGRESS_EVERY:
            return
        with self._parts.database.read() as session:
            stage = session.get(Stage, stage_id)
            if stage is None or stage.state not in WORK_OF:
                return
            found = attempts.counts(session, stage.id, stage.generation, WORK_OF[stage.state])
        seen = (stage.state, *sorted((str(k), v) for k, v in found.items()))
        if seen != shown:
            self._progress[stage_id] = (seen, machine)
            with self._parts.database.write() as session:
                touch_card(session, stage)

    def _claim(self) -> None:
        if self._parts.read_only:  # also what is in flight stays as it is until a process comes that may write
            return
        wants = [want for want in self._wants if self._is_confirmed(want)]
        if self._parts.parallel <= self._busy:
            return
        workspaces = self._with_work(wants)
        if not workspaces or self._stopping.is_set():
            return
        with self._parts.database.write() as session:
            claims = claiming.claim(
                session,
                self._parts.database.machine_now(session),
                self._parts.calendar(),
                workspaces,
                self._parts.owner,
                wants,
                self._parts.lease_seconds,
                self._parts.parallel - self._busy,
            )
        for claim in claims:
            self._submit(partial(execute, self._parts, claim))

    def _is_confirmed(self, want: Want) -> bool:
        """False of looks after the change as long as one listing for all of them is under way; begins it."""
        key = (want.stage_id, want.generation)
        if want.kind is not ActionKind.VALIDATE or key in self._confirmed:
            return True

        def once() -> bool:
            try:
                confirm.confirm(self._parts, want.stage_id)
            finally:
                self._confirmed.add(key)
            return True

        self._once(f"confirm:{want.stage_id}", once, self._bakes)
        return False

    def _with_work(self, wants: Sequence[Want]) -> list[str]:
        machine = self._parts.database.machine()
        with self._parts.database.read() as session:
            found = claiming.with_work(session, machine, wants)
        return [workspace for workspace in self._parts.clients if workspace in found]

    def wants(self) -> list[Want]:
        """What each stage would like done now; backward work first, later stages first."""
        now = self._parts.calendar()
        wants = []
        with self._parts.database.read() as session:
            stages = session.execute(
                select(Stage).join(Rollout).where(Rollout.open).order_by(Stage.position.desc())
            ).scalars()
            for stage in stages:
                limits = plan_of(stage.rollout).stage(stage.key)
                # A revert may also be that of one target, in any state of its stage.
                for back in (ActionKind.REVERT, ActionKind.COMPARE):
                    wants.append(Want(stage.id, stage.generation, back, None, limits.max_parallel, None))
                if stage.state is StageState.PASSED and not stage.locked and not stage.rollout.paused:
                    wants += _of_supports(stage, limits.max_parallel, now)
                kind = WORK_OF.get(stage.state)
                if kind is None or kind is ActionKind.REVERT or stage.locked or stage.rollout.paused:
                    continue
                plan, change = plan_of(stage.rollout), kind is ActionKind.CHANGE
                # Windows and freezes hold changes only; looking and backing up is always allowed.
                if change and not may_touch(plan, stage.key, False, now):
                    continue
                wants.append(
                    Want(
                        stage.id,
                        stage.generation,
                        kind,
                        stage.state,
                        limits.max_parallel,
                        attempts.allowed_failures(session, stage),
                        leave_shared=change and not may_touch(plan, stage.key, True, now),
                    )
                )
        return sorted(wants, key=lambda w: (w.forward, w.kind is ActionKind.COMPARE))

    # -- ticks ---------------------------------------------------------------------------------------------------------

    def _tick_schedule(self) -> None:
        def look(stage_id: int, period: str) -> None:
            self._once(f"runs:{stage_id}", partial(watch.look_at_runs, self._parts, stage_id, period), self._bakes)

        # Read only: a start stays planned until an engine comes that may write.
        if not self._parts.read_only and intents_schedule.begin_due(self._parts.database, self._parts.calendar()):
            self.wake()
        if not self._parts.read_only and teamdue.tick(self._parts.database, self._parts.calendar()):
            self.wake()
        owners.tick(self._parts.database, self._parts.calendar())
        schedule.tick(self._parts, look)

    def _tick_looks(self) -> None:
        for key in discover.due(self._parts):
            self._once(f"discover:{key}", partial(discover.look, self._parts, key), self._looks)
        for key in self._runs.due():
            self._once(f"runs_of:{key}", partial(self._runs.look, key), self._bakes)

    def _tick_seals(self) -> None:
        # Also a process of an older version, during an upgrade, may leave evidence without its text.
        evidence.freeze_old(self._parts.database, self._parts.calendar())
        self._sealer.tick()

    # -- pool ----------------------------------------------------------------------------------------------------------

    def _submit(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._count:
                    self._busy -= 1
                self._wake.set()

        with self._count:
            self._busy += 1
        if not self._pool.submit(run):  # stopping: the lease ends by itself
            with self._count:
                self._busy -= 1

    def _once(self, name: str, work: Callable[[], object], pool: Pool) -> None:
        """Run ``work`` unless work of the same name is under way in this process; True of it wakes the loop."""
        with self._count:
            if name in self._under_way or self._stopping.is_set():
                return
            self._under_way.add(name)

        def run() -> None:
            moved: object = False
            try:
                moved = work()
            except Exception:
                log.exception("work_failed", work=name)
                self._stopping.wait(AFTER_FAILURE)
            finally:
                with self._count:
                    self._under_way.discard(name)
            if moved:  # else a stage that bakes would keep the loop running without a rest
                self.wake()

        if not pool.submit(run):
            with self._count:
                self._under_way.discard(name)


def _of_supports(stage: Stage, at_once: int, now: datetime) -> list[Want]:
    """What a passed stage still does to the supports of which it is the last user."""
    kinds = [ActionKind.BACKUP]
    if may_touch(plan_of(stage.rollout), stage.key, False, now):
        kinds.append(ActionKind.CHANGE)
    return [Want(stage.id, stage.generation, kind, StageState.PASSED, at_once, None) for kind in kinds]
