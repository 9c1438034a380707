"""A report in a thread becomes an issue: the shortcut opens the form, and the submission carries a link."""

from typing import Any

from bot.build import Bot
from bot.press import of_shortcut
from commands.reply import Form, Reply, Request, TextInput
from sandbox.slack.server import Slack
from tests.bot.harness import PEOPLE, SUPPORT, FakeDoor
from tests.bot.test_presses import answered


def said(slack: Slack, text: str, thread: str | None = None, channel: str = SUPPORT) -> str:
    slack.post("command", **{"as": "qa", "channel": channel, "text": text, "thread": thread})
    more = {"thread": thread} if thread else {}
    return str(slack.get("messages", **{"as": "qa", "channel": channel, **more})["messages"][-1]["ts"])


def choose(slack: Slack, ts: str, person: str = "developer", callback_id: str = "report_issue") -> str:
    body = {"as": person, "channel": SUPPORT, "ts": ts, "callback_id": callback_id}
    return str(slack.post("shortcut", **body)["request"])


def issue_form(request: Request) -> Reply:
    """The form of a report, and what its submission came with."""
    if request.arguments.get("submitted"):
        return Reply(f"kept {request.arguments}")
    arguments = {"message": request.arguments["message"]}
    inputs = (TextInput("title", "What is wrong?", initial=str(request.arguments.get("title") or "")),)
    return Reply("Report", form=Form("Report an issue", "issue", arguments, "Report", (), inputs))


def test_the_text_of_the_message_is_proposed_and_the_link_comes_with_the_submission(
    slack: Slack, bot: Bot, door: FakeDoor
) -> None:
    door.handler = issue_form
    parent = said(slack, "since when?")
    ts = said(slack, "orders are *late* & <!channel>", parent)
    (answer,) = answered(slack, choose(slack, ts))
    view = answer["view"]
    title = next(b for b in view["blocks"] if b["block_id"] == "in:title")["element"]["initial_value"]
    assert title == "orders are *late* & <!channel>"  # as it was typed; whoever shows it escapes it
    submitted = slack.post("submit", **{"as": "developer", "view": view["id"]})["request"]
    answered(slack, submitted)
    (asked,) = [r for r in door.asked if r.arguments.get("submitted")]
    assert asked.arguments["message"] == f"{SUPPORT}:{ts}"
    assert (
        asked.arguments["permalink"]
        == f"{slack.url}/archives/{SUPPORT}/p{ts.replace('.', '')}?thread_ts={parent}&cid={SUPPORT}"
    )
    assert asked.actor.user_id == PEOPLE["developer"]


def test_an_outsider_gets_a_refusal(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    door.handler = issue_form
    ts = said(slack, "hello", channel="partner-shared")
    body = {"as": "outsider", "channel": "partner-shared", "ts": ts, "callback_id": "report_issue"}
    (answer,) = answered(slack, str(slack.post("shortcut", **body)["request"]))
    assert "Refused (other_team)" in str(answer)


def test_a_message_that_is_gone_by_then_is_an_issue_without_a_link(slack: Slack, bot: Bot, door: FakeDoor) -> None:
    door.handler = issue_form
    request = slack.command("qa", "/rollout status")
    answered(slack, request)
    form = Reply("x", form=Form("Report", "issue", {"message": f"{SUPPORT}:1.000001"}, "Report", ()))
    door.handler = lambda r: Reply(f"kept {r.arguments}") if r.arguments.get("submitted") else form
    (answer,) = answered(slack, choose(slack, said(slack, "hello")))
    answered(slack, slack.post("submit", **{"as": "developer", "view": answer["view"]["id"]})["request"])
    assert [r.arguments["permalink"] for r in door.asked if r.arguments.get("submitted")] == [""]


def test_payloads_that_are_none_of_ours_are_no_press() -> None:
    good: dict[str, Any] = {
        "callback_id": "report_issue",
        "channel": {"id": "C1"},
        "message": {"ts": "1.2", "text": None},
        "user": {"id": "U1"},
        "trigger_id": "t",
    }
    made = of_shortcut(good)
    assert made is not None
    assert (made.arguments, made.team) == ({"message": "C1:1.2"}, None)
    for broken in ({"callback_id": "other"}, {"message": None}, {"channel": "C1"}, {"callback_id": ["x"]}):
        assert of_shortcut({**good, **broken}) is None
