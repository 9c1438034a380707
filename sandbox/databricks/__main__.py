"""`python -m sandbox.databricks`: the local Databricks as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
from pathlib import Path

from sandbox import calendar
from sandbox.databricks.server import Server, prepare


def main() -> int:
    """Serve until SIGTERM or SIGINT; prints one JSON line when ready."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.databricks", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=8801, help="port of the first workspace, the others follow; 0: free ones"
    )
    parser.add_argument("--fleet", default="sample", help="sample, large, large:N (targets) or a YAML file")
    parser.add_argument(
        "--clock", type=Path, default=None, help="calendar file (default: clock.json in the state directory)"
    )
    parser.add_argument("--state", type=Path, default=Path(".sandbox"), help="directory that survives restarts")
    parser.add_argument("--speed", type=float, default=None, help="set the speed of the calendar")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    options.state.mkdir(parents=True, exist_ok=True)
    clock = options.clock or options.state / "clock.json"
    try:
        calendar.make(clock)
        if options.speed is not None:
            calendar.set_speed(clock, options.speed)
        server = Server(prepare(options.fleet, clock, options.state), options.port, options.state)
    except (OSError, ValueError) as error:
        print(f"sandbox.databricks: {error}", file=sys.stderr)
        return 2
    gc.freeze()  # the fleet stays: the collector need not look through it again
    asyncio.run(_serve(server))
    return 0


async def _serve(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    serving = asyncio.create_task(server.work())
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    if server.started:
        databricks = server.databricks
        names = ("host", "token", "client_id", "client_secret")
        workspaces = {ws.key: {name: getattr(ws, name) for name in names} for ws in databricks.workspaces.values()}
        print(
            json.dumps({"ready": True, "url": databricks.admin, "admin": databricks.admin, "workspaces": workspaces}),
            flush=True,
        )
    await serving


if __name__ == "__main__":
    sys.exit(main())
