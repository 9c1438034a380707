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
