"""The composition root: read the settings, build the parts, run. Nothing else builds parts.

python app.py                     the whole bot in one process (SQLite or PostgreSQL)
python app.py web | worker        split on PostgreSQL: Slack by HTTP | engine and schedule
python app.py migrate             bring the database to the newest schema
python app.py doctor              say what is ready and what is not, and what to do about it
python app.py plan check FILE     say everything that is wrong with a plan (--online: ask the workspaces, too)
python app.py plan amend FILE     propose a changed plan for the rollout under way; a second person accepts it
python app.py plan show KEY       print the plan in force, as a plan file
python app.py plan new            look at the workspaces and propose a first plan
python app.py rollout VERB ...    the same door as /rollout, from a terminal
python app.py audit verify        verify the record of who did what, also against posted heads (--head N:DIGEST)
python app.py key                 make a key for ROLLOUT_SECRET_KEYS

What only some of these need is imported by the functions that need it: nobody waits for what he does not use.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

import settings as configuration
from checks import CHECKS
from engine.lock import EngineLock, EngineRunning
from planning import PlanFiles
from rollout.plan import Plan
from rollout.planfile import PlanError
from settings import Settings, SettingsError
from storage.clock import Calendar, FileCalendar, machine_calendar
from storage.database import Database
from storage.keyring import Keyring
from storage.migrate import migrate, pending
from storage.secrets import KeyProblem, Vault

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from bot.build import Bot
    from commands.door import Door
    from engine.loop import Engine
    from stopping import Stop
    from workspace.access import Access
    from workspace.client import Client

STOP_SECONDS = 8.0
#: Machine seconds that the engine leaves to Slack at the start: nothing is done under tokens that Slack refuses.
SLACK_FIRST = 10.0

log = structlog.get_logger("app")


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say; the exit code is 2 for settings, plans or arguments that do not fit."""
    parser = argparse.ArgumentParser(prog="python app.py", description=(__doc__ or "").split("\n\n")[0])
    verbs = parser.add_subparsers(
        dest="command", metavar="web | worker | migrate | doctor | plan | rollout | audit | key"
    )
    verbs.add_parser("web", help="Slack by HTTP, and the outbox (PostgreSQL)")
    verbs.add_parser("worker", help="the engine and the schedule (PostgreSQL)")
    verbs.add_parser("migrate", help="bring the database to the newest schema")
    verbs.add_parser("key", help="make a key for ROLLOUT_SECRET_KEYS")
    doctor = verbs.add_parser("doctor", help="say what is ready and what is not, and what to do about it")
    doctor.add_argument("--json", action="store_true", help="for programs")
    _plan_arguments(verbs.add_parser("plan", help="check a plan, propose a first one, or amend the one in force"))
    audit = verbs.add_parser("audit", help="verify the record of who did what").add_subparsers(
        dest="action", metavar="verify", required=True
    )
    verify = audit.add_parser("verify", help="every chain of events and every sign-off; exit code 1 when broken")
    verify.add_argument("--head", action="append", default=[], metavar="N:DIGEST", help="a head as it was posted")
    terminal = verbs.add_parser("rollout", help="the same door as /rollout, from a terminal")
    terminal.add_argument("--as", dest="operator", metavar="USER", help="your Slack user id (or ROLLOUT_OPERATOR)")
    terminal.add_argument("--yes", action="store_true", help="confirm without asking")
    terminal.add_argument("--out", type=Path, metavar="FILE", help="where to write a file that comes with the answer")
    terminal.add_argument("words", nargs=argparse.REMAINDER, metavar="VERB ...")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (SettingsError, PlanError) as error:
        print(error, file=sys.stderr)
        return 2
    except (EngineRunning, KeyProblem) as error:
        print(str(error), file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"DATABASE_URL: {type(error).__name__}: {_first_line(error)}", file=sys.stderr)
        return 2


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="check | amend | show | new", required=True)
    check = actions.add_parser("check", help="say everything that is wrong with a plan")
    check.add_argument("file", type=Path)
    check.add_argument("--online", action="store_true", help="ask the workspaces, and Slack where it is set up")
    amend = actions.add_parser("amend", help="propose a changed plan for its open rollout; a second person accepts it")
    amend.add_argument("file", type=Path)
    amend.add_argument("--as", dest="operator", metavar="USER", help="your Slack user id (or ROLLOUT_OPERATOR)")
    show = actions.add_parser("show", help="print the plan that an open rollout follows, as a plan file")
    show.add_argument("key", metavar="KEY", help="the key of the plan")
    new = actions.add_parser("new", help="look at the workspaces and propose a first plan; changes nothing")
    new.add_argument("--workspace", action="append", default=[], metavar="KEY[=HOST]", help="these, not all of them")
    new.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default: standard output)")
    new.add_argument("--force", action="store_true", help="overwrite FILE")


def _run(chosen: argparse.Namespace) -> int:
    match chosen.command:
        case "key":
            from cryptography.fernet import Fernet

            print(Fernet.generate_key().decode())
            return 0
        case "doctor" | "plan" if getattr(chosen, "action", "") not in {"amend", "show"}:
            return _first_day(chosen)
        case "plan":
            import amending

            found, _ = _checked(slack=False, workspaces=False, plans=False)
            if chosen.action == "show":
                return amending.show(_stored(found), chosen.key, CHECKS)
            operator = chosen.operator or os.environ.get("ROLLOUT_OPERATOR", "")
            return amending.propose(_stored(found), _calendar(found)(), operator, chosen.file, CHECKS)
        case "migrate":
            found, _ = _checked(slack=False, workspaces=False, plans=False, keys=False)
            database = Database(found.database_url)
            migrate(database)
            database.close()
            return 0
        case "rollout":
            found, _ = _checked(slack=False, workspaces=False, plans=False)
            return _terminal(found, chosen)
        case "audit":
            import auditing

            found, _ = _checked(slack=False, workspaces=False, plans=False)
            return auditing.verify(_stored(found), chosen.head, Vault(_keys(found)) if found.secret_keys else None)
        case "web":
            return _serve(*_checked(slack=True, workspaces=False, plans=False, separate=True), slack=True, engine=False)
        case "worker":
            return _serve(*_checked(slack=False, workspaces=True, separate=True), slack=False, engine=True)
        case _:
            return _serve(*_checked(slack=True, workspaces=True), slack=True, engine=True)


def _checked(
    *, slack: bool, workspaces: bool, plans: bool = True, separate: bool = False, keys: bool = True
) -> tuple[Settings, PlanFiles]:
    found, problems = configuration.read()
    if separate and slack:
        found = found.model_copy(update={"mode": "http"})
    problems += configuration.check(
        found, slack=slack, workspaces=workspaces, plans=plans, separate=separate, keys=keys
    )
    files = PlanFiles([path for path in found.plans if path.is_file()], CHECKS)
    if workspaces:
        try:
            files.plans()
        except SettingsError as error:
            problems += error.problems
        named = files.workspaces() or configuration.named_workspaces(os.environ)
        problems += configuration.access_of(named, os.environ)[1].values()
    if slack:
        problems += files.unfilled()
    if problems:
        raise SettingsError(problems)
    return found, files


# -- parts -------------------------------------------------------------------------------------------------------------


def _calendar(found: Settings) -> Calendar:
    return FileCalendar(found.clock) if found.clock is not None else machine_calendar


def _access(found: Settings, database: Database, plans: Sequence[Plan]) -> "dict[str, Access]":
    """How each workspace that the engine works in is reached. Raises KeyProblem and SettingsError."""
    from sqlalchemy import select

    from storage.models import Rollout
    from storage.plans import plan_of

    _keys_fit(database, Vault(_keys(found)))
    # The stored revision rules: a workspace that went from the file may still have stages to carry on or to put back.
    with database.read() as session:
        ruling = [plan_of(rollout) for rollout in session.execute(select(Rollout).where(Rollout.open)).scalars()]
    return configuration.workspace_access([*plans, *ruling], os.environ)


def _engine(found: Settings, database: Database, calendar: Calendar, access: "Mapping[str, Access]") -> "Engine":
    from engine.loop import Engine
    from engine.pace import Pace
    from engine.parts import Parts
    from rollout.steps import Patience
    from workspace.client import Client

    paces = {key: Pace(database, key) for key in access}
    clients = {
        key: Client(
            how,
            time_limit=found.http_timeout,
            read_only=found.read_only,
            permit=paces[key].permit,
            throttled=paces[key].throttled,
        )
        for key, how in access.items()
    }
    owner = f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"
    # A write may also have to log in first.
    patience = Patience(http=max(c.write_limit for c in clients.values()), settle=found.settle)
    return Engine(
        Parts(
            database,
            calendar,
            clients,
            Vault(_keys(found)),
            owner,
            patience,
            found.parallel,
            read_only=found.read_only,
            environment=os.environ,
        )
    )


def _keys(found: Settings) -> list[str]:
    return [k.get_secret_value() for k in found.secret_keys]


def _keyring(found: Settings) -> Keyring:
    return Keyring(_keys(found))


def _keys_fit(database: Database, vault: Vault) -> None:
    """Every backup must be readable before anything is changed. Raises KeyProblem.

    One that was altered is said: its target is not put back from it, and all the others can be.
    """
    from storage import backups

    with database.read() as session:
        for problem in backups.problems(session, vault):
            log.error("backup_altered", found=problem, next_step="python app.py audit verify; docs/audit.md")


def _bot(found: Settings, database: Database, door: "Door") -> "Bot":
    from bot.build import Bot, BotSettings

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


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


# -- the first day -----------------------------------------------------------------------------------------------------


def _first_day(chosen: argparse.Namespace) -> int:
    import firstday

    builders = firstday.Builders(_looking, _slack, _calendar)
    if chosen.command == "doctor":
        return firstday.doctor(builders, CHECKS, chosen.json)
    if chosen.action == "new":
        return firstday.plan_new(builders, chosen.workspace, chosen.out, chosen.force)
    return firstday.plan_check(builders, CHECKS, chosen.file, chosen.online)


def _looking(
    keys: Iterable[str], environment: Mapping[str, str], seconds: float, budget: float
) -> "tuple[dict[str, Client], dict[str, str]]":
    """Clients that may only look, and a sentence for each workspace whose settings do not fit."""
    from workspace.client import Client

    access, problems = configuration.access_of(keys, environment)
    return {k: Client(a, time_limit=seconds, read_budget=budget, read_only=True) for k, a in access.items()}, problems


def _slack(found: Settings, seconds: float) -> "WebClient | None":
    """A client of Slack that asks with the bot token; None where there is none."""
    from bot.clients import client

    token = _secret(found.slack_bot_token)
    return client(token, found.slack_api_url, seconds) if token else None


# -- running -----------------------------------------------------------------------------------------------------------


def _serve(found: Settings, files: PlanFiles, *, slack: bool, engine: bool) -> int:
    from bot.logs import configure
    from commands.door import Door
    from stopping import Stop
    from storage import sealing
    from storage.opening import open_rollouts

    configure(json=found.log == "json")
    database = Database(found.database_url, pool_size=found.parallel + 20, keyring=_keyring(found))
    lock = EngineLock(Path(database.url.database or "")) if database.is_sqlite else None
    if slack and engine:
        migrate(database)  # safe at any time and from several replicas; split processes leave it to the release
    elif pending(database):
        raise SettingsError(["DATABASE_URL: the schema is not the newest: run python app.py migrate first"])
    for sentence in sealing.at_start(database):
        log.error("record_not_verified", detail=sentence, todo="python app.py audit verify")
    calendar = _calendar(found)
    plans = files.plans() if engine else []
    for sentence in open_rollouts(database, plans, calendar()):
        log.warning("plan_file_differs", detail=sentence)
    stop = Stop()
    stop.listen()
    access = _access(found, database, plans) if engine else {}
    door = Door(database, calendar, read_only=found.read_only)
    talking = _bot(found, database, door) if slack else None
    working, connecting = None, None
    try:
        connecting = _connecting(talking, stop) if talking is not None else None
        if engine:
            working = _engine(found, database, calendar, access)
            door.afterwards = working.wake
            working.start()
        if connecting is not None:
            connecting.result()
        _say_ready(database, plans, stop)
        stop.wait()
    finally:
        log.info("stopping")
        wait([connecting] if connecting is not None else [], STOP_SECONDS)  # stopped are whole parts
        _stop_all([part.stop for part in (talking, working) if part is not None])
        database.close()
        if lock is not None:
            lock.release()
    return 0


def _connecting(talking: "Bot", stop: "Stop") -> "Future[None]":
    """Slack first: it takes what people say, and whether it takes our tokens is known before anything is done.

    But a Slack that does not answer holds no work up for long. The result raises SettingsError when Slack refuses us.
    """
    from bot.build import NoSlack

    begun: Future[None] = Future()

    def connect() -> None:
        try:
            talking.start()
            begun.set_result(None)
        except NoSlack as error:
            begun.set_exception(SettingsError([str(error)]))
        except BaseException as error:
            begun.set_exception(error)

    threading.Thread(target=connect, name="connecting", daemon=True).start()
    until = time.monotonic() + SLACK_FIRST
    while not begun.done() and time.monotonic() < until and not stop.wait(0.05):
        pass
    if begun.done():
        begun.result()
    return begun


def _stop_all(stops: Sequence[Callable[[float], None]]) -> None:
    """Both wings at once: each finishes what it has in hand."""
    threads = [threading.Thread(target=stop, args=(STOP_SECONDS,)) for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STOP_SECONDS + 1)


def _say_ready(database: Database, plans: Sequence[Plan], stop: "Stop") -> None:
    """One log line ``ready`` once every workspace of the plans has been looked at, or did not answer."""
    from sqlalchemy import func, select

    from storage.models import Workspace

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
    import auditing
    from bot.logs import configure
    from commands.door import Door
    from operation import Operator, operate
    from storage import sealing

    configure(json=found.log == "json", level="WARNING")
    database = _stored(found)
    calendar = _calendar(found)

    def build() -> "Engine":
        checked, files = _checked(slack=False, workspaces=True)
        return _engine(checked, database, calendar, _access(checked, database, files.plans()))

    operator = Operator(chosen.operator or os.environ.get("ROLLOUT_OPERATOR", ""), chosen.yes, chosen.out)
    export = auditing.wanted(chosen.words)
    try:
        if export is not None:
            return auditing.export(database, export)
        door = Door(database, calendar, read_only=found.read_only)
        return operate(database, door, operator, " ".join(chosen.words), None if found.read_only else build)
    finally:
        sealing.Sealer(database, f"terminal:{os.getpid()}").tick()  # no bot may be running that would do it
        database.close()


def _stored(found: Settings) -> Database:
    """The database of a rollout that is there already. Raises SettingsError when it is not."""
    database = Database(found.database_url, keyring=_keyring(found))
    if not pending(database):
        return database
    database.close()
    raise SettingsError(["DATABASE_URL: there is no rollout in this database yet, or its schema is not the newest"])


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or ["no detail"])[0][:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
