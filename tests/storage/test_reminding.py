"""One direct message per person and day, from whichever replica, with everything that waits; quiet hours are quiet."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from commands.reply import Paragraph, Reply
from rollout.plan import Reminders
from rollout.states import StageState
from storage import direct as one_a_day
from storage import reminding
from storage.models import Outbox, Reminder, Rollout
from tests.commands.world import PEOPLE, World

MORNING = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)  # a Tuesday


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, targets=1)
    made.now = MORNING
    yield made
    made.close()


def assign(world: World, *keys: str, person: str = "devops") -> None:
    arguments = {"rollout": world.rollout_id, "items": list(keys), "owner": PEOPLE[person], "submitted": True}
    assert world.press("devops", "assign", arguments).refused is None


def report(world: World, owner: str, title: str = "Late") -> None:
    arguments = {"rollout": world.rollout_id, "title": title, "owner": PEOPLE[owner], "submitted": True}
    assert world.press("qa", "issue", arguments).refused is None


def remind(world: World) -> int:
    with world.database.read() as session:
        rollout = session.get_one(Rollout, world.rollout_id)
    return reminding.remind(world.database, rollout, world.now)


def letters(world: World) -> list[Outbox]:
    with world.database.read() as session:
        return session.query(Outbox).filter(Outbox.kind == reminding.KIND).order_by(Outbox.id).all()


def message(world: World, letter: Outbox) -> Reply | None:
    return world.door.document(letter.kind, letter.rollout_id, letter.stage_id, letter.ids)


def test_everything_that_waits_is_in_one_message_a_day(world: World) -> None:
    assign(world, "runbooks", "change-management")
    report(world, "devops")
    report(world, "qa")
    assert remind(world) == 2
    world.now += timedelta(hours=2)
    assert remind(world) == 0
    ids = {letter.ids["user"]: letter for letter in letters(world)}
    assert set(ids) == {PEOPLE["devops"], PEOPLE["qa"]}
    said = message(world, ids[PEOPLE["devops"]])
    assert said is not None
    assert "3 things wait for you" in said.text
    assert [b.button.verb for b in said.blocks if isinstance(b, Paragraph) and b.button] == ["item", "item", "issues"]
    world.now += timedelta(days=1)
    assert remind(world) == 2


def test_who_was_told_something_else_that_day_is_reminded_on_the_next(world: World) -> None:
    assign(world, "runbooks")
    with world.database.write() as session:
        ids = {"stage": "dev"}
        one_a_day.message(
            session, world.now, "UTC", PEOPLE["devops"], "owner_notice", rollout_id=world.rollout_id, ids=ids
        )
    assert remind(world) == 0
    world.now += timedelta(days=1)
    assert remind(world) == 1


def test_many_replicas_at_the_same_moment_queue_it_once(world: World) -> None:
    assign(world, "runbooks")
    report(world, "qa")
    ready, made, failed = threading.Barrier(4), [], []

    def run() -> None:
        try:
            ready.wait(60)
            made.append(remind(world))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert sorted(made) == [0, 0, 0, 2]
    assert len(letters(world)) == 2


def test_a_crash_between_the_rows_leaves_none_of_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assign(world, "runbooks")
    report(world, "qa")
    queue, calls = reminding._queue, []

    def dying(*arguments: object) -> bool:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return bool(queue(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(reminding, "_queue", dying)
    with pytest.raises(KeyboardInterrupt):
        remind(world)
    monkeypatch.undo()
    assert letters(world) == []
    assert remind(world) == 2


@pytest.mark.parametrize(
    ("now", "plan", "due"),
    [
        (datetime(2026, 3, 3, 8, 59, tzinfo=UTC), Reminders(), False),
        (datetime(2026, 3, 3, 9, 0, tzinfo=UTC), Reminders(), True),
        (datetime(2026, 3, 3, 18, 0, tzinfo=UTC), Reminders(), False),
        (datetime(2026, 3, 7, 10, 0, tzinfo=UTC), Reminders(), False),  # a Saturday
        (datetime(2026, 3, 7, 10, 0, tzinfo=UTC), Reminders(weekends=True), True),
        (datetime(2026, 3, 8, 23, 30, tzinfo=UTC), Reminders(at="08:00", zone="Asia/Tokyo"), True),  # Monday there
        (datetime(2026, 3, 6, 23, 30, tzinfo=UTC), Reminders(at="08:00", zone="Asia/Tokyo"), False),  # Saturday there
    ],
)
def test_quiet_hours_and_weekends_are_those_of_the_plan(
    world: World, now: datetime, plan: Reminders, due: bool
) -> None:
    assign(world, "runbooks")
    world.adopt(world.plan.model_copy(update={"reminders": plan}))
    world.now = now
    assert remind(world) == int(due)


def test_who_does_not_want_any_gets_none_and_may_want_them_again(world: World) -> None:
    assign(world, "runbooks")
    assert "not reminded" in world.say("devops", "/rollout reminders off").text
    assert "not reminded" in world.say("devops", "/rollout reminders").text
    assert remind(world) == 0
    assert "are reminded" in world.say("devops", "/rollout reminders on").text
    assert world.say("devops", "/rollout reminders sometimes").refused == "missing_argument"
    world.now += timedelta(days=1)
    assert remind(world) == 1
    done = [e.sentence for e in world.events("reminders") if e.outcome == "done"]
    assert done == ["wants no more reminders", "wants reminders again"]


def test_one_who_switches_them_off_before_it_is_sent_gets_nothing(world: World) -> None:
    assign(world, "runbooks")
    remind(world)
    (letter,) = letters(world)
    said = message(world, letter)
    assert said is not None
    off = next(b for block in said.blocks for b in getattr(block, "buttons", ()) if b.verb == "reminders")
    assert world.press("devops", off.verb, off.arguments).refused is None
    assert message(world, letter) is None


def test_what_is_done_by_then_is_not_reminded_of(world: World) -> None:
    assign(world, "runbooks")
    remind(world)
    (letter,) = letters(world)
    arguments = {"rollout": world.rollout_id, "items": ["runbooks"], "state": "done", "submitted": True}
    assert world.press("devops", "mark", arguments).refused is None
    assert message(world, letter) is None


def test_a_message_that_was_held_up_is_not_sent_at_night_nor_the_next_day(world: World) -> None:
    assign(world, "runbooks")
    remind(world)
    (letter,) = letters(world)
    world.now += timedelta(hours=12)
    assert message(world, letter) is None
    world.now = MORNING + timedelta(days=1)
    assert message(world, letter) is None


def test_people_who_left_and_strangers_get_none(world: World) -> None:
    assign(world, "runbooks")
    arguments = {"rollout": world.rollout_id, "title": "Late", "owner": "U0STRANGER", "submitted": True}
    assert world.press("qa", "issue", arguments).refused is None
    world.forget_people("devops")
    assert remind(world) == 0


def test_a_sign_off_is_reminded_of_once_the_channel_was_asked_long_ago(world: World) -> None:
    world.passed("dev")
    world.started("test", StageState.REVIEW)
    assert remind(world) == 0
    world.now += timedelta(days=1)
    assert remind(world) == 1
    (letter,) = letters(world)
    said = message(world, letter)
    assert letter.ids["user"] == PEOPLE["qa"]
    assert said is not None
    assert [b.button.label for b in said.blocks if isinstance(b, Paragraph) and b.button] == ["Approve test"]


def test_two_rollouts_in_far_zones_do_not_remind_twice_within_half_a_day(world: World) -> None:
    assign(world, "runbooks")
    assert remind(world) == 1
    with world.database.read() as session:
        assert session.query(Reminder).one().at == MORNING
    world.now = MORNING + timedelta(hours=8)
    world.adopt(world.plan.model_copy(update={"reminders": Reminders(at="00:00", until="23:59", zone="Asia/Tokyo")}))
    assert remind(world) == 0
