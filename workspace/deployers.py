"""Which tool changed jobs and clusters last, by the audit log of the platform (facts: databricks b 4).

A hint for people and no more. Nothing is claimed where the log cannot be read: the schema is not enabled or granted, no
SQL warehouse is running (none is started for this), or the workspace does not say its number.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from workspace.client import PRODUCT, Client
from workspace.errors import WorkspaceError

_AUDIT: Final = "system.access.audit"
_STATEMENTS: Final = "/api/2.0/sql/statements"
#: What a user agent contains, and how people call that tool. Bundles may use Terraform's provider: they come first.
_TOOLS: Final = (
    ("cmd/bundle", "a bundle"),
    ("pulumi", "Pulumi"),
    ("databricks-tf-provider", "Terraform"),
    ("terraform", "Terraform"),
)
_OBJECTS: Final = {"jobs": "job", "clusters": "cluster"}
_MOST: Final = 20_000
#: The newest change of each object that was not ours; then those of them that a tool made.
_SQL: Final = f"""
SELECT service_name, job_id, cluster_id, user_agent FROM (
    SELECT service_name, request_params.job_id AS job_id, request_params.cluster_id AS cluster_id, user_agent,
        row_number() OVER (
            PARTITION BY service_name, request_params.job_id, request_params.cluster_id ORDER BY event_time DESC
        ) AS place
    FROM {_AUDIT}
    WHERE workspace_id = :workspace AND event_date >= :since
        AND service_name IN ('jobs', 'clusters') AND action_name IN ('update', 'reset', 'edit')
        AND response.status_code = 200 AND user_agent NOT LIKE '{PRODUCT}/%'
) AS newest
WHERE place = 1 AND ({" OR ".join(f"lower(user_agent) LIKE '%{text}%'" for text, _ in _TOOLS)})
LIMIT {_MOST}
"""
#: How often, and how many machine seconds apart, a statement is asked for its result.
_TRIES, _APART = 30, 0.5


def deployers(client: Client, since: datetime) -> dict[str, str] | None:
    """``kind/id`` -> the tool that made the last change since then (calendar); None where the log cannot be read.

    Never raises for what the workspace answers.
    """
    try:
        number = client.number()
        if number is None:
            return None
        client.get(f"/api/2.1/unity-catalog/tables/{_AUDIT}")  # before a warehouse is troubled
        warehouse = _running(client)
        if warehouse is None:
            return None
        return dict(_named(_rows(client, warehouse, {"workspace": number, "since": f"{since:%Y-%m-%d}"})))
    except WorkspaceError:
        return None


def _running(client: Client) -> str | None:
    """A SQL warehouse that runs already."""
    for page in client.pages("/api/2.0/sql/warehouses", {}):
        for warehouse in page.get("warehouses") or ():
            if warehouse.get("state") == "RUNNING" and warehouse.get("id"):
                return str(warehouse["id"])
    return None


def _rows(client: Client, warehouse: str, values: Mapping[str, str]) -> Iterator[list[Any]]:
    types = {"workspace": "STRING", "since": "DATE"}
    given = [{"name": name, "value": value, "type": types[name]} for name, value in values.items()]
    # Not waited for within the call, whose time limit may be short.
    asked = {"warehouse_id": warehouse, "statement": _SQL, "parameters": given, "wait_timeout": "0s"}
    answer = client.ask(_STATEMENTS, asked)
    place = f"{_STATEMENTS}/{answer.get('statement_id')}"
    for _ in range(_TRIES):
        if _state(answer) not in ("PENDING", "RUNNING"):
            break
        time.sleep(_APART)
        answer = client.get(place)
    if _state(answer) in ("PENDING", "RUNNING"):
        client.ask(f"{place}/cancel", {})
        raise WorkspaceError("the audit log was not read in time")
    if _state(answer) != "SUCCEEDED":
        raise WorkspaceError("the audit log cannot be read")
    yield from (answer.get("result") or {}).get("data_array") or ()
    for index in range(1, int((answer.get("manifest") or {}).get("total_chunk_count") or 0)):
        yield from client.get(f"{place}/result/chunks/{index}").get("data_array") or ()


def _state(answer: Mapping[str, Any]) -> str:
    return str((answer.get("status") or {}).get("state"))


def _named(rows: Iterator[list[Any]]) -> Iterator[tuple[str, str]]:
    for service, job_id, cluster_id, agent in rows:
        kind, named = _OBJECTS.get(str(service)), job_id or cluster_id
        tool = next((name for text, name in _TOOLS if text in str(agent).lower()), None)
        if kind is not None and named and tool is not None:
            yield f"{kind}/{named}", tool
