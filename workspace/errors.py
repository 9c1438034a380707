"""What an answer of a workspace means: one error class per meaning, whatever the SDK, the HTTP library or a proxy said.

None of these errors carries a request or a secret: the SDK puts the whole request into the message of an answer that it
cannot read, and its configuration into refusals. Only the server's own sentence is kept, and shortened.
"""

import re
from collections.abc import Callable
from typing import Final

import requests

from workspace.sdk import DatabricksError, platform

LONGEST_MESSAGE: Final = 300


class WorkspaceError(Exception):
    """The call did not do what was asked. ``code`` is the reason code that fits when nobody can mend it."""

    code: str = "workspace_unreachable"


class Gone(WorkspaceError):
    """The object does not exist."""

    code = "target_gone"


class Forbidden(WorkspaceError):
    """The workspace does not let us (jobs: or the job was deleted, since permission is looked at first)."""

    code = "permission_denied"


class Busy(WorkspaceError):
    """Not in this state: the object is on its way to another one. Nothing was done; ask again later."""

    code = "stuck"


class Throttled(WorkspaceError):
    """Too many calls. Nothing was done; ask again after ``retry_after`` machine seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Held(WorkspaceError):
    """Our own pace holds the call back. Nothing was sent; ask again after ``retry_after`` machine seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many calls at once for the pace that was set; nothing was sent")
        self.retry_after = retry_after


class Refused(WorkspaceError):
    """The workspace will not do this, now or later. Nothing was done. ``message`` is its own sentence, shortened."""

    code = "write_refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        if _POLICY.search(message):
            self.code = "policy_refuses"


class ReadOnly(WorkspaceError):
    """This process may only look: the write was not sent."""

    code = "read_only"


class Unavailable(WorkspaceError):
    """The workspace could not be asked. Nothing was done; ask again after ``retry_after`` machine seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutcomeUnknown(WorkspaceError):
    """A write was sent and its answer was lost: it may have taken effect, now or in a moment. Look before anything."""

    code = "outcome_unknown"


class Incomplete(WorkspaceError):
    """A listing was longer than we are willing to read: what came before this error is true, but not all."""


_POLICY = re.compile(r"Validation failed for |violates? .*polic|not allowed by .*polic|polic(y|ies) validation", re.I)
_OBJECT_GONE = re.compile(r"^\W*(cluster|job|run)\W+\S+ (does not|doesn't) exist", re.I)
# What a write names beside its object may be missing too, and that is no reason to give up the object itself.
_OTHER_MISSING = re.compile(
    r"\b(polic|pool|profile|principal|user|group|secret|volume|notebook|warehouse|pipeline)", re.I
)
_RATE = re.compile(r"token bucket limit|rate limit", re.I)
_UNREADABLE = "unable to parse response"
_CONFIGURATION = re.compile(r"\.? (Config|Env): .*", re.S)
_TOKEN_LIKE = re.compile(r"\b(dapi|dose|dkea)[0-9a-zA-Z-]{8,}|\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]+)?|(?<=Bearer )\S+")

Redact = Callable[[str], str]


def unchanged(text: str) -> str:
    """The redaction that has no secret of its own to hide."""
    return text


def short(text: object, redact: Redact = unchanged) -> str:
    """``text`` as it may be shown: without the SDK's additions, without what looks like a token, one line, 300 long."""
    line = " ".join(_CONFIGURATION.sub("", str(text)).split())
    if line.startswith(_UNREADABLE):
        return "an answer that cannot be read"
    line = _TOKEN_LIKE.sub("[redacted]", redact(line))
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def meaning(err: BaseException, *, writing: bool, redact: Redact = unchanged) -> WorkspaceError:
    """What ``err``, raised by the SDK for one HTTP exchange, means for the caller.

    ``writing``: a lost answer then is OutcomeUnknown. Whatever is not understood is taken as the more careful meaning.
    """
    if isinstance(err, WorkspaceError):
        return err
    if isinstance(err, DatabricksError):
        return _of_answer(err, writing, redact)
    return _of_transport(err, writing)


def _of_answer(err: DatabricksError, writing: bool, redact: Redact) -> WorkspaceError:
    message = short(err, redact) or "no reason given"
    code = err.error_code or ""
    if isinstance(err, platform.TooManyRequests) or _RATE.search(message):
        return Throttled(message, max(float(err.retry_after_secs or 1), 0.0))
    if isinstance(err, platform.Unauthenticated | platform.PermissionDenied):
        return Forbidden(message)
    if isinstance(err, platform.NotFound):
        return _of_missing(code, message, writing)
    if isinstance(err, platform.InvalidState | platform.ResourceConflict):
        exists = isinstance(err, platform.AlreadyExists | platform.ResourceAlreadyExists)
        return Refused(message) if exists else Busy(message)
    if isinstance(err, platform.BadRequest):
        return Gone(message) if _OBJECT_GONE.search(message) else Refused(message)
    if isinstance(err, platform.NotImplemented):
        return Refused(message)
    # 5xx, 499 and statuses that the SDK has no class for: a proxy may have lost the answer after the write.
    if writing:
        return OutcomeUnknown(f"the workspace answered with an error of its own: {message}")
    return Unavailable(message, max(float(err.retry_after_secs or 1), 0.0))


def _of_missing(code: str, message: str, writing: bool) -> WorkspaceError:
    if code not in {"RESOURCE_DOES_NOT_EXIST", "SCIM_404"} and not _OBJECT_GONE.search(message):
        return Refused(f"not found: {message}")  # a page of a proxy, or an API that this workspace does not have
    if writing and _OTHER_MISSING.search(message) and not _OBJECT_GONE.search(message):
        return Refused(message)
    return Gone(message)


def _of_transport(err: BaseException, writing: bool) -> WorkspaceError:
    # Only the name: the text of these errors holds addresses, and for some the request.
    what = type(err).__name__
    if not writing:
        return Unavailable(f"no answer from the workspace ({what})")
    if _surely_not_sent(err):
        return Unavailable(f"the workspace could not be reached ({what})")
    return OutcomeUnknown(f"the answer of the workspace was lost ({what})")


def _surely_not_sent(err: BaseException) -> bool:
    if isinstance(err, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if isinstance(err, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(err)
    if isinstance(err, requests.exceptions.ConnectionError):
        inner = err.args[0] if err.args else None
        reason = getattr(inner, "reason", inner)
        return type(reason).__name__ in {"NewConnectionError", "ConnectTimeoutError", "NameResolutionError"}
    return isinstance(err, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema)
