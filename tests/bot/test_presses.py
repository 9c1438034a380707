"""Commands, buttons and forms, from the press to the answer, in Socket Mode."""

import threading
from typing import Any

import pytest

from bot.build import Bot
from commands.reply import Button, Buttons, Form, Paragraph, Reply, Request
from sandbox.slack.server import Slack
from storage.database import Database
from storage.record import touch_card
from storage.transitions import lock_stage
from tests.bot.harness import PEOPLE, SUPPORT, TRIGGER_SECONDS, FakeDoor, open_rollout, plan, soon


def answered(slack: Slack, request: str) -> list[dict[str, Any]]:
    """The answers of a request, once there are any that are not still being worked on."""

    def fits(found: dict[str, Any]) -> bool:
        return bool(found["answers"]) and "working" not in str(found["answers"])

    return list(slack.until(request, fits)["answers"])


def posted(slack: Slack, person: str) -> list[dict[str, Any]]:
    """What everybody sees in the channel."""
    found = slack.get("messages", **{"as": person, "channel": SUPPORT})["messages"]
    return [message for message in found if not message["ephemeral"]]


def press(slack: Slack, person: str, container: dict[str, Any], shown: dict[str, Any], label: str) -> str:
    """Press the button of that label in a message or a view."""
    for block in shown["blocks"]:
        elements = [*block.get("elements", ()), *([block["accessory"]] if "accessory" in block else [])]
        for element in elements:
            if element.get("type") == "button" and element["text"]["text"] == label:
                ids = {"block_id": block["block_id"], "action_id": element["action_id"]}
                body = {"as": person, "container": container, **ids, "value": element["value"]}
                return str(slack.post("act", **body)["request"])
    raise AssertionError(f"no button {label} in {shown['blocks']}")


def test_a_command_is_acknowledged_and_answered_privately(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    request = slack.command("developer", "/rollout status dev")
    (answer,) = answered(slack, request)
    assert answer["message"]["ephemeral"]
    assert "status page 0" in str(answer["message"]["blocks"])
    assert door.asked[0].arguments == {"words": "dev"}
    assert slack.request(request)["error"] is None


def open_form(slack: Slack, person: str = "developer") -> dict[str, Any]:
    """The form that ``/rollout start dev`` opens."""
    (answer,) = answered(slack, slack.command(person, "/rollout start dev"))
    view: dict[str, Any] = answer["view"]
    return view


def fill(slack: Slack, view: dict[str, Any], text: str, person: str = "developer") -> str:
    """Type a comment and submit; the request's id."""
    block = next(b for b in view["blocks"] if b["type"] == "input")
    ids = {"block_id": block["block_id"], "action_id": block["element"]["action_id"]}
    slack.post("input", **{"as": person, "view": view["id"], **ids, "value": text})
    return str(slack.post("submit", **{"as": person, "view": view["id"]})["request"])


def test_a_form_opens_is_submitted_and_shows_its_result(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    view = open_form(slack)
    assert view["submit"]["text"] == "Start dev"
    assert "12 targets" in str(view["blocks"])
    (answer,) = answered(slack, fill(slack, view, "go"))
    assert "dev was started" in str(answer["view"]["blocks"])
    assert answer["view"]["submit"] is None
    last = door.asked[-1]
    assert last.arguments == {"stage": "dev", "confirm": "d1", "comment": "go", "submitted": True}
    assert last.actor.user_id == PEOPLE["developer"]
    assert last.actor.team_id == "T0SANDBOX1"
    assert last.channel == SUPPORT


def test_wrong_fields_are_answered_in_the_acknowledgement_and_have_no_effect(
    slack: Slack, bot: Bot, door: FakeDoor
) -> None:
    view = open_form(slack)
    found = slack.until(fill(slack, view, "wrong"), lambda r: r["errors"])
    assert list(found["errors"].values()) == ["That is not a comment."]
    assert door.acts == 0
    assert "dev was started" in str(answered(slack, fill(slack, view, "right"))[-1])
    assert door.acts == 1


def test_a_page_button_replaces_the_persons_own_message_and_others_do_not(
    slack: Slack, bot: Bot, door: FakeDoor
) -> None:
    (first,) = answered(slack, slack.command("developer", "/rollout status"))
    where = {"channel": first["message"]["channel"], "ts": first["message"]["ts"]}
    request = press(slack, "developer", where, first["message"], "More")
    (second,) = answered(slack, request)
    assert second["message"]["ts"] == first["message"]["ts"]
    assert "status page 1" in str(second["message"]["blocks"])
    form = answered(slack, press(slack, "developer", where, second["message"], "Start dev"))[-1]
    assert form["kind"] == "view"


def test_a_button_of_a_shared_message_answers_privately_and_leaves_it_alone(
    slack: Slack, bot: Bot, bots_database: Database, door: FakeDoor
) -> None:
    _, (dev, _) = open_rollout(bots_database, plan())
    door.cards[dev] = Reply("card", (Paragraph((("the card",),)), Buttons((Button("Status", "status", {}),))))
    with bots_database.write() as session:
        touch_card(session, lock_stage(session, dev))
    card = soon(lambda: posted(slack, "qa"))[0]
    where = {"channel": SUPPORT, "ts": card["ts"]}
    (answer,) = answered(slack, press(slack, "qa", where, card, "Status"))
    assert answer["message"]["ephemeral"]
    assert [m["blocks"] for m in posted(slack, "devops")] == [card["blocks"]]


def test_the_home_tab_is_shown_and_its_buttons_open_forms(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    slack.get("home", **{"as": "qa", "open": "1"})
    view = soon(lambda: slack.get("home", **{"as": "qa"})["view"])
    assert f"home of {PEOPLE['qa']}" in str(view["blocks"])
    answers = answered(slack, press(slack, "qa", {"home": True}, view, "Start"))
    form = next(a["view"] for a in answers if a["kind"] == "view" and a["view"]["type"] == "modal")
    assert form["submit"]["text"] == "Start dev"
    published = slack.get("home", **{"as": "qa"})["view"]["hash"]
    answered(slack, fill(slack, form, "go", "qa"))
    soon(lambda: slack.get("home", **{"as": "qa"})["view"]["hash"] != published)


@pytest.mark.parametrize(
    ("person", "code"),
    [("outsider", "other_team"), ("guest", "guest_account"), ("deactivated", "deactivated_account")],
)
def test_who_may_not_act_is_recognised(slack: Slack, bot: Bot, door: FakeDoor, person: str, code: str) -> None:
    (answer,) = answered(slack, slack.command(person, "/rollout start dev"))
    assert f"Refused ({code})" in str(answer["message"])
    assert door.asked[0].actor.problem == code


def test_a_channel_shared_with_another_company_is_told_to_the_door(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    (answer,) = answered(slack, slack.command("developer", "/rollout start dev", "partner-shared"))
    assert "shared_channel" in str(answer["message"])


def test_a_failing_lookup_refuses(slack: Slack, bot: Bot, door: FakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise TimeoutError("no answer")

    assert bot._identity is not None
    monkeypatch.setattr(bot._identity._web, "users_info", broken)
    (answer,) = answered(slack, slack.command("developer", "/rollout start dev"))
    assert "identity_unknown" in str(answer["message"])


def test_one_rate_limit_of_a_second_refuses_nobody(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    slack.post("faults", kind="429", path="users.info", times=1, retry_after=1)
    (answer,) = answered(slack, slack.command("developer", "/rollout start dev"))
    assert answer["view"]["submit"]["text"] == "Start dev"
    assert len(door.asked) == 1


def test_a_long_rate_limit_is_named_with_its_seconds(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    slack.post("faults", kind="429", path="users.info", times=1, retry_after=40)
    answered(slack, slack.command("developer", "/rollout start dev"))
    actor = door.asked[0].actor
    assert (actor.problem, actor.again_in) == ("slack_rate_limited", 40)


def test_an_error_of_the_door_gets_an_error_id(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    def explode(request: Request) -> Reply:
        raise ZeroDivisionError

    door.handler = explode
    (answer,) = answered(slack, slack.command("developer", "/rollout status"))
    assert "error id" in str(answer["message"]["blocks"])


def test_a_form_that_comes_too_late_becomes_a_button_that_opens_it(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    ask = door.handle

    def slow(request: Request) -> Reply:
        door.handler = None
        slack.workspace.machine.advance(TRIGGER_SECONDS + 1)  # type: ignore[attr-defined]
        return ask(request)

    door.handler = slow
    (answer,) = answered(slack, slack.command("developer", "/rollout start dev"))
    assert "Nothing has happened yet" in str(answer["message"]["blocks"])
    where = {"channel": answer["message"]["channel"], "ts": answer["message"]["ts"]}
    opened = answered(slack, press(slack, "developer", where, answer["message"], "Open the form"))[-1]
    assert opened["view"]["submit"]["text"] == "Start dev"


def test_a_form_that_slack_would_not_take_is_said(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    huge = Form("Start", "start", {"x": "y" * 3000}, "Start", ())
    door.handler = lambda _: Reply("?", form=huge)
    (answer,) = answered(slack, slack.command("developer", "/rollout start dev"))
    assert "too large for Slack" in str(answer["message"]["blocks"])


def test_a_press_in_a_modal_is_answered_in_that_modal(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    more = Reply("done", (Paragraph((("done",),)), Buttons((Button("Details", "status"), Button("Again", "start")))))
    view = open_form(slack)
    door.handler = lambda _: more
    (answer,) = answered(slack, fill(slack, view, "go"))
    door.handler = None
    details = answered(slack, press(slack, "developer", {"view": view["id"]}, answer["view"], "Details"))[-1]
    assert details["view"]["id"] == view["id"]
    assert "status page 0" in str(details["view"]["blocks"])
    form = answered(slack, press(slack, "developer", {"view": view["id"]}, details["view"], "Start dev"))[-1]
    assert form["view"]["submit"]["text"] == "Start dev"


def test_typed_markup_arrives_as_typed(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    answered(slack, slack.command("developer", "/rollout pause because a < b & <!channel>"))
    assert door.asked[0].arguments["words"] == "because a < b & <!channel>"


def test_acknowledgements_do_not_wait_for_the_door(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    answers = threading.Event()
    door.handler = lambda request: answers.wait(60) and Reply("slow")
    request = slack.command("developer", "/rollout status")
    assert slack.until(request, lambda r: r["acknowledged"])["answers"] == []
    answers.set()
    answered(slack, request)
