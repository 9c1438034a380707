"""Keep what is known of a target true after we looked at it: its runtime, its state and what is still planned."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.change import Raw, Skip, Upgrade
from rollout.policy import Policy
from storage.models import Rollout, Target, Workspace
from storage.plans import plan_of
from workspace.kinds import Kind


def note_present_state(
    session: Session, target_id: int, kind: Kind, raw: Raw, now: datetime, machine: datetime
) -> None:
    """Store release, state and the plan of a target from a look at it, made at ``machine``; never over a newer one."""
    target = session.execute(select(Target).where(Target.id == target_id).with_for_update()).scalar_one()
    if target.seen_machine > machine:
        return
    rollout = session.execute(select(Rollout).where(Rollout.id == target.rollout_id)).scalar_one()
    workspace = session.execute(select(Workspace).where(Workspace.key == target.workspace)).scalar_one()
    runtimes = plan_of(rollout).runtimes
    policies = {key: Policy.from_json(policy) for key, policy in workspace.policies.items()}
    plan_target(target, kind, raw, Upgrade(runtimes.source, runtimes.target, frozenset(workspace.versions), policies))
    target.release = kind.release_of(raw)
    target.state = str(raw.get("state") or target.state)
    target.seen_at, target.seen_machine = now, machine


def plan_target(target: Target, kind: Kind, raw: Raw, upgrade: Upgrade) -> None:
    """Set what is planned for ``target``, or why it is left alone."""
    planned = kind.plan(raw, upgrade)
    if isinstance(planned, Skip):
        target.change = None
        target.skip_code, target.skip_sentence, target.skip_next = planned.code, planned.sentence, planned.next_step
    else:
        target.change = planned.to_json()
        target.skip_code = target.skip_sentence = target.skip_next = None
