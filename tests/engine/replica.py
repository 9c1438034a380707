"""`python -m tests.engine.replica URL CLOCK OWNER PARALLEL KEY=HOST=TOKEN...`: one engine in a process of its own."""

import sys
from pathlib import Path

from engine.loop import Engine
from engine.parts import Parts
from stopping import Stop
from storage.clock import FileCalendar
from storage.database import Database
from storage.secrets import Vault
from tests.engine.harness import KEY, PATIENCE
from workspace.access import access
from workspace.client import Client


def main(url: str, clock: str, owner: str, parallel: str, *workspaces: str) -> None:
    """Be that replica until SIGTERM."""
    clients = {}
    for text in workspaces:
        key, host, token = text.split("=")
        clients[key] = Client(access(host=host, token=token), time_limit=PATIENCE.http, read_budget=2.0)
    calendar = FileCalendar(Path(clock))
    engine = Engine(Parts(Database(url), calendar, clients, Vault([KEY]), owner, PATIENCE, int(parallel)))
    end = Stop()
    end.listen()
    engine.start()
    print("begun", flush=True)
    end.wait()
    engine.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
