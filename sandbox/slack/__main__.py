"""`python -m sandbox.slack`: serve the local Slack and the page until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from sandbox.slack import manifest, people, server
from sandbox.slack.workspace import Workspace


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve; 0 after a clean stop, 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.slack", description=__doc__)
    parser.add_argument("--port", type=int, default=8800, help="0 picks a free one")
    parser.add_argument("--state", type=Path, default=Path(".sandbox"), help="where messages and tokens are kept")
    parser.add_argument("--clock", type=Path, help="the calendar file")
    parser.add_argument("--databricks-admin", help="URL of the Databricks double's admin API")
    parser.add_argument("--pids", type=Path, help="the sandbox's process ids, so that the page can kill the bot")
    parser.add_argument("--mode", choices=("socket", "http"), default="socket", help="how payloads reach the bot")
    parser.add_argument("--bot-url", help="where the bot takes signed requests (with --mode http)")
    parser.add_argument("--people", type=Path, help="who and what exists (people.yml)")
    parser.add_argument("--manifest", type=Path, help="the app's manifest (manifest.yml)")
    options = parser.parse_args(arguments)
    if options.mode == "http" and not options.bot_url:
        parser.error("--mode http needs --bot-url")
    level = os.environ.get("SANDBOX_LOG", "WARNING").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        ws = Workspace(
            options.state,
            cast=people.load(options.people),
            manifest=manifest.load(options.manifest),
            mode=options.mode,
            bot_url=options.bot_url,
            clock=options.clock,
            databricks_admin=options.databricks_admin,
            pids=options.pids,
        )
        server.serve(ws, options.port)
    except (OSError, ValueError, KeyError) as error:
        print(f"The local Slack cannot start: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
