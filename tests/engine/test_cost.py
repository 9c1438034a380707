"""What the database is asked for a claim and for a change: counted, so that it does not grow unnoticed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from engine.confirm import confirm
from engine.execute import execute
from engine.rules import locked_rules
from rollout.states import ActionKind, ActionState, StageState
from storage.database import Database
from storage.models import Rollout
from tests.engine.desk import NEW, Desk, desk


@pytest.fixture
def bench(migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_sqlite_url, monkeypatch) as made:
        yield made


@contextmanager
def asked(database: Database) -> Iterator[list[str]]:
    """The statements that the database is sent meanwhile, without the begins and ends of transactions."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            found.append(" ".join(statement.split()))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_one_claim_asks_as_much_for_many_actions_as_for_one(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    bench.action(bench.backed_up("only"), ActionKind.CHANGE)
    bench.claim()  # plans and queries are built once
    numbers = []
    for names in (("a",), ("b", "c", "d")):
        bench.work(seconds=bench.parts.lease_seconds + 1, rounds=2)
        for name in names:
            bench.action(bench.backed_up(name), ActionKind.CHANGE)
        wants = len(bench.wants())
        assert wants
        with asked(bench.database) as found:
            assert len(bench.claim()) == len(names)
        numbers.append(len(found))
    assert numbers[0] == numbers[1]


def test_the_change_of_a_stopped_target_is_five_statements(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    for name in ("first", "second"):
        bench.action(bench.backed_up(name), ActionKind.CHANGE)
    warm, counted = bench.claim()
    execute(bench.parts, warm)
    with asked(bench.database) as found:
        execute(bench.parts, counted)
    assert bench.get(counted.action_id).state is ActionState.DONE
    # Lock the stage, read what holds it, see the backup, commit the intent; commit the end.
    assert [statement.split()[0] for statement in found] == ["SELECT", "SELECT", "SELECT", "UPDATE", "UPDATE"]
    assert " FROM stage " in found[0]
    assert bench.kind.writes == ["first", "second"]


def test_a_pause_between_the_look_and_the_intent_still_stops_the_write(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    action = bench.action(bench.backed_up("a"), ActionKind.CHANGE)
    (claim,) = bench.claim()

    def pause(_: str) -> None:
        with bench.database.write() as session:
            session.query(Rollout).update({"paused": True})

    bench.kind.on_read = pause
    execute(bench.parts, claim)
    assert bench.kind.writes == []
    assert bench.get(action).state is ActionState.PENDING


def test_looks_that_one_listing_ends_lock_their_targets_in_one_query(bench: Desk) -> None:
    numbers = []
    for names in (("a", "b", "c"), ("d", "e", "f", "g", "h", "i")):
        for name in names:
            target = bench.target(name)
            bench.kind.raws[name]["spark_version"] = NEW
            bench.action(target, ActionKind.CHANGE, ActionState.DONE)
            bench.action(target, ActionKind.VALIDATE)
        bench.put(StageState.VALIDATING)
        with asked(bench.database) as found:
            confirm(bench.parts, bench.stage().id)
        numbers.append(sum(statement.startswith("SELECT") for statement in found))
    assert numbers[1] <= numbers[0] <= 9  # what a workspace offers, and the plan, is read once


def test_what_holds_a_write_is_read_once_in_a_transaction_and_anew_in_the_next(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    for name in ("a", "b"):
        bench.action(bench.backed_up(name), ActionKind.CHANGE)
    first, second = bench.claim()
    for paused in (False, True):
        with bench.database.write() as session:
            session.query(Rollout).update({"paused": paused})
        with asked(bench.database) as found, bench.database.write() as session:
            answers = [locked_rules(session, one).allows(one, bench.now, False) for one in (first, second)]
        assert answers == [not paused, not paused]
        assert sum(" FROM stage " in statement for statement in found) == 1
