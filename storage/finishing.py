"""Policies that were widened and whose last stage has passed: what they are due, and the actions for it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS, Change, FieldChange
from rollout.states import ACTION_BAD, ACTION_ENDED, ActionKind, ActionState, StageState
from storage import attempts
from storage.dryrun import ALREADY, in_change_set
from storage.models import Action, Backup, Rollout, Stage, Target
from storage.plans import plan_of
from storage.record import ENGINE, event
from storage.transitions import lock_stage


@dataclass(frozen=True, slots=True)
class Finished:
    """A policy whose targets have all moved. ``stage_id``: the last stage that uses it; ``change``: what was last
    written to it; ``narrow``: whether it may lose the old runtime."""

    target_id: int
    name: str
    stage_id: int
    change: Change
    narrow: bool


def finished(session: Session, rollout: Rollout, workspace: str) -> list[Finished]:
    """The policies of a workspace that were widened by passed stages and that nothing is waiting for any more."""
    changes = _newest_changes(session, rollout.id, workspace)
    if not changes:
        return []
    stages = {s.key: s for s in session.execute(select(Stage).where(Stage.rollout_id == rollout.id)).scalars()}
    passed = {key for key, stage in stages.items() if stage.state is StageState.PASSED}
    plan = plan_of(rollout)
    narrow = plan.supports.narrow and len(passed) == len(stages)
    users = _users(session, rollout.id, workspace, plan.runtimes.source)
    found = []
    for target, action in changes:
        of_it = users.get(target.object_id, [])
        keys = {user.stage_key for user in of_it if user.stage_key is not None}
        if any(user.waits for user in of_it) or not keys <= passed:
            continue
        uses = [stages[key] for key in keys] + [s for s in stages.values() if s.id == action.stage_id]
        last = max(uses, key=lambda stage: stage.position)
        free = narrow and not any(user.on_source for user in of_it)
        found.append(Finished(target.id, target.name, last.id, Change.from_json(action.change or {}), free))
    return found


@dataclass(frozen=True, slots=True)
class _User:
    stage_key: str | None
    waits: bool  # it is still to be moved, by us or by its repository
    on_source: bool


def _newest_changes(session: Session, rollout_id: int, workspace: str) -> list[tuple[Target, Action]]:
    """The policies with the newest of their changes that a passed stage has made; none that is busy or that failed."""
    rows = session.execute(
        select(Target, Action)
        .join(Action, Action.target_id == Target.id)
        .join(Stage, (Stage.id == Action.stage_id) & (Stage.generation == Action.generation))
        .where(
            Target.rollout_id == rollout_id,
            Target.workspace == workspace,
            Target.kind == "policy",
            Target.gone.is_(False),
            Stage.state == StageState.PASSED,
            Action.kind == ActionKind.CHANGE,
        )
        .order_by(Action.id)
    )
    newest = {target.id: (target, action) for target, action in rows}
    open_ = set(
        session.execute(
            select(Action.target_id).where(Action.target_id.in_(newest), Action.state.not_in(ACTION_ENDED))
        ).scalars()
    )
    return [
        (target, action)
        for target, action in newest.values()
        if action.state is ActionState.DONE and target.id not in open_
    ]


def _users(session: Session, rollout_id: int, workspace: str, source: str) -> dict[str, list[_User]]:
    """Policy -> the clusters and jobs that it governs."""
    rows = session.execute(
        select(
            Target.stage_key,
            Target.about,
            Target.release,
            Target.skip_code,
            Target.proposal,
            Target.pinned_reason,
            in_change_set(),
        ).where(
            Target.rollout_id == rollout_id,
            Target.workspace == workspace,
            Target.gone.is_(False),
            Target.kind.not_in(SUPPORTS),
        )
    )
    found: dict[str, list[_User]] = defaultdict(list)
    for key, about, release, skip, proposal, pinned, planned in rows:
        arriving = bool(proposal) and skip != ALREADY and pinned is None
        user = _User(key, key is not None and (bool(planned) or arriving), source in release.split(" + "))
        for kind, object_id in (about or {}).get("uses", ()):
            if kind == "policy":
                found[str(object_id)].append(user)
    return found


def begin(session: Session, due: Finished, change: Change, now: datetime) -> bool:
    """One more action for a policy: its backup in that stage where there is none yet, else ``change``; False when the
    stage is no longer passed or something was begun meanwhile."""
    stage = lock_stage(session, due.stage_id)
    of_stage = (Action.target_id == due.target_id) & (Action.stage_id == stage.id)
    of_stage &= Action.generation == stage.generation
    busy = select(Action.id).where(Action.target_id == due.target_id, Action.state.not_in(ACTION_ENDED)).limit(1)
    if stage.state is not StageState.PASSED or session.execute(busy).scalar_one_or_none() is not None:
        return False
    backed_up = select(Backup.id).where(
        Backup.target_id == due.target_id, Backup.stage_id == stage.id, Backup.generation == stage.generation
    )
    kind = ActionKind.CHANGE if session.execute(backed_up).scalar_one_or_none() is not None else ActionKind.BACKUP
    failed = select(func.count()).where(of_stage, Action.kind == kind, Action.state.in_(ACTION_BAD))
    if session.execute(failed).scalar_one():
        return False  # what failed once is for people to look at
    attempt = session.execute(select(func.max(Action.attempt)).where(of_stage, Action.kind == kind)).scalar_one() or 0
    mine = session.execute(
        select(Action.change)
        .where(of_stage, Action.kind == ActionKind.CHANGE, Action.state == ActionState.DONE)
        .order_by(Action.id)
    ).scalars()
    written = _written(Change.from_json(one) for one in mine if one)
    fields = tuple(_with(f, written.get(f.path, ())) for f in change.fields)
    row: dict[str, Any] = {
        "rollout_id": stage.rollout_id,
        "stage_id": stage.id,
        "generation": stage.generation,
        "target_id": due.target_id,
        "workspace": session.execute(select(Target.workspace).where(Target.id == due.target_id)).scalar_one(),
        "kind": kind,
        "attempt": attempt + 1,
        "change": Change(fields, notes=change.notes, step=change.step).to_json() if kind is ActionKind.CHANGE else None,
        "created_at": now,
    }
    attempts.insert_actions(session, [row])
    if kind is ActionKind.CHANGE:
        sentence = f"policy {due.name}: {', '.join(change.notes)}"
        event(session, now, ENGINE, "support_finished", sentence, stage=stage, data={"target_id": due.target_id})
    return True


def _written(changes: Iterable[Change]) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """Path -> what this generation of the stage has written there, in order."""
    found: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for change in changes:
        for field in change.fields:
            found[field.path] = (*found.get(field.path, ()), field.after)
    return found


def _with(field: FieldChange, earlier: tuple[Any, ...]) -> FieldChange:
    before_it = tuple(value for value in dict.fromkeys(earlier) if value != field.after)
    return FieldChange(field.path, field.before, field.after, earlier=before_it)
