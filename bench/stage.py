"""How fast a stage goes forward and back: 2,000 jobs, 300 clusters and 20 policies, 50 ms an answer, 16 in flight.

Beside it, in the same run and against the same server, a plain script: it lists, gets and edits in a pool of the same
width, and keeps no journal, backup or limit. The limit of a stage is the calls that it needs, times the latency,
divided by what is in flight: no client of that width can be faster.
"""

import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import func, select

from bench.fleet_server import Server, served
from engine.loop import Engine
from engine.parts import Parts
from rollout.gates import Refuse
from rollout.plan import Plan
from rollout.runtime import release
from rollout.states import ActionKind, ActionState, StageState
from rollout.steps import Patience
from storage import facts, intents, intents_rollback
from storage.acting import Who
from storage.clock import FileCalendar
from storage.database import Database
from storage.migrate import migrate
from storage.models import Action, KnownPerson, Rollout, Stage, Workspace
from storage.opening import open_rollouts
from storage.secrets import Vault
from workspace.access import access
from workspace.client import Client

JOBS, CLUSTERS, POLICIES = (int(n) for n in os.environ.get("BENCH_FLEET", "2000+300+20").split("+"))
LATENCY, WIDTH, SPEED = 0.050, 16, 60.0
CALLS_A_TARGET, OF_LIMIT, OF_SCRIPT = 3, 1.25, 1.3
RESTARTED_WITHIN = 3.0
OPS = Who("U0OPS00001", "T0BENCH", surface="terminal")
PATIENCE = Patience(http=10.0, settle=1.0)


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


def main() -> int:
    """Measure and print; 0 unless something did not end."""
    rows: list[Took] = []
    for name, way in (("plain script", _script), ("the bot", _bot)):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory)
            with served(f"large:{JOBS}+{CLUSTERS}", path, SPEED) as server:
                server.latency(LATENCY)
                rows += way(server, path)
    _print(rows)
    return 0


# -- the plain script --------------------------------------------------------------------------------------------------


def _script(server: Server, directory: Path) -> list[Took]:
    clients = {key: _client(server, key, 30.0) for key in server.workspaces}
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
    database = Database(f"sqlite:///{directory / 'rollout.db'}")
    migrate(database)
    calendar = FileCalendar(server.clock)
    open_rollouts(database, [_plan(server)], calendar())
    with database.write() as session:
        for user in ("U0OPS00001", "U0QA000001"):
            session.add(KnownPerson(user_id=user, team_id=OPS.team_id, available=True, checked_at=_machine(database)))
    clients = {key: _client(server, key, PATIENCE.http) for key in server.workspaces}
    vault = Vault([Fernet.generate_key().decode()])
    engine = Engine(Parts(database, calendar, clients, vault, f"bench-{os.getpid()}", PATIENCE, WIDTH))
    engine.start()
    rows = []
    try:
        _until(lambda: _count(database, select(func.count()).where(Workspace.looked_at.is_(None))) == 0, "the look")
        _until_quiet(server)

        def forward() -> int:
            rollout, digest = _change_set(database)
            done = intents.start(database, OPS, calendar(), rollout, "all", digest)
            if isinstance(done, Refuse):
                raise SystemExit(f"the stage did not start: {done}")
            engine.wake()
            _stage_is(database, StageState.REVIEW)
            return _done(database, ActionKind.CHANGE)

        def back() -> int:
            rollout, _ = _change_set(database)
            done = intents_rollback.roll_back(database, OPS, calendar(), rollout, ("all",), "bench")
            if isinstance(done, Refuse):
                raise SystemExit(f"the stage was not rolled back: {done}")
            engine.wake()
            _stage_is(database, StageState.ROLLED_BACK)
            return _done(database, ActionKind.REVERT)

        rows.append(_timed(server, "the bot, forward", forward))
        rows.append(_timed(server, "the bot, back", back))
    finally:
        engine.stop()
        database.close()
    return rows


def _plan(server: Server) -> Plan:
    return Plan.model_validate(
        {
            "key": "bench",
            "title": "Everything in one stage",
            "runtimes": {"source": "13.3", "target": "17.3"},
            "workspaces": sorted(server.workspaces),
            "channel": "C0BENCH001",
            "roles": {
                "devops": {"title": "DevOps", "members": ["U0OPS00001"]},
                "qa": {"title": "QA", "members": ["U0QA000001"]},
            },
            "capabilities": {"start": ["devops"], "rollback": ["devops"], "pause": ["devops"]},
            "limits": {key: {"calls_per_second": 1000, "max_parallel": WIDTH} for key in server.workspaces},
            "stages": [
                {
                    "key": "all",
                    "title": "Everything",
                    "targets": {"workspaces": sorted(server.workspaces)},
                    "sign_offs": {"qa": 1},
                    "max_parallel": WIDTH,
                    "max_failures": JOBS,
                }
            ],
        }
    )


def _change_set(database: Database) -> tuple[int, str]:
    with database.read() as session:
        rollout = session.execute(select(Rollout.id)).scalar_one()
        return rollout, facts.digest_of(facts.change_set(session, rollout, "all"))


def _done(database: Database, kind: ActionKind) -> int:
    return _count(database, select(func.count()).where(Action.kind == kind, Action.state == ActionState.DONE))


def _stage_is(database: Database, state: StageState) -> None:
    def there() -> bool:
        with database.read() as session:
            now = session.execute(select(Stage.state)).scalar_one()
        if now is StageState.BLOCKED:
            raise SystemExit(f"the stage is blocked: {_bad(database)}")
        return now is state

    _until(there, f"the stage to be {state}")


def _bad(database: Database) -> Sequence[Any]:
    with database.read() as session:
        rows = session.execute(
            select(Action.kind, Action.state, Action.reason_code, func.count())
            .where(Action.state.in_([ActionState.FAILED, ActionState.CONFLICT]))
            .group_by(Action.kind, Action.state, Action.reason_code)
        )
        return [tuple(row) for row in rows]


def _count(database: Database, wanted: Any) -> int:
    with database.read() as session:
        return int(session.execute(wanted).scalar_one())


def _until(done: Callable[[], bool], what: str, seconds: float = float(os.environ.get("BENCH_WAIT", "600"))) -> None:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


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


def _client(server: Server, key: str, time_limit: float) -> Client:
    workspace = server.workspaces[key]
    return Client(access(host=workspace["host"], token=workspace["token"]), time_limit=time_limit)


def _machine(database: Database) -> datetime:
    return database.machine()


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


if __name__ == "__main__":
    raise SystemExit(main())
