"""Overrides that were confirmed: signed over everything they say, verified whenever they count, shown for ever."""

import json
from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout import conditions
from rollout.conditions import Waiver
from rollout.plan import Plan
from storage import evidence
from storage.database import keyring_of
from storage.keyring import Keyring
from storage.models import Override, Stage


@dataclass(frozen=True, slots=True)
class Shown:
    """An override as people read it."""

    id: int
    condition: str
    title: str
    reason: str
    state: str
    asked_by: str
    decided_by: str | None


def sign(session: Session, row: Override, stage: Stage) -> None:
    """Sign an override that was decided. Raises KeyProblem without a key."""
    keyring = keyring_of(session)
    row.key_id = keyring.first
    row.signature = keyring.seal(row.key_id, _text(row, stage))
    session.flush()


def shown(session: Session, override: int) -> Shown | None:
    """One override; None when there is none of that id."""
    row = session.get(Override, override)
    if row is None:
        return None
    return Shown(row.id, row.condition, row.title, row.reason, row.state, row.asked_by, row.decided_by)


def waivers(session: Session, rollout_id: int, plan: Plan, keyring: Keyring) -> dict[int, list[Waiver]]:
    """Stage id -> every override that was confirmed, of all generations; each is verified, and says if it counts."""
    found: dict[int, list[Waiver]] = defaultdict(list)
    for row, stage in session.execute(
        select(Override, Stage)
        .join(Stage, Stage.id == Override.stage_id)
        .where(Stage.rollout_id == rollout_id, Override.state == "confirmed")
        .order_by(Override.id)
        .execution_options(populate_existing=True)
    ):
        found[stage.id].append(
            Waiver(
                row.id,
                row.condition,
                row.title,
                row.reason,
                row.asked_by,
                row.decided_by or "",
                row.decided_at or row.asked_at,
                row.generation,
                _doubt(row, stage, plan, keyring),
            )
        )
    return found


def altered(session: Session, rollout_id: int, keyring: Keyring) -> dict[int, bool]:
    """Id of every confirmed override of a rollout -> whether it is not as it was confirmed."""
    rows = session.execute(
        select(Override, Stage)
        .join(Stage, Stage.id == Override.stage_id)
        .where(Stage.rollout_id == rollout_id, Override.state == "confirmed")
    )
    return {row.id: not _fits(row, stage, keyring) for row, stage in rows}


def _fits(row: Override, stage: Stage, keyring: Keyring) -> bool:
    return row.key_id is not None and keyring.fits(row.key_id, _text(row, stage), row.signature or "")


def _doubt(row: Override, stage: Stage, plan: Plan, keyring: Keyring) -> str:
    """Why a confirmed override does not count now; empty when it does."""
    if not _fits(row, stage, keyring):
        return "it is not as it was confirmed"
    if row.generation != stage.generation:
        return "the stage was begun anew since"
    if row.evidence_digest != evidence.core(stage.evidence_text):
        return "the evidence has changed since" if row.evidence_digest else "it was for the start"
    if row.asked_by == row.decided_by or stage.started_by in (row.asked_by, row.decided_by):
        return "it takes two people who did not start the stage"
    if conditions.covered(plan, stage.key, row.condition) is None:
        return "the plan lets nobody pass over it any more"
    return ""


def _text(row: Override, stage: Stage) -> str:
    said = [
        "override",
        row.id,
        stage.rollout_id,
        stage.key,
        row.stage_id,
        row.generation,
        row.condition,
        row.title,
        row.reason,
        row.evidence_digest,
        row.asked_by,
        row.asked_at.isoformat(),
        row.decided_by,
        row.decided_at.isoformat() if row.decided_at is not None else None,
        row.key_id,
    ]
    return json.dumps(said, separators=(",", ":"))
