"""Unity Catalog by API: what is there, who may what, and whether credentials work."""

from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.catalog import CredentialPurpose, TableType, ValidationResultResult

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

BASE = "/api/2.1/unity-catalog"


def ask(dev: Workspace, path: str) -> requests.Response:
    return requests.get(f"{dev.host}{BASE}/{path}", headers={"Authorization": f"Bearer {dev.token}"}, timeout=60)


@pytest.mark.conforms("metastore-one-for-all")
def test_workspaces_share_a_metastore_and_see_their_own_catalogs(
    databricks: Databricks, w: WorkspaceClient, connect: Any
) -> None:
    other = connect(databricks.workspaces["prod"])
    here, there = w.metastores.summary(), other.metastores.summary()
    assert here.metastore_id == there.metastore_id == w.metastores.current().metastore_id
    assert w.metastores.current().default_catalog_name == "shop"
    assert [found.metastore_id for found in w.metastores.list()] == [here.metastore_id]
    assert w.metastores.get(here.metastore_id or "").name == here.name
    assert [catalog.name for catalog in other.catalogs.list()] == ["prod"]
    with pytest.raises(NotFound):
        other.catalogs.get("shop")


@pytest.mark.conforms("uc-objects-are-listed")
def test_catalogs_schemas_and_tables_are_listed_and_got(w: WorkspaceClient, dev: Workspace) -> None:
    assert "shop" in [catalog.name for catalog in w.catalogs.list()]
    assert w.catalogs.get("shop").owner == "data-platform@example.com"
    assert {schema.name for schema in w.schemas.list("shop")} == {"backup", "default", "readonly", "sales"}
    assert w.schemas.get("shop.sales").full_name == "shop.sales"
    tables = {table.name: table for table in w.tables.list("shop", "sales")}
    assert tables["view"].table_type is TableType.VIEW
    assert tables["live"].table_type is TableType.STREAMING_TABLE
    assert tables["material"].table_type is TableType.MATERIALIZED_VIEW
    orders = w.tables.get("shop.sales.orders")
    assert orders.table_type is TableType.MANAGED
    assert orders.created_at == dev.now - 2 * 86_400_000
    assert orders.properties == {"delta.constraints.plus": "amount >= 0"}
    assert (orders.storage_location or "").startswith("s3://unity-shop/")
    assert [(column.name, column.type_text) for column in orders.columns or []][2] == ("amount", "decimal(10,2)")
    assert orders.columns
    assert orders.columns[0].nullable is False
    assert w.tables.exists("shop.sales.orders").table_exists is True
    assert w.tables.exists("shop.sales.nope").table_exists is False
    for call in (
        lambda: w.tables.get("shop.sales.nope"),
        lambda: w.schemas.get("shop.nope"),
        lambda: w.catalogs.get("nope"),
        lambda: list(w.tables.list("shop", "nope")),
        lambda: list(w.schemas.list("nope")),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(PermissionDenied):
        w.tables.get("hidden.deep.secret")
    with pytest.raises(InvalidParameterValue):
        w.tables.get("orders")


def test_a_table_that_a_statement_made_is_there_at_once(w: WorkspaceClient, rows: Any, dev: Workspace) -> None:
    rows("CREATE TABLE shop.backup.made (id BIGINT, day DATE) PARTITIONED BY (day) TBLPROPERTIES ('a' = 'b')")
    made = w.tables.get("shop.backup.made")
    assert (made.owner, made.created_at, made.properties) == (dev.client_id, dev.now, {"a": "b"})
    assert made.columns
    assert [column.partition_index for column in made.columns] == [None, 0]


@pytest.mark.conforms("uc-paged-mode")
def test_with_max_results_0_a_page_may_be_empty_and_have_a_next_one(w: WorkspaceClient, dev: Workspace) -> None:
    path = "tables?catalog_name=shop&schema_name=sales&max_results="
    first = ask(dev, f"{path}0").json()
    assert first["tables"] == []
    assert first["next_page_token"]
    everything = [table["name"] for table in ask(dev, path.removesuffix("&max_results=")).json()["tables"]]
    names, token = [], first["next_page_token"]
    while token:
        page = ask(dev, f"{path}3&page_token={token}").json()
        assert len(page["tables"]) <= 3
        names += [table["name"] for table in page["tables"]]
        token = page.get("next_page_token")
    assert names == everything
    assert sorted(table.name or "" for table in w.tables.list("shop", "sales")) == everything
    assert ask(dev, f"{path}-1").status_code == 400
    assert ask(dev, f"{path}0&page_token=nonsense").status_code == 400


@pytest.mark.conforms("grants-effective-include-inherited", "grants-direct-only", "grants-groups-are-not-expanded")
def test_effective_permissions_tell_what_is_inherited_and_from_where(w: WorkspaceClient, dev: Workspace) -> None:
    found: Any = w.grants.get_effective("table", "shop.sales.orders", principal="platform-automation")
    shown = [p.as_dict() for a in found.privilege_assignments for p in a.privileges]
    assert shown == [{"privilege": "MODIFY", "inherited_from_type": "SCHEMA", "inherited_from_name": "shop.sales"}]
    mine: Any = w.grants.get_effective("table", "shop.sales.orders", principal=dev.client_id)
    assert {p.privilege.value for a in mine.privilege_assignments for p in a.privileges} == {"SELECT"}
    assert not w.grants.get("table", "shop.sales.orders").privilege_assignments
    direct: Any = w.grants.get("catalog", "shop")
    assert {a.principal for a in direct.privilege_assignments} == {dev.client_id, "engineers"}
    with pytest.raises(NotFound):
        w.grants.get_effective("table", "shop.sales.nope")


@pytest.mark.conforms("grants-max-results")
def test_max_results_of_permissions_is_0_or_at_least_150(w: WorkspaceClient) -> None:
    for size in (1, 149):
        with pytest.raises(InvalidParameterValue, match="max_results"):
            w.grants.get_effective("catalog", "shop", max_results=size)
    for size in (0, 150, 1000):
        page = w.grants.get_effective("catalog", "shop", max_results=size)
        assert page.privilege_assignments == [] or page.privilege_assignments is None
        again = w.grants.get_effective("catalog", "shop", max_results=size, page_token=page.next_page_token)
        assert again.privilege_assignments
    assert w.grants.get("catalog", "shop").privilege_assignments


@pytest.mark.conforms("external-locations")
def test_external_locations_are_listed_and_got(w: WorkspaceClient) -> None:
    assert [place.name for place in w.external_locations.list()] == ["landing", "reference"]
    place = w.external_locations.get("reference")
    assert (place.url, place.credential_name, place.read_only) == ("s3://reference", "bad", True)
    with pytest.raises(NotFound):
        w.external_locations.get("nope")


@pytest.mark.conforms("storage-credentials-validate", "storage-credentials-skip-is-not-pass")
def test_a_credential_is_validated_operation_by_operation(w: WorkspaceClient) -> None:
    good = w.storage_credentials.validate(storage_credential_name="good", external_location_name="landing").results
    assert {result.result for result in good or []} == {ValidationResultResult.PASS}
    bad = w.storage_credentials.validate(storage_credential_name="bad", url="s3://reference/x").results
    told = {result.operation.value: result for result in bad or [] if result.operation}
    assert told["READ"].result is ValidationResultResult.PASS
    assert told["WRITE"].result is ValidationResultResult.FAIL
    assert told["DELETE"].result is ValidationResultResult.SKIP
    assert "not allowed" in (told["WRITE"].message or "")
    reading = w.storage_credentials.validate(storage_credential_name="bad", url="s3://reference/x", read_only=True)
    assert {result.operation.value for result in reading.results or [] if result.operation} == {
        "READ",
        "LIST",
        "PATH_EXISTS",
    }


@pytest.mark.conforms("storage-credentials-validate-rights")
def test_validating_needs_a_right_and_something_to_validate(w: WorkspaceClient) -> None:
    with pytest.raises(PermissionDenied):
        w.storage_credentials.validate(storage_credential_name="foreign", url="s3://x")
    with pytest.raises(NotFound):
        w.storage_credentials.validate(storage_credential_name="nope", url="s3://x")
    with pytest.raises(NotFound):
        w.storage_credentials.validate(storage_credential_name="good", external_location_name="nope")
    with pytest.raises(InvalidParameterValue):
        w.storage_credentials.validate(storage_credential_name="good")
    assert [credential.name for credential in w.storage_credentials.list()] == ["bad", "good"]
    assert w.storage_credentials.get("good").aws_iam_role
    with pytest.raises(PermissionDenied):
        w.storage_credentials.get("foreign")


@pytest.mark.conforms("service-credentials")
def test_service_credentials_are_listed_and_validated(w: WorkspaceClient) -> None:
    listed = list(w.credentials.list_credentials(purpose=CredentialPurpose.SERVICE))
    assert [credential.name for credential in listed] == ["broken", "service"]
    assert w.credentials.get_credential("service").purpose is CredentialPurpose.SERVICE
    assert {c.name for c in w.credentials.list_credentials()} == {"bad", "broken", "good", "service"}
    for name, expected in (("service", "PASS"), ("broken", "FAIL")):
        answer = w.credentials.validate_credential(credential_name=name, purpose=CredentialPurpose.SERVICE)
        assert [result.result.value for result in answer.results or [] if result.result] == [expected]
    with pytest.raises(NotFound):
        w.credentials.validate_credential(credential_name="good", purpose=CredentialPurpose.SERVICE)
    stored = w.credentials.validate_credential(
        credential_name="bad", purpose=CredentialPurpose.STORAGE, url="s3://reference/x"
    )
    assert "FAIL" in [result.result.value for result in stored.results or [] if result.result]
