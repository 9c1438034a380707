"""Looks at workspaces: one replica at a time, none blocked by a dead one, and nothing older over something newer."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine import discover
from engine.replan import note_present_states
from rollout.change import Found
from storage import discovered, leases
from storage.models import Target, Workspace
from tests.engine.desk import NEW, OLD, Desk, desk
from workspace.discovery import Discovery


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:

        def look(_client: Any) -> Discovery:
            found = []
            for key in made.kind.raws:
                made.kind.on_read(key)
                raw = dict(made.kind.raws[key])
                found.append(Found("cluster", key, key, None, (), str(raw["state"]), raw))
            return Discovery(frozenset({OLD, NEW}), {}, found, 0.0, 1)

        monkeypatch.setattr(discover, "discover", look)
        for client in made.parts.clients:
            answers = {"host": "https://x", "pages": lambda *_: iter(()), "number": lambda *_: None}
            made.parts.clients[client] = type("Client", (), answers)()  # type: ignore[index]
        yield made


def target(bench: Desk, name: str) -> Target:
    with bench.database.read() as session:
        return session.execute(select(Target).where(Target.name == name)).scalar_one()


def test_a_look_that_a_dead_replica_left_is_taken_over_within_a_minute(bench: Desk) -> None:
    assert leases.take(bench.database, "discover:dev", "dead", discover.LEASE)
    assert discover.look(bench.parts, "dev") is False
    bench.database.push(61)
    assert discover.look(bench.parts, "dev") is True


def test_a_second_replica_does_not_repeat_a_look_that_was_just_made(bench: Desk) -> None:
    assert discover.look(bench.replica("one"), "dev") is True
    assert discover.look(bench.replica("two"), "dev") is False


def test_a_look_that_lost_its_lease_stores_nothing(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.target("c")

    def freeze(_key: str) -> None:
        bench.kind.on_read = lambda _: None
        bench.database.push(discover.LEASE + 1)
        bench.kind.raws["new"] = {"state": "RUNNING", "spark_version": OLD}
        assert leases.take(bench.database, "discover:dev", "other", discover.LEASE)
        bench.kind.raws.pop("new")

    bench.kind.on_read = freeze
    assert discover.look(bench.parts, "dev") is False
    with bench.database.read() as session:
        assert session.execute(select(Workspace.looked_at).where(Workspace.key == "dev")).scalar_one() is None


def test_a_wish_for_a_fresh_look_is_met_while_the_calendar_stands_still(bench: Desk) -> None:
    assert discover.look(bench.parts, "dev")
    with bench.database.write() as session:
        session.execute(select(Workspace).where(Workspace.key == "dev")).scalar_one().look_wanted_at = bench.now
    assert "dev" in discover.due(bench.parts)
    assert discover.look(bench.parts, "dev")
    assert "dev" not in discover.due(bench.parts)


def test_a_wish_that_comes_during_a_look_is_met_by_the_next_one(bench: Desk) -> None:
    bench.target("c")

    def wish(_key: str) -> None:
        bench.kind.on_read = lambda _: None
        with bench.database.write() as session:
            row = session.execute(select(Workspace).where(Workspace.key == "dev")).scalar_one()
            row.look_wanted_at = bench.now + timedelta(seconds=1)

    bench.kind.on_read = wish
    assert discover.look(bench.parts, "dev")
    assert "dev" in discover.due(bench.parts)


def test_what_was_learned_of_a_target_during_a_look_is_kept(bench: Desk) -> None:
    target_id = bench.target("c")

    def change(_key: str) -> None:
        bench.kind.on_read = lambda _: None
        raw = {**bench.kind.raws["c"], "spark_version": NEW}
        bench.database.push(1)
        with bench.database.write() as session:
            note_present_states(session, {target_id: raw}, bench.kind, bench.now, bench.database.machine())

    bench.kind.on_read = change
    bench.database.push(1)
    assert discover.look(bench.parts, "dev")
    assert target(bench, "c").release == NEW[:4]


def test_what_was_read_before_a_look_does_not_undo_what_the_look_found(bench: Desk) -> None:
    target_id = bench.target("c")
    raw, read_at = dict(bench.kind.raws["c"]), bench.database.machine()
    bench.database.push(5)
    bench.kind.raws["c"]["spark_version"] = NEW
    assert discover.look(bench.parts, "dev")
    with bench.database.write() as session:
        note_present_states(session, {target_id: raw}, bench.kind, bench.now, read_at)
    assert target(bench, "c").release == NEW[:4]


def test_a_target_that_is_deleted_during_a_look_of_thousands_is_gone_afterwards(bench: Desk) -> None:
    for name in ("a", "b"):
        bench.target(name)
    bench.kind.raws.pop("a")
    bench.database.push(1)
    assert discover.look(bench.parts, "dev")
    assert (target(bench, "a").gone, target(bench, "b").gone) == (True, False)
    assert discovered.CHUNK <= 200
