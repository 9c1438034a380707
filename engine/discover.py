"""Look at each workspace when it is due, and store what is planned for every target."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from engine.parts import Parts
from engine.stored_run import stored
from rollout.change import SUPPORTS, Found, Skip, Upgrade
from rollout.plan import Plan
from rollout.policy import Policy
from rollout.selection import stage_of
from storage import discovered, leases, runs
from storage.discovered import Offer, Sighting
from storage.models import Workspace
from storage.plans import plan_of
from workspace.compute import interactive
from workspace.discovery import Discovery, discover
from workspace.errors import Held, Incomplete, WorkspaceError
from workspace.governed import widenings
from workspace.kinds import KINDS
from workspace.runs import runs_since

log = structlog.get_logger(__name__)

#: Calendar time after which a look is repeated without being asked for.
EVERY = timedelta(hours=1)
#: Machine seconds between two looks that nobody asked for, and between two tries at a workspace that does not answer.
LEAST_APART = timedelta(seconds=15)
RETRY = timedelta(seconds=10)
OVERDUE = timedelta(hours=12)
OVERDUE_APART = timedelta(seconds=1)
#: How far back runs are shown for every job, how much of it is read again, and how many pages of 24 at most.
LAST_RUNS = timedelta(days=1)
RUNS_OVERLAP = timedelta(hours=2)
RUN_PAGES = 40
LEASE = 45.0  # renewed while the look lasts


def due(parts: Parts) -> list[str]:
    """The keys of the workspaces that should be looked at now."""
    now, machine = parts.calendar(), parts.database.machine()
    with parts.database.read() as session:
        rows = session.execute(select(Workspace).where(Workspace.key.in_(list(parts.clients)))).scalars().all()
    return [row.key for row in rows if _is_due(row, now, machine)]


def _is_due(row: Workspace, now: datetime, machine: datetime) -> bool:
    if row.looked_machine is None:
        return True
    if row.error is not None:
        return machine - row.looked_machine >= RETRY
    if row.looked_at is None or row.look_wanted_at is not None:
        return True
    # What is half a day old will soon be too old to start on: then the calendar runs fast, and the machine must follow.
    apart = LEAST_APART if now - row.looked_at < OVERDUE else OVERDUE_APART
    return now - row.looked_at >= EVERY and machine - row.looked_machine >= apart


def look(parts: Parts, key: str) -> bool:
    """Look at one workspace and store it; False when another replica is or was at it, or it did not answer. Never
    raises for what the workspace answers."""
    with leases.held(parts.database, f"discover:{key}", parts.owner, LEASE) as lease:
        return lease is not None and key in due(parts) and _look(parts, key, lease)


def _look(parts: Parts, key: str, lease: leases.Held) -> bool:
    client = parts.clients[key]
    now, began = parts.calendar(), parts.database.machine()
    with parts.database.read() as session:
        wanted = session.execute(select(Workspace.look_wanted_at).where(Workspace.key == key)).scalar_one()
    try:
        found = discover(client)
    except Held:
        return False  # it was not asked: the next tick tries again
    except WorkspaceError as error:
        log.warning("workspace_unreachable", workspace=key, error=str(error))
        discovered.failed(parts.database, key, client.host, str(error))
        return False
    with parts.database.read() as session:
        rollouts = [(r.id, plan_of(r)) for r in discovered.rollouts_of(session, key)]
    policies = dict(found.policies)
    for rollout_id, plan in rollouts:
        upgrade = Upgrade(plan.runtimes.source, plan.runtimes.target, found.versions, policies)
        policies.update(widenings(found.found, policies, upgrade))
        sightings = [_sighting(plan, key, f, upgrade) for f in found.found]
        if not lease.ours():
            log.warning("look_lost", workspace=key)
            return False
        discovered.store(parts.database, rollout_id, key, sightings, now, began)
    discovered.finished(parts.database, key, client.host, _offer(found, policies), now, wanted)
    log.info("workspace_looked_at", workspace=key, targets=len(found.found), calls=found.calls)
    _look_at_runs(parts, key, {f.object_id for f in found.found if f.kind == "job"}, now)
    return True


def _look_at_runs(parts: Parts, key: str, jobs: set[str], now: datetime) -> None:
    """The latest runs of every job that is a target, for `status TARGET`: newest first, and no more than some pages."""
    if not jobs:
        return
    with parts.database.read() as session:
        known = session.execute(select(Workspace.runs_seen_at).where(Workspace.key == key)).scalar_one()
    since = now - LAST_RUNS if known is None else max(now - LAST_RUNS, known - RUNS_OVERLAP)
    seen: list[runs.Seen] = []
    try:
        for run in runs_since(parts.clients[key], None, since, most_pages=RUN_PAGES):
            ended = stored(run)
            if ended is not None and ended.job_id in jobs:
                seen.append(ended)
    except Incomplete:
        pass  # what was read is true; the rest is older
    except WorkspaceError as error:
        log.warning("runs_not_read", workspace=key, error=str(error))
        return
    runs.store(parts.database, key, seen)
    discovered.runs_seen(parts.database, key, now)


def _offer(found: Discovery, policies: Mapping[str, Policy]) -> Offer:
    return Offer(sorted(found.versions), {key: policy.to_json() for key, policy in policies.items()})


def _sighting(plan: Plan, workspace: str, found: Found, upgrade: Upgrade) -> Sighting:
    kind = KINDS[found.kind]
    planned = kind.plan(found.raw, upgrade)
    return Sighting(
        kind=found.kind,
        object_id=found.object_id,
        name=found.name,
        owner=found.owner,
        stage_key=None if found.kind in SUPPORTS else stage_of(plan, workspace, found.kind, found.name),
        release=kind.release_of(found.raw),
        state=found.state,
        change=None if isinstance(planned, Skip) else planned.to_json(),
        skip=(planned.code, planned.sentence, planned.next_step) if isinstance(planned, Skip) else None,
        interactive=found.kind == "cluster" and interactive(found.raw),
    )
