"""One workspace as the engine sees it: reads that may be repeated, and writes that are sent exactly once."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from workspace.access import Access
from workspace.errors import Forbidden, Incomplete, ReadOnly, Throttled, Unavailable, WorkspaceError, meaning
from workspace.login import ClientCredentials
from workspace.sdk import ApiClient, Clock, Config

Json = dict[str, Any]

#: How long a read may go on repeating itself, in machine seconds.
READ_BUDGET: Final = 20.0
#: How long a write may take to get ready (log in) before it is not sent at all.
PREPARE_LIMIT: Final = 5.0
#: More pages than any sound listing has: a listing that never ends must not hold a worker forever.
MOST_PAGES: Final = 1000
_CONNECTIONS: Final = 64
_NUMBER: Final = "X-Databricks-Workspace-Id"
#: How we are called in the user agent.
PRODUCT: Final = "rollout-bot"
#: What a client that may only look sends by POST: questions that are too long for an address.
ASKING: Final = frozenset({"/api/2.1/clusters/events"})


class _Stop(Exception):
    """The SDK wanted to wait and try again, and may not."""


class _Patience(Clock):
    """The clock of the SDK. Its ``sleep`` raises when the calling thread's patience is used up.

    The SDK repeats every request that it thinks worth repeating, POSTs after lost answers too, and always sleeps
    between two attempts. Without patience there is no sleep, therefore no second attempt: a write is sent once.
    """

    def __init__(self) -> None:
        self._until = threading.local()

    def grant(self, seconds: float) -> None:
        """From now on this thread may sleep until ``seconds`` have passed; 0: not at all."""
        self._until.value = self.time() + seconds if seconds > 0 else 0.0

    def time(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        # The SDK sleeps while it handles the error. Being throttled is the business of everyone who calls.
        handled = sys.exception()
        if handled is not None and isinstance(meaning(handled, writing=False), Throttled):
            raise _Stop
        if self.time() + seconds > getattr(self._until, "value", 0.0):
            raise _Stop
        time.sleep(seconds)


class _Explicit(Config):
    """A configuration that takes nothing from the environment: there it could only be another workspace's."""

    def _load_from_env(self) -> None:
        pass


class Client:
    """One workspace. Threads may share it; it connects at the first call.

    ``time_limit``: the machine seconds that one HTTP exchange may take, half of it to connect and half of it to wait
    for the answer. A write needs at most ``PREPARE_LIMIT`` more to log in before it is sent.
    ``permit`` is called before each call with the most machine seconds that it may wait; it returns when the call may
    be sent, or raises Held. ``throttled`` is told of each answer that there were too many calls, with the seconds that
    it asks for. Both are the engine's token bucket.
    ``read_only``: every write, and every POST that is not in ``ASKING``, raises ReadOnly before anything is sent.
    """

    def __init__(
        self,
        access: Access,
        *,
        time_limit: float = 30.0,
        read_budget: float = READ_BUDGET,
        permit: Callable[[float], None] | None = None,
        throttled: Callable[[float], None] | None = None,
        read_only: bool = False,
    ) -> None:
        self.host: Final = access.host
        self.time_limit: Final = time_limit
        self.read_only: Final = read_only
        self._access = access
        self._read_budget = read_budget
        self._permit, self._throttled = permit, throttled
        self._patience = _Patience()
        self._lock = threading.Lock()
        self._config: Config | None = None
        self._api: ApiClient | None = None
        self._calls = 0

    def __repr__(self) -> str:
        return f"Client({self.host!r})"

    @property
    def write_limit(self) -> float:
        """The machine seconds after which a ``write`` is no longer under way: what a lease must have left."""
        return PREPARE_LIMIT + self.time_limit

    @property
    def calls(self) -> int:
        """How many calls were made; what was repeated within one read counts once."""
        return self._calls

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Json:
        """GET ``path``: raw JSON. Repeated for up to the read budget, as long as Retry-After says.

        Raises every WorkspaceError except Busy and OutcomeUnknown.
        """
        return self._do("GET", path, query=dict(query or {}))

    def ask(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST to a ``path`` that only reads (events): as ``get``."""
        return self._do("POST", path, body=dict(body))

    def write(self, path: str, body: Mapping[str, Any], method: str = "POST") -> Json:
        """Send ``body`` to ``path`` exactly once: raw JSON.

        Raises OutcomeUnknown when the answer was lost; with every other WorkspaceError nothing was done. A client that
        may only look raises ReadOnly.
        """
        return self._do(method, path, body=dict(body), writing=True)

    def pages(self, path: str, query: Mapping[str, Any], most: int = MOST_PAGES) -> Iterator[Json]:
        """The pages of a listing, following ``next_page_token``. A page may be empty and still not be the last.

        Raises as ``get``, and Incomplete after ``most`` pages.
        """
        asked = dict(query)
        for _ in range(most):
            page = self.get(path, asked)
            yield page
            if not page.get("next_page_token"):
                return
            asked["page_token"] = page["next_page_token"]
        raise Incomplete(f"more than {most} pages")

    def versions(self) -> frozenset[str]:
        """The runtime keys that the workspace offers. Raises as ``get``."""
        found = self.get("/api/2.1/clusters/spark-versions")
        return frozenset(str(v["key"]) for v in found.get("versions") or () if v.get("key"))

    def number(self) -> str | None:
        """The number of the workspace, as system tables name it; None: its host does not say. Raises as ``get``."""
        _, headers = self._ready()
        return headers.get(_NUMBER)

    def identity(self) -> str:
        """Who we are there: the user name, for a service principal its application id. Raises as ``get``."""
        me = self.get("/api/2.0/preview/scim/v2/Me")
        return str(me.get("userName") or me.get("displayName") or me.get("id") or "unknown")

    def _do(
        self, method: str, path: str, *, query: Json | None = None, body: Json | None = None, writing: bool = False
    ) -> Json:
        if self.read_only and (writing or (method != "GET" and path not in ASKING)):
            raise ReadOnly("the bot runs read only (ROLLOUT_READ_ONLY): nothing was sent")
        with self._lock:
            self._calls += 1
        if writing:
            return self._once(method, path, query, body, writing=True)
        until = time.monotonic() + self._read_budget
        while True:
            try:
                return self._once(method, path, query, body, left=max(until - time.monotonic(), 0.0))
            except Throttled as error:
                if time.monotonic() + error.retry_after > until:
                    raise
                wait = error.retry_after
            time.sleep(wait)

    def _once(
        self, method: str, path: str, query: Json | None, body: Json | None, left: float = 0.0, writing: bool = False
    ) -> Json:
        """One call, of which the SDK repeats what was not answered while ``left`` seconds last."""
        started = time.monotonic()
        if self._permit is not None:
            self._permit(PREPARE_LIMIT if writing else left)
        api, headers = self._ready()
        if writing and time.monotonic() - started > PREPARE_LIMIT:
            # The engine counted on the time limit when it looked at its lease: too late to send is too late.
            raise Unavailable("logging in took too long; nothing was sent")
        self._patience.grant(0.0 if writing else left)
        try:
            answer = api.do(method, path, query=query, body=body, headers=headers)
        except Exception as err:  # the SDK raises its own, builtin, requests' and urllib3's errors
            failed = meaning(_cause(err), writing=writing, redact=self._redact)
        else:
            return answer if isinstance(answer, dict) else {"items": answer}
        finally:
            self._patience.grant(0.0)
        if isinstance(failed, Throttled) and self._throttled is not None:
            self._throttled(failed.retry_after)
        # Outside of the handler, so that the SDK's error, which may quote the request, does not hang on ours.
        raise failed

    def _ready(self) -> tuple[ApiClient, dict[str, str]]:
        """The SDK's client, logged in. What fails here happens before anything was sent."""
        failed: WorkspaceError
        try:
            with self._lock:
                if self._api is None or self._config is None:
                    self._config, self._api = self._connect()
                config, api = self._config, self._api
            config.authenticate()
        except WorkspaceError as err:
            failed = err
        except Exception as err:
            failed = self._of_login(_cause(err))
        else:
            headers = {"Accept": "application/json"}
            if config.workspace_id:
                headers[_NUMBER] = str(config.workspace_id)
            return api, headers
        raise failed

    def _connect(self) -> tuple[Config, ApiClient]:
        self._patience.grant(0.0)
        given: Json = dict(self._access.attributes)
        if given.get("auth_type") == "oauth-m2m":
            given["credentials_strategy"] = ClientCredentials(given["client_id"], given["client_secret"], PREPARE_LIMIT)
        # The SDK asks the host who it is (/.well-known/databricks-config) and goes on without if there is no answer.
        config = _Explicit(
            host=self.host,
            clock=self._patience,
            product=PRODUCT,
            product_version="0.1.0",
            http_timeout_seconds=min(PREPARE_LIMIT, self.time_limit / 2),
            retry_timeout_seconds=1,
            max_connection_pools=_CONNECTIONS,
            max_connections_per_pool=_CONNECTIONS,
            **given,
        )
        config.http_timeout_seconds = self.time_limit / 2
        config.retry_timeout_seconds = max(1, round(self._read_budget + self.time_limit))
        return config, ApiClient(config)

    def _of_login(self, err: BaseException) -> WorkspaceError:
        if isinstance(err, ValueError):  # how the SDK says it; its text may quote the answer
            return Unavailable("logging in failed")
        found = meaning(err, writing=False, redact=self._redact)
        return found if isinstance(found, Throttled | Forbidden) else Unavailable(f"logging in failed: {found}")

    def _redact(self, text: str) -> str:
        for secret in self._access.secrets:
            text = text.replace(secret, "[redacted]")
        return text


def _cause(err: BaseException) -> BaseException:
    """What really happened, behind the SDK's "timed out" and our own stop to its repetitions."""
    while isinstance(err, _Stop | TimeoutError):
        inner = err.__cause__ or err.__context__
        if inner is None:
            return err
        err = inner
    return err
