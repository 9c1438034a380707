"""Who may press at all, established from what Slack says; whatever cannot be established refuses."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.clients import Own
from bot.guard import refusal
from bot.identity import Identity, problem_of
from bot.press import Kind, Origin, Press

OURS = Own("T1", "UBOT", None, "A1")
GRID = Own("T1", "UBOT", "E1", "A1")


def user(**more: Any) -> dict[str, Any]:
    return {"id": "U1", "team_id": "T1", "name": "una", "deleted": False, **more}


@pytest.mark.parametrize(
    ("own", "account", "problem"),
    [
        (OURS, user(), None),
        (OURS, user(deleted=True), "deactivated_account"),
        (OURS, user(is_bot=True), "bot_account"),
        (OURS, user(is_app_user=True), "bot_account"),
        (OURS, user(id="USLACKBOT"), "bot_account"),
        (OURS, user(is_restricted=True), "guest_account"),
        (OURS, user(is_ultra_restricted=True), "guest_account"),
        (OURS, user(team_id="T2"), "other_team"),
        (OURS, user(team_id="T2", is_stranger=False), "other_team"),
        (OURS, user(team_id=None), "other_team"),
        (OURS, user(team_id="T2", enterprise_user={"enterprise_id": "E1"}), "other_team"),
        (GRID, user(team_id="T2", enterprise_user={"enterprise_id": "E1"}), None),
        (GRID, user(team_id="T2", enterprise_user={"enterprise_id": "E2"}), "other_team"),
        (GRID, user(team_id="T2"), "other_team"),
    ],
)
def test_accounts(own: Own, account: dict[str, Any], problem: str | None) -> None:
    assert problem_of(account, own) == problem


class FakeSlack:
    """The three lookups, with what they answer; an exception is raised."""

    def __init__(self) -> None:
        self.user: Any = user()
        self.members: Any = ["U1"]
        self.channel: Any = {"is_ext_shared": False}
        self.calls: list[str] = []

    def _answer(self, name: str, value: Any, key: str) -> Any:
        self.calls.append(name)
        if isinstance(value, Exception):
            raise value
        if callable(value):
            value = value()
        return SimpleNamespace(data={"ok": True, key: value})

    def users_info(self, user: str) -> Any:
        return self._answer("user", self.user, "user")

    def usergroups_users_list(self, usergroup: str) -> Any:
        return self._answer("group", self.members, "users")

    def conversations_info(self, channel: str) -> Any:
        return self._answer("channel", self.channel, "channel")


def refused(error: str, status: int = 200) -> SlackApiError:
    response = SimpleNamespace(status_code=status, data={"ok": False, "error": error}, headers={"Retry-After": "3"})
    return SlackApiError(error, response)


def identity(slack: FakeSlack, groups: tuple[str, ...] = ("S1",), own: Own = OURS, seconds: float = 20.0) -> Identity:
    return Identity(slack, own, lambda: frozenset(groups), seconds=seconds)  # type: ignore[arg-type]


def a_press(verb: str = "start", team: str | None = None, kind: Kind = Kind.COMMAND, channel: str = "C1") -> Press:
    return Press(kind, Origin.CHANNEL, "U1", verb, team=team, channel=channel)


def test_a_person_is_found_with_their_groups() -> None:
    slack = FakeSlack()
    found = identity(slack).find(a_press())
    assert found.actor.problem is None
    assert (found.actor.team_id, found.actor.user_id, found.actor.groups) == ("T1", "U1", frozenset({"S1"}))
    assert not found.shared_channel
    slack.members = ["U2"]
    assert identity(slack).find(a_press()).actor.groups == frozenset()


@pytest.mark.parametrize("what", ["user", "members", "channel"])
@pytest.mark.parametrize(
    "failure", [TimeoutError(), ConnectionResetError(), refused("ratelimited", 429), refused("internal_error")]
)
def test_any_failing_lookup_refuses_an_act(what: str, failure: Exception) -> None:
    slack = FakeSlack()
    setattr(slack, what, failure)
    assert identity(slack).find(a_press()).actor.problem in ("identity_unknown", "slack_rate_limited")


def limited(seconds: int) -> SlackApiError:
    headers = {"Retry-After": str(seconds)}
    return SlackApiError(
        "x", SimpleNamespace(status_code=429, data={"ok": False, "error": "ratelimited"}, headers=headers)
    )


@pytest.mark.parametrize(
    ("what", "verb"), [(w, v) for w in ("user", "members") for v in ("start", "status")] + [("channel", "start")]
)
def test_a_short_rate_limit_is_waited_for_and_asked_again(what: str, verb: str) -> None:
    slack, waited = FakeSlack(), list[float]()
    right, answers = getattr(slack, what), [limited(1), limited(2)]

    def answer() -> Any:
        if answers:
            raise answers.pop(0)
        return right

    setattr(slack, what, answer)
    made = identity(slack)
    made._pause = waited.append  # type: ignore[method-assign, assignment]
    found = made.find(a_press(verb))
    assert (found.actor.problem, found.shared_channel) == (None, False)
    assert found.actor.groups == frozenset({"S1"})
    assert waited == [1, 2]


def test_after_a_wait_an_act_asks_for_everything_again() -> None:
    """What was answered before the wait is as old as the wait: a person may have left the group in it."""
    slack = FakeSlack()
    answers: list[Any] = [limited(1)]

    def channel() -> Any:
        if answers:
            slack.members = []
            raise answers.pop()
        return {"is_ext_shared": False}

    slack.channel = channel
    made = identity(slack)
    made._pause = lambda _: None  # type: ignore[method-assign, assignment]
    assert made.find(a_press("approve")).actor.groups == frozenset()


@pytest.mark.parametrize("what", ["user", "members", "channel"])
def test_a_rate_limit_that_lasts_refuses_an_act_and_says_how_long(what: str) -> None:
    slack, waited = FakeSlack(), list[float]()
    setattr(slack, what, limited(2))
    made = identity(slack)
    made._pause = waited.append  # type: ignore[method-assign, assignment]
    actor = made.find(a_press("approve")).actor
    assert (actor.problem, actor.again_in) == ("slack_rate_limited", 2)
    assert waited == [2, 2], "no longer than a person waits"
    setattr(slack, what, limited(40))
    actor = made.find(a_press("approve")).actor
    assert (actor.problem, actor.again_in) == ("slack_rate_limited", 40)
    assert len(waited) == 2, "nobody waits for that"


def test_a_look_does_not_wait_for_what_it_does_not_need() -> None:
    slack = FakeSlack()
    slack.channel = limited(2)
    made = identity(slack)
    made._pause = lambda _: pytest.fail("waited")  # type: ignore[method-assign, assignment]
    assert made.find(a_press("status")).actor.problem is None


def test_a_wait_ends_when_the_bot_does() -> None:
    slack = FakeSlack()
    made = identity(slack, ())

    def answer() -> Any:
        made.close()
        raise limited(4)

    slack.user = answer
    assert made.find(a_press(channel="")).actor.problem == "slack_rate_limited"
    assert slack.calls == ["user"]


def test_a_lookup_that_takes_too_long_refuses() -> None:
    slack, answers = FakeSlack(), threading.Event()
    slack.user = lambda: answers.wait(60) and user()
    assert identity(slack, seconds=0.3).find(a_press()).actor.problem == "identity_unknown"
    assert not answers.is_set(), "it did not wait for the answer"
    answers.set()


def test_groups_are_asked_for_afresh_for_acts_and_remembered_for_looks() -> None:
    slack = FakeSlack()
    made = identity(slack)
    made.find(a_press("status"))
    slack.members = []
    assert made.find(a_press("status")).actor.groups == frozenset({"S1"})
    assert made.find(a_press("approve")).actor.groups == frozenset()
    assert slack.calls.count("group") == 2


def test_a_plan_without_groups_asks_for_none() -> None:
    slack = FakeSlack()
    identity(slack, ()).find(a_press())
    assert "group" not in slack.calls


@pytest.mark.parametrize("flag", ["is_ext_shared", "is_pending_ext_shared"])
def test_shared_channels_are_seen_and_remembered_for_a_while(flag: str) -> None:
    slack = FakeSlack()
    slack.channel = {flag: True}
    made = identity(slack)
    assert made.find(a_press()).shared_channel
    assert made.find(a_press()).shared_channel
    assert slack.calls.count("channel") == 1


def test_a_channel_that_we_may_not_see_counts_as_shared_for_acts_only() -> None:
    slack = FakeSlack()
    slack.channel = refused("channel_not_found")
    assert identity(slack).find(a_press("start")).shared_channel
    look = identity(slack).find(a_press("status"))
    assert not look.shared_channel
    assert look.actor.problem is None


@pytest.mark.parametrize("kind", [Kind.ACTION, Kind.SUBMISSION])
def test_the_team_of_a_press_and_that_of_the_account_must_agree(kind: Kind) -> None:
    slack = FakeSlack()
    assert identity(slack).find(a_press(team="T1", kind=kind)).actor.problem is None
    assert identity(slack).find(a_press(team="T2", kind=kind)).actor.problem == "other_team"
    assert identity(slack).find(a_press(team=None, kind=kind)).actor.problem == "other_team"


@pytest.mark.parametrize(
    ("own", "body", "ok"),
    [
        (OURS, {"team_id": "T1", "api_app_id": "A1"}, True),
        (OURS, {"team_id": "T2", "api_app_id": "A1"}, False),
        (OURS, {"team_id": "T1", "api_app_id": "A2"}, False),
        (OURS, {"team_id": "T1"}, False),
        (OURS, {"api_app_id": "A1"}, False),
        (OURS, {"team": {"id": "T1"}, "api_app_id": "A1", "type": "block_actions"}, True),
        (OURS, {"team": {"id": "T2"}, "api_app_id": "A1", "type": "block_actions"}, False),
        # A person of another company submits: the team is theirs, the app is installed in ours.
        (
            OURS,
            {
                "type": "view_submission",
                "team": {"id": "T2"},
                "api_app_id": "A1",
                "view": {"app_installed_team_id": "T1"},
            },
            True,
        ),
        (
            OURS,
            {
                "type": "view_submission",
                "team": {"id": "T1"},
                "api_app_id": "A1",
                "view": {"app_installed_team_id": "T2"},
            },
            False,
        ),
        (OURS, {"team_id": "T2", "authorizations": [{"team_id": "T1"}], "api_app_id": "A1"}, True),
        (GRID, {"team_id": "T1", "enterprise_id": "E2", "api_app_id": "A1"}, False),
        (GRID, {"team": None, "enterprise": {"id": "E1"}, "api_app_id": "A1"}, True),
        (OURS, {"type": "url_verification"}, True),
    ],
)
def test_only_our_app_in_our_team_is_served(own: Own, body: dict[str, Any], ok: bool) -> None:
    assert (refusal(body, own) is None) == ok
