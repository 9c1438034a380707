"""The server: routes, start, stop. Tests start it in a thread with `running`; the command line with `serve`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sandbox.slack import response_url, upload
from sandbox.slack.api import call
from sandbox.slack.page import Page
from sandbox.slack.store import Json
from sandbox.slack.wire import OnlyLoopback, answer
from sandbox.slack.workspace import Workspace

STATIC = Path(__file__).resolve().parent.parent / "page"
NO_CACHE = {"Cache-Control": "no-cache"}  # a browser asks each time, so that it never mixes old and new files
SAVE_SECONDS = 1.0
START_SECONDS = 10.0


class PageFiles(StaticFiles):
    """The page's files."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        """As the parent does it, not to be kept without asking."""
        response = super().file_response(*args, **more)
        response.headers.update(NO_CACHE)
        return response


def application(ws: Workspace) -> Starlette:
    """The ASGI application around one workspace."""
    page = Page(ws)

    async def api(request: Request) -> Response:
        return await call.serve(ws, request)

    async def respond(request: Request) -> Response:
        return await response_url.serve(ws, request)

    async def upload_file(request: Request) -> Response:
        return await upload.serve(ws, request)

    async def download(request: Request) -> Response:
        return await upload.fetch(ws, request)

    async def private(request: Request) -> Response:
        return answer({"error": "not_modelled", "method": "files.slack.com"}, 501)

    async def index(request: Request) -> Response:
        file = STATIC / "index.html"
        return (
            FileResponse(file, headers=NO_CACHE) if file.exists() else answer({"error": "There is no page here."}, 404)
        )

    async def archive(request: Request) -> Response:
        stamp = request.path_params["stamp"].removeprefix("p")
        where = {"channel": request.path_params["channel"], "ts": f"{stamp[:-6]}.{stamp[-6:]}"}
        return RedirectResponse("/?" + urllib.parse.urlencode(where))

    async def missing(request: Request, error: Exception) -> Response:
        return answer({"error": f"There is no {request.method} {request.url.path} here."}, 404)

    get, post = ["GET"], ["POST"]
    routes: list[BaseRoute] = [
        Route("/api/{method}", api, methods=["GET", "POST"]),
        Route("/response/{key}", respond, methods=post),
        Route("/upload/v1/{ticket}", upload_file, methods=post),
        WebSocketRoute("/link", ws.socket_mode.serve),
        Route("/sandbox/state", page.reading(page.state), methods=get),
        Route("/sandbox/messages", page.reading(page.messages), methods=get),
        Route("/sandbox/home", page.reading(page.home), methods=get),
        Route("/sandbox/views", page.reading(page.views), methods=get),
        Route("/sandbox/requests/{id}", page.reading(page.request), methods=get),
        Route("/sandbox/files/{id}/{name}", download, methods=get),
        Route("/sandbox/fleet", page.reading(page.targets), methods=get),
        Route("/sandbox/clock", page.reading(page.clock), methods=get),
        Route("/sandbox/clock", page.doing(page.set_clock), methods=post),
        Route("/sandbox/weather", page.reading(page.weather), methods=get),
        Route("/sandbox/weather", page.doing(page.make_weather), methods=post),
        Route("/sandbox/kill", page.doing(page.killing.kill), methods=post),
        Route("/sandbox/command", page.doing(page.command), methods=post),
        Route("/sandbox/act", page.doing(page.act), methods=post),
        Route("/sandbox/shortcut", page.doing(page.shortcut), methods=post),
        Route("/sandbox/input", page.doing(page.input), methods=post),
        Route("/sandbox/submit", page.doing(page.submit), methods=post),
        Route("/sandbox/close", page.doing(page.close), methods=post),
        Route("/sandbox/sockets", page.doing(page.recycle), methods=post),
        Route("/sandbox/faults", page.reading(page.faults), methods=["GET", "DELETE"]),
        Route("/sandbox/faults", page.doing(page.set_faults), methods=post),
        WebSocketRoute("/sandbox/live", page.live),
        Route("/files-pri/{rest:path}", private, methods=get),
        Route("/archives/{channel}/{stamp}", archive, methods=get),
        Route("/", index, methods=get),
        Mount("/page", PageFiles(directory=STATIC, check_dir=False)),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        ws.spawn(_keep_saved(ws))
        ws.spawn(page.fleet.watch())
        yield
        await ws.stop()

    return Starlette(
        routes=routes, middleware=[Middleware(OnlyLoopback)], lifespan=lifespan, exception_handlers={404: missing}
    )


class Edge:
    """The application as the server calls it: each request can reset its own connection, which a fault may ask for."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is what is served."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        cycle = getattr(receive, "__self__", None)
        if scope["type"] == "http" and isinstance(cycle, RequestResponseCycle):
            scope["reset"] = partial(_reset, cycle.transport)
        await self._app(scope, receive, send)


def _reset(transport: asyncio.Transport) -> None:
    """Break a connection so that the other side sees a reset."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _keep_saved(ws: Workspace) -> None:
    """Write the state soon after it changed; encoding is cheap, the disk is left to another thread."""
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        if ws.store.dirty:
            await asyncio.to_thread(ws.store.write, ws.store.encode())


class Server(uvicorn.Server):
    """uvicorn without its own signal handling (which would end the process by the signal instead of with 0), and
    which leaves at once when it is told to."""

    _leave: asyncio.Event
    _loop: asyncio.AbstractEventLoop

    async def main_loop(self) -> None:
        """Tick ten times a second until it is time to leave."""
        self._loop, self._leave, counter = asyncio.get_running_loop(), asyncio.Event(), 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leave.wait(), 0.1)

    def leave(self) -> None:
        """Stop, said from any thread."""
        self.should_exit = True
        with contextlib.suppress(AttributeError, RuntimeError):
            self._loop.call_soon_threadsafe(self._leave.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listen(port: int) -> socket.socket:
    """A listening socket on the loopback; port 0 picks a free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    return listener


def built(ws: Workspace) -> Server:
    """A server that has not started yet."""
    config = uvicorn.Config(
        Edge(application(ws)),
        http=H11Protocol,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=1_000_000,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    return Server(config)


def serve(ws: Workspace, port: int) -> None:
    """Serve until SIGINT or SIGTERM; print one JSON line when ready."""
    listener = listen(port)
    ws.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = built(ws)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.leave)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        if server.started:
            print(json.dumps({"ready": True, "url": ws.url, "mode": ws.delivery.mode}), flush=True)
        await serving

    asyncio.run(run())


class Slack:
    """A running local Slack, as tests use it."""

    def __init__(self, ws: Workspace) -> None:
        """Addresses and secrets for the bot's settings."""
        self.workspace = ws
        self.url = ws.url
        self.api_url = f"{ws.url}/api/"
        self.bot_token = ws.tokens.bot
        self.app_token = ws.tokens.app
        self.signing_secret = ws.tokens.signing_secret

    def _open(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise LookupError(f"{error.code} {json.load(error).get('error')}") from None

    def get(self, path: str, /, **query: str) -> Any:
        """GET of the page API, such as `get("messages", **{"as": "qa", "channel": "general"})`. Errors: LookupError."""
        tail = urllib.parse.urlencode(query)
        return self._open(urllib.request.Request(f"{self.url}/sandbox/{path}?{tail}"))

    def post(self, path: str, /, **body: Any) -> Any:
        """POST of the page API."""
        data = json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        return self._open(urllib.request.Request(f"{self.url}/sandbox/{path}", data, headers))

    def command(self, person: str, text: str, channel: str | None = None) -> str:
        """Type a line as a person; returns the request's id."""
        return str(self.post("command", **{"as": person, "text": text, "channel": channel})["request"])

    def request(self, request: str) -> Json:
        """A request as it stands."""
        return dict(self.get(f"requests/{request}"))

    def until(self, request: str, fits: Callable[[Json], Any], seconds: float = 60.0) -> Json:
        """Look at a request again and again until it fits; AssertionError when it never does."""
        waited = threading.Event()
        for _ in range(int(seconds / 0.01)):
            found = self.request(request)
            if fits(found):
                return found
            waited.wait(0.01)
        raise AssertionError(f"it never came to that: {found}")


@contextlib.contextmanager
def running(state_dir: Path, port: int = 0, **options: Any) -> Iterator[Slack]:
    """A local Slack in a thread of this process, on a free port unless told otherwise.

    `options` are those of Workspace: cast, manifest, limits, machine, mode, bot_url, clock, databricks_admin, pids.
    """
    ws = Workspace(Path(state_dir), **options)
    listener = listen(port)
    ws.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = built(ws)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    waited = threading.Event()
    for _ in range(int(START_SECONDS / 0.005)):
        if server.started:
            break
        waited.wait(0.005)
    else:
        raise RuntimeError("the local Slack did not start")
    try:
        yield Slack(ws)
    finally:
        server.leave()
        thread.join(5)
        listener.close()
