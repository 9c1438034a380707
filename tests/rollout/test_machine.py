"""Which machine types hold a target back, which are only told of, and what counts as moved by a change."""

import pytest

from rollout.machine import DEPRECATED, MISMATCH, NOT_OFFERED, Machine, Used, doubts, moved

USED = [Used("machine type", "m")]
X86 = {"arm": False, "gpus": 0, "photon": True}


@pytest.mark.parametrize(
    ("machine", "variant", "photon", "expected"),
    [
        (Machine(**X86), "", False, None),
        (Machine(**X86), "cpu-ml", True, None),
        (None, "", False, (NOT_OFFERED, True)),
        (Machine(**X86, unavailable=("NotAvailableInRegion",)), "", False, (NOT_OFFERED, True)),
        (Machine(**X86), "aarch64", False, (MISMATCH, True)),
        (Machine(arm=True, gpus=0), "aarch64", False, None),
        (Machine(arm=True, gpus=0), "", False, (MISMATCH, False)),
        (Machine(**X86), "gpu-ml", False, (MISMATCH, True)),
        (Machine(arm=False, gpus=1), "gpu-ml", False, None),
        (Machine(arm=False, gpus=1), "cpu-ml", False, (MISMATCH, False)),
        (Machine(arm=False, gpus=0, photon=False), "", True, (MISMATCH, False)),
        (Machine(arm=False, gpus=0, photon=False), "", False, None),
        (Machine(**X86, deprecated=True), "", False, (DEPRECATED, False)),
        (Machine(**X86, hidden=True), "", False, (DEPRECATED, False)),
        (Machine(), "aarch64", True, None),  # what the workspace does not say is no mismatch
        (Machine(), "gpu-ml", False, None),
    ],
)
def test_only_what_cannot_be_had_or_lacks_the_hardware_holds_a_target_back(
    machine: Machine | None, variant: str, photon: bool, expected: tuple[str, bool] | None
) -> None:
    found = doubts(USED, {"other": Machine(), **({"m": machine} if machine else {})}, variant, photon)
    assert [(d.code, d.holds) for d in found] == ([expected] if expected else [])
    assert all("machine type m" in d.sentence and d.next_step and f"({d.code})" in d.note for d in found)


def test_of_machine_types_that_are_not_known_nothing_is_said() -> None:
    assert doubts(USED, None, "gpu-ml") == []


def test_what_holds_comes_before_what_is_only_told() -> None:
    used = [Used("worker machine type", "old"), Used("driver machine type", "gone")]
    found = doubts(used, {"old": Machine(deprecated=True)}, "")
    assert [(d.code, d.sentence.split(" is ")[0]) for d in found] == [
        (NOT_OFFERED, "its driver machine type gone"),
        (DEPRECATED, "its worker machine type old"),
    ]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({}, {"a": 1}, None),
        ({"a": "SPOT", "b": 1}, {"a": "ON_DEMAND", "b": 1}, "a was SPOT before the change and is ON_DEMAND now:"),
        ({"a": "SPOT"}, {}, "a was SPOT before the change and is not set now:"),
        ({"b": 1, "a": 1}, {"a": 2, "b": 3}, "a was 1 before the change and is 2 now (and 1 more):"),
    ],
)
def test_only_what_was_there_before_counts_as_moved_and_both_values_are_named(
    before: dict[str, object], now: dict[str, object], said: str | None
) -> None:
    found = moved(before, now)
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(
    "machine",
    [Machine(), Machine(True, True, True, 2, False, ("x",)), Machine(arm=False, gpus=0, photon=True)],
)
def test_a_machine_type_is_read_as_it_was_stored(machine: Machine) -> None:
    assert Machine.from_json(machine.to_json()) == machine
