"""Clients of Slack's Web API, and what their failures mean."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError


class RateLimited(Exception):
    """Slack asked to wait so many seconds. Nothing happened."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"rate limited for {seconds:g} s")
        self.seconds = seconds


class Refused(Exception):
    """Slack said no, by an error name. Nothing happened."""

    def __init__(self, error: str, messages: tuple[str, ...] = ()) -> None:
        super().__init__(f"{error} {'; '.join(messages)}".strip())
        self.error = error


class NotSent(Exception):
    """Slack could not be reached. Nothing happened."""


class Unknown(Exception):
    """No answer, or one that tells nothing: it may have happened."""


#: Error names by which Slack says that something broke on its side, perhaps after the effect.
_BROKEN = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout"})


def client(token: str, base_url: str, seconds: float) -> WebClient:
    """A client that never repeats a call by itself: what may be repeated is decided by who calls."""
    return WebClient(token=token, base_url=base_url, timeout=seconds, retry_handlers=[])  # type: ignore[arg-type]


def call(method: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Call a method of a client. Raises RateLimited, Refused, NotSent or Unknown."""
    try:
        data: dict[str, Any] = method(**arguments).data
        return data
    except SlackApiError as error:
        raise meaning(error) from error
    except URLError as error:
        if isinstance(error.reason, ConnectionRefusedError | OSError) and _before_sending(error.reason):
            raise NotSent(f"Slack cannot be reached: {error.reason}") from error
        raise Unknown(f"no answer: {error.reason}") from error
    except (OSError, HTTPException, SlackClientError) as error:
        raise Unknown(f"no answer: {type(error).__name__}") from error


def meaning(error: SlackApiError) -> Exception:
    """What an error answer means: RateLimited, Refused or Unknown."""
    response = error.response
    status = getattr(response, "status_code", None) or (response.get("status") if isinstance(response, dict) else None)
    if status == 429:
        return RateLimited(retry_after(getattr(response, "headers", {})))
    data = getattr(response, "data", response)
    name = data.get("error") if isinstance(data, dict) else None
    if not isinstance(name, str) or (isinstance(status, int) and status >= 500) or name in _BROKEN:
        return Unknown(f"Slack answered {status} {name or ''}".strip())
    messages = (data.get("response_metadata") or {}).get("messages") or ()
    return Refused(name, tuple(map(str, messages[:5])))


def retry_after(headers: Any) -> float:
    """The seconds that a 429 asks for, ten minutes at most; 30 when it does not say."""
    for name, value in dict(headers or {}).items():
        if name.lower() == "retry-after":
            try:
                seconds = float(value[0] if isinstance(value, list) else value)
            except (ValueError, IndexError):
                break
            return 30.0 if math.isnan(seconds) else min(600.0, max(1.0, seconds))
    return 30.0


def _before_sending(reason: BaseException) -> bool:
    """Whether a connection failed before anything could be sent."""
    import socket

    return isinstance(reason, ConnectionRefusedError | socket.gaierror)


@dataclass(frozen=True, slots=True)
class Own:
    """Who we are in Slack, from auth.test."""

    team_id: str
    user_id: str
    enterprise_id: str | None = None
    app_id: str | None = None


def who_we_are(web: WebClient, app_id: str | None = None) -> Own:
    """Ask Slack. ``app_id`` is the one from the settings, if any. Raises as ``call`` does.

    ``auth.test`` does not name the app; the profile of its user does. Where that is not to be seen the app is not
    compared.
    """
    answer = call(web.auth_test)
    user = answer["user_id"]
    return Own(
        answer["team_id"], user, answer.get("enterprise_id"), answer.get("app_id") or app_id or _app_of(web, user)
    )


def _app_of(web: WebClient, user: str) -> str | None:
    """The app that a bot's user belongs to; None when Slack does not say."""
    try:
        found = call(web.users_info, user=user)["user"]["profile"].get("api_app_id")
    except (Refused, KeyError, TypeError, AttributeError):
        return None
    return found if isinstance(found, str) and found else None
