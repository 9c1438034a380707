"""Which checks there are for one installation, from the parts that were built for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from slack_sdk import WebClient

from bot.clients import Own
from doctor import database, databricks, people, plans, slack
from doctor.databricks import Wanted
from doctor.finding import Finding, fail, ok, warn
from doctor.people import Known
from doctor.rounds import Check
from doctor.slack import FAILURES, Scopes
from rollout.change import Found
from rollout.plan import Plan
from rollout.selection import candidate, selects
from workspace.client import Client


@dataclass(frozen=True, slots=True)
class Installation:
    """What app.py built and read. ``web`` is None where Slack is not set up yet; so is ``app_token`` in HTTP mode.

    ``signing_secret`` says whether there is one; None in Socket Mode, which needs none.

    ``clients`` and ``access_problems`` are by workspace key; ``calendar`` is None when its file cannot be read;
    ``seconds`` is how long one call to Slack may take.
    """

    setting_problems: Sequence[str]
    read_only: bool
    web: WebClient | None
    app_token: str | None
    signing_secret: bool | None
    slack_url: str
    seconds: float
    scopes: Scopes
    plans_named: bool
    plan_problems: Sequence[str]
    plans: Sequence[Plan]
    clients: Mapping[str, Client]
    access_problems: Mapping[str, str]
    source: str
    target: str
    database_url: str
    keys: Sequence[str] = field(repr=False)
    engine_holder: str | None
    clock_file: str | None
    calendar: datetime | None
    machine: datetime


def checks(there: Installation) -> list[Check]:
    """All of them, in the order in which they are shown."""
    found = [
        Check("settings", partial(plans.settings, there.setting_problems, there.web is not None, there.read_only)),
        Check("plan", partial(plans.files, there.plans_named, there.plan_problems, there.plans)),
        Check("calendar", partial(plans.calendar, there.clock_file, there.calendar)),
        Check("database", partial(database.look, there.database_url, there.keys, there.engine_holder)),
    ]
    if there.web is not None:
        groups_named = any(people.named(plan)[1] for plan in there.plans)
        found.append(Check("slack", partial(slack.bot, there.web, there.scopes, groups_named, there.machine)))
        if there.app_token is not None:
            found.append(Check("slack app token", partial(slack.app, there.app_token, there.slack_url, there.seconds)))
        if there.signing_secret:
            found.append(Check("slack signing secret", _signed))
        named = [(plan.key, plan.channel) for plan in there.plans]
        for plan in there.plans:
            signing = people.signing_teams(plan)
            named += [(f"{plan.key}, team {key}", team.channel) for key, team in signing.items() if team.channel]
        found.append(Check("channels", partial(slack.channels, there.web, named)))
    found.append(Check("roles", partial(_roles, there)))
    if not there.clients and not there.access_problems:
        found.append(Check("workspaces", _no_workspaces))
    for key, problem in there.access_problems.items():
        todo = "docs/install.md, 3. Settings: DATABRICKS_<KEY>_HOST and how to sign in there."
        found.append(Check(f"workspace {key}", partial(iter, [fail(f"workspace {key}", problem, todo)])))
    for key, client in there.clients.items():
        found.append(Check(f"workspace {key}", partial(databricks.look, key, client, _wanted(there, key))))
    return found


def _signed() -> Iterator[Finding]:
    yield ok("slack signing secret", "is set; whether it is the app's shows the first request of Slack")


def _no_workspaces() -> Iterator[Finding]:
    yield warn("workspaces", "none is named", "Set DATABRICKS_<KEY>_HOST and how to sign in there, for each of them.")


def _roles(there: Installation) -> Iterator[Finding]:
    known: Known | None = None
    own: Own | None = None
    if there.web is not None and there.plans:
        try:
            own = slack.who(there.web).own
        except FAILURES:
            pass  # said of the token
        else:
            everybody = [people.named(plan) for plan in there.plans]
            known = people.look(there.web, own, *(frozenset().union(*some) for some in zip(*everybody, strict=True)))
    for plan in there.plans:
        yield from people.roles(plan, known) if known is not None else people.unasked(plan)


def _wanted(there: Installation, key: str) -> Wanted:
    """What the plans want of a workspace; without a plan that names it, everything in it is looked at."""
    mine = [plan for plan in there.plans if key in plan.workspaces]
    source, target = (mine[0].runtimes.source, mine[0].runtimes.target) if mine else (there.source, there.target)

    def takes(found: Found) -> bool:
        them = candidate(key, found)
        return not mine or any(selects(stage.targets, them) for plan in mine for stage in plan.stages)

    return Wanted(source, target, takes, there.read_only)
