"""One workspace: whether it answers, who we are there, what we may see and manage, and which runtimes it offers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from doctor.finding import Finding, fail, ok, warn
from rollout.change import Found
from rollout.policy import Policy
from rollout.runtime import release
from workspace.client import Client
from workspace.errors import Forbidden, Refused, WorkspaceError
from workspace.kinds import KINDS
from workspace.policies import known as known_policies
from workspace.ties import ties_of

ME: Final = "/api/2.0/preview/scim/v2/Me"
#: Of each kind: how many are listed, and of how many of these the permissions are read.
LISTED: Final = 100
SAMPLED: Final = 5
_PATHS: Final = {"cluster": "clusters", "job": "jobs"}
_MANAGING: Final = frozenset({"CAN_MANAGE", "IS_OWNER"})
INSTALL: Final = "docs/install.md, 2. Databricks"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the plans want of a workspace. ``takes`` says whether a stage takes a target; ``read_only``: only look."""

    source: str
    target: str
    takes: Callable[[Found], bool]
    read_only: bool


def look(key: str, client: Client, wanted: Wanted) -> Iterator[Finding]:
    """Everything about one workspace; only its reach when it does not let us in."""
    try:
        me = client.get(ME)
    except WorkspaceError as error:
        yield fail(f"workspace {key}", f"{client.host}: {error}", _reach(key, error))
        return
    yield ok(f"workspace {key}", f"{client.host}: we are {_name(me)}")
    policies = yield from _policies(key, client)
    for kind in _PATHS:  # policies are looked at above
        yield from _kind(key, client, kind, me, wanted, policies)
    yield from _pools(key, client)
    yield from _runtimes(key, client, wanted)


def _reach(key: str, error: WorkspaceError) -> str:
    if isinstance(error, Forbidden):
        return f"Check the credentials in DATABRICKS_{key.upper()}_*, and that the principal is in this workspace."
    return f"Check DATABRICKS_{key.upper()}_HOST, and that it can be reached from here (network, proxy, allow list)."


def _name(me: Mapping[str, Any]) -> str:
    name, shown = str(me.get("userName") or me.get("id") or "unknown"), str(me.get("displayName") or "")
    return f"{shown} ({name})" if shown and shown != name else name


def _policies(key: str, client: Client) -> Any:
    try:
        found = known_policies(client)
    except WorkspaceError as error:
        todo = "Without policies every target that is under one is left alone: let the bot list them."
        yield warn(f"policies of {key}", f"cannot be listed: {error}", todo)
        return None
    yield ok(f"policies of {key}", f"{len(found)} can be seen")
    return found


def _pools(key: str, client: Client) -> Iterator[Finding]:
    try:
        found = client.get("/api/2.0/instance-pools/list").get("instance_pools") or ()
    except WorkspaceError as error:
        yield warn(f"pools of {key}", f"cannot be listed: {error}", "Give the bot access to the pools that are in use.")
        return
    yield ok(f"pools of {key}", f"{len(found)} can be seen")


def _kind(
    key: str, client: Client, kind: str, me: Mapping[str, Any], wanted: Wanted, policies: Mapping[str, Policy] | None
) -> Iterator[Finding]:
    subject = f"{_PATHS[kind]} of {key}"
    try:
        found = list(islice(KINDS[kind].discover(client), LISTED))
    except WorkspaceError as error:
        yield fail(subject, f"cannot be listed: {error}", f"Give the principal access to them ({INSTALL}).")
        return
    ours = [f for f in found if wanted.takes(f) and wanted.source in map(release, f.runtimes)]
    more = "at least " if len(found) == LISTED else ""
    count = f"{more}{len(found)} can be seen, {more}{len(ours)} on {wanted.source} for the plan"
    if not found:
        todo = "What the principal may not see is not in the answers: compare with the workspace's own page."
        yield warn(subject, "none can be seen", todo)
        return
    if hidden := _hidden(ours, policies):
        todo = "Give the bot Can Use on them: until then these targets are left alone."
        yield warn(f"policies of {key}", f"{_PATHS[kind]} use policies that it may not see: {hidden}", todo)
    yield _rights(subject, count, client, kind, _spread(ours), me, wanted)


def _hidden(ours: list[Found], policies: Mapping[str, Policy] | None) -> str:
    if policies is None:
        return ""
    used = {p for f in ours for p in ties_of(f).policies}
    return ", ".join(sorted(used - policies.keys())[:5])


def _spread(ours: list[Found]) -> list[Found]:
    """A few from all over the list: neighbours often have one owner."""
    step = max(len(ours) // SAMPLED, 1)
    return ours[::step][:SAMPLED]


def _rights(
    subject: str, count: str, client: Client, kind: str, sample: list[Found], me: Mapping[str, Any], wanted: Wanted
) -> Finding:
    if not sample:
        return ok(subject, count)
    without: list[str] = []
    try:
        for found in sample:
            if not _managed(client, kind, found.object_id, me):
                without.append(found.name)
    except WorkspaceError as error:
        todo = "Look again; until then compare the permissions by hand."
        return warn(subject, f"{count}; whether they can be managed could not be read: {error}", todo)
    managed = f"{count}; {len(sample) - len(without)} of {len(sample)} looked at can be managed"
    if not without:
        return ok(subject, managed)
    if wanted.read_only:
        return ok(subject, f"{managed}, which read only does not need")
    names = ", ".join(without[:3])
    return fail(subject, f"{managed}, not {names}", f"Give the principal Can Manage on them ({INSTALL}).")


def _managed(client: Client, kind: str, object_id: str, me: Mapping[str, Any]) -> bool:
    """Whether an entry for us, or for a group of ours, says so. Reading permissions takes Can Manage itself."""
    try:
        found = client.get(f"/api/2.0/permissions/{_PATHS[kind]}/{object_id}")
    except (Forbidden, Refused) as error:
        if isinstance(error, Forbidden):
            return False
        raise
    names = {str(me.get(name)) for name in ("userName", "displayName", "id", "applicationId") if me.get(name)}
    groups = {str(g.get("display")) for g in me.get("groups") or () if g.get("display")}
    for entry in found.get("access_control_list") or ():
        mine = {str(entry.get(name)) for name in ("user_name", "service_principal_name") if entry.get(name)} & names
        if mine or str(entry.get("group_name")) in groups:
            levels = {str(p.get("permission_level")) for p in entry.get("all_permissions") or ()}
            if levels & _MANAGING:
                return True
    return False


def _runtimes(key: str, client: Client, wanted: Wanted) -> Iterator[Finding]:
    subject = f"runtimes of {key}"
    try:
        offered = {r for version in client.versions() if (r := release(version))}
    except WorkspaceError as error:
        yield fail(subject, f"cannot be listed: {error}", "Look again: without the list nothing can be planned.")
        return
    if wanted.target not in offered:
        newest = ", ".join(sorted(offered, key=lambda r: [int(n) for n in r.split(".")], reverse=True)[:5])
        found = f"{wanted.target} is not offered; offered are {newest}"
        yield fail(subject, found, "Change runtimes.target in the plan, or ask why this workspace does not offer it.")
    elif wanted.source not in offered:
        found = f"{wanted.target} is offered; {wanted.source} is not in the list any more"
        yield warn(subject, found, "Try on one cluster whether it can still be chosen: that is the way back.")
    else:
        yield ok(subject, f"{wanted.target} and {wanted.source} are offered")
