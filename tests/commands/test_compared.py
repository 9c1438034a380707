"""What people see of the comparison with backups: on the card, in the message, in status and report, and paged."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from bot.render.messages import message
from commands.plaintext import render
from commands.reply import Button, Buttons, Reply
from rollout.states import ActionKind, ActionState, StageState
from storage.models import Action, Backup, Stage, Target
from tests.commands.world import NOW, World, change

DIFFERS = {
    "fields": [
        {"field": "num_workers", "before": "2", "ours": "-", "now": "4"},
        {"field": "spark_conf.x", "before": "(hidden)", "ours": "-", "now": "(hidden), another value"},
    ],
    "number": 2,
}


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, targets=0)
    yield made
    made.close()


def rolled_back(
    world: World, results: list[tuple[ActionState, str | None]], state: Any = StageState.ROLLED_BACK
) -> None:
    """The stage dev, rolled back, with one target for each result; None as the state: not compared yet."""
    world.set_stage("dev", state=state, locked=True, locked_reason="broken", back_since=0, rolled_back_at=NOW)
    with world.database.write() as session:
        stage = session.execute(select(Stage).where(Stage.key == "dev")).scalar_one()
        for number, (ended, code) in enumerate(results):
            target = Target(
                rollout_id=world.rollout_id,
                workspace="dev",
                kind="cluster",
                object_id=f"c{number}",
                name=f"etl {number:03}",
                stage_key="dev",
                release="13.3",
                state="RUNNING",
                change=change(),
                seen_at=NOW,
                seen_machine=NOW,
            )
            session.add(target)
            session.flush()
            backup = Backup(
                target_id=target.id,
                stage_id=stage.id,
                generation=1,
                ciphertext=b"",
                digest=f"{number:08x}" * 8,
                state="RUNNING",
                created_at=NOW,
            )
            session.add(backup)
            for kind in (ActionKind.BACKUP, ActionKind.CHANGE, ActionKind.REVERT, ActionKind.COMPARE):
                compare = kind is ActionKind.COMPARE
                session.add(
                    Action(
                        rollout_id=world.rollout_id,
                        stage_id=stage.id,
                        generation=1,
                        target_id=target.id,
                        workspace="dev",
                        kind=kind,
                        state=ended if compare else ActionState.DONE,
                        change=change(),
                        reason_code=code if compare else None,
                        sentence="The workspace refused permission: no" if compare and code else None,
                        outcome=DIFFERS if compare and code == "differs_from_backup" else None,
                        created_at=NOW,
                        ended_at=NOW if ended is not ActionState.RUNNING or not compare else None,
                    )
                )


def said(reply: Reply) -> str:
    return render(reply)


def buttons(reply: Reply) -> list[Button]:
    return [b for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]


DONE, FAILED = ActionState.DONE, ActionState.FAILED
MIXED: list[tuple[ActionState, str | None]] = [
    *[(DONE, None)] * 3,
    (DONE, "differs_from_backup"),
    (DONE, "target_gone"),
    (FAILED, "permission_denied"),
]
WORDS = "3 of 6 equal to their backups, 1 differs, 1 no longer exists, 1 could not be looked at"


def test_the_result_stands_wherever_the_stage_is_shown(world: World) -> None:
    rolled_back(world, MIXED)
    stage = world.stage("dev").id
    ended = world.door.document("rollback_ended", world.rollout_id, stage, {})
    assert ended is not None
    assert WORDS in ended.text
    for reply in (ended, world.door.card(stage), world.say("qa", "status dev"), world.say("qa", "report")):
        text = said(reply)
        assert WORDS in text
        assert "etl 003 · dev: num_workers, spark_conf.x differ" in text
        assert "etl 004 · dev: it no longer exists" in text
        assert "etl 005 · dev: not looked at: The workspace refused permission: no (permission_denied)" in text
        assert "etl 000 · dev" not in text
    assert WORDS in said(world.say("qa", "status"))


def test_all_equal_is_said_too_and_leads_nowhere(world: World) -> None:
    rolled_back(world, [(DONE, None)] * 4)
    reply = world.say("qa", "status dev")
    assert "[ok] 4 of 4 equal to their backups" in said(reply)
    assert "Differences" not in [b.label for b in buttons(reply)]
    assert "4 of 4 equal to their backups." in said(world.say("qa", "status dev --compared"))


def test_the_three_values_of_each_field_are_behind_a_button_page_by_page(world: World) -> None:
    rolled_back(world, [(DONE, "differs_from_backup")] * 23)
    reply = world.door.card(world.stage("dev").id)
    assert "and 18 more: /rollout status dev --compared" in said(reply)
    (leads,) = [b for b in buttons(reply) if b.label == "Differences"]
    seen = []
    page = world.press("qa", leads.verb, leads.arguments)
    for _ in range(5):
        text = said(page)
        seen += [word for word in text.splitlines() if word.startswith("etl ")]
        assert "num_workers" in text
        assert len(json.dumps(message(page)["blocks"])) < 13_000
        turn = next((b for b in buttons(page) if b.label.startswith("Next")), None)
        if turn is None:
            break
        page = world.press("qa", turn.verb, turn.arguments)
    assert len(seen) == len(set(seen)) == 23


def test_a_page_past_the_end_is_the_last_one(world: World) -> None:
    rolled_back(world, [(DONE, "differs_from_backup")] * 11)
    assert "11 differ" in said(world.say("qa", "status --compared")), "without a name it is the newest one"
    page = world.press("qa", "status", {"stage": "dev", "compared": True, "page": 99})
    assert "11-11 of 11 targets that differ." in said(page)


def test_of_a_stage_that_was_not_rolled_back_nothing_is_compared(world: World) -> None:
    assert "was not rolled back" in said(world.say("qa", "status dev --compared"))
    rolled_back(world, [(ActionState.RUNNING, None)] * 2, StageState.ROLLING_BACK)
    assert "equal" not in said(world.say("qa", "status dev")), "it is still being put back"


def test_what_is_still_to_be_compared_is_never_counted_as_equal(world: World) -> None:
    rolled_back(world, [(DONE, None), (ActionState.RUNNING, None)], StageState.ROLLING_BACK)
    assert "1 of 2 equal to their backups, 1 still to be compared" in said(world.say("qa", "status dev"))


def test_one_target_shows_its_backups_and_what_differs(world: World) -> None:
    rolled_back(world, MIXED)
    text = said(world.say("qa", "status etl 003"))
    assert "1 backup" in text
    assert "Mon 02 Mar 2026 10:00 UTC (just now) · dev, generation 1, RUNNING then · 00000003" in text
    assert "Not as its backup says: num_workers, spark_conf.x differ, compared just now" in text
    assert "(hidden), another value" in text
    assert "looked at just now" in text
    assert "Equal to its backup, compared just now" in said(world.say("qa", "status etl 000"))


@pytest.mark.parametrize("flag", ["yes", 1, ["x"]])
def test_a_flag_that_is_none_is_refused(world: World, flag: object) -> None:
    assert world.press("qa", "status", {"stage": "dev", "compared": flag}).refused == "malformed_request"
