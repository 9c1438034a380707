"""Posting on a bad day: a card that cannot be drawn, a channel that became shared, a week without an invitation."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.identity import Identity
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage.database import Database
from storage.models import Outbox
from tests.bot.desk import desk
from tests.bot.harness import NOW
from tests.bot.test_identity import OURS, FakeSlack, refused


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    """A local Slack that takes many messages at once."""
    with running(tmp_path / "slack", limits=Limits(post_burst=1000)) as made:
        yield made


def test_a_card_that_cannot_be_drawn_holds_no_decision_back_for_long(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = desk(slack, database)
    monkeypatch.setattr(it.door, "card", lambda _: 1 / 0)
    it.touch(it.stages[0])
    it.post("wanted", "decision_wanted", it.stages[0], repeat=True)
    it.post("day")
    it.run()
    assert it.seen() == []  # the card may still come
    it.sender._patience = 0.0
    it.run()
    assert [m["text"].split()[0] for m in it.seen()] == ["decision_wanted", "daily_summary"]


def test_of_many_summaries_that_waited_the_newest_is_posted(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    for day in range(5):
        it.post(f"day {day}")
    it.post("wanted", "decision_wanted", it.stages[0], repeat=True)
    with either.write() as session:
        for day, row in enumerate(session.query(Outbox).order_by(Outbox.id)):
            row.created_at = NOW + timedelta(days=day)
    it.run()
    assert [m["text"].split()[0] for m in it.seen()] == ["daily_summary", "decision_wanted"]
    assert "day 4" in it.seen()[0]["text"]
    assert [letter.state for letter in it.letters()] == ["dropped"] * 4 + ["sent"] * 2


@pytest.mark.parametrize("found", [True, TimeoutError])
def test_nothing_is_posted_to_a_channel_that_is_shared_or_may_be(slack: Slack, database: Database, found: Any) -> None:
    it = desk(slack, database)
    it.touch(it.stages[0])
    it.run()
    fake = FakeSlack()
    fake.channel = {"is_ext_shared": True} if found is True else found()
    it.guard(Identity(fake, OURS, frozenset, seconds=0.3).is_internal)  # type: ignore[arg-type]
    it.touch(it.stages[0])
    it.touch(it.stages[1])
    it.post("wanted", "decision_wanted", it.stages[0], repeat=True)
    it.post("day")
    it.run()
    assert len(it.seen()) == 1  # the card from before
    assert [letter.state for letter in it.letters()] == ["pending", "pending"]
    assert it.letters()[0].error == ("channel_is_shared" if found is True else "the channel cannot be looked at")
    fake.channel = {}
    it.now[0] += 600
    it.guard(Identity(fake, OURS, frozenset, seconds=0.3).is_internal)  # type: ignore[arg-type]
    with database.write() as session:
        session.query(Outbox).update({"not_before": None})
    it.run()
    assert len(it.seen()) == 4


def test_a_channel_that_the_bot_may_not_look_at_is_left_to_the_posting_itself() -> None:
    fake = FakeSlack()
    fake.channel = refused("channel_not_found")
    assert Identity(fake, OURS, frozenset, seconds=0.3).is_internal("C1")  # type: ignore[arg-type]
