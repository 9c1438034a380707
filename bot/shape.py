"""The shape of what Slack delivers, as far as Bolt and we rely on it. What has another shape is no delivery of Slack's.

Signed deliveries come from Slack alone; but a shape that we do not know (theirs may change) must be refused in one
place, and not fail somewhere inside Bolt, with Slack repeating it for hours.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

Text = StrictStr | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Named(_Part):
    id: Text = None


class _User(_Part):
    id: StrictStr
    team_id: Text = None


class _Container(_Part):
    channel_id: Text = None
    is_ephemeral: StrictBool | None = None


class _Title(_Part):
    text: Text = None


class _Block(_Part):
    type: Text = None
    block_id: Text = None


class _State(_Part):
    values: dict[str, dict[str, Any]] = {}


class _View(_Part):
    id: Text = None
    type: Text = None
    callback_id: Text = None
    app_installed_team_id: Text = None
    private_metadata: Text = None
    title: _Title | None = None
    blocks: list[_Block] = []
    state: _State | None = None


class _SentView(_View):
    id: StrictStr
    type: StrictStr
    callback_id: StrictStr
    blocks: list[_Block]


class _Press(_Part):
    action_id: StrictStr
    block_id: Text = None
    type: StrictStr


class _Message(_Part):
    text: Text = None
    ts: Text = None
    user: Text = None
    team: Text = None
    thread_ts: Text = None


class _Authorization(_Part):
    team_id: Text = None
    enterprise_id: Text = None
    is_enterprise_install: StrictBool | None = None


class _Delivery(_Part):
    type: Text = None
    api_app_id: Text = None
    team: _Named | None = None
    team_id: Text = None
    enterprise: _Named | None = None
    enterprise_id: Text = None
    is_enterprise_install: StrictBool | StrictStr | None = None
    is_ext_shared_channel: StrictBool | None = None
    authorizations: list[_Authorization] | None = None
    channel: _Named | None = None
    response_url: Text = None
    response_urls: list[dict[str, Any]] | None = None
    callback_id: Text = None


class _Interaction(_Delivery):
    type: StrictStr
    user: _User
    trigger_id: Text = None
    container: _Container | None = None
    view: _View | None = None
    message: _Message | None = None
    actions: list[_Press] | None = None


class _Pressed(_Interaction):
    trigger_id: StrictStr
    actions: Annotated[list[_Press], Field(min_length=1)]


class _Submitted(_Interaction):
    trigger_id: StrictStr
    view: _SentView


class _Closed(_Interaction):
    view: _SentView


class _Shortcut(_Interaction):
    trigger_id: StrictStr
    callback_id: StrictStr


class _Happened(_Part):
    type: StrictStr
    user: Text = None
    tab: Text = None
    team: Text = None
    user_team: Text = None
    channel: Text = None


class _Event(_Delivery):
    event_id: StrictStr
    event: _Happened


class _Command(_Delivery):
    command: StrictStr
    user_id: StrictStr
    trigger_id: StrictStr
    channel_id: Text = None
    text: Text = None


_SHAPES: Mapping[str, type[BaseModel]] = {
    "block_actions": _Pressed,
    "view_submission": _Submitted,
    "view_closed": _Closed,
    "message_action": _Shortcut,
    "shortcut": _Shortcut,
    "event_callback": _Event,
    "url_verification": _Delivery,
}


def problem_of(body: Any) -> str | None:
    """What is wrong with the shape of a delivery, in a few words, or None. ``body`` as Bolt would read it."""
    if not isinstance(body, Mapping):
        return "no object"
    if "command" in body and "type" not in body:
        shape: type[BaseModel] | None = _Command
    elif body.get("ssl_check"):
        return None
    else:
        kind = body.get("type")
        shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        return "a kind that was not subscribed to"
    try:
        shape.model_validate(body)
    except ValidationError as error:
        return "; ".join(".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()[:3])
    return None


def read(text: str, content_type: str | None) -> Any:
    """The body of a request as an object: JSON, a form, or a form that holds JSON. None when it is none of these."""
    if content_type is not None and content_type.partition(";")[0].strip().lower() == "application/json":
        return _loaded(text)
    try:
        fields = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
    except ValueError:
        return None
    return _loaded(fields["payload"]) if "payload" in fields else fields or None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
