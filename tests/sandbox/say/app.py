"""A tiny Bolt app that shows what the tests of the page and the terminal need to see."""

import re
import threading
import time
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from tests.sandbox.say import blocks
from tests.sandbox.say.blocks import Json, actions, button, mark, plain, section

#: What `/rollout slow until-told` waits for.
told = threading.Event()


def build(client: WebClient) -> tuple[App, list[Json]]:
    """The app, and the list of payloads that it saw."""
    app = App(client=client)
    seen: list[Json] = []

    @app.command("/rollout")
    def rollout(ack: Ack, body: Json, respond: Respond, client: WebClient) -> None:
        seen.append(body)
        words = body["text"].split()
        verb = words[0] if words else ""
        if verb == "silent":
            return  # never acknowledged
        ack()
        if verb == "start":
            client.views_open(trigger_id=body["trigger_id"], view=blocks.MODAL)
        elif verb == "slow":
            view = {
                "type": "modal",
                "title": plain("Plan"),
                "blocks": [{**section("Looking"), "block_id": "working-1"}],
            }
            opened = client.views_open(trigger_id=body["trigger_id"], view=view)
            if words[1:] == ["until-told"]:
                told.wait(60)
            else:
                time.sleep(1.4)
            client.views_update(view_id=opened["view"]["id"], view={**view, "blocks": [section("*20* changes")]})
        elif verb == "card":
            client.chat_postMessage(channel="C0SUPPORT1", text="card", blocks=blocks.CARD)
        elif verb == "everything":
            client.views_open(trigger_id=body["trigger_id"], view=blocks.EVERYTHING)
        elif verb == "gallery":
            for part in (
                blocks.CARD,
                blocks.TEXTS,
                [*blocks.TABLE, *blocks.CHARTS],
                blocks.WIDE,
                blocks.MORE_CHARTS,
            ):
                respond(text="part", blocks=part, response_type="in_channel")
        elif verb == "selects":
            respond(text="part", blocks=blocks.SELECTS, response_type="in_channel")
        elif verb == "stack":
            client.views_open(trigger_id=body["trigger_id"], view=blocks.LOWER)
        elif verb == "refuse":
            respond(text="Refused (role_missing) You may not approve dev.\nNext: ask <@U0SAND0001>.")
        elif verb == "rows":
            rows = [section(f"Item {n}", button("Attest", "attest", str(n))) for n in (1, 2)]
            respond(text="rows", blocks=[*rows, actions(button("Start dev", "s1"), button("Start test", "s2"))])
        else:
            respond(
                text="status",
                blocks=[
                    {"type": "header", "text": plain("Where we are")},
                    {"type": "section", "fields": [mark("*Stage*\ndev"), mark("*State*\nready")]},
                    *blocks.TABLE[:1],
                    actions(button("Show more", "more_status"), button("Share", "share")),
                ],
            )

    @app.message_shortcut("report_issue")
    def report(ack: Ack, body: Json, client: WebClient) -> None:
        seen.append(body)
        ack()
        shown = section(f"About: {body['message']['text']}")
        client.views_open(
            trigger_id=body["trigger_id"], view={"type": "modal", "title": plain("Report"), "blocks": [shown]}
        )

    @app.action("more_status")
    def more(ack: Ack, body: Json, respond: Respond) -> None:
        seen.append(body)
        ack()
        respond(text="More of it", replace_original=True)

    @app.action("approve")
    def approve(ack: Ack, body: Json, client: WebClient) -> None:
        seen.append(body)
        ack()
        client.chat_postMessage(channel=body["channel"]["id"], thread_ts=body["message"]["ts"], text="Approved by you")

    @app.action("hang")
    def hang(body: Json) -> None:
        seen.append(body)

    @app.action("deeper")
    def deeper(ack: Ack, body: Json, client: WebClient) -> None:
        ack()
        client.views_push(trigger_id=body["trigger_id"], view=blocks.MODAL)

    for name in ("rollback", "stage", "attest", "share", "s1", "s2", "day", "how", "told", "more"):
        app.action(name)(_acknowledge(seen))

    @app.view("everything")
    def everything(ack: Ack, body: Json) -> None:
        seen.append(body)
        ack(response_action="errors", errors={f"e{n}": f"Not so, says the app of field {n}." for n in range(21)})

    @app.action(re.compile("pick.*"))
    def picked(ack: Ack, body: Json) -> None:
        seen.append(body)
        ack()

    @app.view("form")
    def form(ack: Ack, body: Json, client: WebClient) -> None:
        seen.append(body)
        values = body["view"]["state"]["values"]
        reason = values["reason"]["v"]["value"]
        if len(reason) < 5:
            ack(
                response_action="errors",
                errors={"reason": "Refused (reason_short) Say more." if reason == "r" else "Say more."},
            )
        elif reason == "result":
            view = {"type": "modal", "title": plain("Started"), "blocks": [section("dev has started")]}
            ack(response_action="update", view=view)
        else:
            ack()

    @app.event("app_home_opened")
    def home(event: Json, client: WebClient) -> None:
        view = {"type": "home", "blocks": [*blocks.CARD[:3], actions(button("Show more", "share"))]}
        threading.Timer(0.2, lambda: client.views_publish(user_id=event["user"], view=view)).start()

    return app, seen


def _acknowledge(seen: list[Json]) -> Any:
    def listener(ack: Ack, body: Json) -> None:
        seen.append(body)
        ack()

    return listener
