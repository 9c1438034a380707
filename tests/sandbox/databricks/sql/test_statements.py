"""The statement API, over the wire, with the real SDK and with raw requests."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service.sql import Disposition, ExecuteStatementRequestOnWaitTimeout, Format, StatementState

from sandbox.databricks import statements
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace

PATH = "/api/2.0/sql/statements"


def state(w: WorkspaceClient, statement: str | None) -> StatementState | None:
    found = w.statement_execution.get_statement(statement or "")
    assert found.status
    return found.status.state


@pytest.mark.conforms("statement-values-are-strings", "statement-manifest-tells-the-schema")
def test_every_value_is_a_string_or_null_and_the_manifest_tells_the_types(w: WorkspaceClient) -> None:
    text = (
        "SELECT id, amount, at, CAST(NULL AS STRING) AS nothing, id > 1 AS more, amount / 4 AS part, "
        "DATE '2024-02-03' AS day FROM shop.sales.orders WHERE id <= 2 ORDER BY id"
    )
    answer: Any = w.api_client.do("POST", PATH, body={"statement": text, "warehouse_id": "wh-main"})
    assert answer["status"] == {"state": "SUCCEEDED"}
    for row in answer["result"]["data_array"]:
        assert all(value is None or isinstance(value, str) for value in row)
    first = answer["result"]["data_array"][0]
    assert (first[0], first[3], first[4], first[6]) == ("1", None, "false", "2024-02-03")
    assert first[2].endswith(".000Z")
    columns = {column["name"]: column for column in answer["manifest"]["schema"]["columns"]}
    assert [column["type_text"] for column in columns.values()] == [
        "BIGINT",
        "DECIMAL(10,2)",
        "TIMESTAMP",
        "STRING",
        "BOOLEAN",
        "DOUBLE",
        "DATE",
    ]
    assert columns["amount"]["type_name"] == "DECIMAL"
    assert (columns["amount"]["type_precision"], columns["amount"]["type_scale"]) == (10, 2)
    assert (answer["manifest"]["total_row_count"], answer["manifest"]["truncated"]) == (2, False)


@pytest.mark.conforms("statement-failure-is-http-200")
def test_a_failing_statement_is_an_answer_with_http_200(dev: Workspace, w: WorkspaceClient) -> None:
    headers = {"Authorization": f"Bearer {dev.token}"}
    body = {"statement": "SELECT * FROM shop.sales.nowhere", "warehouse_id": "wh-main"}
    answer = requests.post(f"{dev.host}{PATH}", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200
    status = answer.json()["status"]
    assert (status["state"], status["error"]["error_code"], status["sql_state"]) == ("FAILED", "BAD_REQUEST", "42P01")
    assert status["error"]["message"].startswith("[TABLE_OR_VIEW_NOT_FOUND] The table or view `shop`.`sales`.`nowhere`")
    assert "result" not in answer.json()
    typed = w.statement_execution.get_statement(answer.json()["statement_id"])
    assert typed.status
    assert typed.status.state is StatementState.FAILED


@pytest.mark.conforms("statement-wait-timeout")
@pytest.mark.parametrize("wait", ["1s", "4s", "51s", "10", "5m", "-5s", ""])
def test_a_wait_of_1_to_4_or_more_than_50_seconds_is_refused(w: WorkspaceClient, wait: str) -> None:
    with pytest.raises(InvalidParameterValue, match="wait_timeout"):
        w.statement_execution.execute_statement("SELECT 1", "wh-main", wait_timeout=wait)


@pytest.mark.conforms("statement-wait-timeout")
@pytest.mark.parametrize("wait", ["0s", "5s", "50s"])
def test_a_wait_of_0_or_5_to_50_seconds_is_taken(w: WorkspaceClient, wait: str) -> None:
    sent = w.statement_execution.execute_statement("SELECT 1", "wh-main", wait_timeout=wait)
    assert state(w, sent.statement_id) is StatementState.SUCCEEDED


@pytest.mark.conforms("statement-refused-requests")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"statement": ""}, "statement"),
        ({"warehouse_id": "nope"}, "nope is not a valid endpoint id"),
        ({"on_wait_timeout": "WAIT"}, "on_wait_timeout"),
        ({"format": "CSV"}, "JSON_ARRAY"),
        ({"row_limit": 0}, "row_limit"),
        ({"parameters": [{"value": "1"}]}, "positional"),
        ({"parameters": [{"name": "a", "value": 1}]}, "must be a string"),
        ({"parameters": [{"name": "a", "type": "TABLE"}]}, "type"),
        ({"statement": "x" * (16 * 1024 * 1024 + 1)}, "16777216"),
    ],
)
def test_requests_that_make_no_sense_are_refused(w: WorkspaceClient, body: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterValue, match=says):
        w.api_client.do("POST", PATH, body={"statement": "SELECT 1", "warehouse_id": "wh-main", **body})


@pytest.mark.soak
def test_a_statement_just_below_the_limit_of_its_text_is_taken(w: WorkspaceClient) -> None:
    text = "SELECT 1 -- " + "x" * (16 * 1024 * 1024 - 20)
    sent = w.statement_execution.execute_statement(text, "wh-main", wait_timeout="50s")
    assert sent.status
    assert sent.status.state is StatementState.SUCCEEDED


@pytest.mark.conforms("statement-external-links")
def test_external_links_are_answered_with_what_is_missing(dev: Workspace) -> None:
    body = {"statement": "SELECT 1", "warehouse_id": "wh-main", "disposition": Disposition.EXTERNAL_LINKS.value}
    body["format"] = Format.JSON_ARRAY.value
    answer = requests.post(f"{dev.host}{PATH}", json=body, headers={"Authorization": f"Bearer {dev.token}"}, timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert "EXTERNAL_LINKS" in answer.json()["message"]


@pytest.mark.conforms("statement-parameters-bind-values-only", "statement-identifier-clause")
def test_parameters_bind_values_and_never_names(rows: Callable[..., Any], failure: Callable[..., str]) -> None:
    evil = "x' OR '1'='1"
    assert rows("SELECT count(*) FROM orders WHERE country = :c", c=evil) == [["0"]]
    assert rows("SELECT :a AS a, :b + 1 AS b, :n AS n", a=evil, b=("41", "BIGINT"), n=(None, "INT")) == [
        [evil, "42", None]
    ]
    assert "PARSE_SYNTAX_ERROR" in failure("SELECT count(*) FROM :t", t="shop.sales.orders")
    assert rows("SELECT count(*) FROM IDENTIFIER(:t)", t="shop.sales.`orders`") == [["50"]]
    assert "TABLE_OR_VIEW_NOT_FOUND" in failure(
        "SELECT 1 FROM IDENTIFIER(:t)", t="shop.sales.`orders; DROP TABLE orders`"
    )
    assert "UNBOUND_SQL_PARAMETER" in failure("SELECT :missing")
    assert "CAST_INVALID_INPUT" in failure("SELECT :n", n=("many", "INT"))


@pytest.mark.conforms("statement-names-are-quoted-with-backticks")
def test_a_name_with_backticks_in_it_is_written_with_double_ones(rows: Callable[..., Any]) -> None:
    rows("CREATE TABLE shop.backup.`odd``name` AS SELECT 1 AS x")
    assert rows("SELECT x FROM shop.backup.`odd``name`") == [["1"]]
    assert ["backup", "odd`name", "false"] in rows("SHOW TABLES IN shop.backup")


@pytest.mark.conforms("statement-states", "statement-async")
def test_a_slow_statement_is_running_until_the_calendar_has_got_to_its_end(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    sent = w.statement_execution.execute_statement("SELECT count(*) FROM shop.sales.slow", "wh-main", wait_timeout="0s")
    assert sent.status
    assert sent.status.state in (StatementState.PENDING, StatementState.RUNNING)
    assert sent.result is None
    databricks.step(59)
    assert state(w, sent.statement_id) is StatementState.RUNNING
    databricks.step(1)
    done = w.statement_execution.get_statement(sent.statement_id or "")
    assert done.result
    assert done.result.data_array == [["10"]]


@pytest.mark.conforms("statement-on-wait-timeout")
def test_after_the_wait_a_statement_goes_on_or_is_cancelled_as_asked(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    text = "CREATE TABLE shop.backup.late AS SELECT * FROM shop.sales.slow"
    goes_on = w.statement_execution.execute_statement("SELECT * FROM shop.sales.slow", "wh-main", wait_timeout="5s")
    stops = w.statement_execution.execute_statement(
        text, "wh-main", wait_timeout="5s", on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CANCEL
    )
    assert stops.status
    assert stops.status.state is StatementState.CANCELED
    databricks.step(3600 * 0.5)
    assert state(w, goes_on.statement_id) is StatementState.SUCCEEDED
    assert state(w, stops.statement_id) is StatementState.CANCELED
    assert w.tables.exists("shop.backup.late").table_exists is False


@pytest.mark.conforms("statement-cancel", "statement-cancel-may-lose")
def test_a_cancel_stops_what_is_not_done_and_changes_nothing_of_what_is(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    running_one = w.statement_execution.execute_statement(
        "CREATE TABLE shop.backup.c1 AS SELECT * FROM shop.sales.slow", "wh-main", wait_timeout="0s"
    )
    w.statement_execution.cancel_execution(running_one.statement_id or "")
    databricks.step(120)
    assert state(w, running_one.statement_id) is StatementState.CANCELED
    assert w.tables.exists("shop.backup.c1").table_exists is False
    done = w.statement_execution.execute_statement("CREATE TABLE shop.backup.c2 AS SELECT 1 AS x", "wh-main")
    w.statement_execution.cancel_execution(done.statement_id or "")
    assert state(w, done.statement_id) is StatementState.SUCCEEDED
    assert w.tables.exists("shop.backup.c2").table_exists is True
    with pytest.raises(NotFound):
        w.statement_execution.cancel_execution("nope")


@pytest.mark.conforms("statement-results-kept-an-hour")
def test_results_are_gone_after_an_hour_and_the_statement_after_twelve(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    sent = w.statement_execution.execute_statement("SELECT 1", "wh-main")
    name = sent.statement_id or ""
    databricks.step(3599)
    assert w.statement_execution.get_statement_result_chunk_n(name, 0).data_array == [["1"]]
    databricks.step(1)
    assert state(w, name) is StatementState.CLOSED
    with pytest.raises(NotFound):
        w.statement_execution.get_statement_result_chunk_n(name, 0)
    databricks.step(11 * 3600)
    with pytest.raises(NotFound):
        w.statement_execution.get_statement(name)


@pytest.mark.conforms("statement-chunks")
def test_a_long_result_comes_in_chunks_that_name_the_next(w: WorkspaceClient) -> None:
    sent = w.statement_execution.execute_statement("SELECT id FROM range(12000)", "wh-main")
    assert sent.manifest
    assert sent.manifest.total_chunk_count == 3
    assert sent.result
    part, found = sent.result, 0
    while True:
        assert part.row_offset == found
        found += len(part.data_array or [])
        if part.next_chunk_index is None:
            break
        part = w.statement_execution.get_statement_result_chunk_n(sent.statement_id or "", part.next_chunk_index)
    assert found == 12000
    with pytest.raises(InvalidParameterValue):
        w.statement_execution.get_statement_result_chunk_n(sent.statement_id or "", 3)


@pytest.mark.conforms("statement-limits-of-results")
def test_a_limit_cuts_the_rows_and_says_so_and_25_mib_are_too_much(w: WorkspaceClient) -> None:
    cut = w.statement_execution.execute_statement("SELECT id FROM range(10)", "wh-main", row_limit=3)
    assert cut.manifest
    assert (cut.manifest.total_row_count, cut.manifest.truncated) == (3, True)
    whole = w.statement_execution.execute_statement("SELECT id FROM range(3)", "wh-main", row_limit=3)
    assert whole.manifest
    assert whole.manifest.truncated is False
    small = w.statement_execution.execute_statement("SELECT repeat('x', 100) FROM range(9)", "wh-main", byte_limit=250)
    assert small.manifest
    assert (small.manifest.total_row_count, small.manifest.truncated) == (2, True)
    large = w.statement_execution.execute_statement(
        "SELECT repeat('x', 1000000) FROM range(27)", "wh-main", wait_timeout="50s"
    )
    assert large.status
    assert large.status.error
    assert "Inline byte limit exceeded" in (large.status.error.message or "")


@pytest.mark.conforms("statement-wakes-warehouse")
def test_a_stopped_warehouse_is_started_by_a_statement(w: WorkspaceClient, databricks: Databricks) -> None:
    sent = w.statement_execution.execute_statement("SELECT 1", "wh-classic", wait_timeout="5s")
    assert sent.status
    assert sent.status.state is StatementState.PENDING
    assert str(w.warehouses.get("wh-classic").state) == "State.STARTING"
    databricks.step(4 * 60)
    assert state(w, sent.statement_id) is StatementState.SUCCEEDED
    assert str(w.warehouses.get("wh-classic").state) == "State.RUNNING"


@pytest.mark.conforms("statement-permissions")
def test_without_a_right_on_the_warehouse_it_is_403_and_without_one_on_the_table_it_fails(
    w: WorkspaceClient, failure: Callable[..., str], rows: Callable[..., Any]
) -> None:
    with pytest.raises(PermissionDenied):
        w.statement_execution.execute_statement("SELECT 1", "wh-closed")
    assert "does not have USE CATALOG on Catalog 'hidden'" in failure("SELECT * FROM hidden.deep.secret")
    assert rows("SELECT count(*) FROM shop.readonly.prices") == [["5"]]
    assert "does not have MODIFY on Table 'shop.readonly.prices'" in failure("DELETE FROM shop.readonly.prices")
    assert "does not have MODIFY" in failure("RESTORE TABLE shop.readonly.prices TO VERSION AS OF 0")
    assert "does not have CREATE TABLE on Schema" in failure("CREATE TABLE shop.readonly.mine AS SELECT 1 AS x")
    assert "does not have MANAGE" in failure("DROP TABLE shop.sales.orders")


def test_statements_of_two_clients_are_carried_out_one_after_the_other(
    w: WorkspaceClient, rows: Callable[..., Any]
) -> None:
    names = [
        w.statement_execution.execute_statement(
            f"CREATE TABLE shop.backup.n{n} AS SELECT * FROM shop.sales.orders", "wh-main", wait_timeout="0s"
        ).statement_id
        for n in range(8)
    ]
    assert [state(w, name) for name in names] == [StatementState.SUCCEEDED] * 8
    assert rows("SELECT count(*) FROM shop.backup.n7") == [["50"]]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The query engine stands still until this is set; a GET does not wait for it."""
    from sandbox.databricks.sql import engine

    event, real = threading.Event(), engine.run

    def waiting(sql: str, tables: Any) -> Any:
        event.wait(30)
        return real(sql, tables)

    monkeypatch.setattr(engine, "run", waiting)
    monkeypatch.setattr(statements, "ANSWERS_WITHIN", 0.01)
    yield event
    event.set()


@pytest.mark.conforms("statement-cancel-may-lose")
def test_while_a_statement_is_carried_out_others_are_answered_and_a_cancel_comes_too_late(
    w: WorkspaceClient, held: threading.Event, cluster: Callable[[str], str]
) -> None:
    sent = w.statement_execution.execute_statement("SELECT 1", "wh-main", wait_timeout="0s")
    behind = w.statement_execution.execute_statement("SELECT 2", "wh-main", wait_timeout="0s")
    assert state(w, sent.statement_id) is StatementState.RUNNING
    assert w.clusters.get(cluster("shared")).cluster_name == "shared"
    w.statement_execution.cancel_execution(behind.statement_id or "")
    assert state(w, behind.statement_id) is StatementState.CANCELED
    w.statement_execution.cancel_execution(sent.statement_id or "")
    assert state(w, sent.statement_id) is StatementState.RUNNING
    held.set()
    while state(w, sent.statement_id) is StatementState.RUNNING:
        pass
    assert state(w, sent.statement_id) is StatementState.SUCCEEDED


def test_a_statement_that_a_restart_cut_off_has_failed(
    tmp_path: Any, data: dict[str, Any], held: threading.Event
) -> None:
    clock, folder = tmp_path / "clock.json", tmp_path / "state"
    with running(data, clock, folder) as first:
        ws = first.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        sent = w.statement_execution.execute_statement("SELECT 1", "wh-main", wait_timeout="0s").statement_id
    with running(data, clock, folder) as second:
        ws = second.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        found = w.statement_execution.get_statement(sent or "")
        assert found.status
        assert found.status.error
        assert "restarted" in (found.status.error.message or "")


def test_everything_is_there_after_a_restart(tmp_path: Any, data: dict[str, Any]) -> None:
    """Tables with their history, finished statements with their results, and those that wait for the calendar."""
    clock, folder = tmp_path / "clock.json", tmp_path / "state"
    with running(data, clock, folder) as first:
        ws = first.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        w.statement_execution.execute_statement("CREATE TABLE shop.backup.kept DEEP CLONE shop.sales.orders", "wh-main")
        w.statement_execution.execute_statement(
            "INSERT INTO shop.backup.kept SELECT * FROM shop.sales.parts", "wh-main"
        )
        done = w.statement_execution.execute_statement("SELECT count(*) FROM shop.backup.kept", "wh-main").statement_id
        waits = w.statement_execution.execute_statement("SELECT * FROM shop.sales.slow", "wh-main", wait_timeout="0s")
    with running(data, clock, folder) as second:
        ws = second.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        again = w.statement_execution.get_statement(done or "")
        assert again.result
        assert again.result.data_array == [["80"]]
        history = w.statement_execution.execute_statement("DESCRIBE HISTORY shop.backup.kept", "wh-main")
        assert history.result
        assert [row[4] for row in history.result.data_array or []] == ["WRITE", "CLONE"]
        assert state(w, waits.statement_id) is StatementState.RUNNING
        second.step(60)
        assert state(w, waits.statement_id) is StatementState.SUCCEEDED


def test_a_temporary_folder_of_tables_is_gone_with_the_server(data: dict[str, Any]) -> None:
    with running(data) as found:
        ws = found.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        w.statement_execution.execute_statement("SELECT count(*) FROM shop.sales.orders", "wh-main")
        home = ws.lake.home
        assert (home / "tables").is_dir()
    assert not home.exists()
