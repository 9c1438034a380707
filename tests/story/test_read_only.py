"""ROLLOUT_READ_ONLY=1: discovery, plan, status, checks and reports work; no call that writes leaves the house."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from commands.door import Door
from commands.registry import VERBS
from commands.reply import Actor, Buttons, FieldErrors, Reply, Request, Surface
from engine.loop import Engine
from engine.parts import Parts
from rollout.states import ActionKind, ActionState, StageState
from sandbox.databricks.databricks import Logged
from storage.models import Workspace
from storage.secrets import Vault
from tests.engine.harness import KEY, OPS, PATIENCE, PEOPLE, World, world
from tests.engine.test_story import SMALL
from workspace.access import access
from workspace.client import Client

#: Verbs that lead to a write in a workspace, or sign for one.
FORBIDDEN = {"start", "approve", "reject", "revoke", "rollback", "unlock", "mark", "unmark", "item", "pin", "unpin"}
FORBIDDEN |= {"override", "confirm-override"}
STAGES = ("first", "second")


def looking(w: World) -> Engine:
    """An engine that may only look, as app.py builds it."""
    clients = {
        key: Client(access(host=ws.host, token=ws.token), time_limit=3.0, read_budget=2.0, read_only=True)
        for key, ws in w.databricks.workspaces.items()
    }
    parts = Parts(w.database, w.calendar, clients, Vault([KEY]), "looking", PATIENCE, 8, read_only=True)
    engine = Engine(parts)
    engine.start()
    w.engines.append(engine)
    return engine


def door(w: World) -> Door:
    return Door(w.database, w.calendar, read_only=True)


def writes(w: World) -> list[Logged]:
    """Every call that arrived and is no read: POST clusters/events only asks."""
    return [c for c in w.databricks.calls if c.method != "GET" and c.path != "/api/2.1/clusters/events"]


@pytest.fixture
def small(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    with world(migrated_url, tmp_path, SMALL) as made:
        yield made


def ask(at: Door, verb: str, user: str, **arguments: Any) -> Reply:
    return at.handle(Request(Actor("T0TEST", user), verb, arguments, Surface.TERMINAL))


def tour(w: World, users: Collection[str] = tuple(PEOPLE)) -> dict[str, list[Reply]]:
    """Every verb, by these people, of every stage and of a target, asked and submitted."""
    at, answers = door(w), {verb: [] for verb in VERBS}
    targets = [t.id for key in STAGES for t in w.targets(key)][:2]
    places: list[dict[str, Any]] = [{}, *({"stage": key} for key in STAGES), *({"target_id": t} for t in targets)]
    for verb in VERBS:
        for user in users:
            for place in places:
                for more in ({}, {"submitted": True, "reason": "why", "confirm": "x", "version": 1, "comment": "why"}):
                    with contextlib.suppress(FieldErrors):  # of a form: nothing has happened
                        answers[verb].append(ask(at, verb, user, **place, **more))
    return answers


@pytest.mark.soak
def test_a_tour_of_all_verbs_over_a_fresh_rollout_sends_no_write(small: World) -> None:
    looking(small)
    small.looked()
    answers = tour(small)
    for verb in FORBIDDEN:
        assert {reply.refused for reply in answers[verb]} == {"read_only"}, verb
        assert "ROLLOUT_READ_ONLY" in answers[verb][0].text
    for verb in VERBS.keys() - FORBIDDEN:
        assert "read_only" not in {reply.refused for reply in answers[verb]}, verb
    assert small.targets("first")
    assert writes(small) == []
    assert len(small.databricks.calls) > 5
    for key in STAGES:
        assert small.actions(key) == []


@pytest.mark.soak
@pytest.mark.parametrize("backward", [False, True])
def test_work_that_is_already_wanted_is_not_claimed_and_goes_on_once_writing_is_allowed(
    small: World, backward: bool
) -> None:
    small.engine("before")
    small.looked()
    if backward:
        small.start("first")
        small.until("first", StageState.REVIEW)
    small.stop()
    sent = len(writes(small))
    if backward:
        small.roll_back("first")
    else:
        small.start("first")
    engine = looking(small)
    for _ in range(20):
        small.step(60)
        engine.pass_once()
    tour(small, [OPS.user_id])
    assert len(writes(small)) == sent
    kind = ActionKind.REVERT if backward else ActionKind.BACKUP
    waiting = [a.state for a in small.actions("first") if a.kind is kind]
    assert waiting
    assert set(waiting) == {ActionState.PENDING}
    small.stop()
    small.engine("after")
    small.until("first", StageState.ROLLED_BACK if backward else StageState.REVIEW)
    assert len(writes(small)) > sent


def test_a_fresh_look_works_and_what_is_shown_says_that_the_bot_only_looks(small: World) -> None:
    looking(small)
    small.looked()
    at, ops = door(small), OPS.user_id
    for reply in (ask(at, "status", ops), ask(at, "home", ops), at.home(Actor("T0TEST", ops)), ask(at, "plan", ops)):
        assert "read only" in str(reply.blocks).lower()
        pressed = {b.verb for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons}
        assert not pressed & FORBIDDEN
    card = at.card(small.stage("first").id)
    assert "Read only" in str(card.blocks)
    assert "start" in {b.verb for b in _buttons(Door(small.database, small.calendar).card(small.stage("first").id))}
    assert "start" not in {b.verb for b in _buttons(card)}
    seen = len(small.databricks.calls)
    assert ask(at, "refresh", ops).refused is None

    def again() -> bool:
        with small.database.read() as session:
            return all(w.look_wanted_at is None for w in session.query(Workspace))

    small.wait(again, "a fresh look")
    assert len(small.databricks.calls) > seen
    assert writes(small) == []


def test_an_intent_that_slips_past_the_door_still_sends_nothing(small: World) -> None:
    """The last line is the client: even an engine that was not told claims the work, and nothing is sent."""
    looking(small)
    small.looked()
    small.stop()
    clients = {
        key: Client(access(host=ws.host, token=ws.token), time_limit=3.0, read_budget=2.0, read_only=True)
        for key, ws in small.databricks.workspaces.items()
    }
    parts = Parts(small.database, small.calendar, clients, Vault([KEY]), "mistaken", PATIENCE, 8)
    engine = Engine(parts)
    engine.start()
    small.engines.append(engine)
    small.start("first")
    small.until("first", StageState.BLOCKED)
    assert writes(small) == []
    assert {a.reason_code for a in small.actions("first") if a.kind is ActionKind.CHANGE} == {"read_only"}


def _buttons(reply: Reply) -> list[Any]:
    return [b for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]
