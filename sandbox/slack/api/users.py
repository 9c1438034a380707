"""users.* and usergroups.*."""

from __future__ import annotations

from sandbox.slack.api.arguments import Arguments, page
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.people import SLACKBOT, Group, Person
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

UPDATED = 1_700_000_000


def email(ws: Workspace, person: Person) -> str:
    """The address of an account."""
    return f"{person.key}@{ws.cast.team_of(person.team).domain}.example"


def _profile(real_name: str, display: str) -> Json:
    return {
        "real_name": real_name,
        "real_name_normalized": real_name,
        "display_name": display,
        "display_name_normalized": display,
        "title": "",
        "phone": "",
        "status_text": "",
        "status_emoji": "",
        "avatar_hash": "",
    }


def described(ws: Workspace, person: Person) -> Json:
    """A user object. A deactivated account has fewer fields than an active one; `is_stranger` is false for a person of
    another company who shares a channel."""
    user: Json = {
        "id": person.id,
        "team_id": person.team,
        "name": person.key,
        "deleted": person.deleted,
        "profile": {**_profile(person.name, person.key), "team": person.team},
        "is_bot": False,
        "is_app_user": False,
        "updated": UPDATED,
    }
    if "users:read.email" in ws.manifest.scopes:
        user["profile"]["email"] = email(ws, person)
    if person.deleted:
        return user
    user.update(
        color="9f69e7",
        real_name=person.name,
        tz="Europe/Amsterdam",
        tz_label="Central European Time",
        tz_offset=3600,
        is_admin=False,
        is_owner=False,
        is_primary_owner=False,
        is_restricted=person.is_restricted or person.is_ultra_restricted,
        is_ultra_restricted=person.is_ultra_restricted,
        is_email_confirmed=True,
        who_can_share_contact_card="EVERYONE",
    )
    if person.team != ws.cast.team.id:
        user["is_stranger"] = False
    return user


def _machine_user(ws: Workspace, user_id: str, name: str, is_bot: bool) -> Json:
    """The bot's own user, and Slackbot (which does not call itself a bot)."""
    profile = _profile(name, name)
    if is_bot:
        profile.update(bot_id=ws.cast.bot_id, api_app_id=ws.cast.app_id)
    return {
        "id": user_id,
        "team_id": ws.cast.team.id,
        "name": name,
        "deleted": False,
        "real_name": name,
        "profile": {**profile, "team": ws.cast.team.id},
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_bot": is_bot,
        "is_app_user": False,
        "updated": UPDATED,
    }


@method("users.info", scopes=("users:read",), tier=4, reads=True)
def info(ws: Workspace, arguments: Arguments) -> Json:
    """One account."""
    wanted = arguments.text("user")
    if wanted == ws.cast.bot_user:
        return {"user": _machine_user(ws, wanted, ws.cast.bot_name, True)}
    if wanted == SLACKBOT:
        return {"user": _machine_user(ws, SLACKBOT, "slackbot", False)}
    person = ws.cast.by_id.get(wanted or "")
    if person is None:
        raise Refused("user_not_found")
    return {"user": described(ws, person)}


@method("users.list", scopes=("users:read",), tier=2, reads=True)
def list_users(ws: Workspace, arguments: Arguments) -> Json:
    """All accounts, the deactivated, the bot and Slackbot too."""
    everybody = [_machine_user(ws, SLACKBOT, "slackbot", False)]
    everybody += [described(ws, person) for person in ws.cast.people.values()]
    everybody.append(_machine_user(ws, ws.cast.bot_user, ws.cast.bot_name, True))
    members, cursor = page(everybody, arguments, 1000)
    return {"members": members, "cache_ts": int(ws.machine()), "response_metadata": {"next_cursor": cursor}}


@method("users.lookupByEmail", scopes=("users:read.email",), tier=3, reads=True)
def lookup_by_email(ws: Workspace, arguments: Arguments) -> Json:
    """The active account with this address."""
    wanted = (arguments.text("email") or "").lower()
    for person in ws.cast.people.values():
        if email(ws, person).lower() == wanted and not person.deleted:
            return {"user": described(ws, person)}
    raise Refused("users_not_found")


def _active(ws: Workspace, group: Group) -> list[str]:
    people = [ws.cast.people[key] for key in group.members if key in ws.cast.people]
    return [person.id for person in people if not person.deleted]


@method("usergroups.list", scopes=("usergroups:read",), tier=2, reads=True)
def list_groups(ws: Workspace, arguments: Arguments) -> Json:
    """All user groups."""
    groups = []
    for group in ws.cast.groups.values():
        users = _active(ws, group)
        entry: Json = {
            "id": group.id,
            "team_id": ws.cast.team.id,
            "is_usergroup": True,
            "name": group.handle,
            "description": "",
            "handle": group.handle,
            "is_external": False,
            "date_create": UPDATED,
            "date_update": UPDATED,
            "date_delete": 0,
            "auto_type": None,
            "created_by": "USLACKBOT",
            "updated_by": "USLACKBOT",
            "deleted_by": None,
            "prefs": {"channels": [], "groups": []},
        }
        if arguments.flag("include_users"):
            entry["users"] = users
        if arguments.flag("include_count"):
            entry["user_count"] = str(len(users))
        groups.append(entry)
    return {"usergroups": groups}


@method("usergroups.users.list", scopes=("usergroups:read",), tier=2, reads=True)
def list_group_users(ws: Workspace, arguments: Arguments) -> Json:
    """The active members of one user group."""
    group = ws.cast.groups.get(arguments.required("usergroup"))
    if group is None:
        raise Refused("no_such_subteam")
    return {"users": _active(ws, group)}
