"""Gathers what gates and looks need, with few queries, none of which loads all targets (except the change set)."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_, case, func, null, select
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS
from rollout.comparing import Compared
from rollout.standing import (
    NO_REASON,
    Assigned,
    Finding,
    ItemStanding,
    Pin,
    Signature,
    StageStanding,
    Standing,
    Tally,
    WorkspaceStanding,
)
from rollout.states import ACTION_BAD, ACTION_ENDED, ActionKind, ActionState, StageState
from rollout.teams import TeamPart
from storage import comparing, evidence, issues, managed, open_escalations, rates, signatures, tallies, teams, waivers
from storage.attempts import is_newest_bad
from storage.claiming import is_shared
from storage.database import keyring_of
from storage.dryrun import change_set, digest_of, in_change_set
from storage.keyring import Keyring
from storage.models import (
    Action,
    Assignment,
    Evidence,
    GroupMember,
    Item,
    KnownPerson,
    Rollout,
    ScheduledStart,
    SignOff,
    Stage,
    Target,
    Workspace,
)
from storage.plans import before_amendment, plan_of


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of the targets of one stage: how many would be changed, are left alone, are pinned, and so on."""

    changed: int = 0
    left_alone: int = 0
    pinned: int = 0
    shared: int = 0  # of those to change: running clusters that people work on
    managed: int = 0
    arrived: int = 0
    drifted: int = 0


def open_rollouts(session: Session) -> Sequence[Rollout]:
    """All open rollouts, oldest first."""
    return session.execute(select(Rollout).where(Rollout.open).order_by(Rollout.id)).scalars().all()


def standing(session: Session, rollout: Rollout) -> Standing:
    """Everything that is stored of a rollout, counted."""
    plan = plan_of(rollout)
    stages = (
        session.execute(
            select(Stage)
            .where(Stage.rollout_id == rollout.id)
            .order_by(Stage.position)
            .execution_options(populate_existing=True)
        )
        .scalars()
        .all()
    )
    parts = teams.parts(session, rollout.id, plan, stages)
    team_overlaps = teams.overlaps(session, rollout.id, plan)
    planned, unassigned = _targets(session, rollout.id)
    work = _work(session, rollout.id)
    in_use = tallies.left_in_use(session, rollout.id)
    busy = tallies.waiting_for_runs(session, rollout.id)
    given = _signatures(session, rollout.id, keyring_of(session))
    findings = _findings(session, rollout.id)
    watched = open_escalations.newest(session, rollout.id)
    overrides = waivers.waivers(session, rollout.id, plan, keyring_of(session))
    waiting = (
        select(ScheduledStart).join(Stage).where(Stage.rollout_id == rollout.id, ScheduledStart.state == "waiting")
    )
    compared = comparing.counts(session, rollout.id)
    scheduled = {s.stage_id: s for s in session.execute(waiting).scalars()}
    return Standing(
        id=rollout.id,
        plan=plan,
        channel=rollout.channel,
        opened_at=rollout.opened_at,
        stages=tuple(
            replace(
                _stage(
                    s,
                    planned.get(s.key, _Counts()),
                    work[s.id],
                    given[s.id],
                    findings[s.id],
                    scheduled.get(s.id),
                    compared.get(s.id, Compared()),
                    parts.get(s.id),
                    issues.critical_until(session, s) if s.state is StageState.REVIEW else None,
                ),
                in_use=in_use.get(s.id, 0),
                waiting_for_runs=tuple(busy.get(s.id, ())),
                overrides=tuple(overrides.get(s.id, ())),
                escalation=watched[s.id].id if s.id in watched else None,
                looked_after_by=(watched[s.id].acknowledged_by or "") if s.id in watched else "",
                team_overlaps=() if s.started_at is not None else team_overlaps.get(s.key, ()),
            )
            for s in stages
        ),
        workspaces=_workspaces(session, plan.workspaces),
        items={
            i.key: ItemStanding(i.state, i.by, i.comment, i.at)
            for i in session.execute(select(Item).where(Item.rollout_id == rollout.id)).scalars()
        },
        available=frozenset(session.execute(select(KnownPerson.user_id).where(KnownPerson.available)).scalars()),
        groups=groups(session),
        version=rollout.version,
        paused=rollout.paused,
        paused_reason=rollout.paused_reason or "",
        paused_by=rollout.paused_by,
        paused_at=rollout.paused_at,
        file_differs=rollout.file_digest is not None,
        file_older=before_amendment(session, rollout),
        unassigned=unassigned,
        orphans=_orphans(session, rollout.id, plan.runtimes.source) if unassigned else 0,
        overlaps=_overlaps(session, rollout.id),
        pins=_pins(session, rollout.id),
        issues=issues.still_open(session, rollout.id),
        issues_resolved=issues.resolved(session, rollout.id),
        assigned={
            a.key: Assigned(a.owner, a.due, a.by, a.at)
            for a in session.execute(select(Assignment).where(Assignment.rollout_id == rollout.id)).scalars()
        },
    )


def groups(session: Session) -> dict[str, set[str]]:
    """Slack group id -> its members as last seen."""
    found: dict[str, set[str]] = defaultdict(set)
    for group, user in session.execute(select(GroupMember.group_id, GroupMember.user_id)):
        found[group].add(user)
    return dict(found)


def _stage(
    row: Stage,
    counts: _Counts,
    work: dict[ActionKind, Tally],
    given: list[Signature],
    findings: dict[str, Finding],
    scheduled: ScheduledStart | None,
    compared: Compared,
    parts: dict[str, TeamPart] | None,
    critical: list[list[object]] | None,
) -> StageStanding:
    return StageStanding(
        id=row.id,
        key=row.key,
        position=row.position,
        state=row.state,
        generation=row.generation,
        version=row.version,
        left_state=row.left_state,
        started_by=row.started_by,
        started_at=row.started_at,
        bake_until=row.bake_until,
        reviewed_at=row.reviewed_at,
        passed_at=row.passed_at,
        rolled_back_at=row.rolled_back_at,
        change_set_digest=row.change_set_digest,
        evidence_digest=row.evidence_digest,
        locked=row.locked,
        locked_reason="" if row.locked_reason in (None, NO_REASON) else row.locked_reason,
        locked_by=row.locked_by,
        block_code=row.block_code,
        block_sentence=row.block_sentence or "",
        planned=counts.changed,
        left_alone=counts.left_alone,
        pinned=counts.pinned,
        shared=counts.shared,
        begin_at=scheduled.begin_at if scheduled is not None else None,
        begin_by=scheduled.user_id if scheduled is not None else None,
        managed=counts.managed,
        arrived=counts.arrived,
        drifted=counts.drifted,
        back_since=row.back_since,
        compared=compared,
        work=work,
        signatures=tuple(given),
        findings=findings,
        evidence_doubt=(evidence.doubt(row, findings, parts, critical) or "")
        if row.evidence_digest is not None
        else "",
        teams=parts or {},
    )


def _targets(session: Session, rollout_id: int) -> tuple[dict[str, _Counts], int]:
    """Stage key -> counts, and how many targets are in no stage."""
    pinned = Target.pinned_reason.is_not(None)
    waiting = managed.proposed(rollout_id)

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    counts: dict[str, _Counts] = {}
    unassigned = 0
    for key, total, changed, held, shared, owned, there, drifted in session.execute(
        select(
            Target.stage_key,
            func.count(),
            number(in_change_set()),
            number(pinned),
            number(and_(in_change_set(), is_shared())),
            number(waiting),
            number(and_(waiting, managed.arrived())),
            number(Target.drift.is_not(null())),
        )
        .where(Target.rollout_id == rollout_id, Target.gone.is_(False), Target.kind.not_in(SUPPORTS))
        .group_by(Target.stage_key)
    ):
        if key is None:
            unassigned = total
        else:
            alone = int(total) - int(changed) - int(held)
            numbers = (int(number) for number in (changed, alone, held, shared, owned, there, drifted))
            counts[key] = _Counts(*numbers)
    return counts, unassigned


def _orphans(session: Session, rollout_id: int, source: str) -> int:
    """How many targets on the source runtime are in no stage."""
    rows = session.execute(
        select(Target.release, func.count())
        .where(
            Target.rollout_id == rollout_id,
            Target.stage_key.is_(None),
            Target.gone.is_(False),
            Target.pinned_reason.is_(None),
            Target.kind.not_in(SUPPORTS),
        )
        .group_by(Target.release)
    )
    return sum(number for release, number in rows if source in release.split(" + "))


def _overlaps(session: Session, rollout_id: int) -> dict[str, tuple[str, ...]]:
    """Stage -> its targets that another stage names as well."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, key, others in session.execute(
        select(Target.name, Target.stage_key, Target.also_in)
        .where(Target.rollout_id == rollout_id, Target.also_in.is_not(null()), Target.gone.is_(False))
        .order_by(Target.name)
        .limit(1000)
    ):
        claims = [key, *(others or ())]
        for stage in claims:
            found[stage].append(f"{name} ({', '.join(claims)})")
    return {stage: tuple(names) for stage, names in found.items()}


def _pins(session: Session, rollout_id: int) -> tuple[Pin, ...]:
    rows = session.execute(
        select(
            Target.id,
            Target.name,
            Target.kind,
            Target.workspace,
            Target.stage_key,
            Target.pinned_reason,
            Target.pinned_owner,
            Target.pinned_by,
            Target.pinned_at,
        )
        .where(Target.rollout_id == rollout_id, Target.pinned_reason.is_not(None), Target.gone.is_(False))
        .order_by(Target.stage_key, Target.name, Target.id)
        .limit(1000)
    )
    return tuple(Pin(i, n, k, w, s, reason or "", owner, by, at) for i, n, k, w, s, reason, owner, by, at in rows)


def _work(session: Session, rollout_id: int) -> dict[int, dict[ActionKind, Tally]]:
    """Stage id -> kind -> tally of the present generation, by newest attempts.

    A pinned target counts only while its own revert goes on or has failed: the stage is not about it any more.
    """
    present = and_(Stage.id == Action.stage_id, Stage.generation == Action.generation, Stage.rollout_id == rollout_id)
    counts: dict[int, dict[ActionKind, dict[ActionState, int]]] = defaultdict(lambda: defaultdict(dict))
    # An attempt that did not fail is always the newest of its target, so only failures need the closer look.
    for stage_id, kind, state, count in session.execute(
        select(Action.stage_id, Action.kind, Action.state, func.count())
        .join(Stage, present)
        .join(Target, Target.id == Action.target_id)
        .where(
            Action.state.not_in(ACTION_BAD),
            Target.kind.not_in(SUPPORTS),
            Action.change.is_not(null()),  # the backup of what a repository owns is no target of the change set
            Target.pinned_reason.is_(None) | ((Action.kind == ActionKind.REVERT) & Action.state.not_in(ACTION_ENDED)),
        )
        .group_by(Action.stage_id, Action.kind, Action.state)
    ):
        counts[stage_id][kind][state] = count
    for stage_id, kind, count in session.execute(
        select(Action.stage_id, Action.kind, func.count())
        .join(Stage, present)
        .join(Target, Target.id == Action.target_id)
        .where(is_newest_bad(), Target.pinned_reason.is_(None) | (Action.kind == ActionKind.REVERT))
        .group_by(Action.stage_id, Action.kind)
    ):
        counts[stage_id][kind][ActionState.FAILED] = count
    tallies: dict[int, dict[ActionKind, Tally]] = defaultdict(dict)
    for stage_id, kinds in counts.items():
        tallies[stage_id] = {kind: Tally.of(states) for kind, states in kinds.items()}
    return tallies


def _signatures(session: Session, rollout_id: int, keyring: Keyring) -> dict[int, list[Signature]]:
    """Stage id -> its standing sign-offs in the present generation; each is verified (DESIGN 5, invariant 11)."""
    found: dict[int, list[Signature]] = defaultdict(list)
    for s, key in session.execute(
        select(SignOff, Stage.key)
        .join(Stage, and_(Stage.id == SignOff.stage_id, Stage.generation == SignOff.generation))
        .where(Stage.rollout_id == rollout_id, SignOff.revoked_at.is_(None))
        .order_by(SignOff.id)
        .execution_options(populate_existing=True)
    ):
        mark = (s.signature or "")[: signatures.SHORT]
        doubt = signatures.doubt(keyring, s, signatures.Place(rollout_id, key)) or ""
        found[s.stage_id].append(
            Signature(
                s.id, s.role, s.user_id, s.decision, s.comment, s.evidence_digest, s.at, mark, doubt, s.team or ""
            )
        )
    return found


def _findings(session: Session, rollout_id: int) -> dict[int, dict[str, Finding]]:
    newest = (
        select(func.max(Evidence.id))
        .join(Stage, and_(Stage.id == Evidence.stage_id, Stage.generation == Evidence.generation))
        .where(Stage.rollout_id == rollout_id)
        .group_by(Evidence.stage_id, Evidence.criterion)
    )
    found: dict[int, dict[str, Finding]] = defaultdict(dict)
    for e in session.execute(select(Evidence).where(Evidence.id.in_(newest)).order_by(Evidence.id)).scalars():
        found[e.stage_id][e.criterion] = Finding(e.criterion, e.verdict, e.reason_code, e.sentence, e.facts, e.at)
    return found


def _workspaces(session: Session, keys: Collection[str]) -> dict[str, WorkspaceStanding]:
    rows = session.execute(select(Workspace).where(Workspace.key.in_(keys))).scalars()
    slow = rates.throttles(session)
    found = {}
    for w in rows:
        throttle = slow.get(w.key, rates.FREE)
        found[w.key] = WorkspaceStanding(
            w.key, w.looked_at, w.look_wanted_at, w.error or "", throttle.seconds, throttle.at_once
        )
    return found


__all__ = ["change_set", "digest_of", "groups", "open_rollouts", "standing"]
