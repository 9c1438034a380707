"""Look at each workspace when it is due, and store what is planned for every target."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from engine.parts import Parts
from rollout.change import Found, Skip, Upgrade
from rollout.plan import Plan
from rollout.selection import stage_of
from storage import discovered, leases
from storage.discovered import Sighting
from storage.models import Workspace
from storage.plans import plan_of
from workspace.discovery import Discovery, discover
from workspace.errors import WorkspaceError
from workspace.kinds import KINDS

log = structlog.get_logger(__name__)

#: Calendar time after which a look is repeated without being asked for.
EVERY = timedelta(hours=1)
#: Machine seconds between two looks that nobody asked for, and between two tries at a workspace that does not answer.
LEAST_APART = timedelta(seconds=15)
RETRY = timedelta(seconds=10)
_LEASE = 300.0


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
    if row.looked_at is None or (row.look_wanted_at is not None and row.look_wanted_at > row.looked_at):
        return True
    return now - row.looked_at >= EVERY and machine - row.looked_machine >= LEAST_APART


def look(parts: Parts, key: str) -> bool:
    """Look at one workspace and store it; False when another replica is at it or it did not answer. Never raises for
    what the workspace answers."""
    name = f"discover:{key}"
    if not leases.take(parts.database, name, parts.owner, _LEASE):
        return False
    client = parts.clients[key]
    try:
        now, began = parts.calendar(), parts.database.machine()
        found = discover(client)
    except WorkspaceError as error:
        log.warning("workspace_unreachable", workspace=key, error=str(error))
        discovered.failed(parts.database, key, client.host, str(error))
        return False
    else:
        with parts.database.read() as session:
            rollouts = [(r.id, plan_of(r)) for r in discovered.rollouts_of(session, key)]
        for rollout_id, plan in rollouts:
            discovered.store(parts.database, rollout_id, key, _sightings(plan, key, found), now, began)
        discovered.finished(parts.database, key, client.host, list(found.versions), now)
        log.info("workspace_looked_at", workspace=key, targets=len(found.found), calls=found.calls)
        return True
    finally:
        leases.release(parts.database, name, parts.owner)


def _sightings(plan: Plan, workspace: str, found: Discovery) -> list[Sighting]:
    upgrade = Upgrade(plan.runtimes.source, plan.runtimes.target, found.versions)
    return [_sighting(plan, workspace, f, upgrade) for f in found.found]


def _sighting(plan: Plan, workspace: str, found: Found, upgrade: Upgrade) -> Sighting:
    kind = KINDS[found.kind]
    planned = kind.plan(found.raw, upgrade)
    return Sighting(
        kind=found.kind,
        object_id=found.object_id,
        name=found.name,
        owner=found.owner,
        stage_key=stage_of(plan, workspace, found.kind, found.name),
        release=kind.release_of(found.raw),
        state=found.state,
        change=None if isinstance(planned, Skip) else planned.to_json(),
        skip=(planned.code, planned.sentence, planned.next_step) if isinstance(planned, Skip) else None,
    )
