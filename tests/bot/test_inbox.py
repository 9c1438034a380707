"""Presses are stored once, taken by one worker at a time, and survive crashes. On both databases."""

import threading
from datetime import timedelta

import pytest

from bot.build import build_app
from bot.press import Kind, Origin, Press
from commands.reply import Reply
from sandbox.slack.server import Slack
from storage import inbox
from storage.database import Database
from storage.models import Inbox
from tests.bot.harness import PEOPLE, SUPPORT, FakeDoor, settings_for, soon, started

MINUTE = timedelta(minutes=1)


def store(database: Database, key: str = "k1", owner: str = "one", seconds: float = 60.0) -> inbox.Taken | None:
    with database.write() as session:
        return inbox.store(session, key, "command", {"user": "U1"}, owner, database.machine(), seconds)


def row(database: Database, press: int) -> Inbox:
    with database.read() as session:
        return session.get_one(Inbox, press)


def test_a_key_is_stored_once(either: Database) -> None:
    first = store(either)
    assert first is not None
    assert store(either) is None
    assert row(either, first.id).state == "taken"


def test_a_taken_press_is_free_again_when_its_lease_ends_or_is_given_back(either: Database) -> None:
    taken = store(either)
    assert taken is not None
    now = either.machine()
    with either.write() as session:
        assert inbox.waiting(session, now, 10) == []
        assert inbox.waiting(session, now + 2 * MINUTE, 10) == [taken.id]
        assert inbox.take(session, taken.id, "two", now, 60.0) is None
        inbox.give_back(session, "one")
    with either.write() as session:
        assert inbox.waiting(session, now, 10) == [taken.id]
        assert inbox.waiting(session, now, 10, besides=[taken.id]) == []
        again = inbox.take(session, taken.id, "two", now, 60.0)
    assert again is not None
    assert again.attempts == 2
    assert again.payload == {"user": "U1"}


def test_only_its_owner_finishes_a_press_and_its_payload_goes(either: Database) -> None:
    taken = store(either)
    assert taken is not None
    with either.write() as session:
        assert not inbox.finish(session, taken.id, "two", either.machine(), {})
        assert inbox.finish(session, taken.id, "one", either.machine(), {"outcome": "answered"})
        assert not inbox.finish(session, taken.id, "one", either.machine(), {})
        assert inbox.is_done(session, "k1")
    assert row(either, taken.id).payload is None
    assert store(either) is None
    with either.write() as session:
        inbox.forget(session, either.machine() + MINUTE)
    assert store(either) is not None


def test_a_press_that_is_never_finished_is_given_up(either: Database) -> None:
    taken = store(either, seconds=0.0)
    assert taken is not None
    now = either.machine()
    for turn in range(1, inbox.ATTEMPTS):
        with either.write() as session:
            assert inbox.take(session, taken.id, "two", now + turn * MINUTE, 1.0) is not None
    with either.write() as session:
        assert inbox.take(session, taken.id, "two", now + 60 * MINUTE, 1.0) is None
    assert row(either, taken.id).state == "done"


def test_of_many_workers_one_takes_a_press(either: Database) -> None:
    taken = store(either, seconds=0.0)
    assert taken is not None
    got: list[str] = []
    start = threading.Barrier(6)

    def grab(owner: str) -> None:
        start.wait()
        with either.write() as session:
            if inbox.take(session, taken.id, owner, either.machine() + MINUTE, 60.0) is not None:
                got.append(owner)

    threads = [threading.Thread(target=grab, args=(f"w{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


@pytest.mark.parametrize("state", ["new", "taken"])
def test_a_press_that_a_dead_process_acknowledged_is_worked_on_after_the_restart(
    slack: Slack, either: Database, state: str
) -> None:
    press = Press(Kind.COMMAND, Origin.CHANNEL, PEOPLE["qa"], "start", {"words": "dev"}, channel=SUPPORT, trigger="old")
    taken = store(either, owner="dead", seconds=-1.0)
    assert taken is not None
    with either.write() as session:
        stored = session.get_one(Inbox, taken.id)
        stored.payload = press.to_json()
        if state == "new":
            stored.state, stored.owner, stored.lease_until = "new", None, None
    door = FakeDoor()
    before = len(seen(slack))
    with started(build_app(settings_for(slack, mode="http", port=0), either, door)):
        soon(lambda: row(either, taken.id).state == "done")
        assert [r.verb for r in door.asked] == ["start"]
        answer = soon(lambda: seen(slack)[before:])[0]
    assert "Open the form" in str(answer["blocks"])  # its trigger was over


def test_an_act_that_is_refused_the_second_time_says_that_it_may_have_taken_effect(
    slack: Slack, database: Database
) -> None:
    press = Press(Kind.COMMAND, Origin.CHANNEL, PEOPLE["qa"], "pause", channel=SUPPORT)
    taken = store(database, owner="dead", seconds=-1.0)
    assert taken is not None
    with database.write() as session:
        session.get_one(Inbox, taken.id).payload = press.to_json()
    door = FakeDoor(handler=lambda _: Reply("Refused (already_paused)", refused="already_paused"))
    before = len(seen(slack))
    with started(build_app(settings_for(slack, mode="http", port=0), database, door)):
        answer = soon(lambda: seen(slack)[before:])[0]
    assert "may have taken effect the first time" in str(answer["blocks"])


def test_two_replicas_share_a_backlog_and_do_nothing_twice(slack: Slack, migrated_postgresql_url: str) -> None:
    database = Database(migrated_postgresql_url)
    taken = [store(database, f"k{i}", owner="dead", seconds=-1.0) for i in range(20)]
    with database.write() as session:
        for i, press in enumerate(taken):
            assert press is not None
            made = Press(Kind.COMMAND, Origin.CHANNEL, PEOPLE["qa"], "status", {"words": str(i)}, channel=SUPPORT)
            session.get_one(Inbox, press.id).payload = made.to_json()
    doors = (FakeDoor(), FakeDoor())
    settings = settings_for(slack, mode="http", port=0)
    with started(build_app(settings, database, doors[0])), started(build_app(settings, database, doors[1])):
        soon(lambda: all(press is not None and row(database, press.id).state == "done" for press in taken), 15.0)
    asked = sorted(int(request.arguments["words"]) for door in doors for request in door.asked)
    assert asked == list(range(20))
    database.close()


def test_stopping_gives_back_what_was_not_begun(slack: Slack, either: Database) -> None:
    door = FakeDoor()
    bot = build_app(settings_for(slack, mode="http", port=0, worker_threads=1), either, door)
    with started(bot):
        assert bot._workers is not None
    press = Press(Kind.COMMAND, Origin.CHANNEL, PEOPLE["qa"], "status", channel=SUPPORT)
    taken = bot._workers.accept("late", press)
    assert taken is not None
    bot._workers.hand(taken)
    assert row(either, taken.id).state == "new"


def seen(slack: Slack) -> list[dict[str, object]]:
    """Ephemeral messages of qa."""
    found = slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"]
    return [message for message in found if message["ephemeral"]]
