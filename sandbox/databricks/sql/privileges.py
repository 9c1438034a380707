"""Who may do what in the catalog: privileges granted on a thing, and those that come down from above it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

Grants = Mapping[str, Mapping[str, Collection[str]]]
"""By `TABLE a.b.c`, `SCHEMA a.b`, `CATALOG a`..., then by principal."""

INHERITED = {
    "CATALOG": {"USE_CATALOG"},
    "SCHEMA": {"USE_SCHEMA", "CREATE_TABLE", "CREATE_MATERIALIZED_VIEW", "CREATE_FUNCTION", "CREATE_VOLUME"},
    "TABLE": {"SELECT", "MODIFY", "MANAGE", "APPLY_TAG", "REFRESH"},
}
"""What a privilege must be about to reach a thing of this kind from above; ALL_PRIVILEGES and MANAGE always do."""


def chain(kind: str, name: str) -> list[tuple[str, str]]:
    """The thing and what it lies in, e.g. TABLE a.b.c, SCHEMA a.b, CATALOG a."""
    if kind == "TABLE":
        catalog, schema, _ = name.split(".", 2)
        return [(kind, name), ("SCHEMA", f"{catalog}.{schema}"), ("CATALOG", catalog)]
    if kind == "SCHEMA":
        return [(kind, name), ("CATALOG", name.split(".", 1)[0])]
    return [(kind, name)]


def effective(grants: Grants, kind: str, name: str) -> Iterator[tuple[str, str, str, str]]:
    """Principal, privilege, and kind and name of where it is granted, for all that reaches the thing."""
    for depth, (above, place) in enumerate(chain(kind, name)):
        for principal, privileges in grants.get(f"{above} {place}", {}).items():
            for privilege in privileges:
                if depth == 0 or privilege in INHERITED.get(kind, ()) or privilege in ("ALL_PRIVILEGES", "MANAGE"):
                    yield principal, privilege, above, place


def holds(grants: Grants, principals: Collection[str], privilege: str, kind: str, name: str) -> bool:
    """Whether one of these principals has the privilege on the thing, by itself or from above."""
    return any(
        principal in principals and found in (privilege, "ALL_PRIVILEGES")
        for principal, found, _, _ in effective(grants, kind, name)
    )
