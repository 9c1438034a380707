"""The page's API under /sandbox/: what a person sees and does, for the browser page and for the terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.slack import acts, calendar_clock, databricks_weather, modals, posting
from sandbox.slack.errors import PageError, Refused
from sandbox.slack.fleet import Fleet
from sandbox.slack.killing import Killing
from sandbox.slack.people import Person
from sandbox.slack.store import Json
from sandbox.slack.wire import BodyTooLarge, answer, parsed, read_body
from sandbox.slack.workspace import Workspace

Serve = Callable[[Request], Awaitable[Response]]


class Page:
    """The handlers. Each takes what was asked and returns the JSON to answer."""

    def __init__(self, ws: Workspace) -> None:
        """`fleet` is shared by all pages."""
        self.ws = ws
        self.fleet = Fleet(ws)
        self.killing = Killing(ws)

    def reading(self, handler: Callable[[Request], Awaitable[Any]]) -> Serve:
        """Serve a GET; refusals become a plain sentence."""

        async def serve(request: Request) -> Response:
            try:
                result = await handler(request)
            except PageError as error:
                return answer({"error": error.sentence}, error.status)
            if isinstance(result, bytes):
                return Response(result, media_type="application/json")
            return answer(result)

        return serve

    def doing(self, handler: Callable[[Json], Awaitable[Any]]) -> Serve:
        """Serve a POST with a JSON object."""

        async def serve(request: Request) -> Response:
            try:
                body = parsed(await read_body(request, self.ws.limits.body_bytes))
                if not isinstance(body, dict):
                    raise PageError("The body must be a JSON object.")
                return answer(await handler(body))
            except PageError as error:
                return answer({"error": error.sentence}, error.status)
            except Refused as refused:
                return answer({"error": refused.error}, 400)
            except BodyTooLarge:
                return answer({"error": "The body is too large."}, 413)

        return serve

    def _person(self, request: Request) -> Person:
        return self.ws.person(request.query_params.get("as"))

    async def state(self, request: Request) -> Json:
        """GET /sandbox/state."""
        ws, me = self.ws, self._person(request)
        channels = [c for c in ws.cast.channels.values() if ws.seats.sees(me, c.id)]
        return {
            "me": self._shown(me),
            "people": [self._shown(person) for person in ws.cast.people.values()],
            "channels": [
                {"id": c.id, "name": c.name, "topic": c.topic, "ext_shared": c.is_ext_shared} for c in channels
            ],
            "commands": [
                {"command": c.command, "description": c.description, "usage_hint": c.usage_hint}
                for c in ws.manifest.commands.values()
            ],
            "verbs": ws.manifest.verbs,
            "shortcuts": [
                {"callback_id": s.callback_id, "name": s.name, "description": s.description}
                for s in ws.manifest.shortcuts.values()
            ],
            "groups": [{"id": group.id, "handle": group.handle} for group in ws.cast.groups.values()],
            "bot": {
                "user_id": ws.cast.bot_user,
                "name": ws.manifest.name,
                "connected": await ws.delivery.connected(),
                "mode": ws.delivery.mode,
                "kill": self.killing.told(),
            },
            "clock": await calendar_clock.told(ws),
        }

    def _shown(self, person: Person) -> Json:
        return {
            "key": person.key,
            "id": person.id,
            "name": person.name,
            "team": person.team,
            "guest": person.is_restricted or person.is_ultra_restricted,
            "deactivated": person.deleted,
            "outside": person.team != self.ws.cast.team.id,
            "default_channel": self.ws.cast.default_channel(person).id,
            "dm": person.dm,
        }

    async def messages(self, request: Request) -> Json:
        """GET /sandbox/messages: a channel's top level, or one thread; only what this person may see."""
        ws, me = self.ws, self._person(request)
        channel = ws.channel_id(request.query_params.get("channel"), me)
        thread = request.query_params.get("thread")
        inside = ws.seats.sees(me, channel)

        def wanted(record: Json) -> bool:
            if record["to"] != me.id and (record["to"] or not inside):
                return False
            if thread:
                return bool(record["ts"] == thread or record["thread_ts"] == thread)
            return not record["thread_ts"] or bool(record["broadcast"])

        return {"messages": [posting.shown(ws, r) for r in ws.messages.in_channel(channel) if wanted(r)]}

    async def home(self, request: Request) -> Json:
        """GET /sandbox/home; open=1 tells the bot that the tab was opened (tab=messages: the other one)."""
        me, tab = self._person(request), request.query_params.get("tab", "home")
        if tab not in ("home", "messages"):
            raise PageError('"tab" must be home or messages.')
        asked = acts.open_home(self.ws, me, tab) if request.query_params.get("open") == "1" else None
        record = modals.home(self.ws, me)
        return {"view": modals.shown(record) if record else None, "request": asked["id"] if asked else None}

    async def views(self, request: Request) -> Json:
        """GET /sandbox/views: the stack of open modals, the top one last."""
        return {"views": [modals.shown(r) for r in modals.stack(self.ws, self._person(request).id)]}

    async def request(self, request: Request) -> Json:
        """GET /sandbox/requests/ID: what became of something that a person did."""
        record = self.ws.requests.get(request.path_params["id"])
        if record is None:
            raise PageError("There is no such request.", 404)
        names = ("id", "as", "kind", "created", "delivered", "acknowledged", "error", "errors", "changed")
        shown = {name: record[name] for name in names}
        if record.get("detail"):
            shown["detail"] = record["detail"]
        return {**shown, "answers": [a for a in map(self._answer, record["answers"]) if a]}

    def _answer(self, reference: Json) -> Json | None:
        """A message or view that stands; None for one that is gone."""
        if reference["kind"] == "view":
            record = modals.get(self.ws, reference["id"])
            return {"kind": "view", "view": modals.shown(record)} if record else None
        message = self.ws.messages.get(reference["channel"], reference["ts"])
        if message is None or message["deleted"]:
            return None
        return {"kind": "message", "message": posting.shown(self.ws, message)}

    async def command(self, body: Json) -> Json:
        """POST /sandbox/command."""
        me = self.ws.person(body.get("as"))
        where = body.get("channel") or self.ws.cast.default_channel(me).id
        text, thread = body.get("text"), body.get("thread")
        if not isinstance(text, str) or not isinstance(thread, str | None):
            raise PageError('"text" must be a text.')
        done = acts.say(self.ws, me, self.ws.channel_id(where, me), text, thread)
        return {"request": done["id"]}

    async def act(self, body: Json) -> Json:
        """POST /sandbox/act."""
        me, container = self.ws.person(body.get("as")), body.get("container")
        if not isinstance(container, dict):
            raise PageError('"container" must say where: a message, a view or the home.')
        done = acts.act(self.ws, me, container, body)
        return {"request": done["id"] if done else None}

    async def shortcut(self, body: Json) -> Json:
        """POST /sandbox/shortcut."""
        me = self.ws.person(body.get("as"))
        channel, ts, callback_id = self.ws.channel_id(body.get("channel"), me), body.get("ts"), body.get("callback_id")
        if not isinstance(ts, str) or not isinstance(callback_id, str):
            raise PageError('"ts" must name a message, and "callback_id" a shortcut.')
        return {"request": acts.shortcut(self.ws, me, channel, ts, callback_id)["id"]}

    async def input(self, body: Json) -> Json:
        """POST /sandbox/input."""
        me = self.ws.person(body.get("as"))
        container = {"home": True} if body.get("home") else {"view": self._named(body)}
        done = acts.enter(self.ws, me, container, body)
        return {"ok": True, "request": done["id"] if done else None}

    async def submit(self, body: Json) -> Json:
        """POST /sandbox/submit."""
        return {"request": acts.submit(self.ws, self.ws.person(body.get("as")), self._named(body))["id"]}

    async def close(self, body: Json) -> Json:
        """POST /sandbox/close."""
        acts.close(self.ws, self.ws.person(body.get("as")), self._named(body))
        return {"ok": True}

    def _named(self, body: Json) -> str:
        if not isinstance(body.get("view"), str):
            raise PageError('"view" must be the id of a view.')
        return str(body["view"])

    async def clock(self, request: Request) -> Json:
        """GET /sandbox/clock."""
        return await calendar_clock.told(self.ws)

    async def set_clock(self, body: Json) -> Json:
        """POST /sandbox/clock."""
        return await calendar_clock.change(self.ws, body)

    async def targets(self, request: Request) -> bytes:
        """GET /sandbox/fleet, from the Databricks side."""
        return await self.fleet.fetch(request.url.query)

    async def weather(self, request: Request) -> Json:
        """GET /sandbox/weather: the faults of the Databricks side."""
        return await databricks_weather.told(self.ws)

    async def make_weather(self, body: Json) -> Json:
        """POST /sandbox/weather: set or clear faults of the Databricks side."""
        return await databricks_weather.change(self.ws, body)

    async def recycle(self, body: Json) -> Json:
        """POST /sandbox/sockets {"disconnect": "refresh_requested"|"warning"|"drop", "count"?}."""
        reason, count = body.get("disconnect"), body.get("count")
        if reason not in ("refresh_requested", "warning", "drop") or not isinstance(count, int | None):
            raise PageError('"disconnect" must be refresh_requested, warning or drop.')
        return {"sockets": await self.ws.socket_mode.recycle(reason, count)}

    async def faults(self, request: Request) -> Json:
        """GET /sandbox/faults: the bad weather that is set, with the hits so far; DELETE ends it."""
        if request.method == "DELETE":
            self.ws.faults.clear()
        return {"faults": [fault.as_json() for fault in self.ws.faults.rules]}

    async def set_faults(self, body: Json) -> Json:
        """POST /sandbox/faults: one rule, several under "faults", {"clear": true} or {"clear": NUMBER}."""
        faults, gone = self.ws.faults, body.get("clear")
        if gone is True:
            faults.clear()
        elif gone and not (isinstance(gone, int) and faults.clear(gone)):
            raise PageError(f"There is no fault {gone}.", 404)
        rules = body.get("faults", [body] if "kind" in body else [])
        try:
            for rule in rules:
                fields = {name: value for name, value in rule.items() if name != "clear"}
                faults.add(str(fields.pop("path", "*")), str(fields.pop("kind", "")), **fields)
        except (ValueError, TypeError, AttributeError) as error:
            raise PageError(str(error)) from error
        return {"faults": [fault.as_json() for fault in faults.rules]}

    async def live(self, socket: WebSocket) -> None:
        """WS /sandbox/live: push what changes for this person until either side leaves."""
        try:
            me = self.ws.person(socket.query_params.get("as"))
        except PageError:
            await socket.close(1008)
            return
        await socket.accept()
        listener = self.ws.live.join(me.id)

        async def watch() -> None:
            try:
                while True:
                    await socket.receive()
            except (RuntimeError, WebSocketDisconnect):
                listener.queue.put_nowait(None)

        watching = asyncio.ensure_future(watch())
        try:
            while (push := await listener.queue.get()) is not None:
                await socket.send_text(json.dumps(push))
            await socket.close(1001)
        except (RuntimeError, WebSocketDisconnect, OSError):
            pass
        finally:
            self.ws.live.leave(listener)
            watching.cancel()
