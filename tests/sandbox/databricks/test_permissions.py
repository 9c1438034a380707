"""Permissions on things: how they are shown and changed, and that the bot's own rights follow from them."""

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service import iam

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace
from sandbox.fleets import short_form
from tests.sandbox.databricks.governed import FLEET, OLD, STANDARD, ById, JobById, ask, send

Level = iam.PermissionLevel
CHANGE = {"update_mask": "num_workers", "cluster": {"num_workers": 3}}


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as found:
        yield found


@pytest.fixture
def there(databricks: Databricks) -> Workspace:
    return databricks.workspaces["limited"]


@pytest.fixture
def limited(there: Workspace) -> WorkspaceClient:
    return WorkspaceClient(host=there.host, token=there.token)


def their(name: str) -> str:
    return short_form.cluster_id("limited", name)


def granted(w: WorkspaceClient, kind: str, name: object) -> dict[str, list[tuple[str, bool]]]:
    """Who has which levels, and whether they are inherited."""
    found = w.permissions.get(kind, str(name)).access_control_list or []
    return {
        str(entry.user_name or entry.group_name or entry.service_principal_name): [
            (one.permission_level.value, bool(one.inherited))  # type: ignore[union-attr]
            for one in entry.all_permissions or []
        ]
        for entry in found
    }


def give(w: WorkspaceClient, verb: str, what: str, *entries: Any) -> Any:
    body = {"access_control_list": list(entries)}
    return w.api_client.do(verb, f"/api/2.0/permissions/{what}", body=body)


def to(level: str, **who: str) -> dict[str, str]:
    return {**who, "permission_level": level}


@pytest.mark.conforms("permissions-put-replaces")
def test_put_replaces_the_direct_entries_and_leaves_those_of_administrators(w: WorkspaceClient, cluster: ById) -> None:
    what = f"clusters/{cluster('free')}"
    answer = give(w, "PUT", what, to("CAN_RESTART", group_name="desk"), to("CAN_MANAGE", user_name="a@example.com"))
    assert (answer["object_id"], answer["object_type"]) == (f"/{what}", "cluster")
    assert granted(w, "clusters", cluster("free")) == {
        "desk": [("CAN_RESTART", False)],
        "a@example.com": [("CAN_MANAGE", False)],
        "admins": [("CAN_MANAGE", True)],
    }
    give(w, "PUT", what)
    assert granted(w, "clusters", cluster("free")) == {"admins": [("CAN_MANAGE", True)]}


@pytest.mark.conforms("permissions-patch-adds-and-raises")
def test_patch_adds_entries_and_raises_levels_and_takes_nothing_away(w: WorkspaceClient, cluster: ById) -> None:
    what = f"clusters/{cluster('free')}"
    give(w, "PUT", what, to("CAN_RESTART", group_name="desk"), to("CAN_ATTACH_TO", user_name="a@example.com"))
    give(
        w,
        "PATCH",
        what,
        to("CAN_ATTACH_TO", group_name="desk"),
        to("CAN_MANAGE", user_name="a@example.com"),
        to("CAN_RESTART", group_name="admins"),
    )
    assert granted(w, "clusters", cluster("free")) == {
        "desk": [("CAN_RESTART", False)],
        "a@example.com": [("CAN_MANAGE", False)],
        "admins": [("CAN_RESTART", False), ("CAN_MANAGE", True)],
    }


@pytest.mark.conforms("permissions-job-has-one-owner")
def test_a_job_keeps_exactly_one_owner(w: WorkspaceClient, job: JobById) -> None:
    what = f"jobs/{job('plain')}"
    before = granted(w, "jobs", job("plain"))
    assert before["plain-team@example.com"] == [("IS_OWNER", False)]
    none, one = [to("CAN_VIEW", group_name="users")], to("IS_OWNER", user_name="a@example.com")
    two = [one, to("IS_OWNER", user_name="b@example.com")]
    for verb, entries in (("PUT", []), ("PUT", none), ("PUT", two), ("PATCH", [one])):
        with pytest.raises(InvalidParameterValue, match="The job must have exactly one owner"):
            give(w, verb, what, *entries)
    with pytest.raises(InvalidParameterValue, match="group cannot be the owner"):
        give(w, "PUT", what, to("IS_OWNER", group_name="users"))
    assert granted(w, "jobs", job("plain")) == before
    give(w, "PUT", what, one)
    assert granted(w, "jobs", job("plain")) == {
        "a@example.com": [("IS_OWNER", False)],
        "admins": [("CAN_MANAGE", True)],
    }


@pytest.mark.conforms("permissions-shapes")
@pytest.mark.parametrize(
    ("kind", "name", "kind_shown", "levels"),
    [
        ("clusters", "", "cluster", {"CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"}),
        ("jobs", "", "job", {"CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"}),
        ("cluster-policies", "FIXED", "cluster-policy", {"CAN_USE"}),
        ("instance-pools", "pool-1", "instance-pool", {"CAN_ATTACH_TO", "CAN_MANAGE"}),
    ],
)
def test_each_kind_has_its_levels_and_refuses_all_others(
    w: WorkspaceClient, cluster: ById, job: JobById, kind: str, name: str, kind_shown: str, levels: set[str]
) -> None:
    where = name or (cluster("free") if kind == "clusters" else str(job("plain")))
    found = w.permissions.get_permission_levels(kind, where).permission_levels or []
    assert {one.permission_level.value for one in found if one.permission_level} == levels
    assert all(one.description for one in found)
    shown = w.permissions.get(kind, where)
    assert (shown.object_id, shown.object_type) == (f"/{kind}/{where}", kind_shown)
    for level in ("CAN_READ", "CAN_DO", None):
        with pytest.raises(InvalidParameterValue, match="Invalid permission level"):
            give(w, "PATCH", f"{kind}/{where}", {"group_name": "users", "permission_level": level})


@pytest.mark.conforms("permissions-shapes")
def test_typed_clients_of_policies_pools_clusters_and_jobs_read_and_write_the_same_lists(
    w: WorkspaceClient, cluster: ById, job: JobById
) -> None:
    from databricks.sdk.service import compute, jobs

    w.cluster_policies.set_permissions(
        "FIXED",
        access_control_list=[
            compute.ClusterPolicyAccessControlRequest(
                group_name="desk", permission_level=compute.ClusterPolicyPermissionLevel.CAN_USE
            )
        ],
    )
    assert granted(w, "cluster-policies", "FIXED")["desk"] == [("CAN_USE", False)]
    w.instance_pools.update_permissions(
        "pool-1",
        access_control_list=[
            compute.InstancePoolAccessControlRequest(
                group_name="desk", permission_level=compute.InstancePoolPermissionLevel.CAN_MANAGE
            )
        ],
    )
    assert granted(w, "instance-pools", "pool-1")["desk"] == [("CAN_MANAGE", False)]
    assert w.clusters.get_permissions(cluster("free")).access_control_list
    found = w.jobs.get_permissions(str(job("granted"))).access_control_list or []
    assert [
        one.permission_level for entry in found if entry.group_name == "desk" for one in entry.all_permissions or []
    ] == [jobs.JobPermissionLevel.CAN_MANAGE_RUN]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"permission_level": "CAN_MANAGE"}, "Exactly one of"),
        ({"user_name": "a", "group_name": "b", "permission_level": "CAN_MANAGE"}, "Exactly one of"),
        ("everybody", "must be a list of objects"),
    ],
)
def test_an_entry_that_names_nobody_or_two_is_refused(
    w: WorkspaceClient, cluster: ById, entry: Any, message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        give(w, "PUT", f"clusters/{cluster('free')}", entry)


def test_permissions_of_what_is_not_there_are_not_found(w: WorkspaceClient) -> None:
    for kind, name in (
        ("clusters", "x"),
        ("jobs", "12"),
        ("jobs", "x"),
        ("cluster-policies", "X"),
        ("instance-pools", "X"),
    ):
        with pytest.raises(NotFound, match="does not exist"):
            w.permissions.get(kind, name)


@pytest.mark.conforms("permissions-of-recreated-things-are-default")
def test_a_thing_that_is_made_again_has_the_default_permissions(w: WorkspaceClient, databricks: Databricks) -> None:
    us = databricks.workspaces["dev"].client_id
    made = send(w, "/api/2.1/clusters/create", cluster_name="x", **STANDARD)["cluster_id"]
    assert granted(w, "clusters", made) == {us: [("CAN_MANAGE", False)], "admins": [("CAN_MANAGE", True)]}
    give(w, "PATCH", f"clusters/{made}", to("CAN_RESTART", group_name="desk"))
    w.clusters.permanent_delete(made)
    again = send(w, "/api/2.1/clusters/create", cluster_name="x", **STANDARD)["cluster_id"]
    assert "desk" not in granted(w, "clusters", again)
    job_id = send(w, "/api/2.2/jobs/create", name="x")["job_id"]
    assert granted(w, "jobs", job_id) == {us: [("IS_OWNER", False)], "admins": [("CAN_MANAGE", True)]}
    pool = w.instance_pools.create("x", "i3.xlarge").instance_pool_id
    assert granted(w, "instance-pools", pool) == {us: [("CAN_MANAGE", False)], "admins": [("CAN_MANAGE", True)]}
    policy = w.cluster_policies.create(name="x", definition="{}").policy_id
    assert granted(w, "cluster-policies", policy) == {"admins": [("CAN_USE", True)]}


def test_a_job_can_be_made_with_its_permissions(w: WorkspaceClient, databricks: Databricks) -> None:
    us = databricks.workspaces["dev"].client_id
    body: dict[str, Any] = {"name": "x", "access_control_list": [to("CAN_VIEW", group_name="users")]}
    assert granted(w, "jobs", send(w, "/api/2.2/jobs/create", **body)["job_id"]) == {
        us: [("IS_OWNER", False)],
        "users": [("CAN_VIEW", False)],
        "admins": [("CAN_MANAGE", True)],
    }
    body["access_control_list"] = [to("IS_OWNER", user_name="a@example.com")]
    assert "a@example.com" in granted(w, "jobs", send(w, "/api/2.2/jobs/create", **body)["job_id"])
    before = len(databricks.workspaces["dev"].jobs)
    body["access_control_list"] = [to("IS_OWNER", user_name=f"{name}@example.com") for name in "ab"]
    with pytest.raises(InvalidParameterValue, match="exactly one owner"):
        send(w, "/api/2.2/jobs/create", **body)
    assert len(databricks.workspaces["dev"].jobs) == before


@pytest.mark.conforms("cluster-rights", "permissions-decide")
def test_what_the_bot_may_do_with_a_cluster_follows_from_its_list(limited: WorkspaceClient, there: Workspace) -> None:
    limited.clusters.restart(their("restartable"))
    with pytest.raises(PermissionDenied, match="Manage"):
        send(limited, "/api/2.1/clusters/update", cluster_id=their("restartable"), **CHANGE)
    with pytest.raises(PermissionDenied, match="Manage"):
        give(
            limited,
            "PATCH",
            f"clusters/{their('restartable')}",
            to("CAN_MANAGE", service_principal_name=there.client_id),
        )
    send(limited, "/api/2.1/clusters/update", cluster_id=their("by-group"), **CHANGE)
    send(limited, "/api/2.1/clusters/update", cluster_id=their("ours"), **CHANGE)
    give(limited, "PUT", f"clusters/{their('by-group')}", to("CAN_RESTART", service_principal_name=there.client_id))
    with pytest.raises(PermissionDenied, match="Manage"):
        send(limited, "/api/2.1/clusters/update", cluster_id=their("by-group"), **CHANGE)
    limited.clusters.start(their("by-group"))


@pytest.mark.conforms("permissions-decide")
def test_what_the_bot_may_do_with_a_job_follows_from_its_list(limited: WorkspaceClient, there: Workspace) -> None:
    job_id = short_form.job_id("limited", "ours")
    owner = to("IS_OWNER", user_name="a@example.com")
    ours = {"service_principal_name": there.client_id}
    give(limited, "PUT", f"jobs/{job_id}", owner, to("CAN_MANAGE", group_name="platform-automation"))
    send(limited, "/api/2.2/jobs/update", job_id=job_id, new_settings={"name": "renamed"})
    give(limited, "PUT", f"jobs/{job_id}", owner, to("CAN_MANAGE_RUN", **ours), to("CAN_MANAGE", group_name="desk"))
    limited.jobs.run_now(job_id)
    with pytest.raises(PermissionDenied):
        send(limited, "/api/2.2/jobs/update", job_id=job_id, new_settings={"name": "again"})
    with pytest.raises(PermissionDenied):
        give(limited, "PUT", f"jobs/{job_id}", owner)


@pytest.mark.conforms("permissions-policies-by-administrators")
def test_permissions_of_policies_are_written_by_administrators(limited: WorkspaceClient, w: WorkspaceClient) -> None:
    with pytest.raises(PermissionDenied):
        give(limited, "PATCH", "cluster-policies/BOTH", to("CAN_USE", group_name="desk"))
    give(w, "PATCH", "cluster-policies/BOTH", to("CAN_USE", group_name="desk"))
    assert granted(w, "cluster-policies", "BOTH")["users"] == [("CAN_USE", False)]


@pytest.mark.conforms("cluster-pin-and-owner-by-administrators")
def test_pinning_and_changing_the_owner_is_for_administrators(
    w: WorkspaceClient, limited: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    for attempt in (
        lambda: limited.clusters.pin(their("ours")),
        lambda: limited.clusters.unpin(their("ours")),
        lambda: limited.clusters.change_owner(their("by-group"), "a@example.com"),
    ):
        with pytest.raises(PermissionDenied, match="Only administrators"):
            attempt()
    w.clusters.pin(cluster("stopped"))
    databricks.step(31 * 86_400)
    assert "stopped" in {c.cluster_name for c in w.clusters.list()}
    w.clusters.unpin(cluster("stopped"))
    assert "stopped" not in {c.cluster_name for c in w.clusters.list()}
    w.clusters.change_owner(cluster("stopped"), "a@example.com")
    assert w.clusters.get(cluster("stopped")).creator_user_name == "a@example.com"
    from databricks.sdk.errors import InvalidState

    w.clusters.start(cluster("stopped"))
    with pytest.raises(InvalidState, match="must be terminated"):
        w.clusters.change_owner(cluster("stopped"), "b@example.com")


def test_a_fleet_with_a_right_that_there_is_not_is_refused() -> None:
    fleet = {
        "workspaces": {
            "x": {
                "clusters": [
                    {
                        "name": "c",
                        "spark_version": OLD,
                        "node_type_id": "i3.xlarge",
                        "num_workers": 1,
                        "permission": "CAN_FLY",
                    }
                ]
            }
        }
    }
    with pytest.raises(ValueError, match="CAN_FLY"), running(fleet):
        pass


def test_permissions_survive_a_restart_of_the_server(w: WorkspaceClient, databricks: Databricks, tmp_path: Any) -> None:
    from sandbox.databricks import persist

    give(w, "PUT", "instance-pools/pool-1", to("CAN_MANAGE", group_name="desk"))
    persist.save(tmp_path / "x.json", list(databricks.workspaces.values()))
    again = {ws.key: ws for ws in persist.load(tmp_path / "x.json")}
    assert again["dev"].shelves == databricks.workspaces["dev"].shelves
    assert (again["dev"].admin, again["limited"].admin) == (True, False)
    assert ask(w, "/api/2.0/permissions/instance-pools/pool-1")["access_control_list"][0]["group_name"] == "desk"
