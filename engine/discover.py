"""Look at each workspace when it is due, and store what is planned for every target."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from engine import drift
from engine.finishing import finish_policies
from engine.parts import Parts
from engine.replan import proposal_of, shown_release, upgrade_of
from engine.stored_run import stored
from rollout import teams
from rollout.change import Change, Found, Skip, Upgrade
from rollout.plan import Plan
from rollout.selection import belongs, candidate
from storage import discovered, leases, runs
from storage.discovered import Offer, Sighting
from storage.models import Workspace
from storage.plans import plan_of
from workspace import pipelines
from workspace.compute import interactive
from workspace.deployers import deployers
from workspace.discovery import Discovery, discover
from workspace.errors import Held, Incomplete, WorkspaceError
from workspace.governed import widenings
from workspace.kinds import KINDS
from workspace.pools import known as known_pools
from workspace.runs import RunSeen, active_runs, runs_since, submitted_since

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
#: Runs without a job: how far back they are reported, how often they are read, and how many kinds of them are kept.
SUBMITTED_BACK = timedelta(days=7)
SUBMITTED_EVERY = timedelta(hours=12)
SUBMITTED_KEPT = 200
#: The audit log is asked for the changes of so long a time, and so often.
DEPLOYERS_BACK = timedelta(days=180)
DEPLOYERS_EVERY = timedelta(hours=12)
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
        found_open = discovered.rollouts_of(session, key)
        rollouts = [(r.id, plan_of(r)) for r in found_open]
        revisions = {r.id: r.revision_id for r in found_open}
    offer = Offer(sorted(found.versions), found.policies, {}, found.machines)
    for rollout_id, plan in rollouts:
        offer = _decided(offer, found, plan)
        decide = _Deciding(plan, key, offer)
        sightings = [decide.sighting(f) for f in found.found]
        if not lease.ours():
            log.warning("look_lost", workspace=key)
            return False
        discovered.store(parts.database, rollout_id, key, sightings, now, began, found.hidden)
        drift.compare(parts, rollout_id, key, found.found, began)
    discovered.finished(parts.database, key, client.host, offer, now, wanted, revisions)
    for rollout_id, _ in rollouts:
        finish_policies(parts, rollout_id, key, offer)
    log.info("workspace_looked_at", workspace=key, targets=len(found.found), calls=found.calls)
    _look_at_runs(parts, key, {f.object_id for f in found.found if f.kind == "job"}, now)
    _look_at_deployers(parts, key, now)  # last: a hint holds nothing up
    return True


def _look_at_runs(parts: Parts, key: str, jobs: set[str], now: datetime) -> None:
    """The latest runs of every job that is a target, for `status TARGET`: newest first, and no more than some pages."""
    _look_at_submitted(parts, key, now)
    if not jobs:
        return
    with parts.database.read() as session:
        known = session.execute(select(Workspace.runs_seen_at).where(Workspace.key == key)).scalar_one()
    since = now - LAST_RUNS if known is None else max(now - LAST_RUNS, known - RUNS_OVERLAP)
    seen: list[runs.Seen] = []
    activity: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        for run in runs_since(parts.clients[key], None, since, most_pages=RUN_PAGES):
            ended = stored(run)
            if ended is not None and ended.job_id in jobs:
                seen.append(ended)
                _note_run(activity, run)
        for run in active_runs(parts.clients[key], RUN_PAGES):
            if str(run.job_id) in jobs:
                _note_run(activity, run)
    except Incomplete:
        pass  # what was read is true; the rest is older
    except WorkspaceError as error:
        log.warning("runs_not_read", workspace=key, error=str(error))
        return
    runs.store(parts.database, key, seen)
    discovered.note_activity(parts.database, key, activity)
    discovered.runs_seen(parts.database, key, now)


def _note_run(activity: dict[tuple[str, str], dict[str, Any]], run: RunSeen) -> None:
    """The newest run of a target says who ran it last; of clusters it is a run of a job on them."""
    for target in (("job", str(run.job_id)), *(("cluster", cluster) for cluster in run.cluster_ids)):
        known = activity.setdefault(target, {"at": "", "running": 0})
        known["running"] += run.ended is None
        if run.started.isoformat() > known["at"]:
            known |= {"at": run.started.isoformat(), "by": run.by, "by_schedule": run.by_schedule}


def _look_at_deployers(parts: Parts, key: str, now: datetime) -> None:
    """Which tools made the last changes, by the audit log: a statement, so not at every look."""
    with parts.database.read() as session:
        asked_at = session.execute(select(Workspace.deployers_at).where(Workspace.key == key)).scalar_one()
    if asked_at is not None and now - asked_at < DEPLOYERS_EVERY:
        return
    found = deployers(parts.clients[key], now - DEPLOYERS_BACK)
    if found is not None:
        discovered.note_deployers(parts.database, key, found, now)
    elif asked_at is not None:  # it could be read, and cannot be now: nothing is claimed, and the next look asks again
        discovered.note_deployers(parts.database, key, {}, None)


def _look_at_submitted(parts: Parts, key: str, now: datetime) -> None:
    """What was submitted without a job in the last week: a listing of its own, so not at every look."""
    with parts.database.read() as session:
        read_at = session.execute(select(Workspace.submitted_at).where(Workspace.key == key)).scalar_one()
    if read_at is not None and now - read_at < SUBMITTED_EVERY:
        return
    try:
        found, complete = submitted_since(parts.clients[key], now - SUBMITTED_BACK, RUN_PAGES)
    except WorkspaceError as error:
        log.warning("submitted_runs_not_read", workspace=key, error=str(error))
        return
    if not complete:
        log.warning("submitted_runs_incomplete", workspace=key, pages=RUN_PAGES)
    discovered.note_submitted(parts.database, key, [s.to_json() for s in found[:SUBMITTED_KEPT]], now)


def _decided(offer: Offer, found: Discovery, plan: Plan) -> Offer:
    """What is done to the supports of the workspace, so that the targets of this plan can move."""
    runtimes, versions = plan.runtimes, frozenset(offer.versions)
    bare = Upgrade(runtimes.source, runtimes.target, versions, offer.policies, machines=offer.machines)
    upgrade = replace(bare, pools=known_pools(found.found, bare))
    policies = {**offer.policies, **widenings(found.found, offer.policies, upgrade)}
    return Offer(offer.versions, policies, upgrade.pools, offer.machines)


class _Deciding:
    """What is planned for each target of a workspace by one plan."""

    def __init__(self, plan: Plan, workspace: str, offer: Offer) -> None:
        self._plan, self._workspace, self._offer = plan, workspace, offer
        self._upgrades: dict[str | None, Upgrade] = {}

    def sighting(self, found: Found) -> Sighting:
        """One target with what is planned for it, or why it is left alone."""
        about, seen = found.about, candidate(self._workspace, found)
        where = belongs(self._plan, seen)
        planned, release = _planned(found, self._upgrade(where.stage))
        return Sighting(
            kind=found.kind,
            object_id=found.object_id,
            name=found.name,
            owner=found.owner,
            stage_key=where.stage,
            release=release,
            state=found.state,
            change=None if isinstance(planned, Skip) else planned.to_json(),
            skip=(planned.code, planned.sentence, planned.next_step) if isinstance(planned, Skip) else None,
            interactive=found.kind == "cluster" and interactive(found.raw),
            about=about.to_json(),
            managed_by=about.managed.by if about.managed is not None else None,
            repository=about.managed.named if about.managed is not None else None,
            proposal=proposal_of(planned),
            also_in=list(where.overlaps) or None,
            team=teams.owner(self._plan, seen),
        )

    def _upgrade(self, stage: str | None) -> Upgrade:
        if stage not in self._upgrades:
            self._upgrades[stage] = upgrade_of(self._plan, stage, self._offer)
        return self._upgrades[stage]


def _planned(found: Found, upgrade: Upgrade) -> tuple[Change | Skip, str]:
    """What is planned, and the release that it is on now."""
    if found.kind not in KINDS:
        return pipelines.plan(found.raw), "-"
    kind = KINDS[found.kind]
    planned = kind.plan(found.raw, upgrade)
    return planned, shown_release(kind, found.raw, planned)
