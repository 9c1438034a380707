"""Every way by which somebody could sign for a team that is not theirs: played against the running bot, and refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select, update

from bot.build import build_app
from rollout.plan import EachTeam, OfTeam, Plan, Team
from rollout.states import StageState
from sandbox.slack.limits import Limits
from sandbox.slack.people import load
from sandbox.slack.server import running
from storage.models import GroupMember, Target
from tests.attacks.test_approvals import GUEST, Stand
from tests.bot.harness import settings_for, soon, started
from tests.commands.world import PEOPLE, ROOT, World, sandbox_plan
from tests.ports import free_port

BILLING, SEARCH = "S0BILLING1", "S0SEARCH01"


def cast() -> Any:
    found = yaml.safe_load((ROOT / "sandbox" / "people.yml").read_text())
    found["usergroups"] |= {
        "billing": {"id": BILLING, "members": ["on-call", "guest", "tech-lead", "devops-2"]},
        "search": {"id": SEARCH, "members": ["product-owner", "tech-lead"]},
    }
    return found


def planned(search: str = SEARCH) -> Plan:
    plan = sandbox_plan()
    teams = {
        "billing": Team(title="Billing", select=OfTeam(tags=("team=billing",)), group=BILLING),
        "search": Team(title="Search", select=OfTeam(tags=("team=search",)), group=search),
    }
    stages = tuple(
        s.model_copy(update={"sign_offs": {"developer": 1, **s.sign_offs}, "each_team": {"developer": EachTeam()}})
        if s.key == "canary"
        else s
        for s in plan.stages
    )
    return plan.model_copy(update={"teams": teams, "stages": stages})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    port = free_port()
    world = World(f"sqlite:///{tmp_path_factory.mktemp('teams') / 'rollout.db'}", plan=planned())
    with world.database.write() as session:
        rows = session.execute(select(Target).where(Target.stage_key == "canary").order_by(Target.id)).scalars()
        for target, team in zip(rows, ("billing", "search", None), strict=False):
            target.team = team
    limits = Limits(tiers={2: 10_000, 3: 10_000, 4: 10_000}, ack_seconds=60.0, trigger_seconds=60.0)
    url = f"http://127.0.0.1:{port}/slack/events"
    where: Path = tmp_path_factory.mktemp("slack")
    with running(where, mode="http", bot_url=url, limits=limits, cast=_cast()) as slack:
        bot = build_app(settings_for(slack, mode="http", port=port), world.database, world.door)
        with started(bot):
            yield Stand(slack, bot, world)
    world.close()


def _cast() -> Any:
    return load(cast())


@pytest.fixture
def stand(made: Stand) -> Stand:
    """With the canary in review, started by devops."""
    made.review()
    return made


def test_a_member_of_one_team_does_not_sign_for_another(stand: Stand) -> None:
    at = {"stage": "canary"}
    mine = PEOPLE["on-call"]
    stand.is_refused(stand.submitted(mine, "approve", {**at, "role": "developer@search"}), "not_in_team")
    stand.is_refused(stand.submitted(mine, "reject", {**at, "role": "developer@search", "reason": "x"}), "not_in_team")
    stand.is_refused(stand.submitted(mine, "approve", {**at, "role": "developer"}), "not_a_role_holder")
    stand.is_refused(
        stand.submitted(PEOPLE["developer"], "approve", {**at, "role": "developer@billing"}), "not_in_team"
    )
    for role in ("developer@billing@search", "@billing", "developer@", "developer+search", "tech-lead@billing"):
        body = stand.submitted(mine, "approve", {**at, "role": role})
        assert stand.is_refused(body, stand_code(role)).reason_code != ""
    assert stand.sign_offs() == []


def stand_code(role: str) -> str:
    """A place with a team in it is refused for the team."""
    return "not_in_team" if role.partition("@")[2] else "not_a_role_holder"


def test_a_person_in_two_teams_counts_for_the_one_that_was_said_and_for_nothing_besides(stand: Stand) -> None:
    both, at = PEOPLE["tech-lead"], {"stage": "canary"}
    body = stand.submitted(both, "approve", {**at, "role": ["developer@billing", "developer@search"]})
    stand.is_refused(body, "malformed_request")
    once = stand.submitted(both, "approve", {**at, "role": "developer@billing"})
    for _ in range(3):
        assert stand.wire(once) == 200
    soon(lambda: len(stand.sign_offs()) == 1)
    (row,) = stand.sign_offs()
    assert (row.role, row.team) == ("developer", "billing")
    stand.is_refused(stand.submitted(both, "approve", {**at, "role": "developer@billing"}), "role_filled")
    # Who speaks for a team does not sign the stage as well: it is one person.
    stand.is_refused(stand.submitted(both, "approve", {**at, "role": "tech-lead"}), "already_signed")
    assert stand.wire(stand.submitted(both, "approve", {**at, "role": "developer@search"})) == 200
    soon(lambda: len(stand.sign_offs()) == 2)
    stand.is_refused(stand.said(both, "approve canary"), "already_signed")
    event = [e for e in stand.events("done") if e.kind == "approve"][-1]
    assert event.data["groups"] == [SEARCH]
    assert event.data["team"] == "search"


def test_a_guest_in_the_group_signs_nothing(stand: Stand) -> None:
    at = {"stage": "canary", "role": "developer@billing"}
    stand.is_refused(stand.said(GUEST, "approve canary"), "guest_account")
    stand.is_refused(stand.submitted(GUEST, "approve", at), "guest_account")


def test_membership_is_that_of_the_moment_and_not_what_was_known(stand: Stand) -> None:
    with stand.world.database.write() as session:
        session.merge(GroupMember(group_id=BILLING, user_id=PEOPLE["qa"]))
    body = stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary", "role": "developer@billing"})
    stand.is_refused(body, "not_in_team")


def test_who_started_the_stage_does_not_sign_for_their_team(stand: Stand) -> None:
    stand.review(by="devops-2")
    body = stand.submitted(PEOPLE["devops-2"], "approve", {"stage": "canary", "role": "developer@billing"})
    stand.is_refused(body, "started_by_you")


def test_a_sign_off_for_one_team_does_not_become_one_for_another(stand: Stand) -> None:
    assert stand.wire(stand.said(PEOPLE["on-call"], "approve canary")) == 200
    body = stand.submitted(PEOPLE["on-call"], "approve", {"stage": "canary", "role": "developer@billing"})
    assert stand.wire(body) == 200
    soon(lambda: len(stand.sign_offs()) == 1)
    rows = stand.sign_offs()[0].__table__
    with stand.world.database.write() as session:
        session.execute(update(rows).where(rows.c.id == stand.sign_offs()[0].id).values(team="search"))
    refused = stand.world.say("devops", "start full")
    assert "sign_off_altered" in str(refused.blocks) or refused.refused == "predecessor_not_passed"
    shown = str(stand.world.say("qa", "status canary").blocks)
    assert "sign_off_altered" in shown
    assert "teams 0 of 2" in shown


def test_a_group_that_cannot_be_looked_up_refuses(stand: Stand) -> None:
    stand.world.adopt(planned(search="S0NOWHERE1"))
    try:
        body = stand.submitted(PEOPLE["on-call"], "approve", {"stage": "canary", "role": "developer@billing"})
        stand.is_refused(body, "identity_unknown")
        assert stand.world.stage("canary").state is StageState.REVIEW
    finally:
        stand.world.adopt(planned())
