"""Owners of jobs are looked up by their address, and what is for a team or a person goes there and nowhere else."""

from pathlib import Path
from typing import Any

import yaml

from bot.clients import client, who_we_are
from bot.directory import Directory
from sandbox.slack import manifest, people
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage.database import Database
from storage.models import Outbox, OwnerNotice
from storage.record import post
from tests.bot.desk import desk
from tests.bot.harness import NOW, PEOPLE, SUPPORT, open_rollout, plan
from tests.commands.world import ROOT


def directory(slack: Slack, database: Database) -> Directory:
    web = client(slack.bot_token, slack.api_url, 5.0)
    return Directory(database, web, who_we_are(web), "one")


def noted(database: Database, *owners: str) -> None:
    _, stages = open_rollout(database, plan())
    with database.write() as session:
        for owner in owners:
            session.add(OwnerNotice(stage_id=stages[0], generation=1, owner=owner, state="wanted", created_at=NOW))


def found(database: Database) -> dict[str, tuple[str, str | None]]:
    with database.read() as session:
        return {row.owner: (row.state, row.user_id) for row in session.query(OwnerNotice)}


def test_owners_are_found_by_their_address_and_only_people_of_our_own(slack: Slack, either: Database) -> None:
    principal = "5de8c23d-5a4d-4b0c-9e0f-5de8c23d5de8"
    noted(either, "qa@sandbox.example", "guest@sandbox.example", "a-team@sandbox.example", principal)
    directory(slack, either).refresh()
    assert found(either) == {
        "qa@sandbox.example": ("known", PEOPLE["qa"]),
        "guest@sandbox.example": ("unknown", None),
        "a-team@sandbox.example": ("unknown", None),
        principal: ("unknown", None),
    }


def test_without_the_right_to_look_owners_are_unknown_and_nobody_waits(tmp_path: Path, database: Database) -> None:
    asked: Any = yaml.safe_load((ROOT / "manifest.yml").read_text())
    asked["oauth_config"]["scopes"]["bot_optional"].remove("users:read.email")
    with running(tmp_path / "slack", manifest=manifest.load(asked)) as slack:
        noted(database, "qa@sandbox.example")
        directory(slack, database).refresh()
        assert found(database) == {"qa@sandbox.example": ("unknown", None)}


def test_an_answer_that_does_not_come_is_asked_for_again(database: Database, slack: Slack) -> None:
    noted(database, "qa@sandbox.example")
    made = directory(slack, database)
    made._web.base_url = "http://127.0.0.1:9/api/"
    made.refresh()
    assert found(database) == {"qa@sandbox.example": ("wanted", None)}


def test_what_is_for_a_person_goes_to_their_direct_messages(slack: Slack, database: Database) -> None:
    it = desk(slack, database)
    with database.write() as session:
        ids = {"to": PEOPLE["qa"]}
        post(session, NOW, "dm:x", "owner_notice", rollout_id=it.rollout, stage_id=it.stages[0], ids=ids)
    it.run()
    assert [letter.state for letter in it.letters()] == ["sent"]
    assert it.seen() == []
    dm = slack.get("messages", **{"as": "qa", "channel": people.load().by_id[PEOPLE["qa"]].dm})["messages"]
    assert any("owner_notice" in m["text"] for m in dm)


def test_a_team_channel_that_the_bot_is_not_in_does_not_hold_back_the_others(
    tmp_path: Path, database: Database
) -> None:
    with running(tmp_path / "slack", limits=Limits(post_burst=1000)) as slack:
        it = desk(slack, database)
        with database.write() as session:
            ids = {"to": "C0NOWHERE1", "key": "team"}
            post(session, NOW, "t", "team_wanted", rollout_id=it.rollout, stage_id=it.stages[0], ids=ids, repeat=True)
            gone = {"to": "U0SAND0010"}
            post(session, NOW, "dm:y", "owner_notice", rollout_id=it.rollout, stage_id=it.stages[0], ids=gone)
        it.post("after")
        for _ in range(8):
            with database.write() as session:
                session.query(Outbox).update({"not_before": None})
            it.run()
        states = {letter.key: letter.state for letter in it.letters()}
        assert states == {"t": "sent", "dm:y": "dropped", "after": "sent"}
        said = [m["text"] for m in it.seen()]
        assert any("team_wanted" in text for text in said), (SUPPORT, said)
        assert not any("owner_notice" in text for text in said)
