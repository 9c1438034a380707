"""Tables as a warehouse makes, copies, changes, restores and tells of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.sql import StatementResponse
from deltalake import DeltaTable

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.sql.log import Log
from sandbox.databricks.workspace import Workspace

Rows = Callable[..., list[list[Any]]]
Failure = Callable[..., str]
Detail = Callable[[str], dict[str, Any]]
DAY = 86_400


def folder(dev: Workspace, name: str) -> str:
    return str(dev.lake.folder(dev.lake.tables[name]))


def count(rows: Rows, name: str) -> int:
    return int(rows(f"SELECT count(*) FROM {name}")[0][0])


# --- queries ---


@pytest.mark.conforms("sql-queries-run-on-real-delta-tables")
def test_queries_join_count_and_compare(rows: Rows, failure: Failure) -> None:
    assert rows("SELECT count(*) FROM orders o JOIN parts p ON o.id = p.id WHERE o.AMOUNT IS NOT NULL") == [["30"]]
    assert rows("SELECT * FROM orders EXCEPT SELECT * FROM orders") == []
    assert rows("SELECT n FROM view WHERE country = 'country-3'") == rows(
        "SELECT count(*) FROM orders WHERE country = 'country-3'"
    )
    assert rows("WITH a AS (SELECT max(id) m FROM orders) SELECT m + 1 FROM a") == [["51"]]
    assert "UNRESOLVED_COLUMN" in failure("SELECT nope FROM orders")
    assert "SCHEMA_NOT_FOUND" in failure("SELECT * FROM shop.nope.x")
    assert "PARSE_SYNTAX_ERROR" in failure("SELEC 1")
    assert "PARSE_SYNTAX_ERROR" in failure("SELECT 1; DROP TABLE orders")


@pytest.mark.conforms("sql-ansi")
def test_bad_casts_and_division_by_zero_fail(rows: Rows, failure: Failure) -> None:
    assert "CAST_INVALID_INPUT" in failure("SELECT CAST(country AS INT) FROM orders")
    assert "DIVIDE_BY_ZERO" in failure("SELECT id / (id - id) FROM orders")
    assert rows("SELECT 7 / 2, try_cast('x' AS INT), CASE WHEN 1 = 2 THEN 1 / 0 ELSE 3 END AS lazy") == [
        ["3.5", None, "3.0"]
    ]


@pytest.mark.conforms("sql-rest-is-not-modelled")
@pytest.mark.parametrize(
    "text",
    [
        "MERGE INTO orders USING parts ON orders.id = parts.id WHEN MATCHED THEN DELETE",
        "COPY INTO orders FROM 's3://x'",
        "CREATE TABLE x USING csv AS SELECT 1 AS a",
        "CREATE TABLE x CLUSTER BY (a) AS SELECT 1 AS a",
        "ALTER TABLE orders RENAME TO other",
        "SELECT xxhash64(id) FROM orders",
        "SHOW VOLUMES",
        "INSERT INTO orders PARTITION (country = 'x') SELECT 1",
    ],
)
def test_what_is_not_modelled_fails_and_says_so(failure: Failure, text: str) -> None:
    assert "local Databricks does not model" in failure(text) or "PARSE_SYNTAX_ERROR" in failure(text)


# --- making and copying ---


@pytest.mark.conforms("ctas-loses-what-is-not-restated", "retried-ctas-finds-its-table")
def test_a_ctas_has_the_rows_but_not_partitions_properties_and_constraints(
    rows: Rows, failure: Failure, table: Detail
) -> None:
    rows("ALTER TABLE parts SET TBLPROPERTIES ('team' = 'parts')")
    rows("CREATE TABLE shop.backup.copied AS SELECT * FROM parts")
    assert count(rows, "shop.backup.copied") == 30
    made = table("shop.backup.copied")
    assert (made["partitionColumns"], made["properties"]) == ("[]", "{}")
    assert "TABLE_OR_VIEW_ALREADY_EXISTS" in failure("CREATE TABLE shop.backup.copied AS SELECT * FROM parts")
    rows("CREATE TABLE IF NOT EXISTS shop.backup.copied AS SELECT 1 AS other")
    assert count(rows, "shop.backup.copied") == 30
    rows("CREATE OR REPLACE TABLE shop.backup.copied PARTITIONED BY (country) AS SELECT * FROM parts WHERE id < 4")
    assert count(rows, "shop.backup.copied") == 3
    assert count(rows, "shop.backup.copied VERSION AS OF 0") == 30


@pytest.mark.conforms("deep-clone-copies-all-but-history")
def test_a_deep_clone_has_schema_partitions_properties_constraints_and_no_history(
    rows: Rows, failure: Failure, table: Detail
) -> None:
    rows("INSERT INTO orders VALUES (1000, 'x', 1.5, current_timestamp())")
    rows("CREATE TABLE shop.backup.orders DEEP CLONE orders")
    source, made = table("orders"), table("shop.backup.orders")
    for name in ("properties", "partitionColumns", "tableFeatures", "minWriterVersion", "numFiles"):
        assert made[name] == source[name]
    assert rows("SELECT * FROM orders EXCEPT SELECT * FROM shop.backup.orders") == []
    history = rows("DESCRIBE HISTORY shop.backup.orders")
    assert [row[4] for row in history] == ["CLONE"]
    parameters = json.loads(history[0][5])
    assert (parameters["source"], parameters["sourceVersion"]) == ("`shop`.`sales`.`orders`", "1")
    assert parameters["isShallow"] == "false"
    assert "DELTA_VIOLATE_CONSTRAINT" in failure("INSERT INTO shop.backup.orders VALUES (1, 'x', -1, null)")
    assert "DELTA_NOT_NULL_CONSTRAINT" in failure("INSERT INTO shop.backup.orders VALUES (null, 'x', 1, null)")


@pytest.mark.conforms("deep-clone-again-copies-what-is-new", "clone-of-a-version")
def test_a_deep_clone_again_copies_only_what_is_new(rows: Rows, run: Callable[..., StatementResponse]) -> None:
    rows("CREATE TABLE shop.backup.orders DEEP CLONE orders")
    rows("INSERT INTO orders VALUES (1000, 'x', 1.5, current_timestamp())")
    again = rows("CREATE OR REPLACE TABLE shop.backup.orders DEEP CLONE orders")
    assert again[0][2:4] == ["0", "1"]
    assert count(rows, "shop.backup.orders") == 51
    rows("CREATE TABLE shop.backup.older DEEP CLONE orders VERSION AS OF 0")
    assert count(rows, "shop.backup.older") == 50


@pytest.mark.conforms("shallow-clone-reads-its-source")
def test_a_shallow_clone_copies_nothing_and_is_written_apart(rows: Rows, w: WorkspaceClient) -> None:
    assert rows("CREATE TABLE shop.backup.light SHALLOW CLONE orders")[0][3] == "0"
    rows("INSERT INTO shop.backup.light VALUES (1, 'x', 1, null)")
    assert (count(rows, "shop.backup.light"), count(rows, "orders")) == (51, 50)
    assert str(w.tables.get("shop.backup.light").table_type) == "TableType.MANAGED_SHALLOW_CLONE"


@pytest.mark.conforms("clone-not-of-views-and-pipeline-tables", "source-protocol-is-inherited")
def test_views_and_tables_of_pipelines_are_not_cloned_and_protocols_are(
    rows: Rows, failure: Failure, table: Detail
) -> None:
    assert "EXPECT_TABLE_NOT_VIEW" in failure("CREATE TABLE shop.backup.x DEEP CLONE view")
    for name in ("live", "material"):
        assert "DELTA_CLONE_UNSUPPORTED_SOURCE" in failure(f"CREATE TABLE shop.backup.x DEEP CLONE {name}")
    rows("CREATE TABLE shop.backup.vectors DEEP CLONE vectors")
    assert "deletionVectors" in json.loads(table("shop.backup.vectors")["tableFeatures"])


def test_the_tables_are_delta_tables_that_others_can_read(rows: Rows, dev: Workspace) -> None:
    rows("INSERT INTO parts VALUES (1000, 'a b/c', 1.5, current_timestamp())")
    opened = DeltaTable(folder(dev, "shop.sales.parts"))
    assert opened.version() == 1
    assert [entry["operation"] for entry in opened.history()] == ["WRITE", "CREATE TABLE AS SELECT"]
    assert opened.history()[0]["timestamp"] == dev.now
    assert sum(opened.get_add_actions(flatten=True)["num_records"].to_pylist()) == 31


# --- writing ---


@pytest.mark.conforms("insert-overwrite-keeps-history")
def test_inserts_append_or_replace_and_every_one_is_a_version(rows: Rows, failure: Failure) -> None:
    rows("INSERT INTO parts (id, country) VALUES (77, 'DE'), (78, :c)", c="O'Brien")
    assert rows("SELECT country FROM parts WHERE id = 78 AND amount IS NULL") == [["O'Brien"]]
    rows("INSERT OVERWRITE parts SELECT * FROM orders WHERE id <= 5")
    assert (count(rows, "parts"), count(rows, "parts VERSION AS OF 1"), count(rows, "parts@v0")) == (5, 32, 30)
    assert "INSERT_COLUMN_ARITY_MISMATCH" in failure("INSERT INTO parts VALUES (1)")
    assert "CAST_INVALID_INPUT" in failure("INSERT INTO parts VALUES ('many', 'x', 1, null)")
    assert count(rows, "parts") == 5


def test_deletes_and_updates_touch_what_they_name(rows: Rows) -> None:
    assert rows("DELETE FROM orders WHERE id <= 10") == [["10"]]
    assert rows("UPDATE orders SET amount = amount + 1, country = 'DE' WHERE id = 11") == [["1"]]
    assert rows("DELETE FROM orders WHERE id = 1") == [["0"]]
    assert count(rows, "orders") == 40
    assert rows("SELECT o.amount - v.amount FROM orders o JOIN orders@v0 v ON o.id = v.id WHERE o.id = 11") == [
        ["1.00"]
    ]
    assert [row[4] for row in rows("DESCRIBE HISTORY orders LIMIT 2")] == ["UPDATE", "DELETE"]


def test_tables_of_pipelines_are_not_written(failure: Failure) -> None:
    assert "STREAMING_TABLE_OPERATION_NOT_ALLOWED" in failure("INSERT INTO live SELECT 1, null")
    assert "MATERIALIZED_VIEW_OPERATION_NOT_ALLOWED" in failure("DELETE FROM material")


def test_dropped_tables_are_gone(rows: Rows, failure: Failure, w: WorkspaceClient) -> None:
    rows("CREATE TABLE shop.backup.t AS SELECT 1 AS x")
    rows("CREATE VIEW shop.backup.v AS SELECT * FROM shop.backup.t")
    assert "USE_DROP_VIEW" in failure("DROP TABLE shop.backup.v")
    rows("DROP VIEW shop.backup.v")
    rows("DROP TABLE shop.backup.t")
    assert "TABLE_OR_VIEW_NOT_FOUND" in failure("DROP TABLE shop.backup.t")
    rows("DROP TABLE IF EXISTS shop.backup.t")
    assert w.tables.exists("shop.backup.t").table_exists is False


# --- history, restore ---


@pytest.mark.conforms("history-shows-the-calendar")
def test_history_has_the_instants_of_the_calendar_newest_first(
    rows: Rows, databricks: Databricks, dev: Workspace
) -> None:
    databricks.step(3600)
    rows("INSERT INTO orders VALUES (1000, 'x', 1, null)")
    history = rows("DESCRIBE HISTORY orders")
    assert [row[0] for row in history] == ["1", "0"]
    assert [row[1][:16] for row in history] == ["2026-11-23T09:00", "2026-11-21T08:00"]
    assert rows("DESCRIBE HISTORY orders LIMIT 1") == history[:1]
    assert rows("SELECT count(*) FROM orders TIMESTAMP AS OF '2026-11-23 09:00:00'") == [["51"]]


@pytest.mark.conforms("restore-commits-a-new-version", "restore-again-is-possible", "restore-restores-properties")
def test_restore_makes_an_old_version_the_newest_with_its_properties(
    rows: Rows, run: Callable[..., StatementResponse], table: Detail, databricks: Databricks
) -> None:
    rows("CREATE TABLE shop.backup.t TBLPROPERTIES ('a' = '1') AS SELECT * FROM orders")
    rows("INSERT INTO shop.backup.t SELECT * FROM parts")
    rows("ALTER TABLE shop.backup.t SET TBLPROPERTIES ('a' = '2', 'b' = '3')")
    answer = run("RESTORE TABLE shop.backup.t TO VERSION AS OF 0")
    assert answer.manifest
    assert answer.manifest.schema
    names = [column.name for column in answer.manifest.schema.columns or []]
    assert names[:4] == [
        "table_size_after_restore",
        "num_of_files_after_restore",
        "num_removed_files",
        "num_restored_files",
    ]
    assert answer.result
    assert (answer.result.data_array or [])[0][1:4] == ["1", "1", "0"]
    assert count(rows, "shop.backup.t") == 50
    assert table("shop.backup.t")["properties"] == '{"a":"1"}'
    latest = rows("DESCRIBE HISTORY shop.backup.t LIMIT 1")[0]
    assert (latest[0], latest[4], latest[5]) == ("3", "RESTORE", '{"version":"0"}')
    rows("RESTORE TABLE shop.backup.t TO VERSION AS OF 2")
    assert count(rows, "shop.backup.t") == 80
    rows("RESTORE shop.backup.t TO VERSION AS OF 0")
    assert count(rows, "shop.backup.t") == 50


@pytest.mark.conforms("restore-adds-files-as-changed-data")
def test_restored_files_are_added_as_changed_data(rows: Rows, dev: Workspace) -> None:
    rows("INSERT INTO orders VALUES (1000, 'x', 1, null)")
    rows("OPTIMIZE orders")
    rows("RESTORE TABLE orders TO VERSION AS OF 1")
    newest = Log(dev.lake.folder(dev.lake.tables["shop.sales.orders"])).commits[-1]
    added = [action["add"] for action in newest if "add" in action]
    assert len(added) == 2
    assert all(file["dataChange"] is True for file in added)


@pytest.mark.conforms("restore-refuses-what-is-not-older")
def test_restore_refuses_the_latest_version_and_those_that_are_not_there(rows: Rows, failure: Failure) -> None:
    rows("CREATE TABLE shop.backup.t AS SELECT 1 AS x")
    assert "should be less then last available version (0)" in failure("RESTORE TABLE shop.backup.t TO VERSION AS OF 0")
    rows("INSERT INTO shop.backup.t VALUES (2)")
    assert "Available versions: [0, 1]" in failure("RESTORE TABLE shop.backup.t TO VERSION AS OF 9")
    assert "DELTA_VERSION_NOT_FOUND" in failure("SELECT * FROM shop.backup.t VERSION AS OF 9")
    assert "PARSE_SYNTAX_ERROR" in failure("RESTORE TABLE shop.backup.t TO VERSION AS OF x")


@pytest.mark.conforms("restore-timestamp-within-history")
def test_restore_by_timestamp_must_fall_into_history(rows: Rows, failure: Failure, databricks: Databricks) -> None:
    rows("CREATE TABLE shop.backup.t AS SELECT 1 AS x")
    databricks.step(7200)
    rows("INSERT INTO shop.backup.t VALUES (2)")
    text = "RESTORE TABLE shop.backup.t TO TIMESTAMP AS OF '{}'"
    assert "TIMESTAMP_EARLIER" in failure(text.format("2026-11-23 07:59:00"))
    assert "TIMESTAMP_GREATER" in failure(text.format("2026-11-23 12:00:00"))
    assert "DELTA_TIMESTAMP_INVALID" in failure(text.format("yesterday"))
    rows(text.format("2026-11-23 09:00:00"))
    assert count(rows, "shop.backup.t") == 1


@pytest.mark.conforms("restore-not-for-views-and-pipeline-tables")
@pytest.mark.parametrize("name", ["view", "live", "material"])
def test_views_and_tables_of_pipelines_cannot_be_restored(failure: Failure, name: str) -> None:
    assert "'RESTORE TABLE' expects a table" in failure(f"RESTORE TABLE {name} TO VERSION AS OF 0")


@pytest.mark.conforms("restore-never-lowers-the-protocol", "feature-drift-is-visible", "runs-write-tables")
def test_restore_after_a_run_on_17_keeps_the_new_features(
    rows: Rows, table: Detail, run_job: Callable[[str], None]
) -> None:
    run_job("writer-13")
    before = table("written")
    assert (before["minReaderVersion"], before["minWriterVersion"]) == ("1", "2")
    recorded = rows("DESCRIBE HISTORY written LIMIT 1")[0]
    assert (recorded[0], recorded[14]) == ("1", "Databricks-Runtime/13.3.x-scala2.12")
    run_job("writer-17")
    assert count(rows, "written") == 18
    after = table("written")
    assert set(json.loads(after["tableFeatures"])) - set(json.loads(before["tableFeatures"])) == {
        "domainMetadata",
        "rowTracking",
        "typeWidening",
    }
    assert (after["minReaderVersion"], after["minWriterVersion"]) == ("3", "7")
    rows("RESTORE TABLE written TO VERSION AS OF 1")
    restored = table("written")
    assert count(rows, "written") == 14
    assert restored["properties"] == before["properties"]
    assert restored["tableFeatures"] == after["tableFeatures"]
    assert restored["minReaderVersion"] == "3"


def test_a_failed_run_writes_nothing(rows: Rows, run_job: Callable[[str], None]) -> None:
    run_job("failing")
    assert count(rows, "written") == 10
    assert len(rows("DESCRIBE HISTORY written")) == 1


@pytest.mark.conforms("restore-fails-on-missing-files", "vacuum-takes-old-files")
def test_after_a_vacuum_the_files_of_old_versions_are_missing(
    rows: Rows, failure: Failure, databricks: Databricks
) -> None:
    rows("CREATE TABLE shop.backup.t AS SELECT * FROM orders")
    rows("INSERT OVERWRITE shop.backup.t SELECT * FROM parts")
    assert "RETENTION_PERIOD_TOO_SHORT" in failure("VACUUM shop.backup.t RETAIN 24 HOURS")
    databricks.step(8 * DAY)
    assert len(rows("VACUUM shop.backup.t DRY RUN")) == 1
    rows("VACUUM shop.backup.t")
    assert count(rows, "shop.backup.t") == 30
    rows("ALTER TABLE shop.backup.t SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 60 days')")
    assert "Not all files from version 0 are available" in failure("RESTORE TABLE shop.backup.t TO VERSION AS OF 0")
    assert "DBR_FILE_NOT_EXIST" in failure("SELECT * FROM shop.backup.t VERSION AS OF 0")


@pytest.mark.conforms("time-travel-ends-with-file-retention", "retention-is-raised-first")
def test_a_version_older_than_the_retention_of_files_is_refused_unless_it_was_raised_first(
    rows: Rows, failure: Failure, databricks: Databricks
) -> None:
    for name, raised in (("short", False), ("long", True)):
        rows(f"CREATE TABLE shop.backup.{name} AS SELECT * FROM orders")
        if raised:
            rows(
                f"ALTER TABLE shop.backup.{name} SET TBLPROPERTIES ("
                "'delta.deletedFileRetentionDuration' = 'interval 60 days', "
                "'delta.logRetentionDuration' = 'interval 60 days')"
            )
        rows(f"INSERT OVERWRITE shop.backup.{name} SELECT * FROM parts")
    databricks.step(12 * DAY)
    message = failure("RESTORE TABLE shop.backup.short TO VERSION AS OF 0")
    assert "Cannot time travel beyond delta.deletedFileRetentionDuration (168 HOURS)" in message
    assert "DELTA_UNSUPPORTED_TIME_TRAVEL" in failure("SELECT * FROM shop.backup.short VERSION AS OF 0")
    rows("VACUUM shop.backup.long")
    rows("RESTORE TABLE shop.backup.long TO VERSION AS OF 0")
    assert count(rows, "shop.backup.long") == 50
    assert "INVALID_INTERVAL_FORMAT" in failure(
        "ALTER TABLE shop.backup.long SET TBLPROPERTIES ('delta.logRetentionDuration' = 'for ever')"
    )


@pytest.mark.conforms("history-ends-with-log-retention")
def test_history_forgets_versions_after_30_days(rows: Rows, failure: Failure, databricks: Databricks) -> None:
    rows("CREATE TABLE shop.backup.t AS SELECT 1 AS x")
    databricks.step(20 * DAY)
    rows("INSERT INTO shop.backup.t VALUES (2)")
    databricks.step(11 * DAY)
    assert [row[0] for row in rows("DESCRIBE HISTORY shop.backup.t")] == ["1"]
    assert "Available versions: [1, 1]" in failure("RESTORE TABLE shop.backup.t TO VERSION AS OF 0")


@pytest.mark.conforms("predictive-optimization-vacuums")
def test_predictive_optimization_vacuums_by_itself(rows: Rows, databricks: Databricks, dev: Workspace) -> None:
    rows("DELETE FROM tended WHERE id = 1")
    before = {path.name for path in dev.lake.folder(dev.lake.tables["shop.sales.tended"]).glob("*.parquet")}
    assert len(before) == 2
    databricks.step(8 * DAY)
    history = rows("DESCRIBE HISTORY tended LIMIT 2")
    assert [row[4] for row in history] == ["VACUUM END", "VACUUM START"]
    after = {path.name for path in dev.lake.folder(dev.lake.tables["shop.sales.tended"]).glob("*.parquet")}
    assert len(after) == 1


def test_optimize_changes_files_and_no_rows(rows: Rows, table: Detail) -> None:
    for number in range(3):
        rows(f"INSERT INTO orders VALUES ({1000 + number}, 'x', 1, null)")
    assert table("orders")["numFiles"] == "4"
    rows("OPTIMIZE orders")
    assert table("orders")["numFiles"] == "1"
    assert rows("SELECT * FROM orders EXCEPT SELECT * FROM orders@v3") == []


# --- properties and features ---


def test_properties_are_set_shown_and_unset(rows: Rows, failure: Failure) -> None:
    rows("ALTER TABLE orders SET TBLPROPERTIES ('a.b' = 'c', d.e = 1)")
    assert rows("SHOW TBLPROPERTIES orders ('a.b')") == [["a.b", "c"]]
    assert ["d.e", "1"] in rows("SHOW TBLPROPERTIES orders")
    rows("ALTER TABLE orders UNSET TBLPROPERTIES ('a.b')")
    assert "does not have property" in rows("SHOW TBLPROPERTIES orders ('a.b')")[0][1]
    assert "DELTA_UNSET_NON_EXISTENT_PROPERTY" in failure("ALTER TABLE orders UNSET TBLPROPERTIES ('a.b')")
    rows("ALTER TABLE orders UNSET TBLPROPERTIES IF EXISTS ('a.b')")


@pytest.mark.conforms("drop-feature")
def test_a_feature_is_dropped_at_once_and_the_history_stays(rows: Rows, table: Detail) -> None:
    rows("ALTER TABLE vectors SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    rows("ALTER TABLE vectors DROP FEATURE typeWidening")
    after = table("vectors")
    assert json.loads(after["tableFeatures"]) == ["appendOnly", "checkpointProtection", "deletionVectors", "invariants"]
    assert "delta.enableTypeWidening" not in json.loads(after["properties"])
    rows("ALTER TABLE vectors DROP FEATURE 'deletionVectors'")
    final = table("vectors")
    assert json.loads(final["tableFeatures"]) == ["appendOnly", "checkpointProtection", "invariants"]
    assert (final["minReaderVersion"], final["minWriterVersion"]) == ("1", "7")
    assert count(rows, "vectors VERSION AS OF 1") == 10


@pytest.mark.conforms("drop-feature-refusals")
@pytest.mark.parametrize(
    ("feature", "says"),
    [
        ("typeWidening", "DELTA_FEATURE_DROP_FEATURE_NOT_PRESENT"),
        ("timeMachine", "DELTA_FEATURE_DROP_UNSUPPORTED_CLIENT_FEATURE"),
        ("invariants", "DELTA_FEATURE_DROP_NONREMOVABLE_FEATURE"),
        ("checkConstraints", "DELTA_CANNOT_DROP_CHECK_CONSTRAINT_FEATURE"),
        ("appendOnly TRUNCATE HISTORY", "DELTA_FEATURE_DROP_HISTORY_TRUNCATION_NOT_ALLOWED"),
    ],
)
def test_features_that_cannot_be_dropped(failure: Failure, feature: str, says: str) -> None:
    assert says in failure(f"ALTER TABLE orders DROP FEATURE {feature}")


@pytest.mark.conforms("drop-feature-truncating-history")
def test_truncating_history_takes_a_day_and_takes_the_history(
    rows: Rows, failure: Failure, databricks: Databricks, table: Detail
) -> None:
    text = "ALTER TABLE vectors DROP FEATURE deletionVectors TRUNCATE HISTORY"
    assert "DELTA_FEATURE_DROP_WAIT_FOR_RETENTION_PERIOD" in failure(text)
    assert "deletionVectors" in json.loads(table("vectors")["tableFeatures"])
    databricks.step(23 * 3600)
    assert "DELTA_FEATURE_DROP_HISTORICAL_VERSIONS_EXIST" in failure(text)
    databricks.step(3600)
    rows(text)
    assert json.loads(table("vectors")["tableFeatures"]) == ["appendOnly", "invariants"]
    assert "DELTA_CANNOT_RESTORE_TABLE_VERSION" in failure("RESTORE TABLE vectors TO VERSION AS OF 0")
    assert "DELTA_FEATURE_DROP_FEATURE_NOT_PRESENT" in failure(text)


@pytest.mark.conforms("drop-feature-protection-needs-truncation")
def test_checkpoint_protection_goes_with_the_history_only(rows: Rows, failure: Failure) -> None:
    rows("ALTER TABLE vectors DROP FEATURE deletionVectors")
    assert "CAN_ONLY_DROP_CHECKPOINT_PROTECTION_WITH_HISTORY_TRUNCATION" in failure(
        "ALTER TABLE vectors DROP FEATURE checkpointProtection"
    )


# --- runs that write ---


def test_a_run_that_replaces_a_table_leaves_the_old_version_readable(
    rows: Rows, run_job: Callable[[str], None]
) -> None:
    run_job("replacer")
    history = rows("DESCRIBE HISTORY stock")
    assert json.loads(history[0][5])["mode"] == "Overwrite"
    assert json.loads(history[0][6])["jobId"]
    assert (count(rows, "stock"), count(rows, "stock@v0")) == (10, 10)
    assert rows("SELECT max(id) FROM stock") != rows("SELECT max(id) FROM stock@v0")


def test_describe_tells_columns_partitions_and_more(rows: Rows) -> None:
    told = rows("DESCRIBE TABLE parts")
    assert told[:2] == [["id", "bigint", None], ["country", "string", None]]
    assert ["# Partition Information", "", ""] in told
    assert ["Type", "MANAGED", ""] in rows("DESCRIBE TABLE EXTENDED parts")
    assert ["country", "string", None] in rows("DESCRIBE parts")


def test_schemas_catalogs_and_grants_are_shown(rows: Rows, failure: Failure, dev: Workspace) -> None:
    assert ["sales"] in rows("SHOW SCHEMAS IN shop")
    assert ["shop"] in rows("SHOW CATALOGS")
    assert ["platform-automation", "MODIFY", "SCHEMA", "shop.sales"] in rows("SHOW GRANTS ON TABLE orders")
    assert "does not have CREATE_SCHEMA" in failure("CREATE SCHEMA shop.extra")
