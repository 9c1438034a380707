"""A change of the plan as people meet it: the terminal that proposes, the message with its buttons, the plan's page."""

from pathlib import Path

import pytest
from sqlalchemy import select

import amending
import app
import planning
from checks import CHECKS
from commands.plaintext import render
from commands.reply import Button, Buttons, Reply
from doctor.database import look
from rollout.planfile import PlanError
from rollout.states import StageState
from settings import SettingsError
from storage import closings, opening
from storage.database import Database
from storage.keyring import Keyring
from storage.models import Outbox
from tests.commands.world import KEY, PEOPLE, ROOT, World

S = StageState


def typed(world: World, path: Path, text: str, operator: str = PEOPLE["devops"]) -> int:
    """As `python app.py plan amend FILE` does, with a file of that text."""
    path.write_text(text)
    database = Database(world.database.url.render_as_string(hide_password=False), keyring=Keyring([KEY]))
    return amending.propose(database, world.now, operator, path, CHECKS)


def plan_text(*changes: tuple[str, str]) -> str:
    text = (ROOT / "sandbox" / "plan.yml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


def posted(world: World, kind: str) -> Reply | None:
    with world.database.read() as session:
        rows = session.execute(select(Outbox).where(Outbox.kind == kind).order_by(Outbox.id)).scalars().all()
    row = rows[-1]
    return world.door.document(row.kind, row.rollout_id, row.stage_id, row.ids)


def buttons(reply: Reply) -> dict[str, Button]:
    return {b.label: b for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons}


ANOTHER_QA = ("qa: {members: [U0SAND0003]}", "qa: {members: [U0SAND0003, U0SAND0042]}")


def test_from_the_file_to_the_plan_in_force(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(world, tmp_path / "plan.yml", plan_text(ANOTHER_QA)) == 0
    said = capsys.readouterr().out
    assert "roles qa members: new: U0SAND0042" in said
    assert "No sign-off becomes stale." in said
    message = posted(world, "amendment_proposed")
    assert message is not None
    shown = render(message)
    assert "roles qa members: new: U0SAND0042" in shown
    assert "DevOps/Platform or Tech Lead" in shown
    pressed = buttons(message)
    assert world.press("devops", "accept-plan", pressed["Accept"].arguments).refused == "proposed_by_you"
    done = world.press("tech-lead", "accept-plan", pressed["Accept"].arguments)
    assert done.refused is None
    assert "is in force now" in done.text
    assert posted(world, "amendment_proposed") is None, "its time is over"
    assert "U0SAND0042" in render(world.say("qa", "contacts"))
    page = render(world.say("qa", "plan"))
    assert "Changes of the plan" in page
    assert "accepted by" in page
    late = world.press("devops-2", "decline-plan", pressed["Decline"].arguments)
    assert late.refused == "amendment_over"


def test_the_posted_message_loses_its_buttons_once_it_is_decided(world: World, tmp_path: Path) -> None:
    typed(world, tmp_path / "plan.yml", plan_text(ANOTHER_QA))
    world.alter(Outbox, state="sent", message_ts="1.2")
    with world.database.read() as session:
        assert closings.over(session) == []
    typed(world, tmp_path / "plan.yml", plan_text(ANOTHER_QA, ("Sandbox, 13.3", "Sandbox from 13.3")))
    with world.database.read() as session:
        (over,) = closings.over(session)
    assert (over.channel, over.ts) == (world.plan.channel, "1.2")
    said = world.door.closing(over.kind, over.stage_id, over.rollout_id, over.ids)
    assert "replaced by a newer one" in said.text
    assert list(buttons(said)) == ["Whole difference"]


def test_a_terminal_without_slack_accepts_by_the_digest(world: World, tmp_path: Path) -> None:
    typed(world, tmp_path / "plan.yml", plan_text(ANOTHER_QA))
    with world.database.read() as session:
        row = session.execute(select(Outbox)).scalar_one()
    message = posted(world, "amendment_proposed")
    assert message is not None
    digest = str(buttons(message)["Accept"].arguments["confirm"])
    assert row.ids["channel"] == world.plan.channel
    assert world.say("tech-lead", "accept-plan 00000000").refused == "amendment_over"
    assert world.say("tech-lead", "accept-plan").refused == "amendment_over"
    assert world.say("tech-lead", f"accept-plan {digest[:8]}").refused is None


def test_what_cannot_be_is_said_and_nothing_is_proposed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.yml"
    assert typed(world, path, plan_text()) == 1
    assert "nothing differs" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="no rollout of plan other is open"):
        typed(world, path, plan_text(("key: sandbox", "key: other")))
    with pytest.raises(PlanError, match="is not a known word"):
        typed(world, path, plan_text(("title: Sandbox", "titel: Sandbox")))
    with pytest.raises(SettingsError, match="--as"):
        typed(world, path, plan_text(ANOTHER_QA), operator="")
    with pytest.raises(SettingsError, match="cannot be read"):
        amending.propose(
            Database(world.database.url.render_as_string(hide_password=False)),
            world.now,
            PEOPLE["devops"],
            tmp_path / "none.yml",
            CHECKS,
        )
    assert world.outbox() == []


def test_givers_are_named_when_their_sign_offs_become_stale(world: World, tmp_path: Path) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW)
    world.confirm("qa", "approve staging")
    more = "stages:\n  staging: {max_failures: 1}\n"
    typed(world, tmp_path / "plan.yml", plan_text(("stages:\n", more)))
    message = posted(world, "amendment_proposed")
    assert message is not None
    assert "staging is signed anew" in render(message)
    assert world.press("tech-lead", "accept-plan", buttons(message)["Accept"].arguments).refused is None
    told = posted(world, "sign_offs_stale")
    assert told is not None
    assert PEOPLE["qa"] in render(told)
    assert "holds no longer" in told.text
    in_force = posted(world, "plan_amended")
    assert in_force is not None
    assert "staging is signed anew" in render(in_force)


def test_the_terminal_takes_the_command(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.yml"
    path.write_text(plan_text(ANOTHER_QA))
    monkeypatch.setenv("DATABASE_URL", world.database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("ROLLOUT_SECRET_KEYS", KEY)
    assert app.main(["plan", "amend", str(path), "--as", PEOPLE["devops"]]) == 0
    assert "Proposed as plan" in capsys.readouterr().out
    assert world.outbox() == ["amendment_proposed"]
    assert app.main(["plan", "amend", str(path)]) == 2
    assert "--as" in capsys.readouterr().err
    assert app.main(["plan", "amend", str(tmp_path / "none.yml"), "--as", PEOPLE["devops"]]) == 2


def _amended(world: World, tmp_path: Path) -> None:
    """An amendment is accepted, and the bot starts again with the file from before."""
    world.started("dev", S.UPGRADING)
    typed(world, tmp_path / "plan.yml", plan_text(ANOTHER_QA))
    message = posted(world, "amendment_proposed")
    assert message is not None
    done = world.press("tech-lead", "accept-plan", buttons(message)["Accept"].arguments)
    assert "python app.py plan show sandbox > FILE" in render(done)
    told = posted(world, "plan_amended")
    assert told is not None
    assert "python app.py plan show sandbox > FILE" in render(told)
    said = opening.open_rollouts(world.database, [world.plan], world.now)
    assert ["was amended" in one for one in said] == [True]


def test_an_older_file_than_the_plan_in_force_is_to_be_replaced_by_it(world: World, tmp_path: Path) -> None:
    _amended(world, tmp_path)
    summary = world.door.document("daily_summary", world.rollout_id, None, {})
    assert summary is not None
    for said in (render(world.say("devops", "status")), render(summary)):
        assert said.count("configured file is still the one from before") == 1
        assert "python app.py plan show sandbox > FILE" in said
        assert "plan amend" not in said, "that would undo the amendment"
    assert "plan show" not in render(world.door.card(world.stage("dev").id))
    assert "plan show" not in render(world.say("devops", "status dev"))
    assert "plan show" not in render(world.door.home(world.actor("devops")))


def test_a_file_that_never_ruled_may_be_proposed_or_replaced(world: World) -> None:
    world.started("dev", S.UPGRADING)
    opening.open_rollouts(world.database, [world.plan.model_copy(update={"title": "Other"})], world.now)
    said = render(world.say("devops", "status"))
    assert "plan amend FILE" in said
    assert "plan show sandbox > FILE" in said


def test_the_plan_in_force_is_printed_as_a_file_that_ends_the_difference(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _amended(world, tmp_path)
    monkeypatch.setenv("DATABASE_URL", world.database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("ROLLOUT_SECRET_KEYS", KEY)
    capsys.readouterr()
    assert app.main(["plan", "show", "sandbox"]) == 0
    written = tmp_path / "in_force.yml"
    written.write_text(capsys.readouterr().out)
    assert opening.open_rollouts(world.database, [planning.load_plan(written, CHECKS)], world.now) == []
    assert "configured file" not in render(world.say("devops", "status"))
    assert app.main(["plan", "show", "sandbux"]) == 2
    refused = capsys.readouterr()
    assert "sandbux" in refused.err
    assert "open: sandbox" in refused.err
    assert refused.out == ""


def test_the_doctor_says_that_the_file_is_older_than_the_plan_in_force(world: World, tmp_path: Path) -> None:
    def found() -> list[str]:
        url = world.database.url.render_as_string(hide_password=False)
        return [f"{one.found} {one.todo}" for one in look(url, [KEY], None) if one.subject == "plan file"]

    assert found() == []
    _amended(world, tmp_path)
    (said,) = found()
    assert "was amended" in said
    assert "Replace it: python app.py plan show sandbox > FILE" in said
