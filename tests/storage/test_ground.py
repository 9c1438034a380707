"""Vault, clock, leases, and opening rollouts."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from rollout.plan import Plan
from rollout.states import StageState
from storage import leases
from storage.clock import FileCalendar
from storage.database import Database
from storage.models import Rollout, Stage
from storage.opening import open_rollouts
from storage.plans import plan_of
from storage.record import post, touch_card
from storage.secrets import KeyProblem, Vault
from tests.engine.harness import plan_of_second, plan_of_two

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    made = Database(migrated_url)
    yield made
    made.close()


def only_rollout(database: Database) -> Rollout:
    with database.read() as session:
        return session.execute(select(Rollout)).scalar_one()


def stage_keys(database: Database) -> list[tuple[str, StageState]]:
    with database.read() as session:
        rows = session.execute(select(Stage).order_by(Stage.position)).scalars()
        return [(s.key, s.state) for s in rows]


def test_a_backup_opens_with_an_old_key_and_not_with_a_foreign_one() -> None:
    old, new, foreign = (Fernet.generate_key().decode() for _ in range(3))
    sealed = Vault([old]).seal({"spark_conf": {"password": "hunter2"}})
    assert b"hunter2" not in sealed
    assert Vault([new, old]).open(sealed) == {"spark_conf": {"password": "hunter2"}}
    with pytest.raises(KeyProblem, match="ROLLOUT_SECRET_KEYS"):
        Vault([foreign]).open(sealed)


@pytest.mark.parametrize("keys", [[], ["short"], [""]])
def test_a_key_that_is_none_is_refused(keys: list[str]) -> None:
    with pytest.raises(KeyProblem, match=r"app\.py key"):
        Vault(keys)


def write_clock(path: Path, anchor: datetime, speed: float) -> None:
    path.write_text(json.dumps({"anchor": anchor.isoformat(), "machine": time.time(), "speed": speed}))


def test_the_calendar_follows_its_file_and_survives_a_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    write_clock(path, NOW, 0)
    calendar = FileCalendar(path)
    assert calendar() == NOW
    write_clock(path, NOW + timedelta(days=1), 0)
    assert calendar() == NOW + timedelta(days=1)
    path.write_text("{")
    assert calendar() == NOW + timedelta(days=1)
    path.unlink()
    assert calendar() == NOW + timedelta(days=1)


def test_a_clock_without_a_zone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    path.write_text(json.dumps({"anchor": "2026-11-23T08:00:00", "machine": 0, "speed": 1}))
    with pytest.raises(ValueError, match="zone"):
        FileCalendar(path)


def test_a_lease_has_one_holder_until_it_ends(database: Database) -> None:
    assert leases.take(database, "look", "a", 60)
    assert not leases.take(database, "look", "b", 60)
    assert leases.take(database, "look", "a", 60), "its holder may renew it"
    leases.release(database, "look", "b")
    assert not leases.take(database, "look", "b", 60), "nobody gives back what another holds"
    leases.release(database, "look", "a")
    assert leases.take(database, "look", "b", 60)


def test_a_plan_gets_one_rollout_and_not_a_second(database: Database) -> None:
    assert open_rollouts(database, [plan_of_two()], NOW) == []
    assert open_rollouts(database, [plan_of_two()], NOW) == []
    assert plan_of(only_rollout(database)) == plan_of_two()
    assert stage_keys(database) == [("first", StageState.READY), ("second", StageState.WAITING)]


def test_until_a_stage_starts_a_changed_file_replaces_the_plan(database: Database) -> None:
    open_rollouts(database, [plan_of_two()], NOW)
    assert open_rollouts(database, [plan_of_second()], NOW) == []
    assert plan_of(only_rollout(database)) == plan_of_second()
    assert only_rollout(database).revision.revision == 2
    assert stage_keys(database) == [("second", StageState.READY)]


def test_after_a_stage_started_the_stored_revision_rules_and_the_difference_is_said(database: Database) -> None:
    open_rollouts(database, [plan_of_two()], NOW)
    with database.write() as session:
        session.execute(select(Stage).where(Stage.key == "first")).scalar_one().started_at = NOW
    changed: Plan = plan_of_two().model_copy(update={"title": "Other"})
    assert len(open_rollouts(database, [changed], NOW)) == 1
    assert plan_of(only_rollout(database)) == plan_of_two()
    assert only_rollout(database).file_digest is not None
    assert open_rollouts(database, [plan_of_two()], NOW) == []
    assert only_rollout(database).file_digest is None


def test_a_closed_rollout_is_not_opened_again(database: Database) -> None:
    open_rollouts(database, [plan_of_two()], NOW)
    with database.write() as session:
        session.execute(select(Rollout)).scalar_one().open = False
    open_rollouts(database, [plan_of_two()], NOW)
    assert not only_rollout(database).open


def test_a_message_is_queued_once_per_key(database: Database) -> None:
    open_rollouts(database, [plan_of_two()], NOW)
    rollout = only_rollout(database)
    with database.write() as session:
        assert post(session, NOW, "k", "daily_summary", rollout_id=rollout.id)
        assert not post(session, NOW, "k", "daily_summary", rollout_id=rollout.id)


def test_a_card_remembers_that_something_newer_is_to_be_shown(database: Database) -> None:
    open_rollouts(database, [plan_of_two()], NOW)
    with database.write() as session:
        stage = session.execute(select(Stage).where(Stage.key == "first")).scalar_one()
        touch_card(session, stage)
        touch_card(session, stage, final=True)
    with database.read() as session:
        from storage.models import Card

        card = session.execute(select(Card)).scalar_one()
        assert (card.wanted, card.shown, card.final, card.channel) == (2, 0, True, "C0TEST0001")
