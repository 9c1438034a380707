"""What is deployed from a repository: left alone with the edit that it needs, or changed all the same. Pure."""

from collections.abc import Sequence
from typing import Final

from rollout.about import BUNDLE, SYSTEM, TERRAFORM, Managed
from rollout.change import FieldChange, Skip
from rollout.pool import POOLS

_DEPLOYED: Final = {
    BUNDLE: ("managed_by_bundle", "It is deployed from a repository by a bundle"),
    TERRAFORM: ("managed_by_terraform", "It is deployed by Terraform"),
}


def proposed(managed: Managed, fields: Sequence[FieldChange]) -> Skip:
    """Why it is left alone, with the exact edit for its repository; ``fields`` may be empty where none can be given."""
    if managed.by == SYSTEM:
        return Skip(
            "managed_by_bundle",
            f"It is managed by the system ({managed.repository}) and may not be edited.",
            "Change it in the product that made it.",
        )
    code, sentence = _DEPLOYED.get(
        managed.by, ("managed_by_repository", f"Its tags say that it is deployed from {managed.repository}")
    )
    where = managed.repository or managed.where
    places = " and ".join(dict.fromkeys(text for text in (managed.repository, managed.where) if text))
    return Skip(
        code,
        f"{sentence}; the next deploy would write the old runtime back.",
        f"Change the runtime in that repository and deploy it{f' ({places})' if where else ''}.",
        tuple(fields),
    )


def of_repository(fields: Sequence[FieldChange]) -> tuple[FieldChange, ...]:
    """What a repository is asked for: the runtime. A pool of ours is not made for it, it may keep its own."""
    return tuple(f for f in fields if f.path[-1] not in POOLS)


def forced_note(managed: Managed) -> str:
    """What the next deploy does to a change that is made by API all the same."""
    return f"is deployed from {managed.named}, whose next deploy writes the old runtime back unless it is changed there"
