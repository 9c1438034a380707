"""Which stage takes a target, and when two stages claim the same one."""

from typing import Any

import pytest

from rollout.plan import Plan, Selection
from rollout.planfile import PlanError, canonical, from_canonical, parse
from rollout.selection import Belongs, Candidate, belongs, selects
from tests.engine.harness import plan_of_two

JOB = Candidate("prod", "job", "orders-hourly", "77", "orders@example.com", {"team": "orders", "env": "prod-eu"})


def selection(**words: Any) -> Selection:
    return Selection.model_validate({"workspaces": ["prod"], **words})


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ({}, True),
        ({"workspaces": ["dev"]}, False),
        ({"kinds": ["cluster"]}, False),
        ({"names": ["orders-*"]}, True),
        ({"names": ["ORDERS-*"]}, False),
        ({"names": ["billing-*", "*-hourly"]}, True),
        ({"tags": ["team=orders"]}, True),
        ({"tags": ["team=billing"]}, False),
        ({"tags": ["env=prod*"]}, True),
        ({"tags": ["team=billing", "env=prod-eu"]}, True),
        ({"tags": ["owner="]}, False),
        ({"owners": ["orders@*"]}, True),
        ({"owners": ["billing@*"]}, False),
        ({"ids": ["77"]}, True),
        ({"ids": ["7"]}, False),
        ({"names": ["orders-*"], "tags": ["team=billing"]}, False),  # each word narrows
        ({"exclude": ["orders-*"]}, False),  # a plain list is of names, as ever
        ({"exclude": {"names": ["other"]}}, True),
        ({"exclude": {"tags": ["team=orders"]}}, False),
        ({"exclude": {"owners": ["*@example.com"]}}, False),
        ({"exclude": {"ids": ["77"]}}, False),
        ({"exclude": {"kinds": ["job"]}}, False),
        ({"exclude": {"kinds": ["cluster"], "tags": ["team=x"]}}, True),
    ],
)
def test_what_a_selection_takes(words: dict[str, Any], taken: bool) -> None:
    assert selects(selection(**words), JOB) is taken


def test_an_owner_that_nobody_knows_is_taken_by_no_pattern_but_the_one_for_all() -> None:
    unknown = Candidate("prod", "cluster", "x", owner=None)
    assert not selects(selection(owners=["a*"]), unknown)
    assert selects(selection(owners=["*"]), unknown)


def plan_with(first: dict[str, Any], second: dict[str, Any]) -> Plan:
    plan = plan_of_two()
    stages = [
        stage.model_copy(update={"targets": selection(**words)})
        for stage, words in zip(plan.stages, (first, second), strict=True)
    ]
    return plan.model_copy(update={"stages": tuple(stages)})


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ({"names": ["orders-*"]}, {}, Belongs("first")),  # the later one takes the rest: that is meant
        ({"names": ["orders-*"]}, {"names": ["*"]}, Belongs("first")),
        ({"names": ["orders-*"]}, {"tags": ["team=orders"]}, Belongs("first", ("second",))),
        ({"exclude": ["nothing"]}, {"names": ["orders-hourly"]}, Belongs("first", ("second",))),
        ({"names": ["billing-*"]}, {"ids": ["77"]}, Belongs("second")),
        ({"names": ["billing-*"]}, {"names": ["stock-*"]}, Belongs(None)),
    ],
)
def test_one_target_belongs_to_one_stage(first: dict[str, Any], second: dict[str, Any], found: Belongs) -> None:
    assert belongs(plan_with(first, second), JOB) == found


PLAN = """\
key: test
title: Test
runtimes: {source: "13.3", target: "17.3"}
workspaces: [dev, prod]
channel: C0TEST0001
roles: {ops: {title: Ops, members: [U0OPS00001, U0OPS00002]}}
capabilities: {start: [ops], rollback: [ops], pause: [ops]}
stages:
  - key: one
    title: One
    sign_offs: {ops: 1}
    targets:
      workspaces: [prod]
      FIRST
  - key: two
    title: Two
    sign_offs: {ops: 1}
    targets:
      workspaces: [prod]
      SECOND
"""


def problems(first: str, second: str) -> list[str]:
    text = PLAN.replace("FIRST", first).replace("SECOND", second)
    try:
        parse(text, "plan.yml", lambda _: None, ())
    except PlanError as error:
        return [str(p) for p in error.problems]
    return []


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("names: [a, b]", "names: [c, a]", "plan.yml:20: stages[1].targets.names[1]: one selects 'a' in prod as well"),
        ("tags: [team=x]", "tags: [team=x]", "plan.yml:20: stages[1].targets.tags[0]: one selects 'team=x'"),
        ("ids: ['7']", "ids: ['7']", "plan.yml:20: stages[1].targets.ids[0]: one selects '7'"),
        ("names: [a]", "tags: [team]", "plan.yml:20: stages[1].targets.tags[0]: 'team' cannot stand here"),
        ("names: [a]", "tag: [team=x]", "plan.yml:20: stages[1].targets.tag: 'tag' is not a known word here"),
        ("names: [a]", "exclude: {name: [x]}", "plan.yml:20: stages[1].targets.exclude.name: 'name' is not a known"),
        ("names: [a]", "managed: always", "plan.yml:20: stages[1].targets.managed: 'always' is not a known word"),
        ("names: ['*']", "tags: [team=x]", "plan.yml:12: stages[0].targets: one takes everything in prod"),
    ],
)
def test_what_is_wrong_with_a_selection_is_said_with_its_line(first: str, second: str, said: str) -> None:
    assert any(p.startswith(said) for p in problems(first, second)), problems(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("names: [a]", "names: [b]"),
        ("names: [a]", "exclude: [b]"),
        ("kinds: [job]\n      names: [a]", "kinds: [cluster]\n      names: [a]"),
        ("tags: [team=x]", "exclude: {tags: [team=x], owners: ['y*'], ids: ['1'], kinds: [cluster]}"),
        ("tags: [team=x]\n      managed: force", "names: ['*']"),
    ],
)
def test_selections_that_do_not_meet_are_good(first: str, second: str) -> None:
    assert problems(first, second) == []


def test_an_old_stored_plan_is_read_and_is_the_same_plan() -> None:
    plan = parse(PLAN.replace("FIRST", "names: [a]").replace("SECOND", "exclude: [b]"), "plan.yml", lambda _: None, ())
    text = canonical(plan)
    old = text.replace('"exclude":{"ids":[],"kinds":[],"names":["b"],"owners":[],"tags":[]}', '"exclude":["b"]')
    old = old.replace('"managed":"propose",', "").replace('"owners":[],', "").replace('"ids":[],', "")
    assert old != text
    assert from_canonical(old) == plan
