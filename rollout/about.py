"""What is known of a target besides its runtime: whose it is, what it uses, and where it is deployed from. Pure.

An object that comes out of a repository (a bundle, Terraform) is managed elsewhere: the next deploy writes back
whatever the repository says, so that a change belongs there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: (kind, id): what a target runs on, starts or is governed by. Kinds: cluster, job, pipeline, pool, policy.
Use = tuple[str, str]

BUNDLE: Final = "bundle"
TERRAFORM: Final = "terraform"
REPOSITORY: Final = "repository"  # its tags name one; by which tool it is deployed is not known
SYSTEM: Final = "system"  # made and kept by a product of Databricks: nobody may edit it

_REPOSITORY_TAGS: Final = ("repository", "repo", "git_repository", "git-repository")
_TOOL_TAGS: Final = ("managed_by", "managed-by", "managedby", "provisioner", "deployed_by", "deployed-by")
_TERRAFORM: Final = re.compile(r"terraform|opentofu|pulumi", re.IGNORECASE)
_BUNDLE: Final = re.compile(r"bundle|\bdabs?\b", re.IGNORECASE)
#: In the name of whoever made an object: what deploys, as whole words.
_DEPLOYERS: Final = re.compile(
    r"(?<![a-z])(?:(?P<terraform>terraform|opentofu|pulumi)"
    r"|github[-_]?actions?|gitlab|jenkins|azure[-_]?devops|circleci|bundle|deploy(?:er|ment)?|ci[-_]?cd|ci)(?![a-z])",
    re.IGNORECASE,
)
#: A service principal is named by its application id.
_APPLICATION_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BUNDLE_PATH: Final = re.compile(r"/\.bundle/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Managed:
    """Where an object is deployed from. ``repository`` is how people call it, empty where nothing names it."""

    by: str  # BUNDLE, TERRAFORM, REPOSITORY or SYSTEM
    repository: str = ""
    where: str = ""  # the metadata file of a bundle

    @property
    def named(self) -> str:
        """The repository, or words that stand for one that nothing names."""
        return self.repository or f"an unnamed repository ({self.by})"


@dataclass(frozen=True, slots=True)
class About:
    """``uses`` is sorted and without repeats; ``tags`` are as they were written."""

    creator: str | None = None
    run_as: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[Use, ...] = ()
    managed: Managed | None = None

    @property
    def hint(self) -> str | None:
        """What speaks for a deployment of an object that says of itself nothing of the kind; never more than a hint."""
        return None if self.managed is not None else perhaps_managed(self.creator)

    def to_json(self) -> dict[str, Any]:
        """As it is stored; where it is deployed from is stored beside it."""
        return {
            **({"hint": self.hint} if self.hint else {}),
            "creator": self.creator,
            "run_as": self.run_as,
            "tags": dict(self.tags),
            "uses": [list(use) for use in self.uses],
        }


def managed(
    tags: Mapping[str, str], deployment: Mapping[str, Any] | None = None, edit_mode: str | None = None
) -> Managed | None:
    """Where an object is deployed from, by what it says of itself; None where nothing speaks for it.

    A deployment says it outright. A locked UI is set by bundles only. Of tags, one that names a repository or a tool is
    taken at its word: to write by API what a repository owns is the worse mistake.
    """
    lowered = {key.lower(): value.strip() for key, value in tags.items()}
    repository = _without_login(next((lowered[key] for key in _REPOSITORY_TAGS if lowered.get(key)), ""))
    kind = (deployment or {}).get("kind")
    where = str((deployment or {}).get("metadata_file_path") or "")
    if kind == "BUNDLE":
        return Managed(BUNDLE, repository or _bundle_of(where), where)
    if kind:
        return Managed(SYSTEM, str(kind))
    tool = next((lowered[key] for key in _TOOL_TAGS if lowered.get(key)), "")
    if _TERRAFORM.search(tool) or any(_TERRAFORM.fullmatch(key) and _yes(value) for key, value in lowered.items()):
        return Managed(TERRAFORM, repository)
    if _BUNDLE.search(tool) or edit_mode == "UI_LOCKED":
        return Managed(BUNDLE, repository)
    return Managed(REPOSITORY, repository) if repository else None


def perhaps_managed(creator: str | None) -> str | None:
    """What the name of whoever made an object says of how it got there, as the end of "perhaps managed by"; None where
    it says nothing. A person may have used that name by hand, so that it never makes an object managed.
    """
    name = (creator or "").partition("@")[0]
    found = _DEPLOYERS.search(name)
    if found is not None:
        return f"{'Terraform' if found['terraform'] else 'a deployment'}: {creator} made it"
    if _APPLICATION_ID.fullmatch(name):
        return f"a deployment: the service principal {name} made it"
    return None


def _without_login(address: str) -> str:
    """An address without the name, password or token that stands in it: the rest is shown to everybody."""
    return re.sub(r"(?<=://)[^/@\s]*@|[?#].*$", "", address)


def _yes(value: str) -> bool:
    return value.lower() not in {"false", "no", "0", "none"}


def _bundle_of(where: str) -> str:
    """How people call a bundle, from the path of its metadata: ``bundle marketing``."""
    found = _BUNDLE_PATH.search(where)
    return f"bundle {found[1]}" if found else where
