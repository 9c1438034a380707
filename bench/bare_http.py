"""An application that answers a constant, served as the local Databricks is: what its calls are compared with."""

import asyncio
import json
import signal
import socket

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.databricks.http import Protocol


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The same for every request."""
    await Response(b'{"answer":"constant"}', 200, media_type="application/json")(scope, receive, send)


async def main() -> None:
    """Serve until SIGTERM; prints one JSON line when ready."""
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    endpoint.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        answer, http=Protocol, ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([endpoint]))
    while not server.started:
        await asyncio.sleep(0.01)
    print(json.dumps({"url": f"http://127.0.0.1:{endpoint.getsockname()[1]}"}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    await serving


asyncio.run(main())
