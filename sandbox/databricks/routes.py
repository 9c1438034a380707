"""Finds the handler of a request by its method and path; see `call.Routes` for how paths are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sandbox.databricks.call import Call, Handler, Routes

_NAME = re.compile(r"\\\{(\w+)(\\\.\\\.\\\.)?\\\}")


class Router:
    """Plain paths are looked up, those with names are tried in the order in which they were given."""

    def __init__(self, families: Iterable[Routes]) -> None:
        """Raises ValueError when two families claim the same method and path."""
        self._plain: Routes = {}
        self._named: list[tuple[str, re.Pattern[str], Handler]] = []
        self._known: list[tuple[str, str]] = []
        for routes in families:
            for (method, path), handler in routes.items():
                if (method, path) in self._known:
                    raise ValueError(f"{method} {path} is modelled twice")
                self._known.append((method, path))
                if "{" in path:
                    self._named.append((method, _pattern(path), handler))
                else:
                    self._plain[method, path] = handler

    def find(self, call: Call) -> Handler | None:
        """The handler of a request, its names filled in; None where nothing of the kind is modelled."""
        handler = self._plain.get((call.method, call.path))
        if handler is not None:
            return handler
        for method, pattern, candidate in self._named:
            if method == call.method and (found := pattern.fullmatch(call.path)):
                call.named = found.groupdict()
                return candidate
        return None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every method and path that is modelled."""
        return iter(self._known)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAME.sub(lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(path)))
