"""Cluster policies: supports, widened before the first target that needs it, put back after the last.

See ``workspace.kinds.Kind`` for what each function promises. A field of a change is one rule, as the JSON text that
stands in the policy's definition (for a policy of a family: in its overrides), so that all else in that text stays
character by character as people wrote it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rollout import policy
from rollout.change import Change, FieldChange, Found, Path, Raw, Skip, Upgrade
from rollout.location import policy_url
from rollout.policy import ATTRIBUTES, Policy, Rule, refusal
from rollout.pool import POOLS
from workspace import governed, permissions
from workspace.client import Client
from workspace.compute import backup_of as copy_of
from workspace.errors import Gone, Refused
from workspace.in_place import complete, in_use, runs_on, stands_in, unfinished
from workspace.json_text import member, same, with_member
from workspace.settling import Settled, Settlement

__all__ = [
    "apply",
    "backup_of",
    "compared",
    "complete",
    "discover",
    "editable",
    "edited_by",
    "edited_since",
    "in_use",
    "kept",
    "known",
    "needed",
    "permissions_of",
    "plan",
    "read",
    "release_of",
    "runs_on",
    "settled",
    "stands_in",
    "start",
    "understood",
    "unfinished",
    "url",
    "values",
]

_DEFINITION: Final = "definition"
_OVERRIDES: Final = "policy_family_definition_overrides"
#: What an edit sends back as it was read; the edit replaces the whole policy (facts: databricks a4).
_SENT: Final = (
    "name",
    "description",
    "libraries",
    "max_clusters_per_user",
    "policy_family_id",
    _DEFINITION,
    _OVERRIDES,
)
#: Beside the policy itself: what one look at its referents said. Ours, never sent and never backed up.
_LOOKED: Final = "looked_at_referents"


def discover(client: Client) -> Iterator[Found]:
    for raw in client.get("/api/2.0/policies/clusters/list").get("policies") or ():
        yield Found(
            kind="policy",
            object_id=str(raw["policy_id"]),
            name=str(raw.get("name") or raw["policy_id"]),
            owner=raw.get("creator_user_name"),
            runtimes=(),
            state="ACTIVE",
            raw=raw,
        )


def known(client: Client) -> dict[str, Policy]:
    """The cluster policies that we may see, by id. Raises the WorkspaceErrors of ``Client.get``."""
    return {found.object_id: understood(found.raw) for found in discover(client)}


def understood(raw: Raw) -> Policy:
    """What the policy says of the fields that we change."""
    return policy.read(str(raw.get("name") or raw.get("policy_id")), raw.get(_DEFINITION))


def plan(raw: Raw, upgrade: Upgrade) -> Change | Skip:
    known = upgrade.policies.get(str(raw.get("policy_id")))
    if known is not None and known.held:
        return Skip(
            "policy_refuses",
            f"It {known.held}.",
            "Let it take the new runtime beside the old one by hand, then look again.",
        )
    if known is None or not known.widened:
        return Skip("support_not_needed", "No target needs it to take another runtime.", "Nothing to do.")
    fields = tuple(_field(raw, attribute, rule) for attribute, rule in known.widened.items())
    return Change(fields, notes=tuple(_notes(known)))


def read(client: Client, object_id: str) -> dict[str, Any]:
    raw = client.get("/api/2.0/policies/clusters/get", {"policy_id": object_id})
    return {**raw, _LOOKED: _violations(client, object_id)}


def values(raw: Raw, change: Change) -> list[Any]:
    return [_value(raw, field) for field in change.fields]


def editable(raw: Raw) -> bool:
    return True


def apply(client: Client, object_id: str, change: Change, raw: Raw) -> None:
    body: dict[str, Any] = {"policy_id": object_id, **{name: raw[name] for name in _SENT if raw.get(name) is not None}}
    if raw.get("policy_family_id"):
        body.pop(_DEFINITION, None)  # with a family the API takes its overrides only
    for field in change.fields:
        top, *inside = field.path
        if not inside:
            body[top] = field.after
            continue
        try:
            body[top] = with_member(str(body.get(top) or "{}"), inside[0], str(field.after))
        except ValueError:
            raise Refused(f"the {top} of the policy is no JSON object") from None
    client.write("/api/2.0/policies/clusters/edit", {name: v for name, v in body.items() if v is not None})


def start(client: Client, object_id: str) -> bool:
    return False


def settled(raw: Raw, before: Raw) -> Settlement:
    violations = raw.get(_LOOKED) or []
    if violations:
        return Settlement(Settled.FAILED, f"With its new rule a referent does not fit any more: {violations[0]}.")
    return Settlement(Settled.YES, "It takes what is new beside what is old.")


def kept(raw: Raw) -> dict[str, Any]:
    return {}  # a policy has no machines


def edited_since(client: Client, object_id: str, since: datetime) -> bool | None:
    return None  # the API keeps no history of a policy


def edited_by(client: Client, object_id: str) -> tuple[str, datetime] | None:
    return None  # nor does it name who edited it


def release_of(raw: Raw) -> str:
    return "-"


def url(host: str, object_id: str) -> str:
    return policy_url(host, object_id)


def backup_of(raw: Raw) -> dict[str, Any]:
    return {name: value for name, value in copy_of(raw).items() if name != _LOOKED}


def permissions_of(client: Client, object_id: str) -> dict[str, Any]:
    return permissions.read(client, "policy", object_id)


def compared(raw: Raw) -> dict[str, Any]:
    # The definition of a policy of a family is made by the platform, from the family and the overrides.
    left_out = {_LOOKED, "is_default", *([_DEFINITION] if raw.get("policy_family_id") else ())}
    return {name: _opened(name, value) for name, value in raw.items() if name not in left_out}


def needed(client: Client, object_id: str, backup: Raw) -> str | None:
    """Who holds a runtime that only the widened policy takes: it is not put back under them."""
    old, now = understood(backup), understood(client.get("/api/2.0/policies/clusters/get", {"policy_id": object_id}))

    def only_now(name: str, value: str) -> bool:
        return refusal(old, name, value) is not None and refusal(now, name, value) is None

    users = [
        found.name
        for found, spec in governed.referents(client, object_id)
        if any(spec.get(name) and only_now(name, str(spec[name])) for name in ATTRIBUTES)
    ]
    if not users:
        return None
    shown = ", ".join(users[:3]) + (f" and {len(users) - 3} more" if len(users) > 3 else "")
    return f"It stays widened: {shown} {'uses' if len(users) == 1 else 'use'} what only the wider policy takes."


def _opened(name: str, value: Any) -> Any:
    """The rules in a text of JSON; a text that is none as it is."""
    if name not in (_DEFINITION, _OVERRIDES) or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _field(raw: Raw, attribute: str, rule: Rule) -> FieldChange:
    path = _path(raw, attribute)
    wanted = json.dumps(rule)
    if len(path) == 1:  # a family without overrides of its own yet, or without one for this attribute
        text = raw.get(path[0])
        return FieldChange(path, text, with_member(str(text or "{}"), attribute, wanted))
    return FieldChange(path, member(str(raw[path[0]]), attribute), wanted)


def _path(raw: Raw, attribute: str) -> Path:
    """Where the rule of ``attribute`` stands; only the document's name where it has to be added to it."""
    where = _OVERRIDES if raw.get("policy_family_id") else _DEFINITION
    text = raw.get(where)
    return (where, attribute) if text and member(str(text), attribute) is not None else (where,)


def _value(raw: Raw, field: FieldChange) -> Any:
    """The present text of the field; the very text that we know where it says the same."""
    top, *inside = field.path
    text = raw.get(top)
    if inside:
        try:
            text = member(str(text or "{}"), inside[0])
        except ValueError:
            text = None
    for known in (field.before, field.after, *field.earlier):
        if same(text, known):
            return known
    return text


def _notes(known: Policy) -> Iterator[str]:
    for attribute, rule in known.widened.items():
        kept = f"; the default stays {rule['defaultValue']}" if rule.get("defaultValue") else ""
        what = "pool" if attribute in POOLS else attribute
        yield f"takes the new {what} beside the old one{kept}"


def _violations(client: Client, object_id: str) -> list[str]:
    """What stands against the runtime of one referent, a cluster or else a job: whether a policy works shows there."""
    for what in ("clusters", "jobs"):
        try:
            page = client.get(f"/api/2.0/policies/{what}/list-compliance", {"policy_id": object_id, "page_size": 1})
            for entry in page.get(what) or ():
                return [f"{name}: {text}" for name, text in _ours(entry.get("violations") or {})]
        except (Gone, Refused):
            continue  # a workspace without this API, or a referent that went away
    return []


def _ours(violations: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    return [(name, text) for name, text in violations.items() if name.rsplit(".", 1)[-1] in ATTRIBUTES]
