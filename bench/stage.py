"""How fast a stage goes forward and back: 2,000 jobs, 300 clusters and 20 policies, 50 ms an answer, 16 in flight.

Beside it, in the same run and against the same server, a plain script: it lists, gets and edits in a pool of the same
width, and keeps no journal, backup or limit. The limit of a stage is the calls that it needs, times the latency,
divided by what is in flight: no client of that width can be faster.
"""

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engine_room import WIDTH, client, engine_room
from bench.fleet_server import Server, served
from bench.report import Figure
from rollout.runtime import release
from rollout.states import ActionKind, StageState
from workspace.client import Client

JOBS, CLUSTERS, POLICIES = 2000, 300, 20
LATENCY, SPEED = 0.050, 60.0
CALLS_A_TARGET, OF_LIMIT, OF_SCRIPT = 3.0, 1.25, 1.3


@dataclass(frozen=True, slots=True)
class Took:
    """What one way took: seconds on the clock and of our CPU, and the calls that the server was sent."""

    name: str
    seconds: float
    cpu: float
    calls: Counter[str]
    targets: int

    @property
    def made(self) -> int:
        return self.calls.total()


def main(fleet: str = f"{JOBS}+{CLUSTERS}") -> list[Figure]:
    """Measure a fleet of JOBS+CLUSTERS, print, and return the figures."""
    rows: list[Took] = []
    for way in (_script, _bot):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory)
            with served(f"large:{fleet}", path, SPEED) as server:
                server.latency(LATENCY)
                rows += way(server, path)
    _print(rows)
    return _figures(*rows)


def _figures(script: Took, forward: Took, back: Took) -> list[Figure]:
    needed = CALLS_A_TARGET * forward.targets * LATENCY / WIDTH
    paging = sum(number for path, number in forward.calls.items() if path.endswith(("/list", "-compliance")))
    of = f"{forward.targets:,} targets"
    return [
        Figure(
            f"stage forward, {of}, x limit",
            forward.seconds / needed,
            OF_LIMIT,
            f"{forward.seconds:.1f} s to {needed:.1f} s",
        ),
        Figure(
            "calls for a changed target, without paging",
            (forward.made - paging) / forward.targets,
            CALLS_A_TARGET,
            f"{forward.made:,} calls, {paging} of them paging",
        ),
        Figure(
            "stage forward, x plain script",
            forward.seconds / script.seconds,
            OF_SCRIPT,
            f"{forward.seconds:.1f} s to {script.seconds:.1f} s",
        ),
        Figure(
            "stage back, x forward",
            back.seconds / forward.seconds,
            1.0,
            f"{back.seconds:.1f} s to {forward.seconds:.1f} s",
        ),
    ]


# -- the plain script --------------------------------------------------------------------------------------------------


def _script(server: Server, directory: Path) -> list[Took]:
    clients = {key: client(server, key, 30.0) for key in server.workspaces}
    took = _timed(server, "plain script", lambda: _change_everything(clients))
    return [took]


def _change_everything(clients: dict[str, Client]) -> int:
    with ThreadPoolExecutor(WIDTH) as pool:
        found = [(client, kind, key) for client in clients.values() for kind, key in _on_the_old_one(client)]
        return sum(pool.map(lambda one: _change(*one), found))


def _on_the_old_one(client: Client) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for page in client.pages("/api/2.1/clusters/list", {"page_size": 100}):
        found += [("cluster", c["cluster_id"]) for c in page.get("clusters", ()) if _old(c)]
    for page in client.pages("/api/2.2/jobs/list", {"limit": 100, "expand_tasks": "true"}):
        found += [
            ("job", j["job_id"])
            for j in page.get("jobs", ())
            if any(_old(c["new_cluster"]) for c in j["settings"].get("job_clusters", ()))
        ]
    return found


def _old(spec: dict[str, Any]) -> bool:
    return release(spec.get("spark_version", "")) == "13.3"


def _new(key: str) -> str:
    return key.replace("13.3.x", "17.3.x").replace("-photon", "").replace("scala2.12", "scala2.13")


def _change(client: Client, kind: str, key: Any) -> int:
    try:
        if kind == "cluster":
            raw = client.get("/api/2.1/clusters/get", {"cluster_id": key})
            edit = {"cluster_id": key, "cluster": {"spark_version": _new(raw["spark_version"])}}
            client.write("/api/2.1/clusters/update", {**edit, "update_mask": "spark_version"})
        else:
            raw = client.get("/api/2.2/jobs/get", {"job_id": key})
            shared = raw["settings"]["job_clusters"]
            for one in shared:
                one["new_cluster"]["spark_version"] = _new(one["new_cluster"]["spark_version"])
            client.write("/api/2.2/jobs/update", {"job_id": key, "new_settings": {"job_clusters": shared}})
    except Exception:  # a policy refuses it: the script goes on, as scripts do
        return 0
    return 1


# -- the bot -----------------------------------------------------------------------------------------------------------


def _bot(server: Server, directory: Path) -> list[Took]:
    with engine_room(server, directory) as room:
        room.begin()
        room.looked()
        _until_quiet(server)

        def forward() -> int:
            room.start()
            room.stage_is(StageState.REVIEW)
            return room.done(ActionKind.CHANGE)

        def back() -> int:
            room.roll_back()
            room.stage_is(StageState.ROLLED_BACK)
            return room.done(ActionKind.REVERT)

        return [_timed(server, "the bot, forward", forward), _timed(server, "the bot, back", back)]


def _until_quiet(server: Server) -> None:
    """The first look reads runs, too: what is measured begins after it."""
    _, before = server.calls()
    while True:
        time.sleep(1.0)
        _, now = server.calls(before)
        if now == before:
            return
        before = now


# -- both --------------------------------------------------------------------------------------------------------------


def _timed(server: Server, name: str, work: Callable[[], int]) -> Took:
    _, since = server.calls()
    began, used = time.monotonic(), _cpu()
    targets = work()
    seconds, cpu = time.monotonic() - began, _cpu() - used
    calls, _ = server.calls(since)
    return Took(name, seconds, cpu, calls, targets)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print(rows: Sequence[Took]) -> None:
    head = f"{'':<20}{'targets':>9}{'calls':>8}{'per target':>12}{'seconds':>9}{'limit s':>9}{'x limit':>9}{'CPU s':>8}"
    print(head)
    for row in rows:
        limit = row.made * LATENCY / WIDTH
        print(
            f"{row.name:<20}{row.targets:>9}{row.made:>8}{row.made / max(row.targets, 1):>12.2f}"
            f"{row.seconds:>9.1f}{limit:>9.1f}{row.seconds / limit:>9.2f}{row.cpu:>8.1f}"
        )
        for path, number in row.calls.most_common(8):
            print(f"    {number:>6} {path}")
