"""Acts of people that move a rollout forward: start, retry, pause, resume, look again, share.

Each is one write transaction that gathers the facts again under locks and decides again; it returns what was done, or
the refusal.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from rollout import gates
from rollout.gatefacts import pause_facts, resume_facts, retry_facts, start_facts
from rollout.gates import Refuse
from rollout.reasons import Reason
from rollout.states import WORK_OF, ActionKind, StageState
from rollout.teams import is_ambiguous
from storage import attempts, dryrun, managed, owners, tallies
from storage.acting import Act, Who, acting, stale
from storage.database import Database
from storage.models import Action, ScheduledStart, Stage, Target, Workspace
from storage.record import event, post, touch_card
from storage.transitions import move


@dataclass(frozen=True, slots=True)
class Started:
    """The stage is under way; ``targets`` are its change set."""

    stage: str
    targets: int


@dataclass(frozen=True, slots=True)
class Retried:
    """The stage goes on; ``targets`` are tried again."""

    stage: str
    targets: int


@dataclass(frozen=True, slots=True)
class Done:
    """It is so now."""


def start(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    stage_key: str,
    confirm: str,
    version: int | None = None,
) -> Started | Refuse:
    """Start a stage: what was confirmed (the digest ``confirm``) is what starts, or nothing does."""
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        return begin(act, stage_key, confirm)


def begin(act: Act, stage_key: str, confirm: str) -> Started | Refuse:
    """Start a stage that is locked by ``act``, as the person who acts; a start that waits for its time is over then."""
    stage, session, now, who = act.stages[stage_key], act.session, act.now, act.who
    rollout_id = act.rollout.id
    decision = gates.may_start(start_facts(act.standing, stage_key, who.user_id, act.roles, now))
    if isinstance(decision, Refuse):
        return decision
    planned = dryrun.change_set(session, rollout_id, stage_key)
    digest = dryrun.digest_of(planned)
    if digest != confirm:
        return Refuse((changed(stage_key, confirm, digest),))
    if stage.state is StageState.WAITING:
        move(session, stage, StageState.READY, now, who.by, f"{stage_key} may be started")
    frozen = [(p.target_id, p.workspace, p.change.to_json()) for p in planned]
    # What repositories own is backed up as well, and changed by them.
    owned = [(t.id, t.workspace, None) for t in managed.to_back_up(session, rollout_id, stage_key)]
    teams = select(Target.id, Target.team).where(Target.rollout_id == rollout_id, Target.team.is_not(None))
    rows = session.execute(teams.where(Target.stage_key == stage_key))
    whose = {row.id: row.team for row in rows if not is_ambiguous(row.team or "")}
    attempts.insert_actions(
        session,
        (
            {
                "rollout_id": rollout_id,
                "stage_id": stage.id,
                "generation": stage.generation,
                "target_id": target_id,
                "workspace": workspace,
                "kind": ActionKind.BACKUP,
                "attempt": 1,
                "change": change,
                "team": whose.get(target_id),
                "created_at": now,
            }
            for target_id, workspace, change in (*frozen, *owned)
        ),
    )
    if act.plan.owner_notice:
        owners.note(session, stage, [target_id for target_id, _, _ in (*frozen, *owned)], now)
    targets = len(dryrun.targets_of(planned))
    first = f", {len(planned) - targets} supports first" if len(planned) > targets else ""
    sentence = f"started {stage_key}: {targets} targets{first}, change set {digest[:8]}"
    event(session, now, who.by, "start", sentence, stage=stage, data={"digest": digest})
    move(
        session,
        stage,
        StageState.PREPARING,
        now,
        who.by,
        sentence,
        started_by=who.user_id,
        started_at=now,
        change_set_digest=digest,
    )
    session.execute(
        update(ScheduledStart)
        .where(ScheduledStart.stage_id == stage.id, ScheduledStart.state == "waiting")
        .values(state="cancelled", ended_at=now)
        .execution_options(synchronize_session=False)
    )
    return Started(stage_key, targets)


def changed(stage_key: str, shown: str, now: str) -> Reason:
    """The change set is no longer the one that the person saw."""
    return Reason(
        "change_set_changed",
        f"What {stage_key} would change is no longer what you confirmed ({shown[:8]}, now {now[:8]}); nothing started.",
        f"/rollout start {stage_key} shows what it would change now.",
    )


def retry(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str, version: int | None = None
) -> Retried | Refuse:
    """Let a blocked stage go on where it stopped, with a new attempt for each target that failed."""
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        decision = gates.may_retry(retry_facts(act.standing, stage_key, act.roles))
        if isinstance(decision, Refuse):
            return decision
        back_to = stage.left_state or StageState.PREPARING
        kind = WORK_OF.get(back_to)
        repeated = repeat_bad(act.session, stage, kind, now) if kind is not None else 0
        sentence = f"let {stage_key} go on: {repeated} targets again" if repeated else f"let {stage_key} go on"
        event(act.session, now, who.by, "retry", sentence, stage=stage, data={"targets": repeated})
        move(
            act.session,
            stage,
            back_to,
            now,
            who.by,
            sentence,
            left_state=None,
            block_code=None,
            block_sentence=None,
            runs_from=now,
        )
        return Retried(stage_key, repeated)


def repeat_bad(session: Session, stage: Stage, kind: ActionKind, now: datetime) -> int:
    """A new attempt for every target whose newest action of that kind failed; returns how many."""
    bad = tallies.newest_bad(session, stage.id, stage.generation, kind)
    for action, target in bad:
        session.add(
            Action(
                rollout_id=stage.rollout_id,
                stage_id=stage.id,
                generation=stage.generation,
                target_id=target.id,
                workspace=action.workspace,
                kind=kind,
                attempt=action.attempt + 1,
                change=action.change,
                created_at=now,
            )
        )
    session.flush()
    return len(bad)


PAUSED_ANEW = Reason(
    "stale_view",
    "The rollout was paused anew since this button was drawn; it stays paused.",
    "/rollout status says why; /rollout resume lifts it.",
)


def pause(database: Database, who: Who, now: datetime, rollout_id: int, reason: str) -> Done | Refuse:
    """Hold all forward work of the rollout: no new claims from the next tick on."""
    with acting(database, who, now, rollout_id) as act:
        decision = gates.may_pause(pause_facts(act.standing, act.roles))
        if isinstance(decision, Refuse):
            return decision
        rollout = act.rollout
        rollout.paused, rollout.paused_reason, rollout.paused_by, rollout.paused_at = True, reason, who.user_id, now
        rollout.version += 1
        sentence = f"paused the rollout: {reason}" if reason else "paused the rollout"
        event(act.session, now, who.by, "pause", sentence, rollout_id=rollout_id, data={"reason": reason})
        post(act.session, now, f"paused:{rollout_id}:{rollout.version}", "paused", rollout_id=rollout_id, repeat=True)
        _touch_cards(act.session, rollout_id)
        return Done()


def resume(database: Database, who: Who, now: datetime, rollout_id: int, version: int | None = None) -> Done | Refuse:
    """Let the rollout go on; ``version`` is that of the rollout that was shown: another pause is not lifted."""
    with acting(database, who, now, rollout_id) as act:
        decision = gates.may_resume(resume_facts(act.standing, act.roles))
        if isinstance(decision, Refuse):
            return decision
        if version is not None and version != act.rollout.version:
            return Refuse((PAUSED_ANEW,))
        rollout = act.rollout
        rollout.paused, rollout.paused_reason, rollout.paused_by, rollout.paused_at = False, None, None, None
        rollout.version += 1
        event(act.session, now, who.by, "resume", "resumed the rollout", rollout_id=rollout_id)
        post(act.session, now, f"resumed:{rollout_id}:{rollout.version}", "resumed", rollout_id=rollout_id)
        _touch_cards(act.session, rollout_id)
        return Done()


def _touch_cards(session: Session, rollout_id: int) -> None:
    for stage in session.execute(
        select(Stage).where(Stage.rollout_id == rollout_id, Stage.state.not_in({StageState.WAITING, StageState.READY}))
    ).scalars():
        if stage.state not in {StageState.PASSED, StageState.ROLLED_BACK}:
            touch_card(session, stage)


def look_again(database: Database, who: Who, now: datetime, rollout_id: int) -> int:
    """Ask for a fresh look at the workspaces of the plan; returns how many were asked for."""
    with acting(database, who, now, rollout_id) as act:
        keys = act.plan.workspaces
        act.session.execute(
            update(Workspace)
            .where(Workspace.key.in_(keys))
            .values(look_wanted_at=now)
            .execution_options(synchronize_session=False)
        )
        event(act.session, now, who.by, "refresh", "asked for a fresh look", rollout_id=rollout_id)
        return act.session.execute(
            select(func.count()).select_from(Workspace).where(Workspace.key.in_(keys))
        ).scalar_one()


def share(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    verb: str,
    arguments: Mapping[str, Any],
    stage_id: int | None = None,
) -> bool:
    """Queue a look for the channel; False when the same was asked for in this very minute (a double press)."""
    asked = json.dumps([verb, dict(arguments)], sort_keys=True, default=str)
    digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
    with database.write() as session:
        key = f"shared:{rollout_id}:{who.user_id}:{digest}:{int(time.time() // 60)}"
        ids = {"verb": verb, "arguments": dict(arguments), "by": who.user_id}
        queued = post(session, now, key, "shared", rollout_id=rollout_id, ids=ids)
        if queued:
            event(session, now, who.by, "share", f"shared {verb} with the channel", rollout_id=rollout_id, data=ids)
        return queued
