"""Who may ask, and what the SDK finds out about a host before its first call."""

from collections.abc import Callable

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, NotImplemented, PermissionDenied, Unauthenticated

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

Connect = Callable[..., WorkspaceClient]


@pytest.mark.conforms("client-asks-well-known-config", "well-known-first")
def test_the_sdk_learns_the_workspace_from_the_host_itself(w: WorkspaceClient, dev: Workspace) -> None:
    assert w.config.workspace_id == str(dev.number)
    assert w.config.discovery_url == f"{dev.host}/oidc/.well-known/oauth-authorization-server"
    assert w.get_workspace_id() == dev.number


@pytest.mark.conforms("identity-me")
def test_me_is_the_service_principal_of_the_bot(w: WorkspaceClient, dev: Workspace) -> None:
    me = w.current_user.me()
    assert (me.user_name, me.display_name, me.active) == (dev.client_id, "rollout-bot", True)


@pytest.mark.conforms("identity-oauth")
def test_client_id_and_secret_work_as_well_as_a_token(connect: Connect, dev: Workspace) -> None:
    client = connect(dev, client_id=dev.client_id, client_secret=dev.client_secret)
    assert client.current_user.me().user_name == dev.client_id
    assert client.config.auth_type == "oauth-m2m"


@pytest.mark.conforms("identity-oauth")
def test_a_wrong_client_secret_gets_no_token(connect: Connect, dev: Workspace) -> None:
    with pytest.raises(ValueError, match="invalid_client"):
        connect(dev, client_id=dev.client_id, client_secret="dose-wrong").current_user.me()


@pytest.mark.conforms("identity-oauth")
def test_other_grants_than_client_credentials_are_refused(dev: Workspace) -> None:
    answer = requests.post(f"{dev.host}/oidc/v1/token", data={"grant_type": "password"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.conforms("identity-refusals")
def test_without_a_token_the_answer_is_401(dev: Workspace) -> None:
    answer = requests.get(f"{dev.host}/api/2.1/clusters/list", timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.conforms("identity-refusals")
def test_a_wrong_token_is_denied(connect: Connect, dev: Workspace) -> None:
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        connect(dev, token="dapi-wrong").current_user.me()


@pytest.mark.conforms("identity-refusals")
def test_an_expired_oauth_token_is_not_accepted(connect: Connect, dev: Workspace) -> None:
    from sandbox.databricks import identity

    old = f"sandbox.1000.{identity._signature(dev, '1000')}"
    with pytest.raises(Unauthenticated, match="expired"):
        connect(dev, token=old).current_user.me()


def test_the_token_of_one_workspace_opens_no_other(connect: Connect, databricks: Databricks) -> None:
    dev, prod = databricks.workspaces["dev"], databricks.workspaces["prod"]
    assert dev.token != prod.token
    with pytest.raises(PermissionDenied):
        connect(prod, token=dev.token).current_user.me()


@pytest.mark.parametrize("host", ["evil.example.com", "10.0.0.1:8801", "127.0.0.1.example.com"])
def test_a_foreign_host_header_is_refused(dev: Workspace, host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {dev.token}"}
    answer = requests.get(f"{dev.host}/api/2.1/clusters/list", headers=headers, timeout=60)
    assert answer.status_code == 403


def test_what_is_not_modelled_says_so_by_name(w: WorkspaceClient) -> None:
    with pytest.raises(NotImplemented, match=r"does not model GET /api/2\.0/secrets/scopes/list"):
        list(w.secrets.list_scopes())
    with pytest.raises(NotImplemented, match=r"does not model GET /api/2\.1/jobs/list"):
        w.api_client.do("GET", "/api/2.1/jobs/list")
    with pytest.raises(NotImplemented):
        w.permissions.get("experiments", "X")


@pytest.mark.conforms("permissions-shapes")
def test_permissions_of_clusters_and_jobs_name_owner_and_bot(
    w: WorkspaceClient, dev: Workspace, cluster: Callable[[str], str], job: Callable[[str], int]
) -> None:
    of_cluster = w.permissions.get("clusters", cluster("view-only"))
    of_job = w.permissions.get("jobs", str(job("hourly")))
    levels = {
        (acl.service_principal_name or acl.user_name or acl.group_name): acl.all_permissions[0].permission_level.value  # type: ignore[index, union-attr]
        for acl in [*(of_cluster.access_control_list or [])]
    }
    assert levels[dev.client_id] == "CAN_ATTACH_TO"
    assert of_job.object_type == "job"
    assert (of_job.access_control_list or [])[0].user_name == "hourly-team@example.com"


def test_permissions_of_what_is_not_there_are_not_found(w: WorkspaceClient) -> None:
    with pytest.raises(NotFound):
        w.permissions.get("clusters", "0000-000000-nothere1")
    with pytest.raises(NotFound):
        w.permissions.get("jobs", "12")
