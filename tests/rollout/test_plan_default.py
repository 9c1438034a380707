"""The default plan and the sandbox's: complete, honest about who does what, and usable."""

from collections import Counter
from itertools import chain, pairwise
from pathlib import Path

import pytest
import yaml

from rollout.plan import Plan
from rollout.planfile import PlanError, canonical, from_canonical, parse

ROOT = Path(__file__).resolve().parents[2]
PLANS = ROOT / "plans"
DEFAULT = PLANS / "dbr-17.3.yml"
CHECKS = ("runs_compared", "targets_on_target_runtime", "targets_settled")
FIVE = ["dev", "test", "staging", "canary", "full"]


def lines(section: str, *parts: int) -> list[str]:
    """The sources of a section with that many sub-lines in each of its lines."""
    found = []
    for number, count in enumerate(parts, 1):
        found += [f"{section}/{number}", *(f"{section}/{number}.{part}" for part in range(1, count + 1))]
    return found


#: Every line of the production rollout checklist. `.ci/spec-coverage` holds the plan against the text itself.
SPEC = [
    *lines("P", 0, 0, 0, 0),
    *lines("1.1", 3, 3, 3),
    *lines("1.2", 3, 3, 3),
    *lines("1.3", 0, 3, 3),
    *chain.from_iterable([f"S{n}", *lines(f"S{n}", 0, 0, 0, 0)] for n in range(1, 6)),
    *chain.from_iterable(lines(f"S{n}/go", 0, 0, 0) for n in range(1, 5)),
    *lines("3.1", 0, 3, 0),
    *lines("3.2", 0, 0, 3),
    *lines("3.3", 3, 3),
    *lines("4.1", 0, 0, 0, 0),
    *lines("4.2", 0, 3, 3),
    *lines("4.3", 3, 3),
    *lines("5.1", 3, 3, 3),
    *lines("5.2", 3, 3, 3),
    *lines("RB/when", 0, 0, 0, 0),
    *lines("RB", 3, 3, 3, 0, 4),
    *lines("F/pre", 0, 0, 0, 0, 0),
    *lines("F/during", 0, 0, 0, 0),
    *lines("F/post", 0, 0, 0, 0, 0),
    *lines("SO", 0, 0, 0, 0, 0),
    *lines("C", 0, 0, 0),
]

FILLED_IN = """
extends: dbr-17.3
key: filled-in
channel: C0123
roles:
  developer: {members: [U0001]}
  tech-lead: {members: [U0002]}
  qa: {members: [U0003]}
  devops: {groups: [S0001]}
  product-owner: {members: [U0005]}
  on-call: {groups: [S0002]}
stages: {canary: {targets: {names: [orders]}}}
"""


def resolve(key: str) -> tuple[str, str] | None:
    path = PLANS / f"{key}.yml"
    return (f"plans/{key}.yml", path.read_text(encoding="utf-8")) if path.is_file() else None


@pytest.fixture(scope="module")
def default() -> Plan:
    return parse(FILLED_IN, "mine.yml", resolve, CHECKS)


@pytest.fixture(scope="module")
def sample() -> Plan:
    return parse((ROOT / "sandbox/plan.yml").read_text(encoding="utf-8"), "sandbox/plan.yml", resolve, CHECKS)


def test_the_default_plan_alone_names_what_is_to_be_filled_in_and_nothing_else() -> None:
    with pytest.raises(PlanError) as caught:
        parse(DEFAULT.read_text(encoding="utf-8"), "plans/dbr-17.3.yml", resolve, CHECKS)
    roles = ["developer", "tech-lead", "qa", "devops", "product-owner", "on-call"]
    assert [p.path for p in caught.value.problems] == [
        "channel",
        *(f"roles.{r}.members" for r in roles),
        "stages[3].targets",
    ]


def test_every_line_of_the_specification_is_in_the_default_plan(default: Plan) -> None:
    sources = {
        thing.source
        for thing in (
            *default.checklist,
            *default.summary,
            *default.rollback_when,
            *default.stages,
            *default.contacts,
            *default.roles.values(),
            *chain.from_iterable(stage.criteria for stage in default.stages),
        )
        if thing.source
    }
    assert sources == set(SPEC)
    assert len(SPEC) == len(set(SPEC)) == 183


def test_every_item_stands_for_a_line_of_its_own_and_says_when_it_is_done(default: Plan) -> None:
    assert max(Counter(item.source for item in default.checklist).values()) == 1
    assert [item.key for item in default.checklist if not item.done_when] == []
    assert [c.key for stage in default.stages for c in stage.criteria if not c.done_when] == []


def test_a_part_follows_its_line_and_holds_up_nothing_by_itself(default: Plan) -> None:
    sources = {item.key: item.source for item in default.checklist}
    for item in default.checklist:
        if "." in item.source.split("/")[-1]:
            assert item.part_of is not None
            assert sources[item.part_of] == item.source.rsplit(".", 1)[0]
            assert not item.required
            assert item.blocks is None
        else:
            assert item.part_of is None


def test_the_stages_of_the_specification_with_their_timeline_bakes_and_signers(default: Plan) -> None:
    assert [stage.key for stage in default.stages] == FIVE
    assert [stage.days for stage in default.stages] == ["1-2", "3-5", "6-7", "8-10", "11+"]
    assert [stage.bake for stage in default.stages] == [0, 0, 7200, 86400, 0]
    assert [set(stage.sign_offs) for stage in default.stages] == [
        {"developer"},
        {"qa"},
        {"qa", "tech-lead"},
        {"tech-lead", "qa", "product-owner"},
        {"developer", "tech-lead", "qa", "devops", "product-owner"},
    ]


def test_prerequisites_and_preparation_hold_up_dev(default: Plan) -> None:
    early = [i for i in default.checklist if i.phase in ("Prerequisites", "Preparation") and i.part_of is None]
    assert len(early) == 13
    assert {i.key: i.blocks for i in early if i.by == "person"} == dict.fromkeys(
        (i.key for i in early if i.by == "person"), "dev"
    )


def test_nothing_holds_up_a_stage_that_no_person_can_tick(default: Plan, sample: Plan) -> None:
    for plan in (default, sample):
        assert [item.key for item in plan.checklist if item.blocks and item.by != "person"] == []


def test_the_work_inside_a_stage_holds_up_the_next_one(default: Plan) -> None:
    for stage, following in pairwise(FIVE):
        assert {i.blocks for i in default.checklist if i.stage == stage and i.by == "person" and i.required} == {
            following
        }


def test_the_sample_plan_needs_no_paperwork_before_canary(sample: Plan) -> None:
    blocking = {item.key: item.blocks for item in sample.checklist if item.blocks}
    assert set(blocking.values()) == {"canary"}
    assert len(blocking) == 12
    assert {item.phase for item in sample.checklist if item.blocks} == {"Prerequisites", "Preparation"}


def test_the_sample_plan_has_the_people_of_the_sandbox(sample: Plan) -> None:
    there = yaml.safe_load((ROOT / "sandbox/people.yml").read_text(encoding="utf-8"))
    people = {name: person["id"] for name, person in there["people"].items()}
    members = {key: list(role.members) for key, role in sample.roles.items()}
    assert members == {
        "developer": [people["developer"]],
        "tech-lead": [people["tech-lead"]],
        "qa": [people["qa"]],
        "devops": [people["devops"], people["devops-2"]],
        "product-owner": [people["product-owner"]],
        "on-call": [people["on-call"]],
    }
    assert sample.channel == there["channels"]["platform-support"]["id"]


def test_the_sample_plan_bakes_and_opens_windows_where_the_story_wants_them(sample: Plan) -> None:
    assert [stage.bake for stage in sample.stages] == [0, 0, 7200, 86400, 0]
    assert [stage.key for stage in sample.stages if stage.windows] == ["full"]
    assert sample.capabilities.start == ("devops", "tech-lead")
    assert set(sample.capabilities.rollback) == {"devops", "tech-lead", "on-call"}
    assert sample.stage("canary").targets.names == ("orders-hourly", "clickstream-hourly", "inventory-sync")


def test_both_plans_survive_being_stored(default: Plan, sample: Plan) -> None:
    for plan in (default, sample):
        assert from_canonical(canonical(plan)) == plan
        assert [*plan.roles][:5] == ["developer", "tech-lead", "qa", "devops", "product-owner"]
