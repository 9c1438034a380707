"""People and groups that plans name are known, with what is wrong with them. On both databases."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from slack_sdk.errors import SlackApiError

from bot.clients import client, who_we_are
from bot.directory import Directory
from sandbox.slack.server import Slack
from storage.database import Database
from storage.models import GroupMember, KnownPerson
from tests.bot.harness import PEOPLE, open_rollout, plan

NAMED = (PEOPLE["qa"], PEOPLE["outsider"], "U0SAND0009", "U0SAND0010", "U0NOBODY00")


def directory(slack: Slack, database: Database, owner: str = "one", **more: float) -> Directory:
    web = client(slack.bot_token, slack.api_url, 5.0)
    return Directory(database, web, who_we_are(web), owner, **more)  # type: ignore[arg-type]


def known(database: Database) -> dict[str, str | None]:
    with database.read() as session:
        return {person.user_id: person.problem for person in session.query(KnownPerson)}


def members(database: Database) -> set[str]:
    with database.read() as session:
        return {row.user_id for row in session.query(GroupMember)}


def test_everybody_a_plan_names_is_looked_at(slack: Slack, either: Database) -> None:
    open_rollout(either, plan(groups=("S0DEVOPS01",), members=NAMED))
    directory(slack, either).refresh()
    assert known(either) == {
        PEOPLE["qa"]: None,
        PEOPLE["outsider"]: "other_team",
        "U0SAND0009": "guest_account",
        "U0SAND0010": "deactivated_account",
        "U0NOBODY00": "identity_unknown",
        "U0SAND0004": None,
        "U0SAND0005": None,
    }
    assert members(either) == {"U0SAND0004", "U0SAND0005"}


def test_a_member_who_left_a_group_goes(slack: Slack, either: Database) -> None:
    open_rollout(either, plan(groups=("S0DEVOPS01",)))
    with either.write() as session:
        session.add(GroupMember(group_id="S0DEVOPS01", user_id="ULEFT"))
    directory(slack, either).refresh()
    assert "ULEFT" not in members(either)


def test_who_was_looked_at_lately_is_left_alone(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_rollout(database, plan())
    made = directory(slack, database)
    made.refresh()
    monkeypatch.setattr(made, "_person", lambda _: pytest.fail("asked again"))
    made.refresh()


def test_a_lookup_that_fails_keeps_what_was_known(slack: Slack, database: Database, tmp_path: Path) -> None:
    open_rollout(database, plan())
    directory(slack, database).refresh()
    before = known(database)
    later = directory(slack, database, every=0.0)
    later._web = client(slack.bot_token, "http://127.0.0.1:9/api/", 0.2)
    later.refresh()
    assert known(database) == before != {}


def test_of_two_replicas_one_asks(slack: Slack, either: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    open_rollout(either, plan())
    directory(slack, either, "one").refresh()
    other = directory(slack, either, "two", every=0.0)
    monkeypatch.setattr(other, "_person", lambda _: pytest.fail("asked by both"))
    other.refresh()


def test_a_rate_limit_ends_the_round_and_nobody_is_lost(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_rollout(database, plan(members=NAMED))
    made, asked = directory(slack, database), list[str]()

    def limited(user: str) -> None:
        asked.append(user)
        response = SimpleNamespace(status_code=429, data={"ok": False}, headers={"Retry-After": "600"})
        raise SlackApiError("ratelimited", response)

    with monkeypatch.context() as patched:
        patched.setattr(made._web, "users_info", limited)
        made.refresh()
        made.refresh()
        assert len(asked) == 1, "it asked on while Slack asked to wait"
    made._again.clear()  # ten minutes later
    made.refresh()
    assert set(known(database)) == set(NAMED)
