"""Owners of jobs are told once when a stage starts: one message a person and day, and one list of those not found."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from commands.plaintext import render
from rollout.states import StageState
from storage import owners
from storage.models import Outbox, OwnerNotice, Target
from tests.commands.world import NOW, PEOPLE, World, sandbox_plan

QA, LEAD = PEOPLE["qa"], PEOPLE["tech-lead"]


@pytest.fixture
def started(world: World) -> World:
    with world.database.write() as session:
        for owner, numbers in (("qa@example.com", (0, 1)), ("etl-team@example.com", (2,))):
            names = [f"dev {kind} {n}" for n in numbers for kind in ("etl", "nightly")]
            session.execute(update(Target).where(Target.name.in_(names)).values(owner=owner, kind="job"))
    world.tick_all()
    world.confirm("devops", "start dev")
    return world


def found(world: World) -> dict[str, str]:
    with world.database.read() as session:
        return {row.owner: row.state for row in session.execute(select(OwnerNotice)).scalars()}


def resolved(world: World, **people: str | None) -> None:
    with world.database.write() as session:
        for notice, owner in owners.unresolved(session, 50):
            owners.resolve(session, notice, people.get(owner.partition("@")[0].replace("-", "_")))


def letters(world: World, kind: str) -> list[Outbox]:
    with world.database.read() as session:
        return list(session.execute(select(Outbox).where(Outbox.kind == kind).order_by(Outbox.id)).scalars())


def said(world: World, letter: Outbox) -> str | None:
    reply = world.door.document(letter.kind, letter.rollout_id, letter.stage_id, letter.ids)
    return render(reply) if reply is not None else None


def test_each_owner_is_told_once_with_their_jobs_and_the_date(started: World) -> None:
    assert found(started) == {"qa@example.com": "wanted", "etl-team@example.com": "wanted"}
    owners.tick(started.database, started.now)
    assert letters(started, "owner_notice") == []  # nobody was looked up yet
    resolved(started, qa=QA)
    for _ in range(3):
        owners.tick(started.database, started.now)
    (letter,) = letters(started, "owner_notice")
    assert letter.ids["to"] == QA
    text = said(started, letter) or ""
    assert "2 jobs of yours move from 13.3 to 17.3" in text
    assert "dev etl 0" in text
    assert "dev nightly 1" in text
    assert "dev etl 2" not in text
    assert "From Mon 02 Mar 10:00" in text
    (listed,) = letters(started, "owners_unknown")
    assert "etl-team@example.com" in (said(started, listed) or "")
    assert "qa@example.com" not in (said(started, listed) or "")


def test_who_had_a_message_today_is_told_tomorrow(started: World) -> None:
    resolved(started, qa=QA, etl_team=LEAD)
    with started.database.write() as session:
        session.add(
            Outbox(key=f"dm:{QA}:2026-03-02", kind="other", rollout_id=started.rollout_id, ids={}, created_at=NOW)
        )
    owners.tick(started.database, started.now)
    assert [letter.ids["to"] for letter in letters(started, "owner_notice")] == [LEAD]
    owners.tick(started.database, started.now + timedelta(hours=13))
    assert len(letters(started, "owner_notice")) == 1
    owners.tick(started.database, started.now + timedelta(hours=14))
    assert [letter.ids["to"] for letter in letters(started, "owner_notice")] == [LEAD, QA]


def test_a_stage_that_was_rolled_back_meanwhile_is_no_news(started: World) -> None:
    resolved(started, qa=QA)
    started.set_stage("dev", state=StageState.ROLLING_BACK)
    owners.tick(started.database, started.now)
    assert letters(started, "owner_notice") == []
    assert letters(started, "owners_unknown") == []
    assert set(found(started).values()) == {"told"}


def test_a_plan_may_tell_no_owner(migrated_sqlite_url: str) -> None:
    plan: Any = sandbox_plan().model_copy(update={"owner_notice": False})
    world = World(migrated_sqlite_url, plan=plan)
    with world.database.write() as session:
        session.execute(update(Target).values(owner="qa@example.com"))
    world.tick_all()
    world.confirm("devops", "start dev")
    assert found(world) == {}
    world.close()
