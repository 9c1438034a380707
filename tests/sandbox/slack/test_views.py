"""Modals and the Home: opening, stacking, changing, closing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from slack_sdk import WebClient

from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    QA,
    Machine,
    Play,
    actions,
    button,
    home,
    manifest,
    modal,
    plain,
    refusal,
    refused,
    section,
    text_input,
)

PRESS = actions(button("press"), block_id="row")


@pytest.fixture
def play(slack: Slack) -> Play:
    return Play(slack)


@pytest.mark.conforms("slack-submission-team")
def test_a_modal_opens_as_the_answer_to_its_command(play: Play) -> None:
    view = play.open(callback_id="start", private_metadata="{}")
    (answer,) = play.slack.request(play.request)["answers"]
    assert (answer["kind"], answer["view"]["id"]) == ("view", view)
    shown = play.stack()[0]
    assert (shown["callback_id"], shown["root_view_id"], shown["previous_view_id"]) == ("start", view, None)
    assert shown["state"]["values"] == {"why": {"text": {"type": "plain_text_input", "value": None}}}
    assert (shown["team_id"], shown["app_installed_team_id"]) == ("T0SANDBOX1", "T0SANDBOX1")


@pytest.mark.conforms("slack-trigger-once")
def test_a_trigger_works_once(play: Play) -> None:
    trigger = play.trigger()
    play.client.views_open(trigger_id=trigger, view=modal(section()))
    assert refusal(play.client.views_open, trigger_id=trigger, view=modal(section())) == "exchanged_trigger_id"


@pytest.mark.conforms("slack-trigger-three-seconds")
def test_a_trigger_lives_three_seconds(play: Play, machine: Machine) -> None:
    trigger = play.trigger()
    machine.advance(3.1)
    assert refusal(play.client.views_open, trigger_id=trigger, view=modal(section())) == "expired_trigger_id"


@pytest.mark.conforms("slack-trigger-unknown")
def test_an_unknown_trigger_and_a_missing_one_are_refused(play: Play) -> None:
    assert refusal(play.client.views_open, trigger_id="1.2.3", view=modal(section())) == "invalid_trigger_id"
    assert refusal(play.client.views_open, view=modal(section())) == "invalid_arguments"


@pytest.mark.conforms("slack-refused-view-costs-no-trigger", "slack-invalid-blocks-pointer")
def test_an_invalid_view_is_pointed_at_and_costs_no_trigger(play: Play) -> None:
    trigger = play.trigger()
    answer = refused(play.client.views_open, trigger_id=trigger, view=modal(section(), title=plain("x" * 25)))
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    ]
    play.client.views_open(trigger_id=trigger, view=modal(section()))


@pytest.mark.conforms("slack-view-too-large")
def test_a_view_over_250_kilobytes_is_too_large(play: Play) -> None:
    big = modal(*(actions(*(button(f"a{i}", value="x" * 2000) for i in range(2))) for _ in range(70)))
    assert refusal(play.client.views_open, trigger_id=play.trigger(), view=big) == "view_too_large"


@pytest.mark.conforms("slack-modal-stack")
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


@pytest.mark.conforms("slack-views-push-from-a-modal")
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


@pytest.mark.conforms("slack-views-update")
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


@pytest.mark.conforms("slack-views-update")
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


@pytest.mark.conforms("slack-views-push-from-a-modal")
def test_an_external_id_is_used_once(play: Play) -> None:
    view = play.open(PRESS, external_id="mine")
    trigger = play.press(view)["trigger_id"]
    answer = refusal(play.client.views_push, trigger_id=trigger, view=modal(section(), external_id="mine"))
    assert answer == "duplicate_external_id"


@pytest.mark.conforms("slack-view-closed")
def test_closing_tells_the_bot_only_if_it_asked(play: Play) -> None:
    quiet = play.open()
    play.slack.post("close", **{"as": "qa", "view": quiet})
    asked = play.open(notify_on_close=True)
    play.slack.post("close", **{"as": "qa", "view": asked})
    payload = play.bot.payload()
    assert (payload["type"], payload["view"]["id"], payload["is_cleared"]) == ("view_closed", asked, False)
    assert play.stack() == []


@pytest.mark.conforms("slack-view-closed")
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


@pytest.mark.conforms("slack-publish-per-person")
def test_a_home_is_published_per_person(play: Play) -> None:
    first = play.client.views_publish(user_id=QA, view=home(section("yours")))["view"]
    assert play.slack.get("home", **{"as": "qa"})["view"]["id"] == first["id"]
    assert play.slack.get("home", **{"as": "developer"})["view"] is None
    second = play.client.views_publish(user_id=QA, view=home(section("new")), hash=first["hash"])["view"]
    assert second["id"] == first["id"]
    assert refusal(play.client.views_publish, user_id=QA, view=home(), hash=first["hash"]) == "hash_conflict"


@pytest.mark.conforms("slack-views-refuse-message-blocks")
def test_a_home_refuses_charts_modals_and_unknown_people(play: Play) -> None:
    chart = {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": []}}
    answer = refused(play.client.views_publish, user_id=QA, view=home(chart))
    assert answer["error"] == "invalid_arguments"
    assert "unsupported type: data_visualization" in answer["response_metadata"]["messages"][0]
    assert refusal(play.client.views_publish, user_id=QA, view=modal(section())) == "invalid_arguments"
    assert refusal(play.client.views_publish, user_id="U0NOBODY", view=home()) == "user_not_found"


@pytest.mark.conforms("slack-publish-per-person")
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
