"""The machine types of a workspace: what its list says of them, and what it takes."""

from collections.abc import Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service.compute import CloudProviderNodeStatus

from sandbox.databricks.server import running
from tests.sandbox.databricks.conftest import STANDARD, TINY

SAID = {
    "m5d.large": {"is_deprecated": True},
    "m5d.xlarge": {"is_hidden": True},
    "g5.2xlarge": {"node_info": {"status": ["NotEnabledOnSubscription", "NotAvailableInRegion"]}},
    "i3.2xlarge": None,
}


def fleet(said: dict[str, object]) -> dict[str, object]:
    dev = {**TINY["workspaces"]["dev"], "node_types": said, "admin": True}
    return {**TINY, "workspaces": {"dev": dev, "prod": TINY["workspaces"]["prod"]}}


@pytest.fixture
def w() -> Iterator[WorkspaceClient]:
    with running(fleet(SAID)) as databricks:
        dev = databricks.workspaces["dev"]
        yield WorkspaceClient(host=dev.host, token=dev.token)


@pytest.mark.conforms("node-types-say-what-can-be-had")
def test_the_list_says_of_each_type_whether_it_can_be_had(w: WorkspaceClient) -> None:
    listed = {node.node_type_id: node for node in w.clusters.list_node_types().node_types or []}
    assert "i3.2xlarge" not in listed
    assert (listed["m5d.large"].is_deprecated, listed["i3.xlarge"].is_deprecated) == (True, False)
    assert (listed["m5d.xlarge"].is_hidden, listed["i3.xlarge"].is_hidden) == (True, False)
    info = listed["g5.2xlarge"].node_info
    assert info is not None
    assert info.status == [
        CloudProviderNodeStatus.NOT_ENABLED_ON_SUBSCRIPTION,
        CloudProviderNodeStatus.NOT_AVAILABLE_IN_REGION,
    ]


@pytest.mark.conforms("node-types-that-are-not-listed-are-refused")
def test_what_is_not_listed_is_taken_neither_for_clusters_nor_for_pools(w: WorkspaceClient) -> None:
    refused = r"Node type i3.2xlarge is not supported. Supported node types: i3.xlarge, "
    spec = {**STANDARD, "cluster_name": "new"}
    for fields in ({"node_type_id": "i3.2xlarge"}, {"driver_node_type_id": "i3.2xlarge"}):
        with pytest.raises(InvalidParameterValue, match=refused):
            w.api_client.do("POST", "/api/2.1/clusters/create", body={**spec, **fields})
    stopped = next(c.cluster_id for c in w.clusters.list() if c.cluster_name == "stopped")
    with pytest.raises(InvalidParameterValue, match=refused):
        w.api_client.do(
            "POST", "/api/2.1/clusters/edit", body={**spec, "cluster_id": stopped, "node_type_id": "i3.2xlarge"}
        )
    change = {"cluster_id": stopped, "update_mask": "node_type_id", "cluster": {"node_type_id": "i3.2xlarge"}}
    with pytest.raises(InvalidParameterValue, match=refused):
        w.api_client.do("POST", "/api/2.1/clusters/update", body=change)
    with pytest.raises(InvalidParameterValue, match=refused):
        w.instance_pools.create("new", "i3.2xlarge")
    assert w.clusters.get(str(stopped)).node_type_id == "i3.xlarge"


@pytest.mark.conforms("node-types-say-what-can-be-had")
@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"x1.huge": None}, "no machine type x1.huge"),
        ({"i3.xlarge": {"colour": "red"}}, "i3.xlarge has no colour"),
        ({"i3.xlarge": {"node_info": {"status": ["Sold"]}}}, "no status Sold"),
    ],
)
def test_a_fleet_that_says_nonsense_of_machine_types_is_refused(said: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem), running(fleet(said)):
        pass
