"""What only the workspaces and Slack can tell of a plan: every mistake by file and line, in one list."""

from typing import Any

import pytest

from rollout.planfile import Problem, examine
from rollout.planonline import Answered, Holders, online
from rollout.selection import Candidate

PLAN = """\
key: small
title: Small
runtimes: {source: "13.3", target: "17.3"}
workspaces:
  - dev
  - prod
channel: C0123
roles:
  qa: {title: QA, members: [U0001]}
  devops: {title: DevOps, groups: [S0001]}
  idle: {title: Idle, members: [U0009]}
capabilities: {start: [devops], rollback: [devops], pause: [devops]}
stages:
  - key: first
    title: First
    targets: {workspaces: [dev]}
    sign_offs: {qa: 1}
  - key: canary
    title: Canary
    targets:
      workspaces: [prod]
      kinds: [job]
      names:
        - orders
    sign_offs: {qa: 1}
  - key: full
    title: Full
    targets: {workspaces: [prod]}
    sign_offs: {qa: 1}
"""
OFFERED = frozenset({"13.3", "16.4", "17.3"})
GOOD: dict[str, Answered] = {
    "dev": Answered(OFFERED, (Candidate("dev", "cluster", "shared"),)),
    "prod": Answered(OFFERED, (Candidate("prod", "job", "orders"), Candidate("prod", "cluster", "bi"))),
}
HELD: Holders = {"qa": (1, ""), "devops": (2, ""), "idle": (0, "U0009: deactivated")}


def found(answers: dict[str, Answered], holders: Holders | None = None, plan: str = PLAN) -> list[Problem]:
    tree = examine(plan, "p.yml", lambda name: None, ()).tree
    assert tree is not None
    return sorted(online(tree, answers, holders))


def test_a_plan_that_fits_the_world_has_no_problem() -> None:
    assert found(GOOD, HELD) == []


@pytest.mark.parametrize(
    ("answers", "line", "said", "instead"),
    [
        ({"prod": Answered(error="no answer from the workspace")}, 6, "prod does not answer", "DATABRICKS_PROD_*"),
        ({"prod": Answered(OFFERED - {"17.3"}, GOOD["prod"].targets)}, 6, "prod does not offer 17.3", "offers 17.3"),
        ({"dev": Answered(OFFERED)}, 16, "first has no target in dev: nothing there fits", "taken out of the plan"),
        (
            {"prod": Answered(OFFERED, (Candidate("prod", "job", "order"), Candidate("prod", "cluster", "bi")))},
            24,
            "no job in prod is called 'orders'",
            "did you mean 'order'?",
        ),
        (
            {"prod": Answered(OFFERED, (Candidate("prod", "job", "orders"),))},
            28,
            "full has no target in prod: earlier stages take all of it",
            "taken out of the plan",
        ),
    ],
)
def test_each_mistake_stands_at_its_line_and_says_what_to_write_instead(
    answers: dict[str, Answered], line: int, said: str, instead: str
) -> None:
    problems = found({**GOOD, **answers}, HELD)
    match = [p for p in problems if said in p.wrong]
    assert match, problems
    assert match[0].line == line
    assert match[0].file == "p.yml"
    assert instead in match[0].expected


def test_a_runtime_that_no_workspace_offers_is_said_once_with_those_that_there_are() -> None:
    problems = found(GOOD, HELD, PLAN.replace('target: "17.3"', 'target: "18.9"'))
    (problem,) = problems
    assert problem.line == 3
    assert problem.path == "runtimes.target"
    assert (problem.wrong, problem.expected) == ("no workspace offers 18.9", "one of 17.3, 16.4, 13.3")


@pytest.mark.parametrize("said", ["U0001: the account is deactivated", "group S0001 has no members"])
def test_a_role_without_anybody_who_could_act_is_a_mistake_only_where_something_waits_for_it(said: str) -> None:
    (problem,) = found(GOOD, {"qa": (0, said), "devops": (1, ""), "idle": (0, "gone")})
    assert problem.line == 9
    assert said in problem.wrong


def test_all_of_them_come_in_one_list_together_with_what_is_wrong_by_itself() -> None:
    plan = PLAN.replace("bi", "bi") + "    bake: 3 moons\n"
    examined = examine(plan, "p.yml", lambda name: None, ())
    assert examined.tree is not None
    assert [p.path for p in examined.problems] == ["stages[2].bake"]
    answers: dict[str, Any] = {"dev": Answered(error="no"), "prod": Answered(OFFERED)}
    wrong = {p.path for p in [*examined.problems, *online(examined.tree, answers, {})]}
    assert {"stages[2].bake", "workspaces[0]", "stages[1].targets.names[0]", "stages[1].targets"} <= wrong
    assert {"roles.qa", "roles.devops"} <= wrong
    assert "stages[0].targets" not in wrong  # its workspace did not answer: nobody knows


def test_a_stage_whose_selection_cannot_be_read_is_left_to_the_others_to_complain_of() -> None:
    broken = PLAN.replace("targets: {workspaces: [dev]}", "targets: {workspaces: []}")
    tree = examine(broken, "p.yml", lambda name: None, ()).tree
    assert tree is not None
    assert list(online(tree, GOOD, HELD)) == []


TEAMS = """\
teams:
  orders: {title: Orders, select: {names: ["ord*"]}, group: S0001}
  bi:
    title: BI
    select: {tags: [team=bi]}
    group: S0002
"""


def test_a_target_in_two_teams_and_a_team_without_targets_are_named() -> None:
    (nothing,) = found(GOOD, HELD, PLAN + TEAMS)
    assert "the team bi has no target in any workspace" in nothing.wrong
    both = Candidate("prod", "job", "orders", tags={"team": "bi"})
    (problem,) = found({**GOOD, "prod": Answered(OFFERED, (both, *GOOD["prod"].targets[1:]))}, HELD, PLAN + TEAMS)
    assert problem.wrong == "1 of its targets would be in two teams, orders and bi: orders (job, prod)"
    assert problem.line == 34
    # As long as a workspace does not answer, nobody knows what is in it.
    quiet = found({**GOOD, "dev": Answered(error="down")}, HELD, PLAN + TEAMS)
    assert not any("no target in any workspace" in p.wrong for p in quiet)


def test_a_team_in_which_nobody_could_act_is_named_where_teams_sign() -> None:
    asked = (PLAN + TEAMS.replace("tags: [team=bi]", 'names: ["bi"]')).replace(
        "sign_offs: {qa: 1}", "sign_offs: {qa: 1}\n    each_team: {qa: {}}", 1
    )
    held = {**HELD, "@orders": (1, ""), "@bi": (0, "group S0002 has no members")}
    (problem,) = found(GOOD, held, asked)
    assert problem.wrong == "nobody who could act is in the team bi: group S0002 has no members"
    assert found(GOOD, held, PLAN + TEAMS.replace("tags: [team=bi]", 'names: ["bi"]')) == []
