"""Who is asking: tokens, OAuth for service principals, `Me`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import urllib.parse

from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, OAuthError
from sandbox.databricks.workspace import Workspace

TOKEN_LASTS = 3600
"""Seconds of machine time: the client's own clock decides when it fetches a new one."""


def authorise(ws: Workspace, header: str) -> None:
    """Refuse a request without a valid bearer token, in the words of the real service."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        message = "Credential was not sent or was of an unsupported type for this API."
        raise ApiError(401, "UNAUTHENTICATED", message)
    if hmac.compare_digest(token.encode(), ws.token.encode()):
        return
    made = token.split(".")
    if (
        len(made) == 3
        and made[0] == "sandbox"
        and hmac.compare_digest(_signature(ws, made[1]).encode(), made[2].encode())
    ):
        if int(made[1]) >= time.time():
            return
        raise ApiError(401, "UNAUTHENTICATED", "Token is expired.")
    raise ApiError(403, "403", "Invalid access token.")


def host_metadata(ws: Workspace, call: Call) -> Json:
    """What the SDK asks first of every host."""
    return {
        "oidc_endpoint": f"{ws.host}/oidc",
        "workspace_id": str(ws.number),
        "account_id": _uuid("account"),
        "cloud": "AWS",
    }


def oidc_endpoints(ws: Workspace, call: Call) -> Json:
    """Where tokens are made."""
    return {
        "issuer": f"{ws.host}/oidc",
        "authorization_endpoint": f"{ws.host}/oidc/v1/authorize",
        "token_endpoint": f"{ws.host}/oidc/v1/token",
        "grant_types_supported": ["client_credentials"],
    }


def make_token(ws: Workspace, form: str, header: str) -> Json:
    """POST /oidc/v1/token: client credentials, in the header or in the form."""
    fields = {name: values[0] for name, values in urllib.parse.parse_qs(form).items()}
    if fields.get("grant_type") != "client_credentials":
        raise OAuthError(400, "unsupported_grant_type", "Only client_credentials is supported.")
    client_id, secret = fields.get("client_id", ""), fields.get("client_secret", "")
    if header.lower().startswith("basic "):
        try:
            client_id, _, secret = base64.b64decode(header[6:]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            client_id = ""
    if client_id != ws.client_id or not hmac.compare_digest(secret.encode(), ws.client_secret.encode()):
        raise OAuthError(401, "invalid_client", "Client authentication failed")
    expiry = str(int(time.time()) + TOKEN_LASTS)
    return {
        "access_token": f"sandbox.{expiry}.{_signature(ws, expiry)}",
        "token_type": "Bearer",
        "expires_in": TOKEN_LASTS,
        "scope": fields.get("scope", "all-apis"),
    }


def me(ws: Workspace, call: Call) -> Json:
    """GET Me: the bot's service principal."""
    admins = [{"display": "admins", "type": "direct", "value": "300"}] if ws.admin else []
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": str(7_000_000_000_000_000 + ws.number % 10**12),
        "userName": ws.client_id,
        "displayName": "rollout-bot",
        "active": True,
        "groups": [*admins, {"display": "platform-automation", "type": "direct", "value": "301"}],
        "entitlements": [{"value": "workspace-access"}],
    }


def _signature(ws: Workspace, expiry: str) -> str:
    return hmac.new(ws.client_secret.encode(), f"{ws.key}/{expiry}".encode(), hashlib.sha256).hexdigest()[:40]


def _uuid(name: str) -> str:
    digest = hashlib.sha256(f"sandbox/{name}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


OPEN: Routes = {
    ("GET", "/.well-known/databricks-config"): host_metadata,
    ("GET", "/oidc/.well-known/oauth-authorization-server"): oidc_endpoints,
}
"""Paths that need no token."""
ROUTES: Routes = {
    ("GET", "/api/2.0/preview/scim/v2/Me"): me,
}
