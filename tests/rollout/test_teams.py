"""Teams: what a plan may say of them, whose a target is, who signs where, and when a team's time is over."""

from datetime import UTC, datetime, timedelta

import pytest

from rollout import people, teams
from rollout.plan import EachTeam, Plan
from rollout.planfile import PlanError, canonical, from_canonical, parse
from rollout.selection import Candidate
from rollout.teams import TeamPart

PLAN = """\
key: small
title: A small plan
runtimes: {source: "13.3", target: "17.3"}
workspaces: [dev, prod]
channel: C0123
roles:
  developer: {title: Developer, members: [U0001]}
  qa: {title: QA, members: [U0002]}
capabilities: {start: [qa], rollback: [qa], pause: [qa]}
teams:
  billing:
    title: Billing
    select: {tags: [team=billing]}
    group: S0BILLING
    channel: C0BILLING
  search:
    title: Search
    select: {workspaces: [prod], names: ["search-*"]}
    members: [U0003, U0004]
stages:
  - key: first
    title: First
    targets: {workspaces: [dev, prod]}
    sign_offs: {developer: 1, qa: 1}
    each_team: {developer: {after: 2d, unsigned: pin}}
"""


def read(text: str = PLAN) -> Plan:
    return parse(text, "plan.yml", lambda _: None, ())


def test_a_plan_with_teams_is_read_and_survives_being_stored() -> None:
    plan = read()
    assert plan.teams["billing"].group == "S0BILLING"
    assert plan.teams["search"].select.workspaces == ("prod",)
    assert plan.stages[0].each_team["developer"] == EachTeam(after=2 * 86_400, unsigned="pin")
    assert from_canonical(canonical(plan)) == plan


@pytest.mark.parametrize(
    ("old", "new", "path", "wrong", "expected"),
    [
        ("tags: [team=billing]", "tag: [team=billing]", "teams.billing.select.tag", "not a known word", "did you mean"),
        ("    group: S0BILLING\n", "", "teams.billing", "the team billing has no people", "teams.billing.group"),
        (
            "workspaces: [prod],",
            "workspaces: [prd],",
            "teams.search.select.workspaces[0]",
            "no workspace 'prd'",
            "prod",
        ),
        ("{tags: [team=billing]}", "{}", "teams.billing.select", "would own everything", "tags: [team=billing]"),
        (
            "{tags: [team=billing]}",
            '{names: ["search-*"]}',
            "teams.search.select.names[0]",
            "billing selects 'search-*' as well: one target would be in two teams, billing and search",
            "one of the two teams",
        ),
        (
            "{developer: 1, qa: 1}",
            "{qa: 1}",
            "stages[0].each_team.developer",
            "what belongs to no team",
            "developer: 1",
        ),
        ("each_team: {developer:", "each_team: {dev:", "stages[0].each_team.dev", "no role 'dev'", "developer"),
        (
            "{after: 2d, unsigned: pin}",
            "{unsigned: pin}",
            "stages[0].each_team.developer",
            "after how long",
            "after: 2d",
        ),
        ("unsigned: pin", "unsigned: drop", "stages[0].each_team.developer.unsigned", "'drop'", "block, pin"),
        ("S0BILLING", "billing-devs", "teams.billing.group", "cannot stand here", "user group id"),
    ],
)
def test_a_mistake_about_teams_is_named_with_its_place(
    old: str, new: str, path: str, wrong: str, expected: str
) -> None:
    assert old in PLAN
    with pytest.raises(PlanError) as found:
        read(PLAN.replace(old, new, 1))
    said = [p for p in found.value.problems if path in str(p)]
    assert said, str(found.value)
    assert wrong in str(said[0])
    assert expected in str(said[0])
    assert "plan.yml:" in str(said[0])


def test_a_stage_cannot_ask_teams_that_there_are_not() -> None:
    head, _, rest = PLAN.partition("teams:\n")
    with pytest.raises(PlanError, match="the plan names no teams"):
        read(head + "stages:" + rest.partition("stages:")[2])


def test_a_target_belongs_to_the_team_that_selects_it_and_two_claims_are_told() -> None:
    plan = read()
    mine = Candidate("prod", "job", "search-index", tags={"team": "billing"})
    assert teams.owner(plan, Candidate("prod", "job", "search-index")) == "search"
    assert teams.owner(plan, Candidate("dev", "job", "search-index")) is None
    assert teams.owner(plan, Candidate("dev", "job", "x", tags={"team": "billing"})) == "billing"
    both = teams.owner(plan, mine)
    assert both is not None
    assert teams.is_ambiguous(both)
    assert teams.claims(both) == ("billing", "search")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, {"developer": 1, "qa": 1}),
        ({"": 3}, {"developer": 1, "qa": 1}),
        ({"billing": 2, "search": 1}, {"developer@billing": 1, "developer@search": 1, "qa": 1}),
        ({"billing": 2, "": 1}, {"developer": 1, "developer@billing": 1, "qa": 1}),
        ({"billing": 0, "search": 1}, {"developer@search": 1, "qa": 1}),
        ({"billing": 0}, {"developer": 1, "qa": 1}),
    ],
)
def test_each_team_with_targets_signs_and_the_role_itself_for_what_belongs_to_none(
    parts: dict[str, int], expected: dict[str, int]
) -> None:
    assert teams.places(read().stages[0], [TeamPart(k, n) for k, n in parts.items()]) == expected


def test_a_team_is_signed_for_by_its_own_people_only() -> None:
    plan = read()
    billing = people.roles_of(plan, "U0009", {"S0BILLING"})
    assert teams.holds(billing, "developer@billing")
    assert not teams.holds(billing, "developer@search")
    assert not teams.holds(billing, "developer")
    assert not teams.holds(people.roles_of(plan, "U0001", ()), "developer@billing")  # the role is not the team
    assert teams.plain(billing) == frozenset()
    assert people.members(plan, {"S0BILLING": {"U0009"}})["developer@billing"] == {"U0009"}


def test_a_team_is_warned_before_its_time_is_over() -> None:
    began = datetime(2026, 3, 2, 10, tzinfo=UTC)
    long, short = EachTeam(after=10 * 86_400), EachTeam(after=3600)
    assert teams.deadline(long, began) == began + timedelta(days=10)
    assert teams.warning(long, began) == began + timedelta(days=9)
    assert teams.warning(short, began) == began + timedelta(minutes=45)
    assert teams.deadline(EachTeam(), began) is None
    assert teams.warning(EachTeam(), began) is None
