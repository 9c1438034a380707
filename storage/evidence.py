"""The evidence that people sign: frozen as canonical text when the review begins, and recomputed when it counts."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.amend import terms
from rollout.digest import canonical
from rollout.standing import Finding
from rollout.states import StageState
from rollout.teams import TeamPart
from storage import issues, teams
from storage.database import Database
from storage.models import Evidence, Override, Rollout, Stage, Target
from storage.plans import plan_of
from storage.record import ENGINE, By, event, touch_card
from storage.transitions import lock_stage


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was frozen: the canonical text, and its SHA-256, which sign-offs are given on."""

    text: str
    digest: str


def freeze(session: Session, stage: Stage) -> Bundle:
    """The bundle of a stage from what is stored of it now: change set, what the plan asks of it, verdicts and pins.

    Never times or measurements: a look that finds the same again keeps the digest. Of issues, those that are or were
    critical, so that who signed before one of them was found signs again.
    """
    rows = session.execute(
        select(Evidence.criterion, Evidence.verdict, Evidence.reason_code)
        .where(Evidence.stage_id == stage.id, Evidence.generation == stage.generation)
        .order_by(Evidence.id)
    )
    found = {criterion: [str(verdict), code] for criterion, verdict, code in rows}  # the newest one wins
    plan = plan_of(stage.rollout)
    planned = plan.stage(stage.key)
    checked = [c.key for c in planned.criteria if c.check is not None]
    pins = session.execute(
        select(Target.workspace, Target.kind, Target.object_id)
        .where(
            Target.rollout_id == stage.rollout_id,
            Target.stage_key == stage.key,
            Target.pinned_reason.is_not(None),
        )
        .order_by(Target.id)
    ).all()
    text = canonical(
        {
            "change_set": stage.change_set_digest,
            "plan": terms(plan, stage.key),  # not the whole plan: a new contact makes no sign-off stale
            "verdicts": {key: found[key] for key in checked if key in found},
            "pins": [list(p) for p in pins],
            **_issues(session, stage),
            **({"teams": teams.frozen_parts(session, stage)} if planned.each_team else {}),
        }
    )
    return with_overrides(text, overrides(session, stage, text))


def overrides(session: Session, stage: Stage, text: str | None = None) -> list[str]:
    """The confirmed overrides of the present generation on that bundle (or the frozen one), as a bundle names them."""
    rows = session.execute(
        select(Override.id, Override.condition)
        .where(
            Override.stage_id == stage.id,
            Override.generation == stage.generation,
            Override.state == "confirmed",
            Override.evidence_digest == core(text if text is not None else stage.evidence_text),
        )
        .order_by(Override.id)
    )
    return [f"{condition}#{number}" for number, condition in rows]


def core(text: str | None) -> str:
    """The digest of a bundle without its overrides, which is what an override covers; empty without a bundle."""
    if text is None:
        return ""
    try:
        said: dict[str, Any] = dict(json.loads(text))
    except (ValueError, TypeError):
        return "unreadable"
    said.pop("overrides", None)
    return hashlib.sha256(canonical(said).encode()).hexdigest()


def with_overrides(text: str, overrides: Sequence[str]) -> Bundle:
    """The bundle with these overrides in place of those it had: who signs it has seen them."""
    said: dict[str, Any] = dict(json.loads(text))
    said.pop("overrides", None)
    if overrides:
        said["overrides"] = list(overrides)
    made = canonical(said)
    return _bundle(made)


def _issues(session: Session, stage: Stage) -> dict[str, Any]:
    """Nothing where there is none: a bundle without issues is as it always was."""
    found = issues.critical_until(session, stage)
    return {"issues": found} if found else {}


def _bundle(text: str) -> Bundle:
    return Bundle(text, hashlib.sha256(text.encode()).hexdigest())


def with_issues(session: Session, stage: Stage) -> Bundle | None:
    """The frozen bundle with the critical issues of now; None when that changes nothing, or it cannot be relied on.

    Only they are renewed: freezing the rest anew would take over what was altered since. Overrides were of the bundle
    without them, and go.
    """
    text = stage.evidence_text
    if text is None or _bundle(text).digest != stage.evidence_digest:
        return None
    frozen = {key: value for key, value in json.loads(text).items() if key != "issues"}
    renewed = canonical({**frozen, **_issues(session, stage)})
    made = with_overrides(renewed, overrides(session, stage, renewed))
    return made if made.digest != stage.evidence_digest else None


def renew_issues(session: Session, stages: Iterable[Stage], now: datetime, by: By, why: str) -> None:
    """Have the frozen evidence of stages in review say what is open and critical now. ``why`` ends "anew, with ..."."""
    for stage in stages:
        if stage.state is not StageState.REVIEW or (bundle := with_issues(session, stage)) is None:
            continue
        stage.evidence_digest, stage.evidence_text = bundle.digest, bundle.text
        stage.version += 1
        said = f"the evidence of {stage.key} was frozen anew, with {why}; its sign-offs are given again"
        event(session, now, by, "evidence_frozen", said, stage=stage, data={"evidence_digest": bundle.digest})


def doubt(
    stage: Stage,
    findings: Mapping[str, Finding],
    parts: Mapping[str, TeamPart] | None = None,
    critical: list[list[object]] | None = None,
) -> str | None:
    """Why the frozen evidence of a stage cannot be relied on, as a sentence; None when all of it fits together.

    ``findings`` are the newest ones of the stage's present generation; ``parts`` what belongs to which team;
    ``critical`` the critical issues of now, for a stage in review: each act on an issue renews what is frozen of them.
    """
    if stage.evidence_digest is None:
        return "there is no frozen evidence"
    if stage.evidence_text is None:
        return "its evidence was frozen before it was kept as text"
    if hashlib.sha256(stage.evidence_text.encode()).hexdigest() != stage.evidence_digest:
        return "its frozen evidence was altered"
    try:
        frozen: dict[str, Any] = json.loads(stage.evidence_text)
        verdicts: dict[str, Any] = dict(frozen["verdicts"])
    except (ValueError, KeyError, TypeError):
        return "its frozen evidence cannot be read"
    if frozen.get("change_set") != stage.change_set_digest:
        return "its change set is not the one that was frozen"
    for key, said in verdicts.items():
        now = findings.get(key)
        if now is None or [str(now.verdict), now.reason_code] != said:
            return f"what was found for {key} is no longer what was frozen"
    divided = teams.frozen(stage)
    total = {key: p.targets + p.left for key, p in (parts or {}).items()}
    if divided is not None and parts is not None and total != {key: said[0] for key, said in divided.items()}:
        return "which target belongs to which team is not what was frozen"
    if critical is not None and frozen.get("issues", []) != critical:
        return "its critical issues are not those that were frozen"
    return None


def freeze_old(database: Database, now: datetime) -> int:
    """Freeze anew what was frozen before evidence was kept as text; returns how many stages. ``now``: calendar.

    Their sign-offs carry no signature either: people give them again, on this bundle. Taking the text away gains
    nothing: where what was found is the same, so is the digest; where it is not, what was signed counts no more.
    """
    old = (Stage.evidence_digest.is_not(None), Stage.evidence_text.is_(None))
    with database.read() as session:
        stages = session.execute(select(Stage.id).join(Rollout).where(Rollout.open, *old)).scalars().all()
    for stage_id in stages:
        with database.write() as session:
            stage = lock_stage(session, stage_id)
            if stage.evidence_digest is None or stage.evidence_text is not None:
                continue
            bundle = freeze(session, stage)
            stage.evidence_digest, stage.evidence_text = bundle.digest, bundle.text
            stage.version += 1
            said = f"the evidence of {stage.key} was frozen anew, as text; its sign-offs are given again"
            event(session, now, ENGINE, "evidence_frozen", said, stage=stage, data={"evidence_digest": bundle.digest})
            touch_card(session, stage)
    return len(stages)
