"""Limits as counts and per cent, and what several stages and plans may do together in one workspace."""

import pytest

from rollout.limits import CALLS_PER_SECOND, allowed, limit_words, workspace_limits
from rollout.plan import Plan, Stage
from tests.engine.harness import plan_of_two


@pytest.mark.parametrize(
    ("limit", "total", "spent_by"),
    [(3, 100, 3), ("10%", 100, 10), ("10%", 25, 3), ("10%", 5, 1), ("1%", 0, 1), ("100%", 7, 7), ("34%", 3, 2)],
)
def test_a_per_cent_is_spent_by_the_first_number_that_reaches_it(limit: int | str, total: int, spent_by: int) -> None:
    assert allowed(limit, total) == spent_by


def test_limits_are_said_in_words() -> None:
    assert [limit_words(n, "failure") for n in (1, 3, "10%")] == ["1 failure", "3 failures", "failures of 10%"]


def limited(**limits: object) -> Plan:
    return Plan.model_validate({**plan_of_two().model_dump(by_alias=True), "limits": limits})


def test_without_a_word_of_the_plan_stages_share_what_the_widest_may_alone() -> None:
    plan = plan_of_two()
    both = tuple(
        Stage.model_validate({**s.model_dump(), "targets": {"workspaces": ["dev"]}, "max_parallel": n})
        for s, n in zip(plan.stages, (4, 6), strict=True)
    )
    found = workspace_limits([plan.model_copy(update={"stages": both})], "dev")
    assert (found.max_parallel, found.calls_per_second) == (6, CALLS_PER_SECOND)


def test_of_several_plans_the_lowest_limits_hold() -> None:
    plans = [limited(dev={"calls_per_second": 50, "max_parallel": 2}), limited(dev={"calls_per_second": 5})]
    found = workspace_limits(plans, "dev")
    assert (found.calls_per_second, found.max_parallel) == (5, 2)
