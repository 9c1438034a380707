"""The record: sealed in a chain on both databases, and what somebody does to it in the database is found."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, insert, select, text, update

from storage import chain, leases, sealing
from storage.database import Database
from storage.keyring import Keyring
from storage.models import ChainHead, Event, PlanRevision, Rollout, Stage
from storage.opening import open_rollouts
from storage.record import By, event
from storage.sealing import OUTSIDE, Broken, Sealer
from tests.engine.harness import plan_of_two

NOW = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    made = Database(migrated_url, keyring=Keyring([OLD]))
    open_rollouts(made, [plan_of_two()], NOW)
    yield made
    made.close()


def add(database: Database, number: int, rollout_id: int | None = 1, **more: Any) -> None:
    with database.write() as session:
        for index in range(number):
            by = By("U0OPS00001", "T0TEST", "slash")
            event(session, NOW, by, "pause", f"paused {index} ✓", rollout_id=rollout_id, data={"n": index}, **more)


def sealed(database: Database, number: int = 9) -> Database:
    """That many sealed events of the rollout, its opening among them."""
    add(database, number - 1)
    assert Sealer(database, "one").tick() >= number
    return database


def sql(database: Database, *statements: Any) -> None:
    """What somebody with access to the database does."""
    with database.write() as session:
        for statement in statements:
            session.execute(statement)


def numbers(database: Database, rollout_id: int = 1) -> list[int | None]:
    with database.read() as session:
        return list(
            session.execute(select(Event.number).where(Event.rollout_id == rollout_id).order_by(Event.id)).scalars()
        )


def head(database: Database) -> ChainHead:
    with database.read() as session:
        return session.get_one(ChainHead, 1)


def test_a_tick_seals_everything_that_waits_and_every_rollout_has_its_own_numbers(database: Database) -> None:
    add(database, 3)
    add(database, 2, rollout_id=None)
    assert set(numbers(database)) == {None}
    assert Sealer(database, "one").tick() == 6
    assert numbers(database) == [1, 2, 3, 4]
    found = chain.verify_all(database)
    assert [(r.chain, r.said, r.unsealed) for r in found] == [
        (OUTSIDE, "chain intact: 2 events", 0),
        (1, "chain intact: 4 events", 0),
    ]
    assert Sealer(database, "one").tick() == 0


def test_what_is_not_sealed_yet_is_counted_and_no_break(database: Database) -> None:
    sealed(database)
    add(database, 2)
    found = chain.verify(database, 1)
    assert (found.intact, found.count, found.unsealed) == (True, 9, 2)


def of(number: int) -> Any:
    return (Event.rollout_id == 1) & (Event.number == number)


def swap(a: int, b: int, column: str) -> list[Any]:
    """Exchange what two events hold in a column."""
    # The numbers themselves are unique: they go by way of a number that nobody has.
    if column == "number":
        return [update(Event).where(of(x)).values(number=y) for x, y in ((a, 9999), (b, a), (9999, b))]
    keep = f"CREATE TEMPORARY TABLE kept AS SELECT number, {column} AS it FROM event WHERE rollout_id = 1"
    other = "UPDATE event SET {c} = (SELECT it FROM kept WHERE kept.number = {x}) WHERE rollout_id = 1 AND number = {y}"
    return [text(keep), *(text(other.format(c=column, x=x, y=y)) for x, y in ((a, b), (b, a))), text("DROP TABLE kept")]


ATTACKS: list[tuple[list[Any], int]] = [
    ([delete(Event).where(of(4))], 4),
    ([delete(Event).where(of(1))], 1),
    ([delete(Event).where(of(9))], 9),
    ([delete(Event).where(of(8)), delete(Event).where(of(9))], 8),
    ([update(Event).where(of(5)).values(sentence="nothing to see here")], 5),
    ([update(Event).where(of(5)).values(actor="U0SOMEBODY")], 5),
    ([update(Event).where(of(5)).values(data={"n": 99})], 5),
    ([update(Event).where(of(9)).values(outcome="refused")], 9),
    ([update(Event).where(of(5)).values(sealed_text="{}")], 5),
    ([update(Event).where(of(5)).values(digest="0" * 64)], 5),
    ([update(Event).where(of(5)).values(number=None)], 5),
    ([update(Event).where(of(5)).values(key_id="00000000")], 5),
    (swap(3, 4, "number"), 3),
    (swap(3, 4, "sentence"), 3),
    ([update(ChainHead).where(ChainHead.chain == 1).values(count=8)], 9),
    ([update(ChainHead).where(ChainHead.chain == 1).values(digest="0" * 64)], 9),
    ([delete(ChainHead).where(ChainHead.chain == 1)], 9),
    ([delete(Event).where(Event.rollout_id == 1)], 1),
]


def rows(database: Database) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The events and the head of the rollout, as they are stored."""
    with database.read() as session:
        events = session.execute(select(Event.__table__).where(Event.rollout_id == 1)).mappings()
        heads = session.execute(select(ChainHead.__table__).where(ChainHead.chain == 1)).mappings()
        return [dict(e) for e in events], [dict(h) for h in heads]


def test_what_is_done_to_sealed_events_in_the_database_is_found(database: Database) -> None:
    sealed(database)
    events, heads = rows(database)
    for attack, at in ATTACKS:
        assert chain.verify(database, 1).intact
        sql(database, *attack)
        found = chain.verify(database, 1)
        assert (found.intact, found.broken_at) == (False, at), (str(attack[0]), found.said)
        assert found.said.startswith(f"chain broken at event {at}: ")
        with database.write() as session:  # as it was
            session.execute(delete(Event).where(Event.rollout_id == 1))
            session.execute(delete(ChainHead).where(ChainHead.chain == 1))
            session.execute(insert(Event), events)
            session.execute(insert(ChainHead), heads)


def test_the_head_of_an_earlier_day_does_not_fit_the_events_of_today(database: Database) -> None:
    sealed(database)
    before = head(database)
    add(database, 3)
    Sealer(database, "one").tick()
    kept = {c: getattr(before, c) for c in ("count", "digest", "key_id", "seal")}
    sql(database, update(ChainHead).where(ChainHead.chain == 1).values(**kept))
    found = chain.verify(database, 1)
    assert (found.broken_at, found.why) == (10, "the head of the chain is older than its events")


def test_a_restored_older_database_shows_against_a_posted_head(database: Database) -> None:
    sealed(database)
    before = head(database)
    older = str(chain.verify(database, 1).head)
    add(database, 3)
    Sealer(database, "one").tick()
    posted = str(chain.verify(database, 1).head)
    assert chain.unmatched(database, [older, posted]) == []
    kept = {c: getattr(before, c) for c in ("count", "digest", "key_id", "seal")}
    sql(
        database,
        delete(Event).where(Event.rollout_id == 1, Event.number > 9),
        update(ChainHead).where(ChainHead.chain == 1).values(**kept),
    )
    assert chain.verify(database, 1).intact  # by itself it is whole: that is what a posted head is for
    assert chain.unmatched(database, [older]) == []
    assert "older than that head" in chain.unmatched(database, [posted])[0]
    add(database, 3, reason_code="rollout_paused")
    Sealer(database, "one").tick()
    assert "is another one" in chain.unmatched(database, [posted])[0]


@pytest.mark.parametrize(
    "given",
    ["", "12", "x:abc", "9" * 12 + ":" + "0" * 16, "²:" + "0" * 16, "12:", "12:abc", "12:" + "z" * 16, ":" + "0" * 16],
)
def test_a_head_that_is_none_is_refused_in_words(database: Database, given: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:DIGEST"):
        chain.unmatched(database, [given])


def test_nothing_is_added_to_a_chain_whose_end_was_taken_away(database: Database) -> None:
    sealed(database)
    sql(database, delete(Event).where(of(9)))
    add(database, 2)
    sealer = Sealer(database, "one")
    assert sealer.tick() == 0
    with pytest.raises(Broken):
        sealing.seal(database, 1)
    found = chain.verify(database, 1)
    assert (found.broken_at, found.unsealed) == (9, 2)
    assert sealing.at_start(database) == ["chain 1: its newest event is 8, and the head says 9"]
    add(database, 1, rollout_id=None)
    assert sealer.tick() == 1  # another chain goes on


def test_a_forged_head_is_refused_by_the_sealer(database: Database) -> None:
    sealed(database)
    sql(database, update(ChainHead).where(ChainHead.chain == 1).values(seal="0" * 64))
    add(database, 1)
    assert Sealer(database, "one").tick() == 0
    assert sealing.at_start(database) == ["chain 1: the head was altered"]


def test_an_altered_plan_is_found(database: Database) -> None:
    sealed(database)
    with database.read() as session:
        written = session.execute(select(PlanRevision.text)).scalar_one()
    lower = written.replace('"qa":1', '"qa":0')
    assert lower != written
    sql(database, update(PlanRevision).values(text=lower))
    assert "does not say any more" in chain.verify(database, 1).problems[0]
    sql(database, update(PlanRevision).values(digest=hashlib.sha256(lower.encode()).hexdigest()))
    assert "not one that the record tells of" in chain.verify(database, 1).problems[0]


def test_a_new_key_goes_on_where_the_old_one_stopped_and_the_old_one_is_missed_when_it_is_gone(
    database: Database, migrated_url: str
) -> None:
    sealed(database)
    both, alone = (Database(migrated_url, keyring=Keyring(keys)) for keys in ([NEW, OLD], [NEW]))
    try:
        add(both, 2)
        assert Sealer(both, "two").tick() == 2
        assert chain.verify(both, 1).said == "chain intact: 11 events"
        assert sealing.at_start(both) == []
        found = chain.verify(alone, 1)
        assert found.broken_at == 1
        assert "is not in ROLLOUT_SECRET_KEYS" in found.said
        assert "put them back" in sealing.at_start(alone)[0]
        add(alone, 1)
        assert Sealer(alone, "three").tick() == 1  # the head is of the new key: what goes on is sealed all the same
        assert chain.verify(both, 1).said == "chain intact: 12 events"
    finally:
        both.close()
        alone.close()


def test_a_foreign_key_cannot_make_a_chain_that_fits(database: Database, migrated_url: str) -> None:
    sealed(database)
    forger = Database(migrated_url, keyring=Keyring([NEW]))
    try:
        sql(
            forger,
            update(Event).where(Event.rollout_id == 1).values(number=None),
            delete(ChainHead).where(ChainHead.chain == 1),
        )
        Sealer(forger, "forger").tick()
        assert chain.verify(forger, 1).intact
        assert chain.verify(database, 1).broken_at == 1
    finally:
        forger.close()


def test_without_keys_nothing_is_sealed_and_nothing_verifies(database: Database, migrated_url: str) -> None:
    sealed(database)
    keyless = Database(migrated_url)
    try:
        add(keyless, 1)
        assert Sealer(keyless, "none").tick() == 0
        assert not chain.verify(keyless, 1).intact
    finally:
        keyless.close()


def test_a_crash_between_two_lines_leaves_the_chain_whole(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(database)
    add(database, 5)
    real: Callable[..., Any] = sealing.head_text
    with monkeypatch.context() as patched:
        calls = iter(range(100))

        def dies(*arguments: Any) -> Any:
            if next(calls) == 2:  # the head is made: after the events were numbered, before the commit
                raise KeyboardInterrupt
            return real(*arguments)

        patched.setattr(sealing, "head_text", dies)
        with pytest.raises(KeyboardInterrupt):
            sealing.seal(database, 1)
    assert (chain.verify(database, 1).said, chain.verify(database, 1).unsealed) == ("chain intact: 9 events", 5)
    assert Sealer(database, "two").tick() == 5
    assert chain.verify(database, 1).said == "chain intact: 14 events"


def test_any_number_of_sealers_at_once_make_one_chain(database: Database, migrated_url: str) -> None:
    replicas = [Database(migrated_url, keyring=Keyring([OLD])) for _ in range(3)]
    gate, failed = threading.Barrier(4), []

    def seals(one: Database) -> None:
        try:
            gate.wait(60)
            for _ in range(30):
                sealing.seal(one, 1, 7)  # without the lease: the chain must not rest on it
        except BaseException as error:
            failed.append(error)

    def writes() -> None:
        gate.wait(60)
        for _ in range(20):
            add(database, 5)

    threads = [threading.Thread(target=seals, args=(one,)) for one in replicas] + [threading.Thread(target=writes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    while sealing.seal(database, 1, 50):
        pass
    for one in replicas:
        one.close()
    assert failed == []
    assert chain.verify(database, 1).said == "chain intact: 101 events"


def test_while_one_replica_seals_another_leaves_it_alone(database: Database) -> None:
    add(database, 3)
    assert leases.take(database, "seal:1", "other", 60)
    assert Sealer(database, "one").tick() == 0
    assert set(numbers(database)) == {None}


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_many_events_are_sealed_in_many_short_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    with database.write() as session:
        row = {"rollout_id": 1, "at": NOW, "surface": "slash", "kind": "pause", "outcome": "done", "data": {}}
        session.execute(insert(Event), [{**row, "sentence": f"event {n}"} for n in range(many)])
    batches: list[int] = []
    real = sealing.seal

    def counted(one: Database, of_chain: int, most: int = sealing.BATCH) -> int:
        batches.append(real(one, of_chain, most))
        add(database, 1) if len(batches) == 3 else None  # between two batches others write
        return batches[-1]

    monkeypatch.setattr(sealing, "seal", counted)
    assert Sealer(database, "one").tick() == many + 2
    assert (max(batches), len(batches)) == (sealing.BATCH, many // sealing.BATCH + 1)
    found = chain.verify(database, 1)
    assert (found.said, found.unsealed) == (f"chain intact: {many + 2:,} events", 0)
    sql(database, update(Event).where(of(many - 3)).values(sentence="another"))
    assert chain.verify(database, 1).broken_at == many - 3


def test_any_text_that_a_person_can_store_can_be_sealed(database: Database) -> None:
    with database.write() as session:
        for said in ("\u202e", "é" * 5000, "a\nb\tc", "'; DROP TABLE event; --", "🙂", "\ufffe"):
            event(
                session, NOW, By("U1"), "pause", said, rollout_id=1, data={"reason": said, "half": "\ud83d", "f": 0.1}
            )
    assert Sealer(database, "one").tick() == 7
    assert chain.verify(database, 1).intact


def test_a_rollout_that_nothing_was_sealed_of_is_no_break(database: Database) -> None:
    found = chain.verify(database, 1)
    assert (found.said, found.head, found.unsealed) == ("chain intact: 0 events", None, 1)
    assert [r.chain for r in chain.verify_all(database)] == [OUTSIDE, 1]
    with database.read() as session:
        assert session.execute(select(Rollout.id)).scalar_one() == 1
        assert session.execute(select(Stage.id)).scalars().first() is not None


def test_a_record_that_was_taken_out_whole_is_missed(database: Database) -> None:
    sealed(database)
    sql(database, delete(Event), delete(ChainHead))
    found = chain.verify(database, 1)
    assert (found.intact, found.broken_at) == (False, 1)
    assert "it is not the opening of the rollout" in found.said
    add(database, 3)
    assert Sealer(database, "two").tick() == 3
    found = chain.verify(database, 1)
    assert (found.intact, found.broken_at) == (False, 1)
