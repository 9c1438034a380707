"""What a cluster policy says of a runtime: unknown is never taken for allowed."""

import json
from typing import Any

import pytest

from rollout import policy
from rollout.policy import Policy, refusal

NEW = "17.3.x-scala2.13"


def made(rule: Any, attribute: str = "spark_version") -> Policy:
    return policy.read("etl", json.dumps({attribute: rule, "custom_tags.team": {"type": "unlimited"}}))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "fixed", "value": NEW}, None),
        ({"type": "fixed", "value": "13.3.x-scala2.12"}, "takes only 13.3.x-scala2.12"),
        ({"type": "fixed", "value": "auto:latest-lts"}, "chooses the runtime itself (auto:latest-lts)"),
        ({"type": "allowlist", "values": ["13.3.x-scala2.12", NEW]}, None),
        ({"type": "allowlist", "values": ["13.3.x-scala2.12"]}, "takes only 13.3.x-scala2.12"),
        ({"type": "allowlist", "values": []}, "takes only nothing"),
        ({"type": "allowlist"}, "takes only nothing"),
        ({"type": "allowlist", "values": ["auto:latest-lts", NEW]}, None),
        ({"type": "allowlist", "values": ["auto:latest-lts"]}, "chooses the runtime itself (auto:latest-lts)"),
        ({"type": "blocklist", "values": ["13.3.x-scala2.12"]}, None),
        ({"type": "blocklist", "values": [NEW]}, f"does not take {NEW}"),
        ({"type": "regex", "pattern": r"1[37]\.3\.x-scala.*"}, None),
        ({"type": "regex", "pattern": r"17"}, "takes only what matches 17"),
        ({"type": "regex", "pattern": "("}, "has a pattern that cannot be read"),
        ({"type": "unlimited", "defaultValue": "13.3.x-scala2.12"}, None),
        ({"type": "forbidden"}, "forbids to name a spark_version"),
        ({"type": "range", "maxValue": 3}, "has a rule for spark_version that is not known here (range)"),
        ({}, "has a rule for spark_version that is not known here (None)"),
    ],
)
def test_a_rule_decides(rule: dict[str, Any], said: str | None) -> None:
    assert refusal(made(rule), "spark_version", NEW) == said


def test_an_attribute_without_a_rule_is_free() -> None:
    assert refusal(made({"type": "fixed", "value": "x"}), "runtime_engine", "PHOTON") is None


@pytest.mark.parametrize("definition", ["{not json", "[]", '{"spark_version": "13.3"}', "null"])
def test_a_definition_that_cannot_be_read_allows_nothing(definition: str) -> None:
    assert refusal(policy.read("etl", definition), "spark_version", NEW) == "cannot be read"


@pytest.mark.parametrize("definition", ["", None, "{}"])
def test_an_empty_definition_allows_everything(definition: str | None) -> None:
    assert refusal(policy.read("etl", definition), "spark_version", NEW) is None


def test_only_what_matters_is_kept_and_survives_storage() -> None:
    found = policy.read(
        "etl",
        json.dumps(
            {
                "spark_conf.secret": {"type": "fixed", "value": "s3cret"},
                "spark_version": {"type": "fixed", "value": NEW},
            }
        ),
    )
    assert "s3cret" not in json.dumps(found.to_json())
    assert Policy.from_json(json.loads(json.dumps(found.to_json()))) == found


OLD = "13.3.x-scala2.12"
ML = "17.3.x-cpu-ml-scala2.13"


@pytest.mark.parametrize(
    ("rule", "wider"),
    [
        ({"type": "fixed", "value": OLD}, {"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD}),
        (
            {"type": "fixed", "value": OLD, "hidden": True},
            {"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD},
        ),
        (
            {"type": "allowlist", "values": [OLD], "defaultValue": OLD, "isOptional": True},
            {"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD, "isOptional": True},
        ),
        ({"type": "blocklist", "values": [NEW, "x"]}, {"type": "blocklist", "values": ["x"]}),
        ({"type": "blocklist", "values": [NEW], "defaultValue": OLD}, {"type": "unlimited", "defaultValue": OLD}),
        (
            {"type": "regex", "pattern": r"13\.3.*", "defaultValue": OLD},
            {"type": "regex", "pattern": r"(?:13\.3.*)|17\.3\.x-scala2\.13", "defaultValue": OLD},
        ),
    ],
)
def test_a_rule_is_widened_with_its_old_default_kept(rule: dict[str, Any], wider: dict[str, Any]) -> None:
    found = policy.plan_widening(made(rule), {"spark_version": [NEW]}, [])
    assert found.widened == {"spark_version": wider}
    assert found.held == ""
    after = found.after()
    assert refusal(after, "spark_version", NEW) is None
    if rule["type"] != "blocklist":
        assert refusal(after, "spark_version", OLD) is None
        assert refusal(after, "spark_version", "15.4.x-scala2.12") is not None  # and nothing else


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ({"type": "fixed", "value": "auto:latest-lts"}, "chooses the runtime itself (auto:latest-lts)"),
        ({"type": "forbidden"}, "forbids to name a spark_version"),
        ({"type": "regex", "pattern": 3}, "takes only what matches 3"),
        ({"type": "range"}, "has a rule for spark_version that is not known here (range)"),
    ],
)
def test_a_rule_that_cannot_be_widened_says_why(rule: dict[str, Any], held: str) -> None:
    found = policy.plan_widening(made(rule), {"spark_version": [NEW]}, [])
    assert (found.widened, found.held) == ({}, held)


def test_a_fixed_rule_is_not_widened_under_those_who_take_their_runtime_from_it() -> None:
    fixed = made({"type": "fixed", "value": OLD})
    found = policy.plan_widening(fixed, {"spark_version": [NEW]}, ["a", "b", "c", "d"])
    assert found.widened == {}
    assert found.held == "gives a, b, c and 1 more their runtime, which a wider rule would not"
    allowed = made({"type": "allowlist", "values": [OLD]})
    assert policy.plan_widening(allowed, {"spark_version": [NEW]}, ["a"]).widened


def test_a_policy_that_takes_what_is_wanted_is_left_as_it_is() -> None:
    takes = made({"type": "allowlist", "values": [OLD, NEW]})
    assert policy.plan_widening(takes, {"spark_version": [NEW]}, []) == takes
    assert policy.plan_widening(takes, {}, []) == takes
    assert policy.plan_widening(takes, {"spark_version": [NEW, ML]}, []).widened["spark_version"]["values"] == [
        OLD,
        NEW,
        ML,
    ]


def test_a_policy_that_cannot_be_read_is_not_touched() -> None:
    broken = policy.read("etl", "{")
    assert policy.plan_widening(broken, {"spark_version": [NEW]}, []) == broken
