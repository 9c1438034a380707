"""What fields hold, and the three-way revert."""

from typing import Any

import pytest

from rollout.change import Change, FieldChange, FieldConflict, Holds, compare, three_way_revert

ONE = Change((FieldChange(("spark_version",), "13", "17"),), restarts=True, notes=("n",))
TWO = Change((FieldChange(("spark_version",), "13-photon", "17"), FieldChange(("runtime_engine",), None, "PHOTON")))


@pytest.mark.parametrize(
    ("change", "values", "holds"),
    [
        (ONE, ["13"], Holds.BEFORE),
        (ONE, ["17"], Holds.AFTER),
        (ONE, ["15"], Holds.OTHER),
        (ONE, [None], Holds.OTHER),
        (TWO, ["13-photon", None], Holds.BEFORE),
        (TWO, ["17", "PHOTON"], Holds.AFTER),
        (TWO, ["17", None], Holds.MIXED),
        (TWO, ["13-photon", "PHOTON"], Holds.MIXED),
        (TWO, ["17", "STANDARD"], Holds.OTHER),
        (TWO, ["15", "PHOTON"], Holds.OTHER),
        (TWO, ["15", None], Holds.OTHER),
        (TWO, [None, None], Holds.OTHER),
        (Change(()), [], Holds.AFTER),
    ],
)
def test_what_the_fields_hold(change: Change, values: list[Any], holds: Holds) -> None:
    assert compare(change, values) is holds


SPARK_BACK = FieldChange(("spark_version",), "17", "13-photon")
ENGINE_BACK = FieldChange(("runtime_engine",), "PHOTON", None)
SPARK_OTHER = FieldConflict(("spark_version",), "13-photon", "17", "15")
ENGINE_OTHER = FieldConflict(("runtime_engine",), None, "PHOTON", "STANDARD")


@pytest.mark.parametrize(
    ("values", "back", "conflicts"),
    [
        (["17", "PHOTON"], (SPARK_BACK, ENGINE_BACK), ()),
        (["13-photon", None], (), ()),
        (["17", None], (SPARK_BACK,), ()),
        (["13-photon", "PHOTON"], (ENGINE_BACK,), ()),
        (["15", "PHOTON"], (ENGINE_BACK,), (SPARK_OTHER,)),
        (["17", "STANDARD"], (SPARK_BACK,), (ENGINE_OTHER,)),
        (["15", "STANDARD"], (), (SPARK_OTHER, ENGINE_OTHER)),
        (["15", None], (), (SPARK_OTHER,)),
        ([None, "PHOTON"], (ENGINE_BACK,), (FieldConflict(("spark_version",), "13-photon", "17", None),)),
    ],
)
def test_only_what_still_holds_our_value_is_put_back(
    values: list[Any], back: tuple[FieldChange, ...], conflicts: tuple[FieldConflict, ...]
) -> None:
    revert = three_way_revert(TWO, values)
    assert (revert.change.fields if revert.change else ()) == back
    assert revert.conflicts == conflicts


def test_reverting_after_the_revert_finds_nothing_to_do() -> None:
    revert = three_way_revert(TWO, ["17", "PHOTON"])
    assert revert.change == TWO.inverse()
    assert three_way_revert(TWO, [f.after for f in revert.change.fields]).change is None


def test_a_value_too_few_is_a_mistake_and_no_answer() -> None:
    with pytest.raises(ValueError, match="2 fields, 1 values"):
        compare(TWO, ["17"])
    with pytest.raises(ValueError, match="2 fields, 3 values"):
        three_way_revert(TWO, ["17", None, None])


def test_a_change_survives_json_and_its_inverse_is_its_own_inverse() -> None:
    assert Change.from_json(ONE.to_json()) == ONE
    assert Change.from_json(TWO.to_json()) == TWO
    assert TWO.inverse().inverse() == TWO
    assert ONE.inverse().restarts is True
