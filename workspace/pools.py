"""Instance pools: supports. The runtime that one has loaded is for ever, so a new pool is made to stand in for it.

See ``workspace.kinds.Kind`` for what each function promises. The old pool is never touched. The one field of a change
is the new pool: absent, or its settings as JSON text. The new one is known by a tag with the id of the old one, and is
looked for before it is made, so that it is made once whatever becomes of an answer.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from rollout.change import Change, FieldChange, Found, Path, Raw, Skip, Upgrade
from rollout.location import pool_url
from rollout.machine import Doubt, Used, doubts
from rollout.pool import POOLS, Pool, new_name
from rollout.runtime import map_runtime, shown, variant
from workspace import governed, permissions
from workspace.client import Client
from workspace.compute import backup_of as copy_of
from workspace.errors import Forbidden, Gone, Refused
from workspace.settling import Settled, Settlement

#: The tag of a pool that we made, with the id of the pool for which it stands in.
TAG: Final = "rollout-stands-in-for"
NEW: Final[Path] = ("new_pool",)
#: What the platform says of a pool and nobody configures.
_NOT_SETTINGS: Final = frozenset(
    {"instance_pool_id", "creator_user_name", "default_tags", "state", "stats", "status", "pending_instance_errors"}
)
#: Beside the pool itself, ours, never sent and never backed up: the pools that stand in for it, who may use it and its
#: one stand-in, and why we may not make one.
_MADE: Final = "stand_ins"
_ACCESS: Final = "access"
_NEW_ACCESS: Final = "access_of_stand_in"
_MAY_NOT: Final = "may_not_make"
_TAKEN: Final = "names"
_OURS: Final = frozenset({_MADE, _ACCESS, _NEW_ACCESS, _MAY_NOT, _TAKEN})
#: Before the settings of a new pool that somebody changed since: it is used as it is, and never deleted by us.
_THEIRS: Final = "as it is: "
_MAKERS: Final = "allow-instance-pool-create"
_MOST_TAGS: Final = 44  # of the 45 of a pool one is ours


def discover(client: Client) -> Iterator[Found]:
    listed = _list(client)
    loaded = [raw for raw in listed if raw.get("preloaded_spark_versions") and _stands_in_for(raw) is None]
    barred = _barred(client) if loaded else None
    names = [str(raw.get("instance_pool_name")) for raw in listed]
    for raw in listed:
        pool_id = str(raw["instance_pool_id"])
        more: dict[str, Any] = {_MADE: _stand_ins(listed, pool_id), _TAKEN: names}
        if raw in loaded:
            more[_MAY_NOT] = barred or _unreadable(client, pool_id)
        yield Found(
            kind="pool",
            object_id=pool_id,
            name=str(raw.get("instance_pool_name") or pool_id),
            owner=raw.get("creator_user_name"),
            runtimes=(),
            state=str(raw.get("state") or "ACTIVE"),
            raw={**raw, **more},
        )


def known(found: Iterable[Found], upgrade: Upgrade) -> dict[str, Pool]:
    """What is decided of the pools among ``found``, by id. Pure."""
    return {one.object_id: _decided(one.raw, upgrade) for one in found if one.kind == "pool"}


def plan(raw: Raw, upgrade: Upgrade) -> Change | Skip:
    pool = upgrade.pools.get(str(raw.get("instance_pool_id")))
    if pool is None or not pool.loads:
        return Skip("support_not_needed", "What it has loaded is not the old runtime.", "Nothing to do.")
    if pool.code:
        return Skip(
            pool.code,
            f"No new pool with {shown(pool.loads)} is made: {pool.held}. What uses it keeps it and starts slower.",
            "Make that possible and look again, or leave it so: a runtime that is not loaded is only slower.",
        )
    settings = _settings_of_new(raw, pool)
    notes = [d.note for d in _doubts(pool.machine, pool.loads, upgrade) if not d.holds]
    notes += [f"a new pool {pool.new_name} with {shown(pool.loads)} loaded; this one is kept"]
    if idle := int(settings.get("min_idle_instances") or 0):
        notes.append(f"the new pool keeps {idle} idle machine{'' if idle == 1 else 's'} from the moment it is made")
    wanted = _text(settings)
    made = raw.get(_MADE) or []
    if pool.stand_in and made:  # what was decided at the last look may be older than this one
        notes = ["the new pool is there already"]
        if (present := _settings(made[0])) != settings:
            wanted, notes = f"{_THEIRS}{_text(present)}", [*notes, "somebody changed it since: it is used as it is"]
    return Change((FieldChange(NEW, None, wanted),), notes=tuple(notes))


def read(client: Client, object_id: str) -> dict[str, Any]:
    listed = _list(client)
    raw = next((one for one in listed if one.get("instance_pool_id") == object_id), None)
    if raw is None:
        raise Gone(f"there is no pool {object_id}")
    made = _stand_ins(listed, object_id)
    more: dict[str, Any] = {_MADE: made, _ACCESS: permissions.read(client, "pool", object_id)}
    if len(made) == 1:
        more[_NEW_ACCESS] = permissions.read(client, "pool", str(made[0]["instance_pool_id"]))
    return {**raw, **more}


def values(raw: Raw, change: Change) -> list[Any]:
    return [_value(raw, str(f.after or f.before or "{}")) for f in change.fields]


def editable(raw: Raw) -> bool:
    return True


def apply(client: Client, object_id: str, change: Change, raw: Raw) -> None:
    made = raw.get(_MADE) or []
    for field in change.fields:
        if field.after is not None:
            client.write("/api/2.0/instance-pools/create", _read(field.after))
        elif str(field.before).startswith(_THEIRS):
            raise Refused("somebody changed the new pool: it is not deleted under them")
        elif len(made) == 1:
            client.write("/api/2.0/instance-pools/delete", {"instance_pool_id": made[0]["instance_pool_id"]})
        else:
            raise Refused(f"{len(made)} pools stand in for {object_id}")


def runs_on(raw: Raw) -> bool:
    return False


def in_use(client: Client, object_id: str, raw: Raw) -> str | None:
    return None  # the old pool is never touched


def start(client: Client, object_id: str) -> bool:
    return False


def kept(raw: Raw) -> dict[str, Any]:
    return {}  # the settings of the new pool are compared as a whole


def settled(raw: Raw, before: Raw) -> Settlement:
    return Settlement(Settled.YES, "The new pool is there, as it should be.")


def stands_in(raw: Raw) -> str | None:
    made = raw.get(_MADE) or []
    return str(made[0]["instance_pool_id"]) if len(made) == 1 else None


def unfinished(raw: Raw) -> str | None:
    if _NEW_ACCESS not in raw or not (lost := permissions.missing(raw[_ACCESS], raw[_NEW_ACCESS])):
        return None
    _, who, level = lost[0]
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"Not everybody may use the new pool who may use the old one: {who} lacks {level}{more}."


def complete(client: Client, object_id: str, raw: Raw) -> None:
    new = stands_in(raw)
    if new is None:
        raise Refused(f"no single pool stands in for {object_id}")
    permissions.grant(client, "pool", new, permissions.missing(raw[_ACCESS], raw[_NEW_ACCESS]))


def edited_since(client: Client, object_id: str, since: datetime) -> bool | None:
    return None  # the API keeps no history of a pool


def edited_by(client: Client, object_id: str) -> tuple[str, datetime] | None:
    return None  # nor does it name who edited it


def release_of(raw: Raw) -> str:
    loaded = raw.get("preloaded_spark_versions") or []
    return shown(str(loaded[0])) if loaded else "-"


def url(host: str, object_id: str) -> str:
    return pool_url(host, object_id)


def backup_of(raw: Raw) -> dict[str, Any]:
    # The stand-in is ours and was not there before us, whichever generation of ours made it.
    return {name: value for name, value in copy_of(raw).items() if name not in _OURS}


def compared(raw: Raw) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in _NOT_SETTINGS | _OURS}


def permissions_of(client: Client, object_id: str) -> dict[str, Any]:
    return permissions.read(client, "pool", object_id)


def needed(client: Client, object_id: str, backup: Raw) -> str | None:
    """Who refers to the new pool, or runs on it: it is not deleted under them."""
    made = _stand_ins(_list(client), object_id)
    if len(made) != 1:
        return None  # nothing, or too much, to delete: not decided here
    new = str(made[0]["instance_pool_id"])
    users = [
        found.name for found, spec in governed.every_compute(client) if any(spec.get(name) == new for name in POOLS)
    ]
    users += [f"policy {name}" for name in governed.policies_naming(client, new)]
    if users:
        shown_users = ", ".join(dict.fromkeys(users[:3])) + (f" and {len(users) - 3} more" if len(users) > 3 else "")
        return f"The new pool stays: {shown_users} {'refers' if len(users) == 1 else 'refer'} to it."
    stats = made[0].get("stats") or {}
    busy = int(stats.get("used_count") or 0) + int(stats.get("pending_used_count") or 0)
    if busy:
        return f"The new pool stays: {busy} of its machines {'is' if busy == 1 else 'are'} in use."
    return None


def _list(client: Client) -> list[dict[str, Any]]:
    found = client.get("/api/2.0/instance-pools/list").get("instance_pools") or ()
    return [raw for raw in found if raw.get("instance_pool_id") and raw.get("state") != "DELETED"]


def _stands_in_for(raw: Raw) -> str | None:
    tags = raw.get("custom_tags")
    return str(tags[TAG]) if isinstance(tags, Mapping) and tags.get(TAG) else None


def _stand_ins(listed: Iterable[dict[str, Any]], pool_id: str) -> list[dict[str, Any]]:
    return [raw for raw in listed if _stands_in_for(raw) == pool_id]


def _barred(client: Client) -> str | None:
    """Why we may not make pools, as the end of a sentence: administrators may, and who has the entitlement."""
    me = client.get("/api/2.0/preview/scim/v2/Me")
    groups = {str(g.get("display")) for g in me.get("groups") or ()}
    rights = {str(e.get("value")) for e in me.get("entitlements") or ()}
    return None if "admins" in groups or _MAKERS in rights else "the bot may not make pools in this workspace"


def _unreadable(client: Client, pool_id: str) -> str | None:
    try:
        permissions.read(client, "pool", pool_id)
    except (Forbidden, Gone, Refused):
        return "the bot may not read who may use the old one"
    return None


def _decided(raw: Raw, upgrade: Upgrade) -> Pool:
    name, machine = str(raw.get("instance_pool_name") or raw["instance_pool_id"]), str(raw.get("node_type_id") or "")
    loaded = raw.get("preloaded_spark_versions") or []
    mapped = map_runtime(str(loaded[0]), upgrade) if loaded and _stands_in_for(raw) is None else None
    if mapped is None or (isinstance(mapped, Skip) and mapped.code not in {"runtime_variant", "runtime_not_offered"}):
        return Pool(name, machine=machine)
    if isinstance(mapped, Skip):
        return Pool(name, str(loaded[0]), code=mapped.code, held=mapped.sentence.rstrip("."), machine=machine)
    made = raw.get(_MADE) or []
    wanted = str(made[0].get("instance_pool_name")) if len(made) == 1 else new_name(name, upgrade.target)
    against = [d for d in _doubts(machine, mapped.key, upgrade) if d.holds]
    code, held = (against[0].code, against[0].sentence) if against and not made else _held(raw, made, wanted)
    return Pool(name, mapped.key, wanted, stands_in(raw), code, held, machine)


def _doubts(machine: str, key: str, upgrade: Upgrade) -> list[Doubt]:
    """What speaks against the machines of a pool for the runtime that the new one is to have loaded."""
    return doubts([Used("machine type", machine)] if machine else [], upgrade.machines, variant(key) or "")


def _held(raw: Raw, made: list[Any], wanted: str) -> tuple[str, str]:
    if len(made) > 1:
        return "pool_ambiguous", f"{len(made)} pools say by their tag {TAG} that they stand in for it"
    if raw.get("preloaded_docker_images"):
        return "custom_image", "it has container images loaded, which must fit the runtime"
    if made:
        return "", ""
    if raw.get(_MAY_NOT):
        return "pool_not_allowed", str(raw[_MAY_NOT])
    if wanted in (raw.get(_TAKEN) or ()):
        return "pool_name_taken", f"another pool is called {wanted}"
    if len(raw.get("custom_tags") or {}) > _MOST_TAGS:
        return "pool_not_allowed", "it has as many tags as a pool may have, and the new one needs one more"
    return "", ""


def _settings(raw: Raw) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in _NOT_SETTINGS and name not in _OURS}


def _settings_of_new(raw: Raw, pool: Pool) -> dict[str, Any]:
    """The settings of the stand-in: those of the pool itself, but for name, tag and what is loaded."""
    tags = {**(raw.get("custom_tags") or {}), TAG: str(raw["instance_pool_id"])}
    changed = {"instance_pool_name": pool.new_name, "preloaded_spark_versions": [pool.loads], "custom_tags": tags}
    return {**_settings(raw), **changed}


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _read(text: str) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(text.removeprefix(_THEIRS))
    return settings


def _value(raw: Raw, ours: str) -> str | None:
    """The new pool: absent, as we made it (then that very text), or what is different of it."""
    made = raw.get(_MADE) or []
    if not made:
        return None
    if len(made) > 1:
        return f"{len(made)} pools"
    wanted, found = _read(ours), _settings(made[0])
    other = {
        name: found.get(name) for name in sorted(wanted.keys() | found.keys()) if found.get(name) != wanted.get(name)
    }
    return ours if not other else f"other {_text(other)}"
