"""Notebooks and files of a workspace: what is there, reading, writing, refusals."""

import base64
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    DatabricksError,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
)
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running


def source(w: WorkspaceClient, path: str) -> str:
    return base64.b64decode(str(w.workspace.export(path).content)).decode()


def put(w: WorkspaceClient, path: str, text: str, **more: Any) -> None:
    content = base64.b64encode(text.encode()).decode()
    w.workspace.import_(path, content=content, **{"format": ImportFormat.SOURCE, "language": Language.PYTHON, **more})


@pytest.mark.conforms("workspace-export-source")
def test_the_notebooks_of_the_jobs_are_there_as_source(w: WorkspaceClient) -> None:
    found = list(w.workspace.list("/Workspace/Shared", recursive=True))
    paths = {o.path for o in found if o.object_type == ObjectType.NOTEBOOK}
    assert {"/Workspace/Shared/hourly/one", "/Workspace/Shared/manual/only"} <= paths
    exported = w.workspace.export("/Workspace/Shared/hourly/one")
    assert exported.file_type == "py"
    assert source(w, "/Workspace/Shared/hourly/one").startswith("# Databricks notebook source\n")
    assert source(w, "/Shared/hourly/one") == source(w, "/Workspace/Shared/hourly/one")
    assert source(w, "/Shared/hourly/one") != source(w, "/Shared/hourly/two")


def test_every_notebook_of_the_sample_can_be_read_and_awkward_ones_are_among_them() -> None:
    with running("sample") as databricks:
        texts = []
        for ws in databricks.workspaces.values():
            w = WorkspaceClient(host=ws.host, token=ws.token)
            for entry in w.workspace.list("/", recursive=True):
                if entry.object_type == ObjectType.NOTEBOOK:
                    texts.append(source(w, str(entry.path)))
            for job in w.jobs.list(expand_tasks=True):
                for task in (job.settings and job.settings.tasks) or []:
                    if task.notebook_task:
                        assert w.workspace.get_status(task.notebook_task.notebook_path).language
        awkward = (
            "input_file_name()",
            "CAST(",
            'format("cloudFiles")',
            "_2.12",
            "distutils",
            "MERGE INTO",
            "import imp",
        )
        for pattern in awkward:
            assert [text for text in texts if pattern in text], pattern
        assert not [text for text in texts if "useIncrementalListing" in text]
        fx = WorkspaceClient(host=databricks.workspaces["staging"].host, token=databricks.workspaces["staging"].token)
        assert "CAST(amount AS DOUBLE)" in source(fx, "/Shared/billing-fx-rates-staging/convert")


@pytest.mark.conforms("workspace-import")
def test_what_was_imported_is_exported_as_it_came_and_survives_in_lists(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    w.workspace.mkdirs("/Shared/mine/deep")
    put(w, "/Shared/mine/deep/nb", "print(1)\n")
    assert source(w, "/Shared/mine/deep/nb") == "print(1)\n"
    (entry,) = w.workspace.list("/Shared/mine/deep")
    assert (entry.path, entry.object_type, entry.language) == (
        "/Shared/mine/deep/nb",
        ObjectType.NOTEBOOK,
        Language.PYTHON,
    )
    assert w.workspace.get_status("/Shared/mine/deep").object_type == ObjectType.DIRECTORY
    databricks.step(60)
    put(w, "/Shared/mine/deep/nb", "print(2)\n", overwrite=True)
    changed = w.workspace.get_status("/Shared/mine/deep/nb")
    assert (changed.modified_at or 0) == (changed.created_at or 0) + 60_000
    since = (changed.modified_at or 0) + 1
    assert list(w.workspace.list("/Shared/mine/deep", notebooks_modified_after=since)) == []


def test_auto_tells_notebooks_from_files_by_their_first_line(w: WorkspaceClient) -> None:
    put(w, "/Shared/a.sql", "-- Databricks notebook source\nSELECT 1", format=ImportFormat.AUTO, language=None)
    put(w, "/Shared/b.py", "print(1)", format=ImportFormat.AUTO, language=None)
    assert w.workspace.get_status("/Shared/a").language == Language.SQL
    plain = w.workspace.get_status("/Shared/b.py")
    assert (plain.object_type, plain.size) == (ObjectType.FILE, 8)


@pytest.mark.conforms("workspace-import-refusals")
def test_nothing_is_overwritten_unasked_and_parents_must_be_there(w: WorkspaceClient) -> None:
    before = source(w, "/Shared/hourly/one")
    with pytest.raises(ResourceAlreadyExists, match="already exists"):
        put(w, "/Shared/hourly/one", "x")
    with pytest.raises(InvalidParameterValue, match="type mismatch"):
        put(w, "/Shared/hourly", "x", overwrite=True)
    with pytest.raises(ResourceDoesNotExist, match="parent folder"):
        put(w, "/Shared/nowhere/nb", "x")
    with pytest.raises(InvalidParameterValue, match="language"):
        put(w, "/Shared/x", "x", language=None)
    with pytest.raises(InvalidParameterValue, match="base64"):
        w.workspace.import_("/Shared/x", content="?", format=ImportFormat.SOURCE, language=Language.R)
    with pytest.raises(BadRequest, match="10 MB") as caught:
        w.workspace.import_("/Shared/x", content="x" * 10_000_001, format=ImportFormat.SOURCE, language=Language.R)
    assert caught.value.error_code == "MAX_NOTEBOOK_SIZE_EXCEEDED"
    assert source(w, "/Shared/hourly/one") == before
    with pytest.raises(NotFound):
        w.workspace.get_status("/Shared/x")


@pytest.mark.conforms("workspace-delete")
def test_a_directory_with_something_in_it_is_deleted_only_recursively(w: WorkspaceClient) -> None:
    with pytest.raises(DatabricksError, match="is not empty") as caught:
        w.workspace.delete("/Shared/hourly")
    assert caught.value.error_code == "DIRECTORY_NOT_EMPTY"
    w.workspace.delete("/Shared/hourly", recursive=True)
    for ask in (
        w.workspace.get_status,
        w.workspace.export,
        w.workspace.delete,
        lambda path: list(w.workspace.list(path)),
    ):
        with pytest.raises(ResourceDoesNotExist):
            ask("/Shared/hourly/one")
    with pytest.raises(InvalidParameterValue, match="protected"):
        w.workspace.delete("/Shared", recursive=True)


def test_mkdirs_makes_what_is_missing_and_refuses_to_replace_a_notebook(w: WorkspaceClient) -> None:
    w.workspace.mkdirs("/Users/a@example.com/x/y")
    w.workspace.mkdirs("/Users/a@example.com/x/y")
    assert [o.path for o in w.workspace.list("/Users/a@example.com")] == ["/Users/a@example.com/x"]
    with pytest.raises(ResourceAlreadyExists, match="already exists"):
        w.workspace.mkdirs("/Shared/hourly/one/below")


@pytest.mark.parametrize("path", ["", "relative", "/Shared/../x"])
def test_a_path_that_is_none_is_refused(w: WorkspaceClient, path: str) -> None:
    with pytest.raises(InvalidParameterValue):
        w.workspace.get_status(path)


def test_a_directory_has_no_source_and_other_formats_are_not_modelled(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="DBC"):
        w.workspace.export("/Shared/hourly")
    with pytest.raises(NotImplemented):
        w.workspace.export("/Shared/hourly/one", format=ExportFormat.JUPYTER)
