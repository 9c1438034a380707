"""Modals and the Home: opening, stacking, changing, submitting, closing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    QA,
    Json,
    Machine,
    RawBot,
    actions,
    button,
    home,
    manifest,
    modal,
    option,
    plain,
    refusal,
    refused,
    section,
    text_input,
)

PRESS = actions(button("press"), block_id="row")


class Play:
    """qa and a bot: open modals, fill, press, submit."""

    def __init__(self, slack: Slack, answer: Callable[[Json], Any] = lambda envelope: None) -> None:
        self.slack = slack
        self.client = WebClient(slack.bot_token, base_url=slack.api_url)
        self.response: Any = None
        self.bot = RawBot(slack, lambda e: self.response if e["payload"].get("type") == "view_submission" else None)

    def trigger(self) -> str:
        self.request = self.slack.command("qa", "/rollout")
        return str(self.bot.payload()["trigger_id"])

    def open(self, *blocks: Json, **more: Any) -> str:
        opened = self.client.views_open(trigger_id=self.trigger(), view=modal(*(blocks or (text_input(),)), **more))
        return str(opened["view"]["id"])

    def stack(self) -> list[Json]:
        return list(self.slack.get("views", **{"as": "qa"})["views"])

    def press(self, view: str) -> Json:
        self.slack.post("act", **{"as": "qa", "container": {"view": view}, "block_id": "row", "action_id": "press"})
        return self.bot.payload()

    def enter(self, view: str, value: Any, block: str = "why", action: str = "text") -> None:
        self.slack.post("input", **{"as": "qa", "view": view, "block_id": block, "action_id": action, "value": value})

    def submit(self, view: str, response: Any = None) -> Json:
        """Submit and wait until it was acknowledged or refused."""
        self.response = response
        request = self.slack.post("submit", **{"as": "qa", "view": view})["request"]
        fits: Callable[[Json], Any] = lambda r: r["acknowledged"] or r["errors"] or r["error"]  # noqa: E731
        return self.slack.until(request, fits)


@pytest.fixture
def play(slack: Slack) -> Play:
    return Play(slack)


def test_a_modal_opens_as_the_answer_to_its_command(play: Play) -> None:
    view = play.open(callback_id="start", private_metadata="{}")
    (answer,) = play.slack.request(play.request)["answers"]
    assert (answer["kind"], answer["view"]["id"]) == ("view", view)
    shown = play.stack()[0]
    assert (shown["callback_id"], shown["root_view_id"], shown["previous_view_id"]) == ("start", view, None)
    assert shown["state"]["values"] == {"why": {"text": {"type": "plain_text_input", "value": None}}}
    assert (shown["team_id"], shown["app_installed_team_id"]) == ("T0SANDBOX1", "T0SANDBOX1")


def test_a_trigger_works_once(play: Play) -> None:
    trigger = play.trigger()
    play.client.views_open(trigger_id=trigger, view=modal(section()))
    assert refusal(play.client.views_open, trigger_id=trigger, view=modal(section())) == "exchanged_trigger_id"


def test_a_trigger_lives_three_seconds(play: Play, machine: Machine) -> None:
    trigger = play.trigger()
    machine.advance(3.1)
    assert refusal(play.client.views_open, trigger_id=trigger, view=modal(section())) == "expired_trigger_id"


def test_an_unknown_trigger_and_a_missing_one_are_refused(play: Play) -> None:
    assert refusal(play.client.views_open, trigger_id="1.2.3", view=modal(section())) == "invalid_trigger_id"
    assert refusal(play.client.views_open, view=modal(section())) == "invalid_arguments"


def test_an_invalid_view_is_pointed_at_and_costs_no_trigger(play: Play) -> None:
    trigger = play.trigger()
    answer = refused(play.client.views_open, trigger_id=trigger, view=modal(section(), title=plain("x" * 25)))
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    ]
    play.client.views_open(trigger_id=trigger, view=modal(section()))


def test_a_view_over_250_kilobytes_is_too_large(play: Play) -> None:
    big = modal(*(actions(*(button(f"a{i}", value="x" * 2000) for i in range(2))) for _ in range(70)))
    assert refusal(play.client.views_open, trigger_id=play.trigger(), view=big) == "view_too_large"


def test_three_views_fit_on_a_stack(play: Play) -> None:
    view = play.open(PRESS)
    for _ in range(2):
        trigger = play.press(view)["trigger_id"]
        view = play.client.views_push(trigger_id=trigger, view=modal(PRESS))["view"]["id"]
    stack = play.stack()
    assert len(stack) == 3
    assert stack[2]["previous_view_id"] == stack[1]["id"]
    assert stack[2]["root_view_id"] == stack[0]["id"]
    trigger = play.press(view)["trigger_id"]
    assert refusal(play.client.views_push, trigger_id=trigger, view=modal(PRESS)) == "push_limit_reached"


def test_only_a_trigger_from_a_modal_can_push(play: Play) -> None:
    assert refusal(play.client.views_push, trigger_id=play.trigger(), view=modal(section())) == "not_found"


def test_a_new_command_replaces_a_modal_that_was_left_open(play: Play) -> None:
    left = play.open(notify_on_close=True)
    new = play.open()
    assert [view["id"] for view in play.stack()] == [new]
    closed = play.bot.payload()
    assert (closed["type"], closed["view"]["id"], closed["is_cleared"]) == ("view_closed", left, True)


def test_a_covered_modal_cannot_be_used(play: Play) -> None:
    view = play.open(PRESS)
    play.client.views_push(trigger_id=play.press(view)["trigger_id"], view=modal(PRESS))
    with pytest.raises(LookupError, match="covered"):
        play.press(view)


def test_an_update_keeps_what_was_entered_and_changes_the_hash(play: Play) -> None:
    view = play.open()
    play.enter(view, "because")
    before = play.stack()[0]["hash"]
    kept = play.client.views_update(view_id=view, view=modal(text_input(), section()))["view"]
    assert kept["hash"] != before
    assert kept["state"]["values"]["why"]["text"]["value"] == "because"
    lost = play.client.views_update(view_id=view, view=modal(text_input("other")))["view"]
    assert lost["state"]["values"] == {"other": {"text": {"type": "plain_text_input", "value": None}}}


def test_an_update_counts_as_an_answer(play: Play) -> None:
    view = play.open()
    before = play.slack.request(play.request)
    play.client.views_update(view_id=view, view=modal(section("done")))
    after = play.slack.request(play.request)
    assert after["changed"] > before["changed"]
    assert after["answers"][0]["view"]["blocks"][0]["text"]["text"] == "done"


def test_an_update_is_refused(play: Play) -> None:
    view = play.open(external_id="mine")
    update = play.client.views_update
    assert refusal(update, view_id="V0", view=modal(section())) == "not_found"
    assert refusal(update, external_id="other", view=modal(section())) == "not_found"
    assert refusal(update, view_id=view, hash="1.x", view=modal(section())) == "hash_conflict"
    assert refusal(update, view_id=view, view=home(section())) == "invalid_arguments"
    assert refusal(update, view_id=view, view=modal({"type": "x"})) == "invalid_arguments"
    assert refusal(play.client.api_call, "views.update", json={"view": modal(section())}) == "invalid_arguments"
    good = update(external_id="mine", hash=play.stack()[0]["hash"], view=modal(section(), external_id="mine"))
    assert good["view"]["id"] == view


def test_an_external_id_is_used_once(play: Play) -> None:
    view = play.open(PRESS, external_id="mine")
    trigger = play.press(view)["trigger_id"]
    answer = refusal(play.client.views_push, trigger_id=trigger, view=modal(section(), external_id="mine"))
    assert answer == "duplicate_external_id"


def test_a_required_input_is_checked_before_anything_is_sent(play: Play) -> None:
    view = play.open()
    seen = play.submit(view)
    assert (seen["errors"], seen["delivered"]) == ({"why": "Please complete this required field."}, None)
    assert play.stack()[0]["errors"] == seen["errors"]
    play.enter(view, "because")
    assert play.stack()[0]["errors"] == {}
    assert play.submit(view)["errors"] is None


@pytest.mark.parametrize(
    ("element", "value", "complaint"),
    [
        ({"min_length": 5}, "four", "at least 5"),
        ({"max_length": 3}, "four", "at most 3"),
        ({"type": "email_text_input"}, "me", "valid email"),
        ({"type": "url_text_input"}, "me", "valid URL"),
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "whole number"),
        ({"type": "number_input", "is_decimal_allowed": True, "min_value": "2"}, "1.5", "at least 2"),
        ({"type": "number_input", "is_decimal_allowed": True, "max_value": "1"}, "1.5", "at most 1"),
    ],
)
def test_a_client_checks_what_was_typed(play: Play, element: Json, value: str, complaint: str) -> None:
    view = play.open(text_input(element=element))
    play.enter(view, value)
    assert complaint in play.submit(view)["errors"]["why"]


def test_the_submission_carries_the_state(play: Play) -> None:
    choice = {"type": "static_select", "action_id": "stage", "options": [option("dev"), option("test")]}
    stage = {"type": "input", "block_id": "where", "label": plain("Stage"), "element": choice}
    ticks = {"type": "checkboxes", "action_id": "items", "options": [option("a"), option("b")]}
    view = play.open(text_input(), stage, actions(ticks, block_id="some"), private_metadata="m", callback_id="c")
    play.enter(view, "because")
    play.enter(view, "test", "where", "stage")
    play.enter(view, ["a", "b"], "some", "items")
    assert play.bot.payload()["actions"][0]["selected_options"][1]["value"] == "b"
    play.submit(view)
    payload = play.bot.payload()
    assert (payload["type"], payload["team"]["id"], payload["user"]["team_id"]) == (
        "view_submission",
        "T0SANDBOX1",
        "T0SANDBOX1",
    )
    assert payload["response_urls"] == []
    assert (payload["view"]["private_metadata"], payload["view"]["callback_id"]) == ("m", "c")
    values = payload["view"]["state"]["values"]
    assert values["why"]["text"]["value"] == "because"
    assert values["where"]["stage"]["selected_option"]["value"] == "test"
    assert [o["value"] for o in values["some"]["items"]["selected_options"]] == ["a", "b"]
    assert play.stack() == []


def test_a_select_may_ask_for_a_response_url(play: Play) -> None:
    element = {"type": "conversations_select", "action_id": "to", "response_url_enabled": True}
    view = play.open({"type": "input", "block_id": "where", "label": plain("To"), "element": element})
    play.enter(view, "C0SUPPORT1", "where", "to")
    play.submit(view)
    (given,) = play.bot.payload()["response_urls"]
    assert (given["block_id"], given["channel_id"]) == ("where", "C0SUPPORT1")
    assert given["response_url"].startswith(play.slack.url)


def test_an_acknowledgement_may_show_errors(play: Play) -> None:
    view = play.open(text_input(optional=True))
    seen = play.submit(view, {"response_action": "errors", "errors": {"why": "Not good enough."}})
    assert seen["errors"] == {"why": "Not good enough."}
    assert play.stack()[0]["errors"] == {"why": "Not good enough."}


def test_an_acknowledgement_may_update_push_and_clear(play: Play) -> None:
    view = play.open(text_input(optional=True))
    seen = play.submit(view, {"response_action": "update", "view": modal(section("working"), submit=plain("More"))})
    assert seen["answers"][0]["view"]["blocks"][0]["text"]["text"] == "working"
    play.submit(view, {"response_action": "push", "view": modal(section("on top"))})
    assert len(play.stack()) == 2
    play.submit(play.stack()[1]["id"])
    assert [v["id"] for v in play.stack()] == [view]
    play.submit(view, {"response_action": "clear"})
    assert play.stack() == []


@pytest.mark.parametrize(
    "response",
    [
        {"response_action": "dance"},
        {"text": "thanks"},
        ["x"],
        {"response_action": "errors", "errors": {}},
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {"why": ""}},
        {"response_action": "update"},
        {"response_action": "update", "view": home(section())},
        {"response_action": "push", "view": modal({"type": "data_visualization"})},
    ],
)
def test_a_bad_acknowledgement_shows_the_person_an_error(play: Play, response: Any) -> None:
    view = play.open(text_input(optional=True))
    play.submit(view, response)
    assert play.slack.until(play.request, lambda r: r["answers"][0]["view"]["error"])
    (shown,) = play.stack()
    assert (shown["id"], shown["error"]) == (view, "We had some trouble connecting. Try again?")


def test_a_push_beyond_three_by_acknowledgement_is_an_error(play: Play) -> None:
    view = play.open(text_input(optional=True))
    for _ in range(2):
        play.submit(play.stack()[-1]["id"], {"response_action": "push", "view": modal(text_input(optional=True))})
    seen = play.submit(play.stack()[-1]["id"], {"response_action": "push", "view": modal(section())})
    assert play.slack.until(seen["id"], lambda r: r["error"])["error"] == "invalid_view_response"
    assert [len(play.stack()), play.stack()[0]["id"]] == [3, view]


def test_an_unacknowledged_submission_shows_an_error_and_can_be_repeated(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits(ack_seconds=0.2))
    bot = RawBot(slack)
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    slack.command("qa", "/rollout")
    envelope = bot.next()
    bot.ack(envelope)
    view = client.views_open(trigger_id=envelope["payload"]["trigger_id"], view=modal(section()))["view"]["id"]
    request = slack.post("submit", **{"as": "qa", "view": view})["request"]
    with pytest.raises(LookupError, match="being submitted"):
        slack.post("submit", **{"as": "qa", "view": view})
    assert slack.until(request, lambda r: r["error"])["error"] == "operation_timeout"
    assert "trouble" in slack.get("views", **{"as": "qa"})["views"][0]["error"]
    bot.next()
    again = slack.post("submit", **{"as": "qa", "view": view})["request"]
    bot.ack(bot.next())
    assert slack.until(again, lambda r: r["acknowledged"])["error"] is None


def test_closing_tells_the_bot_only_if_it_asked(play: Play) -> None:
    quiet = play.open()
    play.slack.post("close", **{"as": "qa", "view": quiet})
    asked = play.open(notify_on_close=True)
    play.slack.post("close", **{"as": "qa", "view": asked})
    payload = play.bot.payload()
    assert (payload["type"], payload["view"]["id"], payload["is_cleared"]) == ("view_closed", asked, False)
    assert play.stack() == []


def test_clear_on_close_closes_the_whole_stack(play: Play) -> None:
    view = play.open(PRESS, notify_on_close=True)
    trigger = play.press(view)["trigger_id"]
    top = play.client.views_push(trigger_id=trigger, view=modal(section(), clear_on_close=True))["view"]["id"]
    play.slack.post("close", **{"as": "qa", "view": top})
    assert play.stack() == []
    assert play.bot.payload()["is_cleared"] is True


def test_a_modal_without_submit_cannot_be_submitted(play: Play) -> None:
    view = play.open(section(), submit=None)
    with pytest.raises(LookupError, match="cannot be submitted"):
        play.submit(view)


def test_nobody_uses_the_modal_of_another(play: Play) -> None:
    view = play.open()
    with pytest.raises(LookupError, match="404"):
        play.slack.post("submit", **{"as": "developer", "view": view})


def test_a_home_is_published_per_person(play: Play) -> None:
    first = play.client.views_publish(user_id=QA, view=home(section("yours")))["view"]
    assert play.slack.get("home", **{"as": "qa"})["view"]["id"] == first["id"]
    assert play.slack.get("home", **{"as": "developer"})["view"] is None
    second = play.client.views_publish(user_id=QA, view=home(section("new")), hash=first["hash"])["view"]
    assert second["id"] == first["id"]
    assert refusal(play.client.views_publish, user_id=QA, view=home(), hash=first["hash"]) == "hash_conflict"


def test_a_home_refuses_charts_modals_and_unknown_people(play: Play) -> None:
    chart = {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": []}}
    answer = refused(play.client.views_publish, user_id=QA, view=home(chart))
    assert answer["error"] == "invalid_arguments"
    assert "unsupported type: data_visualization" in answer["response_metadata"]["messages"][0]
    assert refusal(play.client.views_publish, user_id=QA, view=modal(section())) == "invalid_arguments"
    assert refusal(play.client.views_publish, user_id="U0NOBODY", view=home()) == "user_not_found"


def test_without_a_home_tab_nothing_is_published(start: Callable[..., Slack]) -> None:
    slack = start(manifest=manifest(home=False))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    assert refusal(client.views_publish, user_id=QA, view=home()) == "not_enabled"


def test_a_press_on_the_home_is_answered_by_publishing(play: Play) -> None:
    play.client.views_publish(user_id=QA, view=home(PRESS))
    where = {"as": "qa", "container": {"home": True}, "action_id": "press"}
    request = play.slack.post("act", **where)["request"]
    payload = play.bot.payload()
    assert (payload["container"]["type"], payload["view"]["type"]) == ("view", "home")
    assert "response_url" not in payload
    play.client.views_publish(user_id=QA, view=home(section("pressed")))
    assert play.slack.request(request)["answers"][0]["view"]["type"] == "home"
