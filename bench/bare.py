"""A Bolt app that does nothing but acknowledge: what the bot's acknowledgement is compared with."""

import os

from slack_bolt import Ack, App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from stopping import Stop


def main() -> None:
    """Serve `/rollout` by Socket Mode until SIGTERM."""
    app = App(client=WebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]))

    @app.command("/rollout")
    def answer(ack: Ack) -> None:
        ack("hello")

    handler = SocketModeHandler(app, os.environ["SLACK_APP_TOKEN"], web_client=app.client)
    stop = Stop()
    stop.listen()
    handler.connect()  # type: ignore[no-untyped-call]
    stop.wait()
    handler.close()  # type: ignore[no-untyped-call]


main()
