"""What the page asks of others: the weather of the Databricks side, and the end of the bot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from sandbox.databricks.server import running as databricks_running
from sandbox.slack.server import Slack

Start = Callable[..., Slack]
TINY = {"workspaces": {"dev": {"clusters": []}}}


def test_weather_is_made_shown_and_ended_on_the_databricks_side(start: Start) -> None:
    with databricks_running(TINY) as databricks:
        workspace = next(iter(databricks.workspaces.values()))
        slack = start(databricks_admin=workspace.host)
        assert slack.get("weather") == {"faults": []}
        rules = [{"path": "/api/*/clusters/*", "kind": "403"}, {"path": "/api/*/jobs/*", "kind": "503", "rate": 0.5}]
        made = slack.post("weather", **{"as": "qa", "faults": rules})["faults"]
        assert [(rule["kind"], rule["rate"], rule["hits"]) for rule in made] == [("403", 1.0, 0), ("503", 0.5, 0)]
        client = WorkspaceClient(host=workspace.host, token=workspace.token)
        with pytest.raises(PermissionDenied):
            list(client.clusters.list())
        assert slack.get("weather")["faults"][0]["hits"] == 1
        left = slack.post("weather", clear=made[0]["number"])["faults"]
        assert [rule["kind"] for rule in left] == ["503"]
        assert list(client.clusters.list()) == []
        with pytest.raises(LookupError, match="400 there is no fault number 77"):
            slack.post("weather", clear=77)
        assert slack.post("weather", clear=True) == {"faults": []}


def test_what_the_databricks_side_refuses_is_told_in_its_words(start: Start) -> None:
    with databricks_running(TINY) as databricks:
        slack = start(databricks_admin=next(iter(databricks.workspaces.values())).host)
        with pytest.raises(LookupError, match="400 unknown kind of fault 'fog'"):
            slack.post("weather", kind="fog")
    with pytest.raises(LookupError, match="502 The Databricks side does not answer"):
        slack.get("weather")


def test_without_a_databricks_side_there_is_no_weather(start: Start) -> None:
    with pytest.raises(LookupError, match="404"):
        start().get("weather")


# -- the bot -----------------------------------------------------------------------------------------------------------


def test_a_bot_that_somebody_else_started_is_not_killed(start: Start) -> None:
    slack = start()
    assert slack.get("state", **{"as": "qa"})["bot"]["kill"] == {"can": False, "times": 0, "down": None, "back": None}
    with pytest.raises(LookupError, match="404 The bot was not started by this sandbox"):
        slack.post("kill")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bot": null}', '{"bot": "1", "supervisor": 1}'])
def test_a_file_without_a_bot_kills_nobody(start: Start, tmp_path: Path, content: str) -> None:
    (tmp_path / "pids.json").write_text(content)
    with pytest.raises(LookupError, match="409 The bot does not run at the moment"):
        start(pids=tmp_path / "pids.json").post("kill")


def test_only_a_child_of_the_same_supervisor_is_killed(start: Start, tmp_path: Path) -> None:
    """The server's parent counts as the supervisor; here that is whoever started the tests."""
    file = tmp_path / "pids.json"
    slack = start(pids=file)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        for supervisor in (os.getppid(), os.getpid(), 1):
            file.write_text(json.dumps({"bot": stranger.pid, "supervisor": supervisor}))
            with pytest.raises(LookupError, match="409"):
                slack.post("kill")
        file.write_text(json.dumps({"bot": 2**22 + 1, "supervisor": os.getppid()}))
        with pytest.raises(LookupError, match="409"):
            slack.post("kill")
        assert stranger.poll() is None
        stranger.kill()
