"""How long a first look at 10,000 jobs and 2,000 clusters takes, and how much memory; beside it, bare paging.

Both are processes of their own against the same server. The bot's look plans every target and stores it; the bare one
asks for the same pages, one listing after the other in each workspace and all workspaces at once, and drops them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.engine_room import client, engine_room
from bench.fleet_server import ROOT, Server, served
from bench.report import Figure
from engine import discover

JOBS, CLUSTERS, LATENCY = 10_000, 2_000, 0.050
OF_PAGING, MEGABYTES = 1.2, 500.0
LISTINGS = (
    ("/api/2.1/clusters/list", {"page_size": 100, "filter_by": {"cluster_sources": ["UI", "API", "PIPELINE"]}}),
    ("/api/2.2/jobs/list", {"limit": 100, "expand_tasks": "true"}),
)


def main(fleet: str = f"{JOBS}+{CLUSTERS}") -> list[Figure]:
    """Measure a fleet of JOBS+CLUSTERS, print, and return the figures."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory, served(f"large:{fleet}", Path(directory), 1.0) as server:
        server.latency(LATENCY)
        given = json.dumps({"admin": server.admin, "workspaces": server.workspaces, "clock": str(server.clock)})
        for way in ("paging", "look"):
            command = [sys.executable, "-m", "bench.looking", way, given]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
            print(f"{way:<8}{found[way]['seconds']:8.1f} s{found[way]['megabytes']:8.0f} MB")
    look, paging = found["look"], found["paging"]
    of = (
        f"{look['seconds']:.1f} s to {paging['seconds']:.1f} s of bare paging, {fleet.replace('+', ' jobs, ')} clusters"
    )
    return [
        Figure("first look and plan, x bare paging", look["seconds"] / paging["seconds"], OF_PAGING, of),
        Figure("memory of a first look, MB", look["megabytes"], MEGABYTES, "the most that the process ever held"),
    ]


def _paging(server: Server) -> float:
    clients = [client(server, key, 30.0) for key in server.workspaces]

    def read(key: int) -> None:
        for path, query in LISTINGS:
            for _ in clients[key].pages(path, query):
                pass

    began = time.monotonic()
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(read, range(len(clients))))
    return time.monotonic() - began


def _look(server: Server) -> float:
    with tempfile.TemporaryDirectory() as directory, engine_room(server, Path(directory)) as room:
        parts = room.parts()
        began = time.monotonic()
        with ThreadPoolExecutor(len(server.workspaces)) as pool:
            looks = [pool.submit(discover.look, parts, key) for key in server.workspaces]
            room.looked()  # every target is planned and stored; what ran lately is read after that
            took = time.monotonic() - began
            if not all(look.result() for look in looks):
                raise SystemExit("a workspace could not be looked at")
        return took


def _child(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["paging", "look"])
    parser.add_argument("server")
    chosen = parser.parse_args(arguments)
    given = json.loads(chosen.server)
    server = Server(given["admin"], given["workspaces"], Path(given["clock"]))
    seconds = _paging(server) if chosen.way == "paging" else _look(server)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    _child(sys.argv[1:])
