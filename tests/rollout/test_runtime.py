"""The runtime mapping, row by row."""

import pytest

from rollout.change import Skip, Upgrade
from rollout.reasons import CODES
from rollout.runtime import Mapped, map_runtime, release, scala, shown

OFFERED = frozenset(
    {
        "13.3.x-scala2.12",
        "13.3.x-cpu-ml-scala2.12",
        "15.4.x-scala2.12",
        "16.4.x-scala2.12",
        "16.4.x-scala2.13",
        "16.4.x-cpu-ml-scala2.12",
        "17.3.x-scala2.13",
        "17.3.x-cpu-ml-scala2.13",
        "17.3.x-gpu-ml-scala2.13",
        "17.3.x-aarch64-scala2.13",
        "17.3.x-photon-scala2.13",
        "18.2.x-scala2.13",
        "18.2.x-cpu-ml-scala2.13",
        "custom:release__17.3.x-scala2.13",
    }
)
UP = Upgrade("13.3", "17.3", OFFERED)
TO_16 = Upgrade("13.3", "16.4", OFFERED)
FROM_15 = Upgrade("15.4", "17.3", OFFERED)
BARE = Upgrade("13.3", "17.3", frozenset({"17.3.x-scala2.13"}))
EMPTY = Upgrade("13.3", "17.3", frozenset())
NEWER_ONLY = Upgrade("13.3", "17.3", frozenset({"18.2.x-scala2.13", "17.4.x-scala2.13", "7.3.x-scala2.12"}))
TWO_SCALAS = Upgrade("13.3", "17.3", frozenset({"17.3.x-scala2.13", "17.3.x-scala2.12"}))
TEN_SCALAS = Upgrade("13.3", "17.3", frozenset({"17.3.x-scala2.9", "17.3.x-scala2.13"}))

MAPPED = [
    # key, engine before, upgrade, wanted key, engine to set
    ("13.3.x-scala2.12", None, UP, "17.3.x-scala2.13", None),
    ("13.3.x-scala2.12", "STANDARD", UP, "17.3.x-scala2.13", None),
    ("13.3.x-scala2.12", "PHOTON", UP, "17.3.x-scala2.13", None),
    ("13.3.x-scala2.12", "NULL", UP, "17.3.x-scala2.13", None),
    ("13.3.x-cpu-ml-scala2.12", None, UP, "17.3.x-cpu-ml-scala2.13", None),
    ("13.3.x-cpu-ml-scala2.12", "PHOTON", UP, "17.3.x-cpu-ml-scala2.13", None),
    ("13.3.x-gpu-ml-scala2.12", None, UP, "17.3.x-gpu-ml-scala2.13", None),
    ("13.3.x-aarch64-scala2.12", None, UP, "17.3.x-aarch64-scala2.13", None),
    ("13.3.x-aarch64-scala2.12", "PHOTON", UP, "17.3.x-aarch64-scala2.13", None),
    ("13.3.x-photon-scala2.12", None, UP, "17.3.x-scala2.13", "PHOTON"),
    ("13.3.x-photon-scala2.12", "STANDARD", UP, "17.3.x-scala2.13", "PHOTON"),
    ("13.3.x-photon-scala2.12", "NULL", UP, "17.3.x-scala2.13", "PHOTON"),
    ("13.3.x-photon-scala2.12", "PHOTON", UP, "17.3.x-scala2.13", None),
    ("13.3.x-photon-aarch64-scala2.12", None, UP, "17.3.x-aarch64-scala2.13", "PHOTON"),
    ("13.3.x-aarch64-photon-scala2.12", None, UP, "17.3.x-aarch64-scala2.13", "PHOTON"),
    ("13.3.x-scala2.12", None, BARE, "17.3.x-scala2.13", None),
    ("13.3.x-scala2.12", None, TO_16, "16.4.x-scala2.12", None),  # the same Scala, if it is offered
    ("13.3.x-cpu-ml-scala2.12", None, TO_16, "16.4.x-cpu-ml-scala2.12", None),
    ("13.3.x-photon-scala2.12", None, TO_16, "16.4.x-scala2.12", "PHOTON"),
    ("13.3.x-scala2.12", None, TWO_SCALAS, "17.3.x-scala2.12", None),
    ("13.3.x-scala2.11", None, TEN_SCALAS, "17.3.x-scala2.13", None),  # 2.13 is newer than 2.9
    ("15.4.x-scala2.12", None, FROM_15, "17.3.x-scala2.13", None),
]

SKIPPED = [
    (None, UP, "no_runtime"),
    ("", UP, "no_runtime"),
    ("17.3.x-scala2.13", UP, "already_target"),
    ("17.3.x-photon-scala2.13", UP, "already_target"),
    ("17.3.x-hls-scala2.13", UP, "already_target"),
    ("15.4.x-scala2.12", UP, "other_runtime"),
    ("14.3.x-photon-scala2.12", UP, "other_runtime"),
    ("18.2.x-scala2.13", UP, "other_runtime"),
    ("1.3.x-scala2.12", UP, "other_runtime"),
    ("13.30.x-scala2.12", UP, "other_runtime"),
    ("13.3.x-scala2.12", FROM_15, "other_runtime"),
    ("10.4.x-esr-scala2.12", UP, "other_runtime"),
    ("13.3.x-hls-scala2.12", UP, "runtime_variant"),
    ("13.3.x-esr-scala2.12", UP, "runtime_variant"),
    ("13.3.x-cpu-scala2.12", UP, "runtime_variant"),
    ("13.3.x-snapshot-cpu-ml-scala2.12", UP, "runtime_variant"),
    ("13.3.x-photon-hls-scala2.12", UP, "runtime_variant"),
    ("13.3.x-gpu-ml-scala2.12", BARE, "runtime_not_offered"),
    ("13.3.x-aarch64-scala2.12", BARE, "runtime_not_offered"),
    ("13.3.x-scala2.12", EMPTY, "runtime_not_offered"),
    ("13.3.x-scala2.12", NEWER_ONLY, "runtime_not_offered"),
    ("13.3.x-gpu-ml-scala2.12", TO_16, "runtime_not_offered"),
    ("custom:release__13.3.x-snapshot-scala2.12__databricks", UP, "custom_image"),
    ("custom:snapshot__17.3", UP, "custom_image"),
    ("dlt:13.3.4-delta-pipelines-current", UP, "managed_pipeline"),
    ("apache-spark-3.4.x-scala2.12", UP, "runtime_unknown"),
    ("auto:latest-lts", UP, "runtime_unknown"),
    ("auto:latest-lts-ml", UP, "runtime_unknown"),
    ("13.x-scala2.12", UP, "runtime_unknown"),
    ("18.x-scala2.13", UP, "runtime_unknown"),
    ("latest-stable-scala2.12", UP, "runtime_unknown"),
    ("13.3", UP, "runtime_unknown"),
    ("13.3.x", UP, "runtime_unknown"),
    ("13.3.10-scala2.12", UP, "runtime_unknown"),
    ("13.3.x-scala", UP, "runtime_unknown"),
    ("13.3.x-scala2.12 ", UP, "runtime_unknown"),
    ("13.3.x--scala2.12", UP, "runtime_unknown"),
    ("13.3.x-Photon-scala2.12", UP, "runtime_unknown"),
    ("x" * 500, UP, "runtime_unknown"),
]


@pytest.mark.parametrize(("key", "engine", "upgrade", "wanted", "set_engine"), MAPPED)
def test_a_key_of_the_source_becomes_the_same_of_the_target(
    key: str, engine: str | None, upgrade: Upgrade, wanted: str, set_engine: str | None
) -> None:
    assert map_runtime(key, upgrade, engine) == Mapped(wanted, set_engine)


@pytest.mark.parametrize(("key", "upgrade", "code"), SKIPPED)
def test_anything_else_is_left_alone_with_a_reason(key: str | None, upgrade: Upgrade, code: str) -> None:
    skip = map_runtime(key, upgrade, None)
    assert isinstance(skip, Skip)
    assert skip.code == code
    assert skip.code in CODES
    assert skip.next_step.endswith(".")
    assert len(skip.sentence) < 200


@pytest.mark.parametrize(("key", "engine", "upgrade", "wanted", "set_engine"), MAPPED)
def test_what_is_wanted_is_always_offered_and_never_another_release(
    key: str, engine: str | None, upgrade: Upgrade, wanted: str, set_engine: str | None
) -> None:
    mapped = map_runtime(key, upgrade, engine)
    assert isinstance(mapped, Mapped)
    assert mapped.key in upgrade.versions
    assert release(mapped.key) == upgrade.target
    assert "photon" not in mapped.key


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("13.3.x-scala2.12", "13.3"),
        ("13.3.x-photon-scala2.12", "13.3"),
        ("17.3.x-gpu-ml-scala2.13", "17.3"),
        ("9.1.x-scala2.12", "9.1"),
        ("10.4.x-esr-scala2.12", "10.4"),
        ("18.x-scala2.13", None),
        ("custom:13.3.x-scala2.12", None),
        ("dlt:13.3", None),
        ("apache-spark-3.4.x-scala2.12", None),
        ("", None),
        (None, None),
    ],
)
def test_release(key: str | None, number: str | None) -> None:
    assert release(key) == number


def test_scala_and_what_people_are_shown() -> None:
    assert scala("13.3.x-cpu-ml-scala2.12") == "2.12"
    assert scala("custom:x") is None
    assert shown("17.3.x-cpu-ml-scala2.13") == "17.3"
    assert shown("custom:" + "y" * 99) == "custom:" + "y" * 16 + "…"
    assert shown(None) == "-"
