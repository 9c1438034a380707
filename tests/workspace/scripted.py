"""A tiny HTTP server that does what a test tells it."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "dapi0123456789abcdef0123456789abcdef"


@dataclass
class Answer:
    """What the server does with one request."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""  # reset: before the answer; torn: in the middle of it; silent: never answers


@dataclass
class Asked:
    """One request that arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


class Script:
    """Answers by path: the listed ones in order, the last one for ever. Remembers every request but the SDK's probe."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.probes = 0
        self.host = ""
        self.released = threading.Event()

    def on(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def next(self, path: str) -> Answer:
        left = self.answers.get(path)
        if not left:
            return Answer(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for {path}"})
        return left.pop(0) if len(left) > 1 else left[0]


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if parts.path == "/.well-known/databricks-config":
                script.probes += 1
                return self.reply(Answer(200, {"workspace_id": "77", "oidc_endpoint": f"{script.host}/oidc"}))
            if not parts.path.startswith("/oidc/"):
                script.asked.append(
                    Asked(
                        self.command,
                        parts.path,
                        parse_qs(parts.query),
                        dict(self.headers),
                        json.loads(body) if body else None,
                    )
                )
            return self.reply(script.next(parts.path))

        do_GET = do_POST = handle_any

        def reply(self, answer: Answer) -> None:
            if answer.fault == "silent":
                script.released.wait(60)
                self.close_connection = True
                return
            if answer.fault == "reset":
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            data = answer.body.encode() if isinstance(answer.body, str) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            kind = "text/html" if isinstance(answer.body, str) else "application/json"
            for name, text in {"Content-Type": kind, "Content-Length": str(len(data)), **answer.headers}.items():
                self.send_header(name, text)
            self.end_headers()
            if answer.fault == "torn":
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Script]:
    """A server that runs while the context lasts, and its script."""
    made = Script()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    server.daemon_threads = True
    made.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
