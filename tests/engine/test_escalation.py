"""The web hook over a socket, and the daily question to roles that are missing."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog.testing

from engine import escalation
from engine.parts import Parts
from rollout.states import StageState
from storage import hooks, intents_review
from storage.models import Hook
from storage.secrets import Vault
from tests.commands.world import KEY, PEOPLE, World
from tests.engine.desk import PATIENCE, PushedClock

S = StageState
SECRET = "a-secret-in-the-path"


class Receiver(ThreadingHTTPServer):
    """Takes calls and answers them as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.taken: list[dict[str, Any]] = []
        self.keys: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(json.loads(body))
        self.server.keys.append(self.headers["Idempotency-Key"])
        answer = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(answer)
        if answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/{SECRET}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def world(migrated_sqlite_url: str) -> Iterator[World]:
    made = World(migrated_sqlite_url)
    yield made
    made.close()


@pytest.fixture
def clock(world: World) -> Iterator[PushedClock]:
    made = PushedClock(world.database.url.render_as_string(hide_password=False))
    yield made
    made.close()


def parts(world: World, database: PushedClock, **environment: str) -> Parts:
    return Parts(database, lambda: world.now, {}, Vault([KEY]), "test", PATIENCE, environment=environment)


def queued(world: World, key: str = "k1") -> None:
    with world.database.write() as session:
        hooks.queue(session, key, "PAGER_URL", {"event": "escalated", "stage": "dev"})


def stored(world: World) -> Hook:
    with world.database.read() as session:
        return session.query(Hook).one()


def test_a_call_that_failed_is_made_again_and_one_that_was_taken_is_not(world: World, clock: PushedClock) -> None:
    queued(world)
    queued(world)
    with receiving() as (server, address), structlog.testing.capture_logs() as said:
        server.answers = [500, 302, 204]
        engine = parts(world, clock, PAGER_URL=address)
        for _ in range(6):
            escalation.call_hooks(engine)
            escalation.call_hooks(engine)  # at once: nothing is due
            clock.push(700)
        assert server.taken == [{"event": "escalated", "stage": "dev"}] * 3
        assert server.keys == ["k1"] * 3, "whoever receives it tells a repetition"
    assert [(s["event"], s["error"]) for s in said] == [("webhook_failed", "HTTP 500"), ("webhook_failed", "HTTP 302")]
    assert SECRET not in str(said)
    assert (stored(world).state, stored(world).error) == ("sent", None)


def test_nobody_there_is_tried_for_a_while_and_then_given_up_without_the_address_in_a_log(
    world: World, clock: PushedClock
) -> None:
    queued(world)
    with receiving() as (_, address):
        pass
    engine = parts(world, clock, PAGER_URL=address)
    with structlog.testing.capture_logs() as said:
        for _ in range(hooks.MOST + 3):
            escalation.call_hooks(engine)
            clock.push(700)
    assert [s["event"] for s in said] == ["webhook_failed"] * (hooks.MOST - 1) + ["webhook_given_up"]
    assert SECRET not in str(said)
    assert SECRET not in str(stored(world).error)
    assert stored(world).state == "dropped"


@pytest.mark.parametrize("address", ["", "file:///etc/passwd", "http://[", "no address"])
def test_an_address_that_is_none_calls_nothing(world: World, clock: PushedClock, address: str) -> None:
    queued(world)
    with structlog.testing.capture_logs() as said:
        escalation.call_hooks(parts(world, clock, PAGER_URL=address))
    assert len(said) == 1
    assert "passwd" not in str(said)
    assert stored(world).state in {"pending", "dropped"}
    assert stored(world).attempts == 1


def test_a_call_that_a_dead_replica_had_begun_is_made_by_another(world: World, clock: PushedClock) -> None:
    queued(world)
    with clock.write() as session:
        assert hooks.take(session, 1, clock.machine()) is not None
    with receiving() as (server, address):
        engine = parts(world, clock, PAGER_URL=address)
        escalation.call_hooks(engine)
        assert server.taken == []
        clock.push(hooks.TAKEN + 1)
        escalation.call_hooks(engine)
        assert len(server.taken) == 1


def test_missing_roles_are_asked_once_a_day_and_at_once_by_a_person(world: World, clock: PushedClock) -> None:
    world.started("dev", S.REVIEW)
    engine = parts(world, clock)
    escalation.tick(engine)
    assert world.outbox() == []
    world.now += timedelta(hours=24)
    escalation.tick(engine)
    escalation.tick(engine)
    assert world.outbox() == ["roles_wanted"]
    world.now += timedelta(hours=20)
    assert world.say("qa", "ask-again dev").refused is None
    assert world.say("tech-lead", "ask-again dev").refused == "asked_already"
    assert world.say("nobody", "ask-again dev").refused == "not_a_role_holder"
    assert world.outbox() == ["roles_wanted"] * 2
    world.now += timedelta(hours=20)
    escalation.tick(engine)
    assert world.outbox() == ["roles_wanted"] * 2, "they were asked 20 hours ago"
    world.now += timedelta(hours=10)
    escalation.tick(engine)
    assert world.outbox() == ["roles_wanted"] * 3
    world.confirm("developer", "approve dev")
    world.now += timedelta(days=5)
    escalation.tick(engine)
    assert world.outbox()[-1] == "stage_passed"
    again = intents_review.ask_again(world.database, world.who("qa"), world.now, world.rollout_id, "dev")
    assert "nothing_to_approve" in str(again)
    assert PEOPLE["qa"]
