"""What differs between two recorded ends. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 160
#: The platform names a pool that is made by the time and by chance: that is no difference.
_MADE_POOL = re.compile(r"\d{4}-\d{6}-pool-[a-z0-9]{8}")


def named_alike(found: Any) -> Any:
    """The same JSON in which the pools that the engine made are numbered in the order in which they were made."""
    text = json.dumps(found)
    for number, name in enumerate(sorted(set(_MADE_POOL.findall(text))), 1):
        text = text.replace(name, f"(new pool {number})")
    return json.loads(text)


def differences(wanted: Any, found: Any, where: str = "") -> Iterator[str]:
    """One line for each place in which ``found`` is not ``wanted``; both are JSON."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in sorted({*wanted, *found}):
            yield from differences(wanted.get(key), found.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif wanted != found:
        yield f"{where}: {_short(wanted)} is {_short(found)}"


def repeats(undisturbed: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """What was done more often than in the undisturbed run, and what less often."""
    return [
        f"{what}: {found.get(what, 0)} times, undisturbed {undisturbed.get(what, 0)}"
        for what in sorted({*undisturbed, *found})
        if found.get(what, 0) != undisturbed.get(what, 0)
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
