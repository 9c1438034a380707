"""The first middleware: only our app, in our team or organisation, is served (facts 6, threat 12)."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from slack_bolt import BoltResponse

from bot.clients import Own

log = structlog.get_logger("bot.guard")


def refusal(body: Mapping[str, Any], own: Own) -> str | None:
    """Why a payload is not for us, or None when it is."""
    if body.get("type") == "url_verification" or body.get("ssl_check"):
        return None
    app = body.get("api_app_id")
    if own.app_id is not None and app != own.app_id:
        return f"app {app}"
    team, enterprise = _installed_in(body)
    if own.enterprise_id is not None and enterprise is not None and enterprise != own.enterprise_id:
        return f"organisation {enterprise}"
    if team == own.team_id:
        return None
    if team is None and own.enterprise_id is not None and enterprise == own.enterprise_id:
        return None
    return f"team {team}"


def _installed_in(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The team and the organisation in which the app is installed, as the payload has it: never the user's own."""
    enterprise = body.get("enterprise_id") or (body.get("enterprise") or {}).get("id")
    view = body.get("view") or {}
    if body.get("type") in ("view_submission", "view_closed") and view.get("app_installed_team_id"):
        return view["app_installed_team_id"], enterprise
    authorizations = body.get("authorizations") or []
    if authorizations:
        return authorizations[0].get("team_id"), authorizations[0].get("enterprise_id") or enterprise
    return body.get("team_id") or (body.get("team") or {}).get("id"), enterprise


def middleware(own: Own) -> Callable[..., Any]:
    """The middleware; anything else gets 403, and in Socket Mode no acknowledgement."""

    def guard(body: dict[str, Any], next: Callable[[], Any]) -> Any:
        reason = refusal(body, own)
        if reason is None:
            return next()
        log.warning("refused a payload that is not for this app", reason=reason)
        return BoltResponse(status=403, body="not for this app")

    return guard
