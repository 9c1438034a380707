"""The composition root: read the settings, build the parts, run. Nothing else builds parts.

python app.py                     the whole bot in one process (SQLite or PostgreSQL)
python app.py web | worker        split on PostgreSQL: Slack by HTTP | engine and schedule
python app.py migrate             bring the database to the newest schema
python app.py plan check FILE     say everything that is wrong with a plan
python app.py rollout VERB ...    the same door as /rollout, from a terminal
python app.py key                 make a key for ROLLOUT_SECRET_KEYS
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

import settings as configuration
from bot.build import Bot, BotSettings, NoSlack
from bot.logs import configure
from checks import CHECKS
from commands.door import Door
from commands.reply import Reply, Request
from engine.lock import EngineLock, EngineRunning
from operation import Operator, operate
from rollout.plan import Plan
from rollout.planfile import PlanError, parse
from settings import Settings, SettingsError
from storage.clock import Calendar, FileCalendar, machine_calendar
from storage.database import Database
from storage.migrate import migrate, pending
from storage.models import Backup, Rollout, Workspace
from storage.opening import open_rollouts
from storage.plans import plan_of
from storage.secrets import KeyProblem, Vault

if TYPE_CHECKING:
    from engine.loop import Engine

PLANS = Path(__file__).parent / "plans"
STOP_SECONDS = 8.0

log = structlog.get_logger("app")


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say; the exit code is 2 for settings, plans or arguments that do not fit."""
    parser = argparse.ArgumentParser(prog="python app.py", description=(__doc__ or "").split("\n\n")[0])
    verbs = parser.add_subparsers(dest="command", metavar="web | worker | migrate | plan | rollout | key")
    verbs.add_parser("web", help="Slack by HTTP, and the outbox (PostgreSQL)")
    verbs.add_parser("worker", help="the engine and the schedule (PostgreSQL)")
    verbs.add_parser("migrate", help="bring the database to the newest schema")
    verbs.add_parser("key", help="make a key for ROLLOUT_SECRET_KEYS")
    check = verbs.add_parser("plan", help="plan check FILE: say everything that is wrong with a plan")
    check.add_argument("action", choices=["check"])
    check.add_argument("file", type=Path)
    terminal = verbs.add_parser("rollout", help="the same door as /rollout, from a terminal")
    terminal.add_argument("--as", dest="operator", metavar="USER", help="your Slack user id (or ROLLOUT_OPERATOR)")
    terminal.add_argument("--yes", action="store_true", help="confirm without asking")
    terminal.add_argument("words", nargs=argparse.REMAINDER, metavar="VERB ...")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (SettingsError, PlanError) as error:
        print(error, file=sys.stderr)
        return 2
    except (EngineRunning, NoSlack, KeyProblem) as error:
        print(str(error), file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"DATABASE_URL: {type(error).__name__}: {_first_line(error)}", file=sys.stderr)
        return 2


def _run(chosen: argparse.Namespace) -> int:
    match chosen.command:
        case "key":
            print(Fernet.generate_key().decode())
            return 0
        case "plan":
            plan = load_plan(chosen.file)
            print(f"{chosen.file}: plan {plan.key}, {len(plan.stages)} stages, {len(plan.checklist)} items: ok")
            return 0
        case "migrate":
            found = _checked(slack=False, workspaces=False, plans=False)
            database = Database(found.database_url)
            migrate(database)
            database.close()
            return 0
        case "rollout":
            found = _checked(slack=False, workspaces=False, plans=False)
            return _terminal(found, chosen)
        case "web":
            return _serve(_checked(slack=True, workspaces=False, plans=False, separate=True), slack=True, engine=False)
        case "worker":
            return _serve(_checked(slack=False, workspaces=True, separate=True), slack=False, engine=True)
        case _:
            return _serve(_checked(slack=True, workspaces=True), slack=True, engine=True)


def _checked(*, slack: bool, workspaces: bool, plans: bool = True, separate: bool = False) -> Settings:
    found = configuration.read()
    if separate and slack:
        found = found.model_copy(update={"mode": "http"})
    problems = configuration.check(found, slack=slack, workspaces=workspaces, plans=plans, separate=separate)
    if workspaces and not any(p.startswith("ROLLOUT_PLANS") for p in problems):
        try:
            configuration.workspace_access(_plans(found), os.environ)
        except SettingsError as error:
            problems += error.problems
        except PlanError as error:
            problems += str(error).splitlines()
    if problems:
        raise SettingsError(problems)
    return found


# -- plans -------------------------------------------------------------------------------------------------------------


def load_plan(path: Path) -> Plan:
    """Read a plan file. ``extends`` names a file beside it or in plans/. Raises PlanError and SettingsError."""

    def resolve(name: str) -> tuple[str, str] | None:
        for directory in (path.parent, PLANS):
            candidate = directory / f"{name}.yml"
            if candidate.is_file() and candidate.resolve() != path.resolve():
                return str(candidate), candidate.read_text(encoding="utf-8")
        return None

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from None
    return parse(text, str(path), resolve, CHECKS)


def _plans(found: Settings) -> list[Plan]:
    plans: list[Plan] = []
    problems: list[str] = []
    for path in found.plans:
        try:
            plans.append(load_plan(path))
        except (PlanError, SettingsError) as error:
            problems += str(error).splitlines()
    keys = [p.key for p in plans]
    problems += [f"two plans have the key {k}" for k in sorted({k for k in keys if keys.count(k) > 1})]
    if problems:
        raise SettingsError(problems)
    return plans


# -- parts -------------------------------------------------------------------------------------------------------------


def _calendar(found: Settings) -> Calendar:
    return FileCalendar(found.clock) if found.clock is not None else machine_calendar


def _engine(found: Settings, database: Database, calendar: Calendar, plans: Sequence[Plan]) -> "Engine":
    # The Databricks SDK takes more than a second to import: only a process that runs the engine pays for it.
    from engine.loop import Engine
    from engine.pace import Pace
    from engine.parts import Parts
    from rollout.steps import Patience
    from workspace.client import Client

    vault = Vault([k.get_secret_value() for k in found.secret_keys])
    _keys_fit(database, vault)
    # The stored revision rules: a workspace that went from the file may still have stages to carry on or to put back.
    with database.read() as session:
        ruling = [plan_of(rollout) for rollout in session.execute(select(Rollout).where(Rollout.open)).scalars()]
    access = configuration.workspace_access([*plans, *ruling], os.environ)
    paces = {key: Pace(database, key) for key in access}
    clients = {
        key: Client(how, time_limit=found.http_timeout, permit=paces[key].permit, throttled=paces[key].throttled)
        for key, how in access.items()
    }
    owner = f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"
    # A write may also have to log in first.
    patience = Patience(http=max(c.write_limit for c in clients.values()), settle=found.settle)
    return Engine(Parts(database, calendar, clients, vault, owner, patience, found.parallel))


def _keys_fit(database: Database, vault: Vault) -> None:
    """Every backup must be readable before anything is changed. Raises KeyProblem."""
    with database.read() as session:
        for ciphertext in session.execute(select(Backup.ciphertext)).yield_per(100).scalars():
            vault.open(ciphertext)


def _bot(found: Settings, database: Database, door: Door) -> Bot:
    wanted = BotSettings(
        bot_token=_secret(found.slack_bot_token),
        app_token=_secret(found.slack_app_token),
        signing_secret=_secret(found.slack_signing_secret),
        base_url=found.slack_api_url,
        mode=found.mode,
        host=found.host,
        port=found.port,
    )
    return Bot(wanted, database, door)


class _WakingDoor(Door):
    """The door of a process that also runs the engine: what a person asked for begins at once, not at the next pass."""

    def __init__(self, database: Database, calendar: Calendar, wake: Callable[[], None]) -> None:
        super().__init__(database, calendar)
        self._wake = wake

    def handle(self, request: Request) -> Reply:
        try:
            return super().handle(request)
        finally:
            self._wake()


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


# -- running -----------------------------------------------------------------------------------------------------------


def _serve(found: Settings, *, slack: bool, engine: bool) -> int:
    configure(json=found.log == "json")
    database = Database(found.database_url, pool_size=found.parallel + 20)
    lock = EngineLock(Path(database.url.database or "")) if database.is_sqlite else None
    if slack and engine:
        migrate(database)  # safe at any time and from several replicas; split processes leave it to the release
    elif pending(database):
        raise SettingsError(["DATABASE_URL: the schema is not the newest: run python app.py migrate first"])
    calendar = _calendar(found)
    plans = _plans(found) if engine else []
    for sentence in open_rollouts(database, plans, calendar()):
        log.warning("plan_file_differs", detail=sentence)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    working = _engine(found, database, calendar, plans) if engine else None
    door = Door(database, calendar) if working is None else _WakingDoor(database, calendar, working.wake)
    talking = _bot(found, database, door) if slack else None
    try:
        if working is not None:
            working.start()
        if talking is not None:
            talking.start()
        _say_ready(database, plans, stop)
        stop.wait()
    finally:
        log.info("stopping")
        _stop_all([part.stop for part in (talking, working) if part is not None])
        database.close()
        if lock is not None:
            lock.release()
    return 0


def _stop_all(stops: Sequence[Callable[[float], None]]) -> None:
    """Both wings at once: each finishes what it has in hand."""
    threads = [threading.Thread(target=stop, args=(STOP_SECONDS,)) for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STOP_SECONDS + 1)


def _say_ready(database: Database, plans: Sequence[Plan], stop: threading.Event) -> None:
    """One log line ``ready`` once every workspace of the plans has been looked at, or did not answer."""
    keys = {key for plan in plans for key in plan.workspaces}
    while not stop.wait(0.1):
        with database.read() as session:
            looked = session.execute(
                select(func.count()).where(Workspace.key.in_(keys), Workspace.looked_machine.is_not(None))
            ).scalar_one()
        if looked >= len(keys):
            log.info("ready", workspaces=len(keys))
            return


def _terminal(found: Settings, chosen: argparse.Namespace) -> int:
    """One command at the door; on SQLite the engine runs here until the work is done, when nobody else runs it."""
    configure(json=found.log == "json", level="WARNING")
    database = Database(found.database_url)
    if pending(database):
        raise SettingsError(["DATABASE_URL: there is no rollout in this database yet, or its schema is not the newest"])
    calendar = _calendar(found)

    def build() -> "Engine":
        checked = _checked(slack=False, workspaces=True)
        return _engine(checked, database, calendar, _plans(checked))

    operator = Operator(chosen.operator or os.environ.get("ROLLOUT_OPERATOR", ""), chosen.yes)
    try:
        return operate(database, Door(database, calendar), operator, " ".join(chosen.words), build)
    finally:
        database.close()


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or ["no detail"])[0][:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
