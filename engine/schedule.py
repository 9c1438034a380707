"""What is due by the calendar: the daily summary, reminders, and the hourly look at a bake. APScheduler only ticks.

The truth about what was posted is a fence row per (job, rollout, local period), committed with its outbox row: each due
time is taken once by any number of replicas, after a restart too. Of several missed due times only the last is posted.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import select

from engine import drift
from engine.parts import Parts
from rollout.plan import Report
from rollout.states import StageState
from storage import fences, reminding
from storage.models import Fence, Rollout, Stage
from storage.plans import plan_of
from storage.record import post

#: A due time longer ago than this is not made up for.
LONGEST_BACK = timedelta(days=8)


def last_due(report: Report, after: datetime, now: datetime) -> datetime | None:
    """The latest due time (UTC) of a report in (after, now]; None when there is none."""
    trigger = CronTrigger.from_crontab(report.cron, timezone=ZoneInfo(report.zone))
    found = None
    moment = max(after, now - LONGEST_BACK) + timedelta(microseconds=1)
    while True:
        due = trigger.get_next_fire_time(None, moment)
        if due is None or due.astimezone(UTC) > now:
            return found
        found = due.astimezone(UTC)
        moment = found + timedelta(seconds=1)


def tick(parts: Parts, look: Callable[[int, str], None]) -> None:
    """Post what is due; ``look(stage_id, period)`` is called for each baking stage whose hourly look is due."""
    now = parts.calendar()
    with parts.database.read() as session:
        rollouts = session.execute(select(Rollout).where(Rollout.open)).scalars().all()
    drift.report(parts, rollouts)
    for rollout in rollouts:
        reports = plan_of(rollout).reports
        _daily(parts, rollout, reports.daily, now)
        with parts.database.read() as session:
            baking = session.execute(
                select(Stage).where(Stage.rollout_id == rollout.id, Stage.state == StageState.BAKING)
            ).scalars()
            stages = [(s.id, s.generation, s.started_at or now) for s in baking]
        for stage_id, generation, started in stages:
            period = _take(parts, f"bake:{stage_id}:{generation}", rollout, reports.bake, started, now)
            if period is not None:
                look(stage_id, period)
        reminding.remind(parts.database, rollout, now)


def _daily(parts: Parts, rollout: Rollout, report: Report, now: datetime) -> None:
    _take(parts, "daily", rollout, report, rollout.opened_at, now, kind="daily_summary")


def _take(
    parts: Parts, job: str, rollout: Rollout, report: Report, since: datetime, now: datetime, kind: str | None = None
) -> str | None:
    """Take the latest due time of a job that nobody took; its period, or None. Queues the post in the same commit."""
    with parts.database.read() as session:
        newest = session.execute(
            select(Fence.at).where(Fence.job == job, Fence.rollout_id == rollout.id).order_by(Fence.at.desc()).limit(1)
        ).scalar_one_or_none()
    due = last_due(report, max(since, newest) if newest is not None else since, now)
    if due is None or (kind is not None and newest is not None and _same_time_of_day(report, newest, due)):
        return None
    period = f"{due.astimezone(ZoneInfo(report.zone)):%Y-%m-%dT%H:%M%z}"
    with parts.database.write() as session:
        if not fences.take(session, job, rollout.id, period, due):
            return None
        if kind is not None:
            key = f"{kind}:{rollout.id}:{period}"
            post(session, now, key, kind, rollout_id=rollout.id, ids={"period": period, "due": due.isoformat()})
    return period


def _same_time_of_day(report: Report, taken: datetime, due: datetime) -> bool:
    """Whether the clocks went back between them: the same hour comes twice, and its summary once."""
    zone = ZoneInfo(report.zone)
    return taken.astimezone(zone).replace(tzinfo=None) == due.astimezone(zone).replace(tzinfo=None)
