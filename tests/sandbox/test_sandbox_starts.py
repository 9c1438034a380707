"""The real servers under the supervisor, without the bot: the printed settings are enough for the real SDKs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from slack_sdk import WebClient

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_the_printed_settings_open_both_doors(tmp_path: Path, mode: str) -> None:
    flags = ["--without-bot", "--port", "0", "--mode", mode, "--state", str(tmp_path / "state")]
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *flags], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        settings = {}
        for line in process.stdout:
            if line.startswith("ready: "):
                break
            name, _, value = line.rstrip("\n").partition("=")
            settings[name] = value
        slack = WebClient(settings["SLACK_BOT_TOKEN"], base_url=settings["SLACK_API_URL"])
        assert slack.auth_test()["ok"]
        for key in ("DEV", "TEST", "STAGING", "PROD"):
            host, token = settings[f"DATABRICKS_{key}_HOST"], settings[f"DATABRICKS_{key}_TOKEN"]
            assert list(WorkspaceClient(host=host, token=token).clusters.list())
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert ("PORT" in settings) is (mode == "http")
