"""After each look: what no longer holds what we set, and what came on the old runtime after a stage was frozen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select

from engine.parts import Parts
from rollout.change import Change, Found, Holds
from rollout.change import compare as holds
from rollout.drift import APPEARED, FELL_BACK, REDEPLOYED, Drift
from rollout.runtime import shown
from storage import drifting
from storage.drifting import Watched
from storage.models import Rollout
from storage.plans import plan_of
from workspace.errors import WorkspaceError
from workspace.kinds import KINDS

log = structlog.get_logger(__name__)


def compare(parts: Parts, rollout_id: int, workspace: str, found: Sequence[Found], began: datetime) -> None:
    """Store for each target of the workspace whether it drifted. ``began`` (machine) is when the look began.

    What was written shortly before the look is left to its action: reads may lag behind a write.
    """
    raws = {(f.kind, f.object_id): f for f in found if f.kind in KINDS}
    quiet = began - timedelta(seconds=parts.patience.settle)
    now = parts.calendar()
    with parts.database.read() as session:
        watched = drifting.watched(session, rollout_id, workspace)
        rollout = session.execute(select(Rollout).where(Rollout.id == rollout_id)).scalar_one()
        target = plan_of(rollout).runtimes.target
    changed: dict[int, dict[str, Any] | None] = {}
    for one in watched:
        seen = raws.get((one.kind, one.object_id))
        if seen is None or (one.written_at is not None and one.written_at > quiet):
            continue
        drift = _drift(one, seen, target, now)
        if drift is None:
            if one.drift is not None:
                changed[one.target_id] = None
        elif one.drift is None or Drift.from_json(one.drift).key() != drift.key():
            changed[one.target_id] = _who(parts, workspace, one, drift).to_json()
    settled = drifting.no_longer_watched(parts.database, rollout_id, workspace, {w.target_id for w in watched})
    drifting.store(parts.database, {**dict.fromkeys(settled), **changed})
    if changed:
        log.info("drift", workspace=workspace, targets=sum(v is not None for v in changed.values()))


def _drift(one: Watched, seen: Found, target: str, now: datetime) -> Drift | None:
    kind = KINDS[one.kind]
    on = kind.release_of(seen.raw)
    if one.change is None:
        return Drift(APPEARED, target, on, now)
    change = Change.from_json(one.change)
    present = holds(change, kind.values(seen.raw, change))
    if one.reverted:
        before = " + ".join(sorted({shown(f.before) for f in change.fields if f.path[-1] == "spark_version"}))
        return Drift(REDEPLOYED, before, on, now) if present is Holds.AFTER else None
    return None if present is Holds.AFTER else Drift(FELL_BACK, target, on, now)


def _who(parts: Parts, workspace: str, one: Watched, drift: Drift) -> Drift:
    """One call for each target that drifted anew; the API tells it of clusters only."""
    try:
        edited = KINDS[one.kind].edited_by(parts.clients[workspace], one.object_id)
    except WorkspaceError as error:
        log.warning("drift_not_explained", workspace=workspace, error=str(error))
        return drift
    return replace(drift, by=edited[0], at=edited[1]) if edited is not None else drift


def report(parts: Parts, rollouts: Sequence[Rollout]) -> None:
    """Post what drifted, at most once a day (in the plan's zone) for each rollout, while there is something."""
    now = parts.calendar()
    for rollout in rollouts:
        today = f"{now.astimezone(ZoneInfo(plan_of(rollout).zone)):%Y-%m-%d}"
        drifting.report(parts.database, rollout.id, today, now)
