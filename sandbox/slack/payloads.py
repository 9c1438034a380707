"""The payloads that Slack delivers, field by field."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox.slack import posting
from sandbox.slack.people import Person
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

VERIFICATION_TOKEN = "sandbox-verification-token"


def _team(ws: Workspace, team_id: str) -> Json:
    team = ws.cast.team_of(team_id)
    return {"id": team.id, "domain": team.domain}


def _user(person: Person) -> Json:
    return {"id": person.id, "username": person.key, "name": person.key, "team_id": person.team}


def command(ws: Workspace, person: Person, name: str, text: str, channel: str, trigger: str, answer_to: str) -> Json:
    """A slash command. Its team is the installing one: who belongs elsewhere is only seen in users.info."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": ws.cast.team.id,
        "team_domain": ws.cast.team.domain,
        "channel_id": channel,
        "channel_name": ws.channel_name(channel),
        "user_id": person.id,
        "user_name": person.key,
        "command": name,
        "text": text,
        "api_app_id": ws.cast.app_id,
        "is_enterprise_install": "false",
        "response_url": f"{ws.url}/response/{answer_to}",
        "trigger_id": trigger,
    }


def _interaction(ws: Workspace, kind: str, person: Person, team: str) -> Json:
    return {
        "type": kind,
        "team": _team(ws, team),
        "user": _user(person),
        "api_app_id": ws.cast.app_id,
        "token": VERIFICATION_TOKEN,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def message_action(
    ws: Workspace, person: Person, record: Json, values: Json, actions: list[Json], trigger: str, answer_to: str
) -> Json:
    """block_actions on a message. The team is the installing one, the user's own is in user.team_id. An ephemeral
    message is not sent along."""
    channel = record["channel"]
    container: Json = {
        "type": "message",
        "message_ts": record["ts"],
        "channel_id": channel,
        "is_ephemeral": bool(record["to"]),
    }
    if record["thread_ts"]:
        container["thread_ts"] = record["thread_ts"]
    payload = {
        **_interaction(ws, "block_actions", person, ws.cast.team.id),
        "container": container,
        "trigger_id": trigger,
        "channel": {"id": channel, "name": ws.channel_name(channel)},
        "state": {"values": values},
        "response_url": f"{ws.url}/response/{answer_to}",
        "actions": actions,
    }
    if not record["to"]:
        payload["message"] = posting.described(ws, record, metadata=True)
    return payload


def shortcut(
    ws: Workspace, person: Person, record: Json, callback_id: str, trigger: str, answer_to: str, moment: str
) -> Json:
    """message_action: a shortcut on a message. The message comes along as the channel shows it, also from where the bot
    is not; a link to it does not."""
    channel = record["channel"]
    return {
        **_interaction(ws, "message_action", person, ws.cast.team.id),
        "action_ts": moment,
        "channel": {"id": channel, "name": ws.channel_name(channel)},
        "callback_id": callback_id,
        "trigger_id": trigger,
        "response_url": f"{ws.url}/response/{answer_to}",
        "message_ts": record["ts"],
        "message": posting.described(ws, record),
    }


def view_action(ws: Workspace, person: Person, view: Json, actions: list[Json], trigger: str) -> Json:
    """block_actions in a modal or on the Home."""
    return {
        **_interaction(ws, "block_actions", person, ws.cast.team.id),
        "container": {"type": "view", "view_id": view["id"]},
        "trigger_id": trigger,
        "view": view,
        "actions": actions,
    }


def submission(ws: Workspace, person: Person, view: Json, trigger: str, response_urls: list[Json]) -> Json:
    """view_submission. The team is the user's; view.app_installed_team_id is the installing one."""
    return {
        **_interaction(ws, "view_submission", person, person.team),
        "trigger_id": trigger,
        "view": view,
        "response_urls": response_urls,
    }


def closed(ws: Workspace, person: Person, view: Json, cleared: bool) -> Json:
    """view_closed."""
    return {**_interaction(ws, "view_closed", person, person.team), "view": view, "is_cleared": cleared}


def action(element: Json, block_id: str, entry: Json | None, moment: str) -> Json:
    """One item of `actions`: what was pressed or chosen."""
    item: Json = {"type": element["type"], "action_id": element["action_id"], "block_id": block_id}
    for name in ("text", "value", "style", "placeholder", "initial_option", "initial_options", "icon"):
        if name in element:
            item[name] = element[name]
    if element["type"].endswith("_input"):
        item.pop("placeholder", None)
    item.update({k: v for k, v in (entry or {}).items() if k != "type"})
    item["action_ts"] = moment
    return item


def event(ws: Workspace, inner: dict[str, Any]) -> Json:
    """An Events API callback around an event."""
    bot = {
        "enterprise_id": None,
        "team_id": ws.cast.team.id,
        "user_id": ws.cast.bot_user,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": ws.cast.team.id,
        "context_team_id": ws.cast.team.id,
        "context_enterprise_id": None,
        "api_app_id": ws.cast.app_id,
        "event": inner,
        "type": "event_callback",
        "event_id": "Ev" + secrets.token_hex(5).upper(),
        "event_time": int(ws.machine()),
        "authorizations": [bot],
        "is_ext_shared_channel": False,
    }
