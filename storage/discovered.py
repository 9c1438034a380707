"""Store what a look at a workspace found, in short transactions, without undoing what was learned meanwhile."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from rollout.machine import Machine
from rollout.policy import Policy
from rollout.pool import Pool
from storage.database import Database
from storage.models import Rollout, Stage, Target, Workspace
from storage.plans import plan_of
from storage.record import touch_card

#: Rows written in one transaction, so that a look at thousands of targets never holds up an acknowledgement.
CHUNK = 200


@dataclass(frozen=True, slots=True)
class Sighting:
    """One target as discovery saw it, with what is planned for it or why it is left alone."""

    kind: str
    object_id: str
    name: str
    owner: str | None
    stage_key: str | None
    release: str
    state: str
    change: dict[str, Any] | None
    skip: tuple[str, str, str] | None  # code, sentence, next step
    interactive: bool = False  # people work on it
    about: dict[str, Any] = field(default_factory=dict)  # rollout.about.About
    managed_by: str | None = None
    repository: str | None = None
    proposal: list[Any] | None = None  # what its repository would have to change
    also_in: list[Any] | None = None  # further stages that name it
    team: str | None = None  # whose it is


@dataclass(frozen=True, slots=True)
class Offer:
    """What a workspace lets us choose: its runtime keys, and by id its cluster policies, its pools and its machine
    types; None of these: they are not known."""

    versions: Sequence[str]
    policies: Mapping[str, Policy]
    pools: Mapping[str, Pool]
    machines: Mapping[str, Machine] | None = None


def offer_of(workspace: Workspace) -> Offer:
    """What the workspace let us choose at the last look."""
    policies = {key: Policy.from_json(policy) for key, policy in workspace.policies.items()}
    pools = {key: Pool.from_json(pool) for key, pool in workspace.pools.items()}
    machines = {key: Machine.from_json(raw) for key, raw in (workspace.machines or {}).items()}
    return Offer(workspace.versions, policies, pools, machines or None)


def rollouts_of(session: Session, workspace: str) -> list[Rollout]:
    """The open rollouts whose plan names this workspace."""
    rows = session.execute(select(Rollout).where(Rollout.open).order_by(Rollout.id)).scalars()
    return [r for r in rows if workspace in plan_of(r).workspaces]


def store(
    database: Database,
    rollout_id: int,
    workspace: str,
    sightings: Sequence[Sighting],
    now: datetime,
    began: datetime,
    hidden: Collection[str] = (),
) -> None:
    """Insert, update, mark as gone. A target that was looked at after ``began`` (machine) keeps what was seen then.

    Of ``hidden`` kinds nothing could be listed: what is known of them stays.
    """
    with database.read() as session:
        known = {
            (t.kind, t.object_id): t
            for t in session.execute(
                select(Target).where(Target.rollout_id == rollout_id, Target.workspace == workspace)
            ).scalars()
        }
    wanted = {(s.kind, s.object_id): s for s in sightings}
    changed = [s for key, s in wanted.items() if key not in known or _differs(known[key], s)]
    for start in range(0, len(changed), CHUNK):
        with database.write() as session:
            new, counted = [], set[str]()
            for sighting in changed[start : start + CHUNK]:
                row = known.get((sighting.kind, sighting.object_id))
                if row is None:
                    new.append(_new(rollout_id, workspace, sighting, now, began))
                    counted |= {sighting.stage_key} if sighting.stage_key and sighting.skip else set()
                else:
                    counted |= _put(session, sighting, row.id, now, began)
            if new:
                session.execute(insert(Target), new)  # a first look has thousands: rows, and no objects
            # In the order of the plan, as everywhere: two looks at once must not wait for each other.
            of_those = (
                select(Stage).where(Stage.rollout_id == rollout_id, Stage.key.in_(counted)).order_by(Stage.position)
            )
            for stage in session.execute(of_those).scalars() if counted else ():
                touch_card(session, stage, make=False)
    with database.write() as session:  # what is as it was has been seen all the same
        session.execute(
            update(Target)
            .where(
                Target.rollout_id == rollout_id,
                Target.workspace == workspace,
                Target.id.in_([t.id for key, t in known.items() if key in wanted]),
                Target.seen_machine <= began,
            )
            .values(seen_at=now, seen_machine=began)
            .execution_options(synchronize_session=False)
        )
    gone = [t.id for key, t in known.items() if key not in wanted and not t.gone and key[0] not in hidden]
    if gone:
        with database.write() as session:
            for target in session.execute(select(Target).where(Target.id.in_(gone))).scalars():
                if target.seen_machine <= began:
                    target.gone = True


def finished(
    database: Database,
    workspace: str,
    host: str,
    offer: Offer,
    now: datetime,
    wanted: datetime | None,
    revisions: Mapping[int, int] | None = None,
) -> None:
    """A complete look at the workspace has been stored. It met the wish ``wanted``, not one that came meanwhile.

    ``revisions`` are those by which its targets were assigned (rollout -> revision of its plan): where a plan was
    amended meanwhile the look counts as none.
    """
    with database.write() as session:
        row = session.execute(select(Workspace).where(Workspace.key == workspace).with_for_update()).scalar_one()
        ruling = session.execute(select(Rollout.id, Rollout.revision_id).where(Rollout.id.in_(revisions or ()))).all()
        if any((revisions or {}).get(rollout) != revision for rollout, revision in ruling):
            row.looked_at, row.looked_machine = None, None
            return
        row.host, row.looked_at, row.error = host, now, None
        row.versions = list(offer.versions)
        row.policies = {key: policy.to_json() for key, policy in offer.policies.items()}
        row.pools = {key: pool.to_json() for key, pool in offer.pools.items()}
        row.machines = {key: machine.to_json() for key, machine in (offer.machines or {}).items()}
        row.looked_machine = database.machine_now(session)
        if row.look_wanted_at == wanted:
            row.look_wanted_at = None


def note_activity(database: Database, workspace: str, activity: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    """Who ran which target (kind, id) last and when, and how many runs are under way; others keep what is known, but
    that nothing is under way any more."""
    with database.read() as session:
        rows = session.execute(
            select(Target.id, Target.kind, Target.object_id, Target.activity).where(
                Target.workspace == workspace, Target.gone.is_(False)
            )
        ).all()
    wanted = []
    for target_id, kind, object_id, before in rows:
        now = activity.get((kind, object_id)) or ({**before, "running": 0} if before else None)
        if now != before:
            wanted.append((target_id, now))
    for start in range(0, len(wanted), CHUNK):
        with database.write() as session:
            session.execute(update(Target), [{"id": i, "activity": now} for i, now in wanted[start : start + CHUNK]])


def note_submitted(database: Database, workspace: str, found: list[dict[str, Any]], now: datetime) -> None:
    """What was submitted without a job lately, instead of what was known of it."""
    with database.write() as session:
        values = {"submitted": found, "submitted_at": now}
        session.execute(update(Workspace).where(Workspace.key == workspace).values(**values))


def note_deployers(database: Database, workspace: str, found: Mapping[str, str], now: datetime | None) -> None:
    """Which tool made the last change, by ``kind/id``, instead of what was known of it; ``now``: None, not known."""
    with database.write() as session:
        values = {"deployers": dict(found), "deployers_at": now}
        session.execute(update(Workspace).where(Workspace.key == workspace).values(**values))


def runs_seen(database: Database, workspace: str, until: datetime) -> None:
    """The runs of the workspace's targets are known up to ``until`` (calendar)."""
    with database.write() as session:
        session.execute(update(Workspace).where(Workspace.key == workspace).values(runs_seen_at=until))


def failed(database: Database, workspace: str, host: str, error: str) -> None:
    """The workspace could not be looked at; what was known stays."""
    with database.write() as session:
        row = session.execute(select(Workspace).where(Workspace.key == workspace).with_for_update()).scalar_one()
        row.host, row.error, row.looked_machine = host, error, database.machine_now(session)


def _differs(target: Target, sighting: Sighting) -> bool:
    return target.gone or _columns(target) != _values(target, sighting)


def _columns(target: Target) -> tuple[Any, ...]:
    skip = (target.skip_code, target.skip_sentence, target.skip_next) if target.skip_code else None
    return (
        target.name,
        target.owner,
        target.stage_key,
        target.release,
        target.state,
        target.change,
        skip,
        target.interactive,
        target.about,
        target.managed_by,
        target.repository,
        target.also_in,
        target.team,
        target.proposal,
    )


def _values(target: Target, s: Sighting) -> tuple[Any, ...]:
    return (
        s.name,
        s.owner,
        target.moved_to or s.stage_key,
        s.release,
        s.state,
        s.change,
        s.skip,
        s.interactive,
        s.about,
        s.managed_by,
        s.repository,
        s.also_in,
        s.team,
        standing_proposal(target.proposal, s.proposal, s.change, s.managed_by),
    )


def standing_proposal(
    before: list[Any] | None, now: list[Any] | None, change: dict[str, Any] | None, managed_by: str | None
) -> list[Any] | None:
    """The proposal that stands: the newest; the former one once it has arrived; none for what is changed by API."""
    if change is not None or managed_by is None:
        return None
    return now if now is not None else before


def _new(rollout_id: int, workspace: str, s: Sighting, now: datetime, began: datetime) -> dict[str, Any]:
    """The row of a target that was not known."""
    code, sentence, next_step = s.skip if s.skip else (None, None, None)
    return {
        "rollout_id": rollout_id,
        "workspace": workspace,
        "kind": s.kind,
        "object_id": s.object_id,
        "name": s.name,
        "owner": s.owner,
        "stage_key": s.stage_key,
        "proposal": standing_proposal(None, s.proposal, s.change, s.managed_by),
        "about": s.about,
        "managed_by": s.managed_by,
        "repository": s.repository,
        "also_in": s.also_in,
        "release": s.release,
        "state": s.state,
        "change": s.change,
        "gone": False,
        "skip_code": code,
        "skip_sentence": sentence,
        "skip_next": next_step,
        "interactive": s.interactive,
        "team": s.team,
        "seen_at": now,
        "seen_machine": began,
    }


def _put(session: Session, s: Sighting, known: int, now: datetime, began: datetime) -> set[str]:
    """What is known of a target now, unless it was looked at since this look began; the stage whose card counts the
    target otherwise now: its edit arrived, say."""
    target = session.get_one(Target, known)
    if target.seen_machine > began:
        return set()
    before = target.skip_code
    target.name, target.owner, target.stage_key = s.name, s.owner, target.moved_to or s.stage_key
    target.proposal = standing_proposal(target.proposal, s.proposal, s.change, s.managed_by)
    target.about, target.managed_by, target.repository, target.also_in = s.about, s.managed_by, s.repository, s.also_in
    target.release, target.state, target.change, target.gone = s.release, s.state, s.change, False
    target.skip_code, target.skip_sentence, target.skip_next = s.skip if s.skip else (None, None, None)
    target.interactive, target.team = s.interactive, s.team
    target.seen_at, target.seen_machine = now, began
    return {target.stage_key} if target.stage_key and target.skip_code != before else set()
