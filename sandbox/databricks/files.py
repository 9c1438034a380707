"""API family `/api/2.0/workspace/*`: notebooks, files and directories.

Paths are kept without the leading `/Workspace`, which means the same. What the fleet's jobs run is there from the
start; its source is made when it is first asked for (notebooks.py).
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

from sandbox.databricks import notebooks
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, invalid, malformed, missing
from sandbox.databricks.workspace import Workspace

LARGEST = 10_000_000
"""Characters of encoded content, at most."""
ENDINGS = {"PYTHON": "py", "SQL": "sql", "SCALA": "scala", "R": "r"}
FORMATS = ("SOURCE", "AUTO", "RAW", "HTML", "JUPYTER", "DBC", "R_MARKDOWN")
MODELLED = ("SOURCE", "AUTO", "RAW")
HEADS = {"# Databricks notebook source": "PYTHON", "-- Databricks notebook source": "SQL"}
HEADS["// Databricks notebook source"] = "SCALA"
ROOTS = ("/", "/Shared", "/Users", "/Repos")


def list_(ws: Workspace, call: Call) -> Json:
    """GET list: what is in a directory; a notebook or file lists itself."""
    tree, path = _tree(ws), _path(call.text("path"))
    entry = _entry(tree, path)
    after = call.number("notebooks_modified_after", 0)
    found = [entry] if entry["object_type"] != "DIRECTORY" else _inside(tree, path)
    shown = [_shown(e, call) for e in found if e["object_type"] != "NOTEBOOK" or e["modified_at"] >= after]
    return {"objects": shown} if shown else {}


def get_status(ws: Workspace, call: Call) -> Json:
    """GET get-status: one object."""
    return _shown(_entry(_tree(ws), _path(call.text("path"))), call)


def export(ws: Workspace, call: Call) -> Json:
    """GET export: the source of a notebook or the content of a file, in base64."""
    entry = _entry(_tree(ws), _path(call.text("path")))
    wanted = _format(call.text("format"))
    if call.flag("direct_download"):
        raise ApiError(501, "NOT_IMPLEMENTED", "the local Databricks does not model direct_download")
    if entry["object_type"] == "DIRECTORY":
        raise invalid(f"Folder ({call.text('path')}) cannot be exported in the format {wanted}: only DBC is possible.")
    content = entry["content"]
    if content is None:
        text = notebooks.text(str(entry["path"]), str(entry["language"]), entry.get("breaks"))
        content = base64.b64encode(text.encode()).decode()
    if len(content) > LARGEST:
        raise _too_large(call.text("path"))
    answer: Json = {"content": content}
    if entry["object_type"] == "NOTEBOOK":
        answer["file_type"] = ENDINGS[entry["language"]]
    return answer


def import_(ws: Workspace, call: Call) -> Json:
    """POST import: a notebook (SOURCE with a language, or AUTO by its first line) or a file."""
    tree, path = _tree(ws), _path(call.body.get("path"))
    wanted = _format(call.body.get("format"))
    content = call.body.get("content") or ""
    if not isinstance(content, str):
        raise malformed("Could not parse request object: content must be a string")
    if len(content) > LARGEST:
        raise _too_large(path)
    try:
        decoded = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("The content is not encoded in base64.") from error
    language = call.body.get("language")
    if language is not None and language not in ENDINGS:
        raise invalid(f"Invalid value for language: {language}")
    if wanted == "SOURCE" and language is None:
        raise invalid("Missing required field: language")
    if wanted == "AUTO":
        first = decoded.decode("utf-8", "replace").partition("\n")[0].rstrip()
        language = HEADS.get(first) if language is None else language
        path = path.rpartition(".")[0] if language and path.endswith(f".{ENDINGS[language]}") else path
    kind = "NOTEBOOK" if wanted == "SOURCE" or (wanted == "AUTO" and language) else "FILE"
    before = tree.get(path)
    if before is not None:
        if not call.body.get("overwrite"):
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        if before["object_type"] != kind:
            raise invalid(f"Cannot overwrite the asset at {path} due to type mismatch: it is {before['object_type']}.")
    parent = path.rpartition("/")[0] or "/"
    if parent not in tree or tree[parent]["object_type"] != "DIRECTORY":
        raise missing(f"The parent folder ({parent}) does not exist.")
    created = before["created_at"] if before else ws.now
    tree[path] = {**_object(path, kind, created), "modified_at": ws.now, "content": content}
    if kind == "NOTEBOOK":
        tree[path]["language"] = language
    ws.changes += 1
    return {}


def delete(ws: Workspace, call: Call) -> Json:
    """POST delete: an object; a directory with something in it only with `recursive`."""
    tree, path = _tree(ws), _path(call.body.get("path"))
    _entry(tree, path)
    if path in ROOTS:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", f"Folder ({path}) is protected and cannot be deleted.")
    below = [name for name in tree if name.startswith(f"{path}/")]
    if below and not call.body.get("recursive"):
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty")
    for name in (path, *below):
        del tree[name]
    ws.changes += 1
    return {}


def mkdirs(ws: Workspace, call: Call) -> Json:
    """POST mkdirs: a directory with all above it; one that is there stays as it is."""
    tree, path = _tree(ws), _path(call.body.get("path"))
    _directories(tree, path, ws.now)
    ws.changes += 1
    return {}


def _directories(tree: dict[str, Json], path: str, at: int) -> None:
    parts = [part for part in path.split("/") if part]
    above = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
    for name in above:
        if name in tree and tree[name]["object_type"] != "DIRECTORY":
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({name}) already exists.")
    for name in above:
        tree.setdefault(name, _object(name, "DIRECTORY", at))


def furnish(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """`files` of the fleet: path, language (a file without it) and text."""
    for entry in content.get("files", []):
        path, made = _path(entry["path"]), now - 90 * 86_400_000
        tree = ws.shelf("files")
        _directories(tree, path.rpartition("/")[0], made)
        kind = "NOTEBOOK" if "language" in entry else "FILE"
        tree[path] = {**_object(path, kind, made), "content": base64.b64encode(entry["text"].encode()).decode()}
        if "language" in entry:
            tree[path]["language"] = entry["language"]


def _tree(ws: Workspace) -> dict[str, Json]:
    """All objects by path; at the first question the notebooks of the fleet's own jobs are put in."""
    tree = ws.shelf("files")
    if "/" not in tree:
        for root in ROOTS:
            tree.setdefault(root, _object(root, "DIRECTORY", 0))
        for job in ws.jobs.values():
            if job.creator != ws.client_id:
                for raw in job.settings.get("tasks") or []:
                    task = (raw.get("for_each_task") or {}).get("task") or raw
                    named = (task.get("notebook_task") or {}).get("notebook_path")
                    _notebook(tree, named, job.created, job.habit.breaks)
        for pipeline in ws.shelf("pipelines").values():
            for library in pipeline["spec"].get("libraries") or []:
                _notebook(tree, (library.get("notebook") or {}).get("path"), pipeline["last_modified"], None)
    return tree


def _notebook(tree: dict[str, Json], named: Any, at: int, breaks: Json | None) -> None:
    if not isinstance(named, str) or not named.startswith("/"):
        return
    path = _path(named)
    if path in tree:
        return
    _directories(tree, path.rpartition("/")[0], at)
    tree[path] = {**_object(path, "NOTEBOOK", at), "language": notebooks.language(path), "content": None}
    if breaks:
        tree[path]["breaks"] = breaks.get("error", "CAST_INVALID_INPUT")


def _object(path: str, kind: str, at: int) -> Json:
    number = 10**14 + zlib.crc32(path.encode()) * 1009
    return {"path": path, "object_type": kind, "object_id": number, "created_at": at, "modified_at": at}


def _entry(tree: dict[str, Json], path: str) -> Json:
    if path not in tree:
        raise missing(f"Path ({path}) doesn't exist.")
    return tree[path]


def _inside(tree: dict[str, Json], path: str) -> list[Json]:
    start = path if path.endswith("/") else f"{path}/"
    return [e for name, e in tree.items() if name.startswith(start) and name != path and "/" not in name[len(start) :]]


def _shown(entry: Json, call: Call) -> Json:
    hidden = ("content", "breaks")
    shown = {name: value for name, value in entry.items() if name not in hidden}
    shown["resource_id"] = str(entry["object_id"])
    if str(call.text("path")).startswith("/Workspace"):
        shown["path"] = f"/Workspace{entry['path']}".rstrip("/")
    if entry["object_type"] == "FILE":
        shown["size"] = len(base64.b64decode(entry["content"]))
    return shown


def _path(given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise invalid("Missing required field: path")
    if not given.startswith("/"):
        raise invalid(f"Path ({given}) must start with '/'.")
    parts = [part for part in given.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise invalid(f"Path ({given}) must not contain '.' or '..'.")
    return "/" + "/".join(parts[1:] if parts[:1] == ["Workspace"] else parts)


def _format(given: Any) -> str:
    wanted = given or "SOURCE"
    if wanted not in FORMATS:
        raise invalid(f"Invalid value for format: {wanted}")
    if wanted not in MODELLED:
        raise ApiError(501, "NOT_IMPLEMENTED", f"the local Databricks does not model the format {wanted}")
    return str(wanted)


def _too_large(path: str) -> ApiError:
    return ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", f"The size of {path} exceeds the limit of 10 MB.")


ROUTES: Routes = {
    ("GET", "/api/2.0/workspace/list"): list_,
    ("GET", "/api/2.0/workspace/get-status"): get_status,
    ("GET", "/api/2.0/workspace/export"): export,
    ("POST", "/api/2.0/workspace/import"): import_,
    ("POST", "/api/2.0/workspace/delete"): delete,
    ("POST", "/api/2.0/workspace/mkdirs"): mkdirs,
}
