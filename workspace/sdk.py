"""What we use of the Databricks SDK, without the rest: its client, its configuration, its errors.

The SDK's package imports the types of every service there is (most of the time and memory that the bot took to start),
and we send and read raw JSON. So the package is entered without running its ``__init__``; whoever asks it for one of
those types (`from databricks.sdk import WorkspaceClient`) still gets it, and waits for it then.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final

_PACKAGE: Final = "databricks.sdk"


class _Late(ModuleType):
    """A package whose ``__init__`` runs when the first thing is wanted that only it has."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(name)
        if importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            return importlib.import_module(f"{self.__name__}.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary package from here on
        spec.loader.exec_module(self)
        return getattr(self, name)


def _enter() -> None:
    spec = importlib.util.find_spec(_PACKAGE)
    if _PACKAGE in sys.modules or spec is None:
        return
    package = importlib.util.module_from_spec(spec)
    package.__class__ = _Late
    sys.modules[_PACKAGE] = package
    parent, _, name = _PACKAGE.rpartition(".")
    setattr(sys.modules[parent], name, package)


_enter()

from databricks.sdk.clock import Clock  # noqa: E402
from databricks.sdk.core import ApiClient, Config  # noqa: E402
from databricks.sdk.credentials_provider import CredentialsStrategy  # noqa: E402
from databricks.sdk.errors import platform  # noqa: E402
from databricks.sdk.errors.base import DatabricksError  # noqa: E402

#: The attributes of a configuration that must not be shown. The SDK gathers all attributes from the class that is asked
#: for them first: it must be the class that has them, and not one that is derived from it.
SENSITIVE: Final = frozenset(a.name for a in Config.attributes() if a.sensitive)

__all__ = ["SENSITIVE", "ApiClient", "Clock", "Config", "CredentialsStrategy", "DatabricksError", "platform"]
