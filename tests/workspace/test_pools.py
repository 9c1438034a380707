"""What is decided of an instance pool, from its raw configuration alone."""

import json
from typing import Any

import pytest

from rollout.change import Change, FieldChange, Found, Raw, Skip, Upgrade
from workspace import pools
from workspace.client import Client
from workspace.errors import Refused

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
ASKED = Upgrade("13.3", "17.3", frozenset({OLD, NEW}))
POOL: dict[str, Any] = {
    "instance_pool_id": "p1",
    "instance_pool_name": "warm",
    "node_type_id": "i3.xlarge",
    "max_capacity": 10,
    "custom_tags": {"team": "etl"},
    "preloaded_spark_versions": [OLD],
    "default_tags": {"DatabricksInstancePoolId": "p1"},
    "stats": {"used_count": 1},
    "state": "ACTIVE",
    "stand_ins": [],
}


def planned(raw: Raw) -> Change | Skip:
    found = Found("pool", "p1", "warm", None, (), "ACTIVE", raw)
    upgrade = Upgrade(ASKED.source, ASKED.target, ASKED.versions, pools=pools.known([found], ASKED))
    return pools.plan(raw, upgrade)


def change(raw: Raw) -> Change:
    found = planned(raw)
    assert isinstance(found, Change), found
    return found


def settings(raw: Raw) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(change(raw).fields[0].after)
    return found


def made(raw: Raw, **edited: Any) -> dict[str, Any]:
    """The pool with its stand-in, as it was made, but for what was ``edited``."""
    return {**raw, "stand_ins": [{**settings(raw), "instance_pool_id": "p2", "state": "ACTIVE", **edited}]}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"preloaded_spark_versions": []}, "support_not_needed"),
        ({"preloaded_spark_versions": ["15.4.x-scala2.12"]}, "support_not_needed"),
        ({"preloaded_spark_versions": [NEW]}, "support_not_needed"),
        ({"custom_tags": {"rollout-stands-in-for": "p0"}}, "support_not_needed"),
        ({"preloaded_spark_versions": ["13.3.x-cpu-ml-scala2.12"]}, "runtime_not_offered"),
        ({"preloaded_spark_versions": ["13.3.x-hls-scala2.12"]}, "runtime_variant"),
        ({"preloaded_docker_images": [{"url": "x"}]}, "custom_image"),
        ({"may_not_make": "the bot may not make pools in this workspace"}, "pool_not_allowed"),
        ({"names": ["warm", "warm-17.3"]}, "pool_name_taken"),
        ({"custom_tags": {str(n): "x" for n in range(45)}}, "pool_not_allowed"),
        ({"stand_ins": [{"instance_pool_id": "p2"}, {"instance_pool_id": "p3"}]}, "pool_ambiguous"),
    ],
)
def test_why_no_new_pool_is_made(more: dict[str, Any], code: str) -> None:
    found = planned({**POOL, **more})
    assert isinstance(found, Skip)
    assert found.code == code


def test_the_new_pool_is_the_old_one_but_for_name_tag_and_what_is_loaded() -> None:
    assert settings(POOL) == {
        "instance_pool_name": "warm-17.3",
        "node_type_id": "i3.xlarge",
        "max_capacity": 10,
        "custom_tags": {"team": "etl", "rollout-stands-in-for": "p1"},
        "preloaded_spark_versions": [NEW],
    }


def test_the_name_of_a_new_pool_fits_the_limit() -> None:
    assert settings({**POOL, "instance_pool_name": "w" * 100})["instance_pool_name"] == "w" * 95 + "-17.3"


def test_a_new_pool_that_is_there_is_neither_made_again_nor_a_conflict() -> None:
    there = made(POOL)
    assert pools.values(there, change(there)) == [change(POOL).fields[0].after]
    assert change(there).notes == ("the new pool is there already",)


def test_a_new_pool_that_somebody_changed_serves_later_stages_and_is_never_deleted(client: Client) -> None:
    there = made(POOL, max_capacity=99)
    first, later = change(POOL), change(there)
    assert pools.values(there, first) == ['other {"max_capacity": 99}']  # a conflict for the stage that made it
    assert pools.values(there, later) == [later.fields[0].after]  # as wanted for a later one
    assert later.notes[-1] == "somebody changed it since: it is used as it is"
    back = Change((FieldChange(("new_pool",), later.fields[0].after, None),))
    with pytest.raises(Refused, match="somebody changed"):
        pools.apply(client, "p1", back, there)
    assert client.calls == 0


def test_a_new_pool_that_is_gone_since_the_last_look_is_made_again() -> None:
    there = made(POOL)
    known = pools.known([Found("pool", "p1", "warm", None, (), "ACTIVE", there)], ASKED)
    upgrade = Upgrade(ASKED.source, ASKED.target, ASKED.versions, pools=known)
    assert upgrade.pools["p1"].stand_in == "p2"
    again = pools.plan(POOL, upgrade)
    assert isinstance(again, Change)
    assert again.fields == change(POOL).fields
