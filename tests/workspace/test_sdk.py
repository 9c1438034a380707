"""The SDK as the bot enters it, in a process where nothing else has."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENTERED = """
import sys
from workspace.client import Client
from workspace.access import access
client = Client(access(host="http://127.0.0.1:9", token="dapi-nothing"))
config, _ = client._connect()
print(config.authenticate())
print([name for name in sys.modules if name.startswith("databricks.sdk.service.c")])
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
import databricks.sdk
print(WorkspaceClient.__module__, isinstance(config, Config), databricks.sdk.AccountClient.__name__)
"""


def test_it_comes_without_the_types_of_every_service_logs_in_and_still_has_them_for_who_asks() -> None:
    done = subprocess.run([sys.executable, "-c", ENTERED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "{'Authorization': 'Bearer dapi-nothing'}",
        "[]",
        "databricks.sdk True AccountClient",
    ], done.stderr
