"""Cards show the present state, in place, within one budget of edits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.reply import Reply
from rollout.states import StageState
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage.database import Database
from storage.models import Stage
from tests.bot.desk import desk
from tests.bot.harness import NOW, SUPPORT


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    """A local Slack that takes many messages at once."""
    with running(tmp_path / "slack", limits=Limits(post_burst=1000)) as made:
        yield made


def test_a_card_is_posted_once_and_then_edited_with_the_newest_state(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    stage = it.stages[0]
    it.touch(stage)
    it.run()
    for number in range(5):
        it.touch(stage)
        it.door.cards[stage] = Reply(f"state {number}")
    it.now[0] += 5
    it.run()
    (message,) = it.seen()
    assert message["text"] == "state 4"
    assert message["metadata"]["event_payload"] == {"stage": "dev", "state": "ready"}
    card = it.card(stage)
    assert card.shown == card.wanted == 6
    assert len(it.sender._cardboard._budget._spent) == 1


def test_a_baking_card_says_until_when(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    with database.write() as session:
        stage = session.get_one(Stage, it.stages[0])
        stage.state, stage.bake_until = StageState.BAKING, NOW
    it.touch(it.stages[0])
    it.run()
    assert it.seen()[0]["metadata"]["event_payload"]["bake_until"] == "2026-11-23T09:00:00+00:00"


def test_a_card_that_looks_the_same_is_not_edited(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    it.touch(it.stages[0])
    it.run()
    it.touch(it.stages[0])
    it.now[0] += 5
    it.run()
    assert it.seen()[0]["edited"] is None
    assert it.card(it.stages[0]).shown == 2


def test_edits_keep_to_the_budget_and_final_states_go_first(slack: Slack, database: Database) -> None:
    it = desk(slack, database, most=5, reserve=2)
    dev, test = it.stages
    it.touch(dev)
    it.touch(test)
    it.run()
    for number in range(10):  # three edits are allowed to what is not final
        it.door.cards[dev] = Reply(f"dev {number}")
        it.touch(dev)
        it.now[0] += 1.0
        it.sender.turn()
    assert it.card(dev).shown < it.card(dev).wanted
    it.door.cards[test] = Reply("test is blocked")
    it.touch(test, final=True)
    it.sender.turn()
    assert "test is blocked" in [m["text"] for m in it.seen()]
    it.now[0] += 60.0
    it.run()
    assert "dev 9" in [m["text"] for m in it.seen()]


def test_edits_of_one_card_keep_their_distance(slack: Slack, database: Database) -> None:
    it = desk(slack, database, card_gap=1.5)
    it.touch(it.stages[0])
    it.run()
    it.now[0] += 10
    for text in ("one", "two"):
        it.door.cards[it.stages[0]] = Reply(text)
        it.touch(it.stages[0])
        it.sender.turn()
    assert it.seen()[0]["text"] == "one"
    it.now[0] += 1.5
    it.sender.turn()
    assert it.seen()[0]["text"] == "two"


def test_a_card_that_somebody_deleted_is_posted_again(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    it.touch(it.stages[0])
    it.run()
    it.sender._web.chat_delete(channel=SUPPORT, ts=it.card(it.stages[0]).ts)
    it.door.cards[it.stages[0]] = Reply("new")
    it.touch(it.stages[0])
    it.now[0] += 5
    it.run()
    assert [m["text"] for m in it.seen()] == ["new"]


def test_a_message_that_asked_for_something_loses_its_buttons_once_that_is_over(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    with either.write() as session:
        session.get_one(Stage, it.stages[0]).state = StageState.REVIEW
    it.touch(it.stages[0])
    it.post("wanted", "decision_wanted", it.stages[0], repeat=True)
    it.run()
    assert it.letters()[0].state == "sent"
    assert "decision_wanted {" in it.seen(it.card(it.stages[0]).ts)[1]["text"]
    with either.write() as session:
        session.get_one(Stage, it.stages[0]).state = StageState.PASSED
    it.run()
    assert it.letters()[0].state == "closed"
    assert it.seen(it.card(it.stages[0]).ts)[1]["text"] == "decision_wanted is over"


def test_a_passed_stage_offers_the_next_one_only_until_that_has_begun(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    with database.write() as session:
        session.get_one(Stage, it.stages[0]).state = StageState.PASSED
    it.touch(it.stages[0])
    it.post("passed", "stage_passed", it.stages[0], repeat=True)
    it.run()
    assert it.letters()[0].state == "sent"
    with database.write() as session:
        session.get_one(Stage, it.stages[1]).state = StageState.PREPARING
    it.run()
    assert it.letters()[0].state == "closed"
