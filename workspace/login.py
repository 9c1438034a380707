"""Logging in a service principal: its secret for a token, within a time limit.

The SDK can do this too, but asks for the token without any time limit and for the address of the token server for up to
five minutes, while every thread of the workspace waits. A write that was held up so long must not be sent any more.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import requests

from workspace.errors import Forbidden, Throttled, Unavailable, WorkspaceError
from workspace.sdk import Config, CredentialsStrategy

#: A token is renewed when less than this many machine seconds are left of it.
MARGIN: Final = 120.0


class ClientCredentials(CredentialsStrategy):
    """Machine-to-machine OAuth for ``Config``. Threads may share it; one of them asks, the others wait for it."""

    def __init__(self, client_id: str, client_secret: str, time_limit: float) -> None:
        self._client = (client_id, client_secret)
        self._timeout = time_limit / 2
        self._lock = threading.Lock()
        self._token_url: str | None = None
        self._headers: dict[str, str] = {}
        self._good_until = 0.0

    def auth_type(self) -> str:
        return "oauth-m2m"

    def __call__(self, cfg: Config) -> Callable[[], dict[str, str]]:
        discovery = f"{cfg.host}/oidc/.well-known/oauth-authorization-server"
        return lambda: self._current(cfg.discovery_url or discovery)

    def _current(self, discovery_url: str) -> dict[str, str]:
        """The header of a token that is good for a while. Raises Forbidden, Throttled or Unavailable."""
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._renew(discovery_url)
            return dict(self._headers)

    def _renew(self, discovery_url: str) -> None:
        if self._token_url is None:
            self._token_url = str(self._asked("GET", discovery_url).get("token_endpoint") or "")
        form = {"grant_type": "client_credentials", "scope": "all-apis"}
        answer = self._asked("POST", self._token_url, data=form, auth=self._client)
        try:
            kind, token = str(answer.get("token_type") or "Bearer"), str(answer["access_token"])
            lasts = float(answer["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise Unavailable("the token server gave an answer that cannot be read") from None
        self._headers = {"Authorization": f"{kind} {token}"}
        # Half of a short life: otherwise a token that lasts less than the margin would be asked for before each call.
        self._good_until = time.monotonic() + max(lasts - MARGIN, lasts / 2)

    def _asked(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        failed: WorkspaceError
        try:
            # An explicit ``auth`` keeps requests from taking one out of ~/.netrc.
            answer = requests.request(method, url, timeout=self._timeout, **{"auth": lambda r: r, **more})
            found = answer.json() if answer.ok else {}
            if answer.ok and isinstance(found, dict):
                return found
            failed = _refusal(answer)
        except requests.RequestException as err:
            failed = Unavailable(f"no answer from the token server ({type(err).__name__})")
        raise failed


def _refusal(answer: requests.Response) -> WorkspaceError:
    # Only the status: the text may repeat what was sent.
    if answer.status_code in (400, 401, 403):
        return Forbidden("the workspace did not accept the credentials")
    if answer.status_code == 429:
        return Throttled("the token server is asked too often", _seconds(answer.headers.get("Retry-After")))
    return Unavailable(f"the token server answered with status {answer.status_code}")


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdigit() else 1.0
