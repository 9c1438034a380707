"""Instance pools: what is decided of one, and how a pool is named that is not made yet. Pure (facts: databricks a5).

The runtime that a pool has loaded cannot be changed, so a new pool stands in for it. Its id is known only once it is
made; until then it is named by a token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: The fields of compute that name a pool.
POOLS: Final = ("instance_pool_id", "driver_instance_pool_id")
#: With the id of a pool behind it: its stand-in, whose id is not known yet.
TOKEN: Final = "new-pool-for:"
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool of a workspace.

    ``loads`` is the runtime key that its stand-in has loaded, empty where it needs none; ``stand_in`` the id of the one
    that was made; ``code`` and ``held`` say (as the end of a sentence) why none is made although it would be good.
    ``machine`` is the type of its machines, empty where it is not known.
    """

    name: str
    loads: str = ""
    new_name: str = ""
    stand_in: str | None = None
    code: str = ""
    held: str = ""
    machine: str = ""

    @property
    def replaced(self) -> bool:
        """Whether what moves to the new runtime moves to a stand-in as well."""
        return bool(self.loads) and not self.code

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "loads": self.loads,
            "new_name": self.new_name,
            "stand_in": self.stand_in,
            "code": self.code,
            "held": self.held,
            "machine": self.machine,
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Pool":
        known = {name: raw[name] for name in ("name", "loads", "new_name", "stand_in", "code", "held")}
        return Pool(**known, machine=raw.get("machine", ""))


def new_name(name: str, release: str) -> str:
    """How the stand-in of a pool is called."""
    suffix = f"-{release}"
    return f"{name[: _LONGEST_NAME - len(suffix)]}{suffix}"


def token(pool_id: str) -> str:
    """What stands for the id of the stand-in of a pool until it is known."""
    return f"{TOKEN}{pool_id}"


def is_token(value: object) -> bool:
    """Whether ``value`` stands for a pool that is not made yet."""
    return isinstance(value, str) and value.startswith(TOKEN)
