"""What of each stage belongs to which team, counted; and the digest of what a team signs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, null, or_, select
from sqlalchemy.orm import Session

from rollout import teams
from rollout.change import SUPPORTS
from rollout.digest import digest
from rollout.plan import Plan
from rollout.states import ActionKind, StageState
from rollout.teams import TeamPart
from storage import managed
from storage.attempts import is_newest_bad
from storage.dryrun import in_change_set
from storage.models import Action, Stage, Target

#: Targets that more than one team names: so many are told by name.
_NAMED = 100


def parts(session: Session, rollout_id: int, plan: Plan, stages: Iterable[Stage]) -> dict[int, dict[str, TeamPart]]:
    """Stage id -> team (empty key: none) -> its part; only of stages in which some role signs by team.

    Before a start it is what would be changed now; from then on what was frozen with the change set.
    """
    by_team = {s.key for s in plan.stages if s.each_team}
    found: dict[int, dict[str, TeamPart]] = {}
    for stage in stages:
        if stage.key not in by_team:
            continue
        if stage.state in {StageState.WAITING, StageState.READY}:
            found[stage.id] = _planned(session, rollout_id, stage.key)
        else:
            found[stage.id] = _begun(session, stage)
    return found


def overlaps(session: Session, rollout_id: int, plan: Plan) -> dict[str, tuple[str, ...]]:
    """Stage -> its targets that more than one team names, where each team signs and it has not begun."""
    by_team = [s.key for s in plan.stages if s.each_team]
    if not by_team:
        return {}
    found: dict[str, list[str]] = defaultdict(list)
    rows = session.execute(
        select(Target.stage_key, Target.name, Target.team)
        .where(
            Target.rollout_id == rollout_id,
            Target.stage_key.in_(by_team),
            Target.team.contains(teams.ALSO),
            Target.gone.is_(False),
            Target.pinned_reason.is_(None),
        )
        .order_by(Target.name)
        .limit(_NAMED)
    )
    for key, name, team in rows:
        found[key or ""].append(f"{name} ({', '.join(teams.claims(team or ''))})")
    return {key: tuple(names) for key, names in found.items()}


def _planned(session: Session, rollout_id: int, stage_key: str) -> dict[str, TeamPart]:
    rows = session.execute(
        select(Target.team, func.count())
        .where(
            Target.rollout_id == rollout_id,
            Target.stage_key == stage_key,
            Target.kind.not_in(SUPPORTS),
            or_(in_change_set(), managed.proposed(rollout_id)),
        )
        .group_by(Target.team)
    )
    # One that several teams name is counted for none: the start is refused for it.
    found: dict[str, int] = defaultdict(int)
    for team, number in rows:
        found["" if teams.is_ambiguous(team or "") else team or ""] += number
    return {team: TeamPart(team, number) for team, number in found.items()}


def of_stage(stage: Stage) -> ColumnElement[bool]:
    """The first backup of each target of the stage's generation: what was frozen when it started, by team."""
    return and_(
        Action.stage_id == stage.id,
        Action.generation == stage.generation,
        Action.kind == ActionKind.BACKUP,
        Action.attempt == 1,
    )


def _left(stage: Stage, until: datetime | None) -> ColumnElement[bool]:
    """Whether the target was pinned or put back, or moved to another stage: by ``until``, or by now."""
    reverted = select(Action.target_id).where(
        Action.stage_id == stage.id, Action.generation == stage.generation, Action.kind == ActionKind.REVERT
    )
    pinned: ColumnElement[bool] = Target.pinned_reason.is_not(None)
    if until is not None:  # what was left behind after the stage had passed changes nothing about what was signed
        reverted = reverted.where(Action.created_at <= until)
        pinned = and_(pinned, Target.pinned_at <= until)
    return or_(Target.id.in_(reverted), pinned, Target.stage_key.is_(None), Target.stage_key != stage.key)


def _begun(session: Session, stage: Stage) -> dict[str, TeamPart]:
    if stage.evidence_text is not None and frozen(stage) is None:
        return {}  # nobody was asked by team when its evidence was frozen
    until = stage.passed_at if stage.state is StageState.PASSED else None
    left = _left(stage, until)
    rows = session.execute(
        select(Action.team, func.sum(case((left, 0), else_=1)), func.sum(case((left, 1), else_=0)))
        .join(Target, Target.id == Action.target_id)
        .where(of_stage(stage), Target.kind.not_in(SUPPORTS))
        .group_by(Action.team)
    ).all()
    digests = _digests(session, stage, until)
    return {
        team or "": TeamPart(team or "", int(signed), int(gone), digests.get(team or "", ""))
        for team, signed, gone in rows
    }


def frozen_parts(session: Session, stage: Stage) -> dict[str, list[Any]]:
    """Team (empty key: none) -> how many targets it has in the stage, and the digest of their changes and pins now."""
    changes: dict[str, list[Any]] = defaultdict(list)
    for team, workspace, kind, object_id, change, pinned in session.execute(
        select(
            Action.team,
            Target.workspace,
            Target.kind,
            Target.object_id,
            Action.change,
            Target.pinned_reason.is_not(None),
        )
        .join(Target, Target.id == Action.target_id)
        .where(of_stage(stage), Target.kind.not_in(SUPPORTS))
    ):
        fields = change.get("fields", []) if change else None
        changes[team or ""].append([workspace, kind, object_id, fields, bool(pinned)])
    return {
        team: [len(found), digest(sorted(found, key=lambda row: row[:3]))] for team, found in sorted(changes.items())
    }


def frozen(stage: Stage) -> Mapping[str, Any] | None:
    """What ``frozen_parts`` said when the evidence was frozen; None without it."""
    text = _text(stage)
    found = text.get("teams") if text is not None else None
    return found if isinstance(found, dict) else None


def _text(stage: Stage) -> dict[str, Any] | None:
    try:
        found = json.loads(stage.evidence_text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


#: What every team signs besides what is its own, as a bundle names it.
_OF_ALL: Final = ("plan", "verdicts", "issues", "overrides")


def _digests(session: Session, stage: Stage, until: datetime | None) -> dict[str, str]:
    """Team -> the digest of what it signs: its changes and pins as frozen, what was put back since, and what is of the
    whole stage: what the plan asks, the verdicts, critical issues, and what was passed over."""
    text = _text(stage)
    known = frozen(stage)
    if text is None or known is None:
        return {}
    back = (
        select(Action.target_id)
        .where(Action.stage_id == stage.id, Action.generation == stage.generation, Action.kind == ActionKind.REVERT)
        .where(*([Action.created_at <= until] if until is not None else []))
    )
    gone: dict[str, list[list[str]]] = defaultdict(list)
    for team, workspace, kind, object_id in session.execute(
        select(Action.team, Target.workspace, Target.kind, Target.object_id)
        .join(Target, Target.id == Action.target_id)
        .where(of_stage(stage), Target.kind.not_in(SUPPORTS), Action.team.is_not(null()), Target.id.in_(back))
    ):
        gone[team or ""].append([workspace, kind, object_id])
    return {
        team: digest(["team", team, said, [text.get(word) for word in _OF_ALL], sorted(gone[team])])
        for team, said in known.items()
        if team
    }


def targets(session: Session, stage: Stage, team: str) -> Sequence[Target]:
    """The targets of a team in the stage that are still to be signed for, by name."""
    return (
        session.execute(
            select(Target)
            .join(Action, Action.target_id == Target.id)
            .where(of_stage(stage), Action.team == team, Target.kind.not_in(SUPPORTS), ~_left(stage, None))
            .order_by(Target.name, Target.id)
        )
        .scalars()
        .all()
    )


def failed(session: Session, stage: Stage, team: str) -> list[tuple[str, str, str]]:
    """(Name, sentence, reason code) of the team's targets on which some work failed and was not repeated since."""
    mine = select(Action.target_id).where(of_stage(stage), Action.team == team)
    rows = session.execute(
        select(Target.name, Action.sentence, Action.reason_code)
        .join(Target, Target.id == Action.target_id)
        .where(
            Action.stage_id == stage.id,
            Action.generation == stage.generation,
            Action.target_id.in_(mine),
            is_newest_bad(),
            ~_left(stage, None),
        )
        .order_by(Target.name, Action.id)
    )
    return [(name, sentence or "", code or "") for name, sentence, code in rows]


def left_behind(session: Session, stage: Stage, team: str) -> list[tuple[str, str]]:
    """(Name, reason) of the team's targets that were pinned."""
    rows = session.execute(
        select(Target.name, Target.pinned_reason)
        .join(Action, Action.target_id == Target.id)
        .where(of_stage(stage), Action.team == team, Target.kind.not_in(SUPPORTS), Target.pinned_reason.is_not(None))
        .order_by(Target.name, Target.id)
    )
    return [(name, reason or "") for name, reason in rows]
