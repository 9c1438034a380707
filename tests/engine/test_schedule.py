"""Each due time is posted once: by any number of replicas and after a restart; of missed ones only the last."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from engine.parts import Parts
from engine.schedule import last_due, tick
from rollout.plan import Report
from rollout.states import StageState
from rollout.steps import Patience
from storage.database import Database
from storage.models import Fence, Outbox, Stage
from storage.opening import open_rollouts
from storage.secrets import Vault
from tests.engine.harness import KEY, plan_of_two

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
DAILY = Report(cron="0 9 * * mon-sun", zone="UTC")


@pytest.mark.parametrize(
    ("report", "after", "now", "due"),
    [
        (DAILY, "2026-11-23T08:00", "2026-11-23T08:59", None),
        (DAILY, "2026-11-23T08:00", "2026-11-23T09:00", "2026-11-23T09:00"),
        (DAILY, "2026-11-23T09:00", "2026-11-23T09:00", None),
        (DAILY, "2026-11-23T08:00", "2026-11-26T12:00", "2026-11-26T09:00"),
        (DAILY, "2026-01-01T00:00", "2026-11-26T12:00", "2026-11-26T09:00"),
        (Report(cron="0 9 * * mon-fri", zone="UTC"), "2026-11-27T10:00", "2026-11-29T12:00", None),
        (
            Report(cron="0 9 * * mon-sun", zone="Europe/Berlin"),
            "2026-11-23T07:00",
            "2026-11-23T08:30",
            "2026-11-23T08:00",
        ),
        (
            Report(cron="30 2 * * mon-sun", zone="Europe/Berlin"),
            "2026-10-24T12:00",
            "2026-10-25T12:00",
            "2026-10-25T01:30",
        ),
    ],
)
def test_the_last_due_time_is_found(report: Report, after: str, now: str, due: str | None) -> None:
    found = last_due(report, _at(after), _at(now))
    assert found == (_at(due) if due is not None else None)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    made = Database(migrated_url)
    open_rollouts(made, [plan_of_two()], NOW)
    yield made
    made.close()


def replica(database: Database, now: datetime, owner: str) -> Parts:
    return Parts(database, lambda: now, {}, Vault([KEY]), owner, Patience(1, 1))


def summaries(database: Database) -> list[str]:
    with database.read() as session:
        rows = session.execute(select(Outbox).where(Outbox.kind == "daily_summary").order_by(Outbox.id)).scalars()
        return [o.ids["period"] for o in rows]


def no_look(_stage: int, _period: str) -> None:
    raise AssertionError("nothing bakes")


def test_two_replicas_post_a_summary_once(database: Database) -> None:
    now = NOW + timedelta(hours=2)
    start = threading.Barrier(4)

    def run(owner: str) -> None:
        start.wait()
        tick(replica(database, now, owner), no_look)

    threads = [threading.Thread(target=run, args=(f"replica-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert summaries(database) == ["2026-11-23T09:00+0000"]


def test_a_restart_does_not_post_again_and_of_missed_days_only_the_last_is_posted(database: Database) -> None:
    tick(replica(database, NOW + timedelta(hours=2), "a"), no_look)
    tick(replica(database, NOW + timedelta(hours=3), "b"), no_look)
    tick(replica(database, NOW + timedelta(days=3, hours=2), "c"), no_look)
    assert summaries(database) == ["2026-11-23T09:00+0000", "2026-11-26T09:00+0000"]


def test_nothing_is_due_before_the_first_due_time(database: Database) -> None:
    tick(replica(database, NOW + timedelta(minutes=59), "a"), no_look)
    assert summaries(database) == []


def test_the_hourly_look_is_taken_once_per_hour_and_only_while_a_stage_bakes(database: Database) -> None:
    with database.write() as session:
        stage = session.execute(select(Stage).where(Stage.key == "first")).scalar_one()
        stage.state, stage.started_at = StageState.BAKING, NOW
    looks: list[tuple[int, str]] = []
    for minutes in (30, 61, 62, 119, 125):
        tick(replica(database, NOW + timedelta(minutes=minutes), "a"), lambda *look: looks.append(look))
    assert [period for _, period in looks] == ["2026-11-23T09:00+0000", "2026-11-23T10:00+0000"]
    with database.read() as session:
        fences = session.execute(select(Fence)).scalars().all()
    assert len(fences) == 4, "two looks, one daily summary and one round of reminders"


def test_when_the_clocks_go_back_the_summary_of_the_repeated_hour_is_posted_once(migrated_url: str) -> None:
    plan = plan_of_two()
    reports = plan.reports.model_copy(update={"daily": Report(cron="30 2 * * mon-sun", zone="Europe/Berlin")})
    database = Database(migrated_url)
    open_rollouts(database, [plan.model_copy(update={"reports": reports})], _at("2026-10-24T12:00"))
    for now in ("2026-10-25T00:35", "2026-10-25T01:35", "2026-10-25T02:35", "2026-10-26T01:35"):
        tick(replica(database, _at(now), "a"), no_look)
    assert summaries(database) == ["2026-10-25T02:30+0200", "2026-10-26T02:30+0100"]
    database.close()
