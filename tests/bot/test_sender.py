"""The outbox is sent once, in order, at Slack's pace."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sender import Sender
from commands.reply import Chart, Paragraph, Reply, Table
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage import direct as one_a_day
from storage import outbox
from storage.database import Database
from storage.models import Card, Outbox
from tests.bot.desk import Desk, desk
from tests.bot.harness import NOW, PEOPLE


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    """A local Slack that takes many messages at once."""
    with running(tmp_path / "slack", limits=Limits(post_burst=1000)) as made:
        yield made


def test_messages_are_posted_in_order_and_once(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    for key in ("a", "b", "c", "a"):
        it.post(key)
    it.run()
    assert [m["text"] for m in it.seen()] == [f"daily_summary {{'key': '{k}'}}" for k in "abc"]
    assert [letter.state for letter in it.letters()] == ["sent"] * 3
    assert [letter.message_ts for letter in it.letters()] == [m["ts"] for m in it.seen()]


def test_a_channel_gets_one_message_a_second(slack: Slack, database: Database) -> None:
    it = desk(slack, database, gap=1.0)
    it.post("a")
    it.post("b")
    assert it.sender.turn()
    assert not it.sender.turn()
    it.now[0] += 1.0
    assert it.sender.turn()


def test_what_slack_asks_to_wait_for_is_waited_for_and_keeps_its_order(tmp_path: Path, database: Database) -> None:
    instant = [time.time()]  # Slack's own, so that the first messages come too fast also where the machine is slow
    with running(tmp_path / "slack2", limits=Limits(post_burst=1), machine=lambda: instant[0]) as slack:
        it = desk(slack, database)
        for key in "abc":
            it.post(key)
        until = time.monotonic() + 60
        while any(letter.state != "sent" for letter in it.letters()) and time.monotonic() < until:
            it.sender.turn()
            it.now[0] += 0.2
            instant[0] += 0.2
            time.sleep(0.05)
        assert [m["text"][-3] for m in it.seen()] == ["a", "b", "c"]
        assert max(letter.attempts for letter in it.letters()) > 1


def test_what_a_dead_sender_left_is_repeated_marked_or_dropped(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    it.post("decision", "decision_wanted", it.stages[0], repeat=True)
    it.post("summary")
    with either.write() as session:
        long_ago = either.machine() - timedelta(minutes=5)
        first = outbox.next_letters(session, either.machine())[0]
        assert outbox.claim(session, first, "dead", long_ago, 60.0) is not None
        row = session.query(Outbox).filter(Outbox.key == "summary").one()
        row.state, row.owner, row.lease_until, row.epoch = "sending", "dead", long_ago, 1
    it.run()
    assert [letter.state for letter in it.letters()] == ["sent", "dropped"]
    (message,) = it.seen()
    assert "(repeated" in message["text"]
    assert "(repeated" in str(message["blocks"])


def test_a_message_that_is_being_sent_is_not_sent_by_another(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    it.post("a")
    it.post("b")
    with either.write() as session:
        now = either.machine()
        letter = outbox.next_letters(session, now)[0]
        assert outbox.claim(session, letter, "other", now, 60.0) is not None
        assert outbox.claim(session, letter, "one", now, 60.0) is None
        assert outbox.next_letters(session, now) == []
    it.run()
    assert it.seen() == []


@pytest.mark.parametrize(("repeat", "state", "count"), [(True, "sent", 2), (False, "dropped", 1)])
def test_a_lost_answer_is_repeated_for_decisions_only(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch, repeat: bool, state: str, count: int
) -> None:
    it = desk(slack, database)
    it.post("a", "decision_wanted", repeat=repeat)
    really: Callable[..., Any] = it.sender._web.chat_postMessage

    def lost(**arguments: Any) -> Any:
        really(**arguments)
        monkeypatch.undo()
        raise TimeoutError

    monkeypatch.setattr(it.sender._web, "chat_postMessage", lost)
    it.run()
    with database.write() as session:
        session.query(Outbox).update({"not_before": None})
    it.run()
    assert [letter.state for letter in it.letters()] == [state]
    assert len(it.seen()) == count


def test_a_message_about_nothing_any_more_is_dropped(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    it.door.documents["daily_summary"] = None
    it.post("a")
    it.run()
    assert [letter.state for letter in it.letters()] == ["dropped"]
    assert it.seen() == []


def test_messages_of_a_stage_go_into_the_thread_of_its_card_and_decisions_into_the_channel_too(
    slack: Slack, database: Database
) -> None:
    it = desk(slack, database)
    it.touch(it.stages[0])
    it.post("pin", "pinned", it.stages[0])
    it.post("wanted", "decision_wanted", it.stages[0], repeat=True)
    it.post("day")
    it.run()
    card = it.card(it.stages[0])
    top = it.seen()
    assert [m["text"].split()[0] for m in top] == ["card", "decision_wanted", "daily_summary"]
    assert top[0]["ts"] == card.ts
    assert [m["text"].split()[0] for m in it.seen(card.ts)] == ["card", "pinned", "decision_wanted"]


def test_a_thread_that_is_gone_does_not_lose_the_message(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    it.touch(it.stages[0])
    it.run()
    with database.write() as session:
        session.query(Card).update({"ts": "1600000000.000001"})
    it.post("pin", "pinned", it.stages[0], repeat=True)
    it.run()
    assert it.letters()[0].state == "sent"


def test_without_an_invitation_it_waits_and_goes_on_once_invited(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    slack.command("qa", "/remove @rollout", "platform-support")
    it.touch(it.stages[0])
    it.post("a")
    for _ in range(5):
        it.sender.turn()
    assert it.letters()[0].error == "not_in_channel"
    assert it.card(it.stages[0]).ts is None
    slack.command("qa", "/invite @rollout", "platform-support")
    it.now[0] += 600
    with database.write() as session:
        session.query(Outbox).update({"not_before": None})
    it.run()
    assert len(it.seen()) == 2


def test_where_slack_refuses_charts_and_tables_the_message_comes_as_text(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slack_sdk.errors import SlackApiError

    it = desk(slack, database)
    chart = Chart("runs", ("a", "b"), (("old", (1.0, 2.0)),))
    it.door.documents["daily_summary"] = Reply("day", (Paragraph((("day",),)), chart, Table(("x",), (("y",),))))
    really: Callable[..., Any] = it.sender._web.chat_postMessage
    tried: list[set[str]] = []

    def picky(**arguments: Any) -> Any:
        tried.append({block["type"] for block in arguments["blocks"]})
        if tried[-1] & {"data_visualization", "table"}:
            raise SlackApiError("refused", {"ok": False, "error": "invalid_blocks"})
        return really(**arguments)

    monkeypatch.setattr(it.sender._web, "chat_postMessage", picky)
    it.post("a")
    it.run()
    assert tried == [{"section", "data_visualization", "table"}, {"section", "table"}, {"section"}]
    assert "█" in str(it.seen()[0]["blocks"])


def test_a_native_chart_is_taken_by_slack(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    chart = Chart("runs", ("a", "b"), (("old", (1.0, 2.0)),))
    it.door.documents["daily_summary"] = Reply("day", (chart,))
    it.post("a")
    it.run()
    assert it.seen()[0]["blocks"][0]["type"] == "data_visualization"


def test_of_two_senders_one_sends(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    other = Sender(either, it.door, it.sender._web, it.sender._cardboard, it.sender._pace, "two", lease=15.0)
    assert it.sender._leads()
    assert not other._leads()
    it.sender.start()
    it.sender.stop()
    assert other._leads()


def test_an_error_in_a_document_does_not_stop_the_others(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = desk(slack, database)
    broken: Callable[..., Any] = lambda *_: 1 / 0  # noqa: E731
    monkeypatch.setattr(it.door, "document", broken)
    it.post("a")
    for _ in range(6):
        it.sender.turn()
        with database.write() as session:
            session.query(Outbox).update({"not_before": None})
    assert it.letters()[0].state == "dropped"
    monkeypatch.undo()
    it.post("b")
    it.run()
    assert len(it.seen()) == 1


def remind(it: Desk, *users: str) -> None:
    with it.database.write() as session:
        for user in users:
            one_a_day.message(session, NOW, "UTC", user, "reminder", rollout_id=None, ids={"user": user})


def direct(slack: Slack, person: str) -> list[dict[str, Any]]:
    me = slack.get("state", **{"as": person})["me"]
    return list(slack.get("messages", **{"as": person, "channel": me["dm"]})["messages"])


def test_a_reminder_goes_to_its_person_alone(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    remind(it, PEOPLE["qa"])
    it.run()
    assert len(direct(slack, "qa")) == 1
    assert (direct(slack, "devops"), it.seen()) == ([], [])


def test_a_person_whom_slack_does_not_reach_holds_back_nobody_for_long(slack: Slack, either: Database) -> None:
    it = desk(slack, either)
    remind(it, "U0NOSUCH01", PEOPLE["qa"])
    it.post("a")
    for _ in range(6):
        it.run()
        with it.database.write() as session:
            session.query(Outbox).update({Outbox.not_before: None})
    it.run()
    assert [m["text"][:13] for m in it.seen()] == ["daily_summary"]
    assert [letter.state for letter in it.letters()] == ["dropped", "sent", "sent"]
    assert len(direct(slack, "qa")) == 1
