"""Addresses in a workspace: what people paste, and what we show them. Pure."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_CLUSTER = re.compile(r"(?:^|/)(?:compute|setting|settings)?/?clusters/([0-9]{4}-[0-9]{6}-[A-Za-z0-9]+)(?=$|[/?&#])")
_JOB = re.compile(r"(?:^|/)(?:jobs?)/([1-9][0-9]{0,18})(?=$|[/?&#])")


class Location(NamedTuple):
    """One target by its address: the workspace's host (see ``normal_host``), the kind and the id."""

    host: str
    kind: str
    object_id: str


def normal_host(host: str) -> str:
    """The host as it can be compared: scheme and name in lower case, no path, no default port.

    ``adb-1.2.azuredatabricks.net/`` and ``https://ADB-1.2.azuredatabricks.net:443`` are the same host. Raises
    ValueError if there is no name in it.
    """
    parts = urlsplit(host.strip() if "://" in host else f"https://{host.strip()}")
    if not parts.hostname or parts.scheme.lower() not in {"http", "https"}:
        raise ValueError("not the address of a workspace")
    scheme = parts.scheme.lower()
    default = 443 if scheme == "https" else 80
    port = f":{parts.port}" if parts.port not in (None, default) else ""
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{name.lower()}{port}"


def find_id(url: str) -> Location | None:
    """The target that a pasted address of a cluster or job page names; None if it is not such an address.

    Understands today's paths (``/compute/clusters/ID``, ``/jobs/ID/runs/1``), the older fragments
    (``/?o=1#setting/clusters/ID/configuration``, ``#job/ID/run/1``) and Slack's ``<address|label>``.
    """
    text = url.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].partition("|")[0]
    if not re.match(r"https?://", text, re.IGNORECASE):
        return None
    try:
        parts = urlsplit(text.replace("&amp;", "&"))
        host = normal_host(text)
    except ValueError:
        return None
    for place in (parts.path, parts.fragment):
        if found := _CLUSTER.search(place):
            return Location(host, "cluster", found[1])
        if found := _JOB.search(place):
            return Location(host, "job", found[1])
    return None


def cluster_url(host: str, cluster_id: str) -> str:
    """The page of a cluster."""
    return f"{host}/compute/clusters/{cluster_id}"


def policy_url(host: str, policy_id: str) -> str:
    """The page of a cluster policy."""
    return f"{host}/compute/policies/view/{policy_id}"


def pool_url(host: str, pool_id: str) -> str:
    """The page of an instance pool."""
    return f"{host}/compute/instance-pools/{pool_id}"


def job_url(host: str, job_id: str) -> str:
    """The page of a job."""
    return f"{host}/jobs/{job_id}"
