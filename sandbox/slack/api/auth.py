"""auth.* and apps.*: who the token is, and a websocket for Socket Mode."""

from __future__ import annotations

from sandbox.slack.api.arguments import Arguments
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace


@method("auth.test")
def auth_test(ws: Workspace, arguments: Arguments) -> Json:
    """The workspace and the bot user of a bot token."""
    return {
        "url": f"{ws.url}/",
        "team": ws.cast.team.name,
        "user": ws.cast.bot_name,
        "team_id": ws.cast.team.id,
        "user_id": ws.cast.bot_user,
        "bot_id": ws.cast.bot_id,
        "is_enterprise_install": False,
    }


@method("apps.connections.open", token="app")
def apps_connections_open(ws: Workspace, arguments: Arguments) -> Json:
    """A single-use websocket address. Refused while the app is set to HTTP delivery."""
    if ws.delivery is not ws.socket_mode:
        raise Refused("socket_mode_not_enabled")
    ticket = ws.socket_mode.ticket()
    return {"url": f"ws{ws.url.removeprefix('http')}/link?ticket={ticket}&app_id={ws.cast.app_id}"}
