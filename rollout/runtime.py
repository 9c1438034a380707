"""From one runtime key to the other: pure, and never by replacing text (facts: databricks a1).

A key is ``<major>.<minor>.x-[variant-]scala<version>``, such as ``13.3.x-cpu-ml-scala2.12``. The wanted key is built
from its parts and must be in the workspace's own list; "latest" is never chosen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rollout.change import Skip, Upgrade

PHOTON: Final = "PHOTON"

_KEY = re.compile(
    r"(?P<major>[1-9]\d?)\.(?P<minor>\d{1,2})\.x-(?:(?P<variant>[a-z0-9]+(?:-[a-z0-9]+)*)-)?scala(?P<scala>\d\.\d{1,2})"
)
_FLOATING = re.compile(r"auto:|latest|^\d+\.x-")
#: Variants that the newer releases have too. Photon is no longer a variant but a setting of its own.
_KNOWN_VARIANTS: Final = frozenset({"", "cpu-ml", "gpu-ml", "aarch64"})


@dataclass(frozen=True, slots=True)
class Mapped:
    """The wanted runtime key, and the ``runtime_engine`` that must be set with it (None: leave it as it is)."""

    key: str
    runtime_engine: str | None = None


@lru_cache(maxsize=1024)  # thousands of targets share a few keys
def _read(key: str) -> re.Match[str] | None:
    return _KEY.fullmatch(key)


def release(key: str | None) -> str | None:
    """The release that a runtime key names, such as ``13.3``; None if it names none or cannot be read."""
    match = _read(key) if key else None
    return f"{match['major']}.{match['minor']}" if match else None


def scala(key: str | None) -> str | None:
    """The Scala version of a runtime key, such as ``2.12``; None if the key cannot be read."""
    match = _read(key) if key else None
    return match["scala"] if match else None


def variant(key: str | None) -> str | None:
    """The variant of a runtime key, such as ``gpu-ml``, without Photon; None if the key cannot be read."""
    match = _read(key) if key else None
    return _plain(match["variant"]) if match else None


def shown(key: str | None) -> str:
    """A runtime key as people are shown it: its release, else the key shortened, else ``-``."""
    text = release(key) or key or "-"
    return text if len(text) <= 24 else text[:23] + "…"


def map_runtime(key: str | None, upgrade: Upgrade, runtime_engine: str | None = None) -> Mapped | Skip:
    """What ``key`` becomes in ``upgrade``, or why it is left alone.

    ``runtime_engine`` is the present setting beside the key. The legacy ``-photon-`` infix becomes the engine PHOTON,
    because Databricks refuses both together and dropping the infix alone would silently turn Photon off.
    """
    if not key:
        return Skip(
            "no_runtime", "It names no runtime of its own.", "Look at the policy or the parent it takes it from."
        )
    match = _read(key)
    if match is None:
        return _unreadable(key)
    found = f"{match['major']}.{match['minor']}"
    if found == upgrade.target:
        return Skip("already_target", f"It is on {upgrade.target} already.", "Nothing to do.")
    if found != upgrade.source:
        return Skip(
            "other_runtime",
            f"It is on {found}; this rollout moves {upgrade.source} to {upgrade.target}.",
            f"Move it to {upgrade.source} or {upgrade.target} by hand, or plan a rollout of its own.",
        )
    photon = "photon" in (match["variant"] or "").split("-")
    kind = _plain(match["variant"])
    if kind not in _KNOWN_VARIANTS:
        return Skip(
            "runtime_variant",
            f"{key} is a variant that has no known counterpart in {upgrade.target}.",
            "Choose the new runtime by hand.",
        )
    wanted = _offered(kind, match["scala"], upgrade)
    if wanted is None:
        infix = f"{kind}-" if kind else ""
        return Skip(
            "runtime_not_offered",
            f"The workspace does not list {upgrade.target}.x-{infix}scala….",
            "Ask the workspace's administrators whether this runtime is available there.",
        )
    return Mapped(wanted, PHOTON if photon and runtime_engine != PHOTON else None)


def _plain(found: str | None) -> str:
    """A variant without Photon, which is a setting of its own."""
    return "-".join(part for part in (found or "").split("-") if part != "photon")


def _offered(kind: str, scala_version: str, upgrade: Upgrade) -> str | None:
    """The offered key of the target release with this variant: the same Scala if there is one, else the newest."""
    keys = _by_scala(kind, upgrade.target, upgrade.versions)
    same = tuple(int(n) for n in scala_version.split("."))
    return keys.get(same) or (keys[max(keys)] if keys else None)


@lru_cache(maxsize=256)  # a workspace's list is the same for all of its targets
def _by_scala(kind: str, target: str, versions: frozenset[str]) -> Mapping[tuple[int, ...], str]:
    keys: dict[tuple[int, ...], str] = {}
    for key in versions:
        match = _read(key)
        if match and f"{match['major']}.{match['minor']}" == target and (match["variant"] or "") == kind:
            keys[tuple(int(n) for n in match["scala"].split("."))] = key
    return keys


def _unreadable(key: str) -> Skip:
    if key.startswith("custom:"):
        return Skip(
            "custom_image",
            "It runs a runtime image that was made for this workspace.",
            "Ask Databricks for an image of the new release, then change it by hand.",
        )
    if key.startswith("dlt:"):
        return Skip(
            "managed_pipeline",
            "Its runtime is chosen by a pipeline.",
            "Nothing to do here: the pipeline's channel decides.",
        )
    if _FLOATING.search(key):
        return Skip(
            "runtime_unknown",
            f"{key[:60]} does not name one release.",
            "Write the exact runtime key there, then look again.",
        )
    return Skip("runtime_unknown", f"The runtime key {key[:60]} cannot be read.", "Choose the new runtime by hand.")
