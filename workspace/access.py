"""How one workspace is reached: host and credentials, from the settings or from a profile of the Databricks CLI.

The SDK would also fill what is missing from the environment (``DATABRICKS_HOST``, ``DATABRICKS_TOKEN``, ...). With
several workspaces in one process that could send one workspace's write to another, so everything is given explicitly.
"""

import configparser
import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rollout.location import normal_host

PROFILE_FILE: Final = "~/.databrickscfg"
#: What the client decides itself, whatever a profile says.
_OURS: Final = frozenset({"http_timeout_seconds", "retry_timeout_seconds", "debug_headers", "debug_truncate_bytes"})


@dataclass(frozen=True, slots=True)
class Access:
    """The host of a workspace and the SDK's configuration attributes that log in to it. Never shown: it has secrets."""

    host: str
    attributes: dict[str, str] = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear anywhere."""
        from workspace.sdk import SENSITIVE  # it takes half a second, and whoever only checks settings needs no secrets

        return tuple(v for k, v in self.attributes.items() if k in SENSITIVE and len(v) >= 4)


def access(
    host: str | None = None,
    token: str | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
    profile: str | None = None,
    profile_file: str | None = None,
) -> Access:
    """Exactly one of: host + token, host + client_id + client_secret, profile.

    A host without a scheme is reached by https. Reads the profile's file, and nothing from the network. Raises
    ValueError, in words without secrets, if the parts do not fit together, or the profile is not there.
    """
    by_token = token is not None
    by_client = client_id is not None or client_secret is not None
    if profile is not None:
        if by_token or by_client:
            raise ValueError("a profile brings its own credentials: give it alone")
        return _of_profile(profile, profile_file, host)
    if not host:
        raise ValueError("the host is missing")
    if by_token == by_client:
        raise ValueError("give either a token, or a client id and a client secret")
    if token is not None:
        if not token:
            raise ValueError("the token is empty")
        return Access(_address(host), {"token": token, "auth_type": "pat"})
    if not client_id or not client_secret:
        raise ValueError("a client id and a client secret belong together")
    attributes = {"client_id": client_id, "client_secret": client_secret, "auth_type": "oauth-m2m"}
    return Access(_address(host), attributes)


def _address(host: str) -> str:
    """The host as the SDK takes it. Raises ValueError if credentials would go to another machine in plain text."""
    found = normal_host(host)
    if found.startswith("http://") and not _is_here(urlsplit(found).hostname or ""):
        raise ValueError("http:// would send the credentials in plain text: the host begins with https://")
    return found


def _is_here(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _of_profile(profile: str, profile_file: str | None, host: str | None) -> Access:
    path = Path(profile_file or os.environ.get("DATABRICKS_CONFIG_FILE") or PROFILE_FILE).expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, configparser.Error, UnicodeDecodeError) as err:
        # The text of a parser's error quotes the line, which may be a token.
        raise ValueError(f"the profile file cannot be read ({type(err).__name__})") from None
    if profile == "DEFAULT":
        values = dict(parser.defaults())
    elif parser.has_section(profile):
        values = {k: v for k, v in parser.items(profile) if k not in parser.defaults() or v != parser.defaults()[k]}
    else:
        raise ValueError(f"there is no profile {profile!r}")
    if not values.get("host"):
        raise ValueError(f"the profile {profile!r} names no host")
    found = _address(values.pop("host"))
    for ours in _OURS & values.keys():
        del values[ours]
    if host is not None and _address(host) != found:
        raise ValueError(f"the profile {profile!r} is for another host")
    if "auth_type" not in values:
        if "token" in values:
            values["auth_type"] = "pat"
        elif "client_id" in values and "client_secret" in values:
            values["auth_type"] = "oauth-m2m"
    return Access(found, values)
