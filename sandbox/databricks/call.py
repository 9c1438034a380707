"""One request as the API families see it: query and body, with the type errors that the real service reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sandbox.databricks.errors import Json, invalid
from sandbox.databricks.workspace import Workspace


@dataclass(slots=True)
class Call:
    """Method, path, query (every value a list) and JSON body of a request."""

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    """What stands in the path where the route has `{name}`."""

    def text(self, name: str) -> str:
        """A query parameter, empty when missing."""
        return self.query[name][0] if name in self.query else ""

    def many(self, name: str) -> list[str]:
        """A repeated query parameter; commas separate values, too."""
        return [part for value in self.query.get(name, []) for part in value.split(",") if part]

    def flag(self, name: str) -> bool | None:
        """A boolean query parameter, None when missing."""
        value = self.text(name).lower()
        if value not in ("", "true", "false"):
            raise invalid(f"Could not parse '{value}' as a boolean for {name}")
        return None if value == "" else value == "true"

    def number(self, name: str, missing: int | None = None) -> int:
        """A whole number from the query or else the body; refused when there is none and no default."""
        value = self.query[name][0] if name in self.query else self.body.get(name)
        if value is None or value == "":
            if missing is None:
                raise invalid(f"Missing required field: {name}")
            return missing
        if isinstance(value, bool) or not str(value).lstrip("-").isdigit():
            raise invalid(f"Could not parse '{value}' as a number for {name}")
        return int(value)


Answer = Json | Awaitable[Json]
"""The JSON of an answer, at once or, where something must be waited for, later."""

Handler = Callable[[Workspace, Call], Answer]
"""Takes a request, changes or reads the workspace, returns the answer or raises ApiError."""

Routes = dict[tuple[str, str], Handler]
"""By method and path; `{name}` in a path stands for one part of it, `{name...}` at its end for the rest."""
