"""The first day in a company, from a terminal: the doctor, a first plan, and a plan checked against the world.

Everything here only looks. app.py says how the parts are built.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from slack_sdk import WebClient

import planning
import settings as configuration
from bot.logs import configure
from engine.lock import holder
from rollout.plan import Plan
from rollout.planfile import PlanError
from rollout.teams import member_of
from rollout.yamlmarks import Node
from settings import Settings, SettingsError
from storage.clock import Calendar, machine_calendar
from storage.database import normalised

if TYPE_CHECKING:
    from rollout.planonline import Answered, Holders
    from workspace.client import Client

MANIFEST = Path(__file__).parent / "manifest.yml"
#: Machine seconds that all looks of the doctor may take together, one call to a workspace, and one to Slack.
DOCTOR_SECONDS, DOCTOR_CALL, SLACK_CALL = 11.0, 6.0, 5.0
#: How long a look at a workspace for a plan may repeat a read.
READ_SECONDS = 20.0

#: Keys, environment, time limit of a call, read budget -> clients, and what is wrong with the settings of the others.
Looking = Callable[[Iterable[str], Mapping[str, str], float, float], "tuple[dict[str, Client], dict[str, str]]"]


@dataclass(frozen=True, slots=True)
class Builders:
    """How the parts are built: clients that may only look, a client of Slack (None without a token), the calendar."""

    looking: Looking
    slack: Callable[[Settings, float], WebClient | None]
    calendar: Callable[[Settings], Calendar]


def plan_check(build: Builders, checks: Collection[str], file: Path, online: bool) -> int:
    """Say that a plan is good. Raises PlanError with every mistake, SettingsError for a file that cannot be read."""
    if not online:
        return planning.check(file, planning.examined(file, checks))
    configure(json=False, level="ERROR")
    found, _ = configuration.read()

    def ask(keys: list[str]) -> "dict[str, Answered]":
        clients, wrong = build.looking(keys, os.environ, found.http_timeout, READ_SECONDS)
        return planning.ask_workspaces(keys, clients, wrong)

    web = build.slack(found, SLACK_CALL)
    return planning.check(file, planning.examined(file, checks), ask, partial(_holders, web))


def plan_new(build: Builders, wanted: Sequence[str], out: Path | None, force: bool) -> int:
    """Propose a first plan for the ``wanted`` workspaces (``KEY`` or ``KEY=HOST``), or for all that have settings.

    Raises SettingsError when the settings or the file do not fit.
    """
    configure(json=False, level="ERROR")
    found, problems = configuration.read()
    environment, keys = dict(os.environ), []
    for word in wanted:
        key, _, host = word.partition("=")
        if not configuration.is_workspace_key(key):
            problems.append(f"--workspace: {key!r} is no key: lower-case letters, digits and '_', at most 30")
            continue
        keys.append(key)
        if host:
            environment[f"DATABRICKS_{key.upper()}_HOST"] = host
    if not wanted:
        keys = configuration.named_workspaces(environment)
        if not keys:
            problems.append("DATABRICKS_<KEY>_HOST: no workspace is named; set it, and how to sign in, for each")
    clients, wrong = build.looking(dict.fromkeys(keys), environment, found.http_timeout, READ_SECONDS)
    if problems or wrong:
        raise SettingsError([*problems, *wrong.values()])
    return planning.new(clients, build.calendar(found)(), out, force)


def doctor(build: Builders, checks: Collection[str], as_json: bool) -> int:
    """Say what is ready; exit code 0 when nothing fails, else 1."""
    from doctor import finding, rounds, slack, visit

    configure(json=False, level="CRITICAL")
    found, problems = configuration.read()
    given = (found.slack_bot_token, found.slack_app_token, found.slack_signing_secret)
    checked = configuration.check(found, slack=any(given), workspaces=False, plans=False, keys=False)
    problems += [p for p in checked if not p.startswith("DATABASE_URL")]  # said of the database
    plans, wrong = _readable(found.plans, checks)
    keys = dict.fromkeys([k for p in plans for k in p.workspaces] + configuration.named_workspaces(os.environ))
    clients, unreachable = build.looking(keys, os.environ, DOCTOR_CALL, DOCTOR_CALL / 2)
    base = planning.default_outline()
    app_token = found.slack_app_token if found.mode == "socket" else None
    there = visit.Installation(
        setting_problems=problems,
        read_only=found.read_only,
        web=build.slack(found, SLACK_CALL),
        app_token=app_token.get_secret_value() if app_token is not None else None,
        signing_secret=found.slack_signing_secret is not None if found.mode == "http" else None,
        slack_url=found.slack_api_url,
        seconds=SLACK_CALL,
        scopes=slack.Scopes.of(yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))),
        plans_named=bool(found.plans),
        plan_problems=wrong,
        plans=plans,
        clients=clients,
        access_problems=unreachable,
        source=base.source,
        target=base.target,
        database_url=found.database_url,
        keys=[k.get_secret_value() for k in found.secret_keys],
        engine_holder=_engine_holder(found.database_url),
        clock_file=str(found.clock) if found.clock is not None else None,
        calendar=_now(build, found),
        machine=machine_calendar(),
    )
    seen = finding.redacted(rounds.make(visit.checks(there), DOCTOR_SECONDS), configuration.secrets(found, os.environ))
    print(finding.as_json(seen) if as_json else finding.as_text(seen))
    return 0 if finding.healthy(seen) else 1


def _holders(web: WebClient | None, plan: Node) -> "Holders | None":
    """Who could act in each role of a marked plan; None, and a word about it, where Slack cannot be asked."""
    from doctor import people, slack

    if web is None:
        print("The roles were not looked up: SLACK_BOT_TOKEN is not set.", file=sys.stderr)
        return None
    roles = plan.get("roles").entries
    named = {key: (role.get("members").texts, role.get("groups").texts) for key, role in roles.items()}
    for key, team in plan.get("teams").entries.items():
        group = team.get("group").text
        named[member_of(key)] = (team.get("members").texts, [group] if group else [])
    try:
        own = slack.who(web).own
    except slack.FAILURES as error:
        print(f"The roles were not looked up: {slack.said(error)}.", file=sys.stderr)
        return None
    everybody = {user for members, _ in named.values() for user in members}
    known = people.look(web, own, everybody, {group for _, groups in named.values() for group in groups})
    return {key: (len(known.available(*of_role)), known.why_not(*of_role)) for key, of_role in named.items()}


def _readable(paths: Sequence[Path], checks: Collection[str]) -> tuple[list[Plan], list[str]]:
    """The plans that are good, and what is wrong with the others."""
    plans: list[Plan] = []
    problems: list[str] = []
    for path in paths:
        if path.is_file():  # else it is said of the settings
            try:
                plans.append(planning.load_plan(path, checks))
            except (PlanError, SettingsError) as error:
                problems += str(error).splitlines()
    return plans, problems


def _engine_holder(url: str) -> str | None:
    try:
        parsed = normalised(url)
    except Exception:  # said of the database
        return None
    return holder(Path(parsed.database or "")) if parsed.get_backend_name() == "sqlite" else None


def _now(build: Builders, found: Settings) -> datetime | None:
    try:
        return build.calendar(found)()
    except (OSError, ValueError, KeyError):
        return None
