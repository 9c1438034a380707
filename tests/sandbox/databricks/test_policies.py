"""Cluster policies: the policies themselves, who may write them, and what comes with the platform."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service import compute

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from tests.sandbox.databricks.governed import FLEET, OLD, ask, send

CLUSTERS = "/api/2.0/policies/clusters"
RULES = json.dumps({"spark_version": {"type": "fixed", "value": OLD}})


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as found:
        yield found


@pytest.fixture
def limited(databricks: Databricks) -> WorkspaceClient:
    ws = databricks.workspaces["limited"]
    return WorkspaceClient(host=ws.host, token=ws.token)


@pytest.mark.conforms("policy-shapes")
def test_a_policy_is_made_read_listed_and_deleted(w: WorkspaceClient, databricks: Databricks) -> None:
    made = w.cluster_policies.create(name="mine", definition=RULES, description="why", max_clusters_per_user=3)
    found = w.cluster_policies.get(str(made.policy_id))
    assert (found.name, found.definition, found.description, found.is_default) == ("mine", RULES, "why", False)
    assert (found.creator_user_name, found.created_at_timestamp) == (w.current_user.me().user_name, databricks.now())
    by_name = w.cluster_policies.list(
        sort_column=compute.ListSortColumn.POLICY_NAME, sort_order=compute.ListSortOrder.ASC
    )
    names = [p.name for p in by_name]
    assert names == sorted(names, key=str)
    assert next(iter(w.cluster_policies.list())).name == "mine"
    assert "next_page_token" not in ask(w, f"{CLUSTERS}/list")
    w.cluster_policies.delete(str(made.policy_id))
    with pytest.raises(ResourceDoesNotExist, match="Can't find a cluster policy"):
        w.cluster_policies.get(str(made.policy_id))


@pytest.mark.conforms("policy-definition-is-a-string")
@pytest.mark.parametrize("definition", [{"spark_version": {"type": "unlimited"}}, "{not json", None])
def test_a_definition_that_is_no_json_text_is_refused(w: WorkspaceClient, definition: Any) -> None:
    with pytest.raises(InvalidParameterValue, match="definition"):
        send(w, f"{CLUSTERS}/create", name="x", definition=definition)


@pytest.mark.conforms("policy-edit-replaces-the-whole")
def test_an_edit_replaces_the_whole_policy(w: WorkspaceClient) -> None:
    library = compute.Library(pypi=compute.PythonPyPiLibrary(package="a"))
    made = w.cluster_policies.create(name="mine", definition=RULES, libraries=[library], max_clusters_per_user=3)
    policy_id = str(made.policy_id)
    w.cluster_policies.edit(policy_id, name="renamed", definition="{}")
    after = ask(w, f"{CLUSTERS}/get", policy_id=policy_id)
    assert (after["name"], after["definition"]) == ("renamed", "{}")
    assert not {"libraries", "max_clusters_per_user"} & set(after)
    for missing in ({"name": "renamed"}, {"definition": "{}"}):
        with pytest.raises(InvalidParameterValue):
            send(w, f"{CLUSTERS}/edit", policy_id=policy_id, **missing)
    assert ask(w, f"{CLUSTERS}/get", policy_id=policy_id) == after


@pytest.mark.conforms("policy-names-are-unique")
def test_two_policies_cannot_have_the_same_name(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="`both` already exists"):
        w.cluster_policies.create(name="both", definition=RULES)
    with pytest.raises(InvalidParameterValue, match="`both` already exists"):
        w.cluster_policies.edit("FIXED", name="both", definition=RULES)
    w.cluster_policies.edit("BOTH", name="both", definition=RULES)
    for name in ("", "x" * 101):
        with pytest.raises(InvalidParameterValue, match="between 1 and 100"):
            send(w, f"{CLUSTERS}/create", name=name, definition=RULES)


@pytest.mark.conforms("policy-of-a-family-takes-overrides")
def test_a_policy_of_a_family_takes_overrides_and_no_definition(w: WorkspaceClient) -> None:
    over = json.dumps({"num_workers": {"type": "range", "maxValue": 5}})
    with pytest.raises(InvalidParameterValue, match="policy_family_definition_overrides instead"):
        send(w, f"{CLUSTERS}/create", name="x", definition=RULES, policy_family_id="job-cluster")
    with pytest.raises(InvalidParameterValue, match="without policy_family_id"):
        send(w, f"{CLUSTERS}/create", name="x", definition=RULES, policy_family_definition_overrides=over)
    with pytest.raises(InvalidParameterValue, match="Policy family none"):
        send(w, f"{CLUSTERS}/create", name="x", policy_family_id="none")
    made = w.cluster_policies.create(name="x", policy_family_id="job-cluster", policy_family_definition_overrides=over)
    found = w.cluster_policies.get(str(made.policy_id))
    rules = json.loads(str(found.definition))
    assert rules["num_workers"] == {"type": "range", "maxValue": 5}
    assert rules["cluster_type"] == {"type": "fixed", "value": "job"}
    assert (found.policy_family_id, found.policy_family_definition_overrides) == ("job-cluster", over)


@pytest.mark.conforms("policy-families-are-given")
def test_policy_families_can_be_read(w: WorkspaceClient) -> None:
    families = {f.policy_family_id: f for f in w.policy_families.list(max_results=3)}
    assert {"personal-vm", "power-user", "shared-compute", "job-cluster"} == set(families)
    assert w.policy_families.get("job-cluster").definition == families["job-cluster"].definition
    with pytest.raises(NotFound):
        w.policy_families.get("none")


@pytest.mark.conforms("default-policy-cannot-be-deleted")
def test_a_default_policy_can_be_edited_but_neither_deleted_nor_moved_to_another_family(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="Default policy"):
        w.cluster_policies.delete("DEFAULT")
    with pytest.raises(InvalidParameterValue, match="family of a default policy"):
        w.cluster_policies.edit("DEFAULT", name="Job Compute", policy_family_id="shared-compute")
    w.cluster_policies.edit("DEFAULT", name="Our jobs", policy_family_id="job-cluster")
    assert (w.cluster_policies.get("DEFAULT").name, w.cluster_policies.get("DEFAULT").is_default) == ("Our jobs", True)


@pytest.mark.conforms("policies-are-for-administrators")
def test_only_an_administrator_writes_policies_and_sees_those_that_nobody_may_use(
    w: WorkspaceClient, limited: WorkspaceClient
) -> None:
    assert [p.policy_id for p in limited.cluster_policies.list()] == ["BOTH"]
    for attempt in (
        lambda: limited.cluster_policies.create(name="x", definition=RULES),
        lambda: limited.cluster_policies.edit("BOTH", name="x", definition=RULES),
        lambda: limited.cluster_policies.delete("BOTH"),
        lambda: limited.cluster_policies.get("CLOSED"),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert "admins" in {group.display for group in w.current_user.me().groups or []}
    assert "admins" not in {group.display for group in limited.current_user.me().groups or []}


@pytest.mark.conforms("policies-are-for-administrators")
def test_a_policy_and_a_pool_that_one_may_not_use_are_refused(limited: WorkspaceClient, databricks: Databricks) -> None:
    spec = {"cluster_name": "x", "spark_version": OLD, "num_workers": 1}
    with pytest.raises(PermissionDenied, match="not authorized to use the policy CLOSED"):
        send(limited, "/api/2.1/clusters/create", **spec, node_type_id="i3.xlarge", policy_id="CLOSED")
    assert send(limited, "/api/2.1/clusters/create", **spec, instance_pool_id="pool-1")["cluster_id"]
    databricks.workspaces["limited"].shelf("permissions")["instance-pools/pool-1"] = {"entries": []}
    with pytest.raises(PermissionDenied, match="instance pool pool-1"):
        send(limited, "/api/2.1/clusters/create", **spec, instance_pool_id="pool-1")


def test_libraries_of_a_policy_are_checked(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="Exactly one of"):
        send(w, f"{CLUSTERS}/create", name="x", definition="{}", libraries=[{"pypi": {"package": "a"}, "jar": "b"}])
    with pytest.raises(BadRequest, match="libraries must be a list"):
        send(w, f"{CLUSTERS}/create", name="x", definition="{}", libraries="a")
    many = [{"pypi": {"package": f"p{n}"}} for n in range(501)]
    with pytest.raises(InvalidParameterValue, match="at most 500"):
        send(w, f"{CLUSTERS}/create", name="x", definition="{}", libraries=many)


def test_rules_on_prices_are_not_modelled_and_say_so(w: WorkspaceClient) -> None:
    from databricks.sdk.errors import NotImplemented

    made = w.cluster_policies.create(name="x", definition='{"dbus_per_hour": {"type": "range", "maxValue": 10}}')
    with pytest.raises(NotImplemented, match="prices"):
        send(
            w,
            "/api/2.1/clusters/create",
            spark_version=OLD,
            node_type_id="i3.xlarge",
            num_workers=1,
            policy_id=made.policy_id,
        )
