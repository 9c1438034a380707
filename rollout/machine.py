"""Machine types: what a workspace says of one, and what that means for a change. Pure.

A change leaves machine types and spot settings as they are. Whether the new runtime gets its machines is asked before
the start: what restarts on a machine that is not to be had any more does not come up again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Fields of compute that a change leaves as they are: what it runs on, and how much of that is spot.
KEPT: Final = (
    ("node_type_id",),
    ("driver_node_type_id",),
    ("aws_attributes", "availability"),
    ("aws_attributes", "first_on_demand"),
    ("aws_attributes", "spot_bid_price_percent"),
    ("azure_attributes", "availability"),
    ("azure_attributes", "first_on_demand"),
    ("azure_attributes", "spot_bid_max_price"),
    ("gcp_attributes", "availability"),
    ("gcp_attributes", "first_on_demand"),
    ("gcp_attributes", "use_preemptible_executors"),
)
NOT_OFFERED: Final = "machine_not_offered"
MISMATCH: Final = "machine_mismatch"
DEPRECATED: Final = "machine_deprecated"
#: All reason codes of this module that a plan may name.
CODES: Final = (NOT_OFFERED, MISMATCH, DEPRECATED)
_SHOWN: Final = 40
_ABSENT: Final = "not set"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a workspace says of one machine type; None where it does not say.

    ``unavailable`` are the reasons why its cloud does not provide it there. ``photon`` is False where workers or
    drivers of this type cannot run Photon.
    """

    deprecated: bool = False
    hidden: bool = False
    arm: bool | None = None
    gpus: int | None = None
    photon: bool | None = None
    unavailable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is stored: a workspace lists hundreds, so only what is said and not usual."""
        said: dict[str, Any] = {"deprecated": self.deprecated or None, "hidden": self.hidden or None, "arm": self.arm}
        said |= {"gpus": self.gpus, "photon": self.photon, "unavailable": list(self.unavailable) or None}
        return {name: value for name, value in said.items() if value is not None}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Machine":
        return Machine(
            bool(raw.get("deprecated")),
            bool(raw.get("hidden")),
            raw.get("arm"),
            raw.get("gpus"),
            raw.get("photon"),
            tuple(raw.get("unavailable", ())),
        )


@dataclass(frozen=True, slots=True)
class Used:
    """One machine type of a target, and as what people know it: ``worker machine type``, ``... of its pool warm``."""

    title: str
    machine_type: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against a machine type. ``holds``: the target is left alone; else people are told before the start.

    ``sentence`` says it of the target without a full stop, beginning with "its".
    """

    code: str
    sentence: str
    next_step: str
    holds: bool

    @property
    def note(self) -> str:
        """As a note on a change."""
        return f"{self.sentence} ({self.code}): {self.next_step}"


def doubts(
    used: Sequence[Used], machines: Mapping[str, Machine] | None, variant: str, photon: bool = False
) -> list[Doubt]:
    """What speaks against the machines of a target for a runtime of that variant (empty, ``cpu-ml``, ``gpu-ml``,
    ``aarch64``), those first that hold it back.

    ``machines`` are those of its workspace by type; None: not known, and then nothing is said of any. Held back is what
    the workspace does not list or cannot get, since nobody knows whether it comes up again, and a runtime for hardware
    that the machine lacks. What runs all the same today is only told.
    """
    if machines is None:
        return []
    found = [doubt for one in used for doubt in _of(one, machines.get(one.machine_type), variant, photon)]
    return sorted(found, key=lambda doubt: not doubt.holds)


def _of(used: Used, machine: Machine | None, variant: str, photon: bool) -> list[Doubt]:
    named = f"its {used.title} {used.machine_type}"
    another = "choose another machine type there, then look again"
    if machine is None:
        return [Doubt(NOT_OFFERED, f"{named} is not in the workspace's list of machine types", another, True)]
    if machine.unavailable:
        said = " and ".join(machine.unavailable)
        return [Doubt(NOT_OFFERED, f"{named} is not to be had there, says the workspace ({said})", another, True)]
    found = _fitting(named, machine, variant, photon)
    later = "choose another one before it goes away"
    if machine.deprecated:
        found.append(Doubt(DEPRECATED, f"{named} is deprecated", later, False))
    elif machine.hidden:
        found.append(Doubt(DEPRECATED, f"{named} is no longer shown for choice", later, False))
    return found


def _fitting(named: str, machine: Machine, variant: str, photon: bool) -> list[Doubt]:
    """What of hardware and runtime does not fit: what the machine lacks holds, what is only unusual is told."""
    found: list[Doubt] = []
    fitting = "choose a machine type and a runtime that fit each other, then look again"
    if variant == "aarch64" and machine.arm is False:
        found.append(Doubt(MISMATCH, f"{named} is no ARM machine, and its runtime is for ARM", fitting, True))
    if variant == "gpu-ml" and machine.gpus == 0:
        found.append(Doubt(MISMATCH, f"{named} has no GPU, and its runtime is for GPUs", fitting, True))
    watch = "watch its first start on the new runtime"
    if variant != "aarch64" and machine.arm:
        found.append(Doubt(MISMATCH, f"{named} is an ARM machine, and its runtime does not say so", watch, False))
    if variant != "gpu-ml" and machine.gpus:
        found.append(Doubt(MISMATCH, f"{named} has a GPU, and its runtime is not for GPUs", watch, False))
    if photon and machine.photon is False:
        found.append(Doubt(MISMATCH, f"{named} cannot run Photon, says the workspace, and it is set", watch, False))
    return found


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """That what a change leaves as it is (by name) is not as before, as a sentence with both values; None if it is.

    Only what was there before counts: the platform fills in more by itself.
    """
    other = [name for name in sorted(before) if now.get(name) != before[name]]
    if not other:
        return None
    first = other[0]
    more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
    return (
        f"The runtime is the new one, but {first} was {_shown(before[first])} before the change and is "
        f"{_shown(now.get(first))} now{more}: somebody or something changed it along the way."
    )


def _shown(value: Any) -> str:
    text = _ABSENT if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
