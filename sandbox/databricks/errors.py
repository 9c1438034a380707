"""Refusals, worded and numbered as the Databricks REST API does it, so that the SDK maps them to the same classes."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer with a status of 400 or more."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> Json:
        """The JSON that the client gets."""
        return {"error_code": self.code, "message": self.message}


class OAuthError(ApiError):
    """A refusal of the token endpoint, which words them as OAuth does."""

    def body(self) -> Json:
        """The JSON that the client gets."""
        return {"error": self.code, "error_description": self.message}


def invalid(message: str) -> ApiError:
    """A parameter that cannot be accepted: `InvalidParameterValue` in the SDK."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def wrong_state(message: str) -> ApiError:
    """Not possible in the present state of the thing: `InvalidState` in the SDK."""
    return ApiError(400, "INVALID_STATE", message)


def malformed(message: str) -> ApiError:
    """A body that could not be read at all: `BadRequest` in the SDK."""
    return ApiError(400, "MALFORMED_REQUEST", message)


def denied(message: str) -> ApiError:
    """No right to do this: `PermissionDenied` in the SDK."""
    return ApiError(403, "PERMISSION_DENIED", message)


def missing(message: str) -> ApiError:
    """Not there, where the API says so with a 404: `ResourceDoesNotExist` in the SDK."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


def no_cluster(cluster_id: object) -> ApiError:
    """What the clusters API says of an unknown id; the SDK turns it into NotFound, for get only."""
    return invalid(f"Cluster {cluster_id} does not exist")


def no_job(job_id: object) -> ApiError:
    """What the jobs API says of an unknown id; the SDK turns it into NotFound, for get only."""
    return invalid(f"Job {job_id} does not exist.")


def no_run(run_id: object) -> ApiError:
    """What the jobs API says of an unknown run; the SDK turns it into NotFound, for get only."""
    return invalid(f"Run {run_id} does not exist.")
