"""What a plan may say of overrides and escalation, and what a changed plan means, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import amend
from rollout.amend import At, Wanted
from rollout.plan import Override, Plan
from rollout.states import StageState
from tests.commands.world import sandbox_plan
from tests.rollout.test_planfile import PLAN, changed, load, problems

S = StageState
RULES = "override: {role: devops, second: qa}\nescalation: {after: 15m, to: [devops, Desk]}\n"
DESK = "contacts: [{role: Desk, contact: desk@example.net}]\n"


def test_rules_are_read_with_their_defaults() -> None:
    plan = load(PLAN + RULES + DESK)
    assert plan.override is not None
    assert plan.override.covers == ("verdicts", "items")
    assert plan.override_of("first") == plan.override
    assert plan.escalation is not None
    assert (plan.escalation.after, plan.escalation.webhook_env) == (900, None)
    assert plan.capabilities.may_administer == ("devops",), "who may start"
    assert load(PLAN).override_of("first") is None, "nobody may"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("override: {role: devops}\n", "is missing"),
        ("override: {role: devopps, second: qa}\n", "there is no role 'devopps'"),
        ("override: {role: devops, second: qa, covers: [sign-offs]}\n", "never overridden"),
        ("override: {role: devops, second: qa, covers: [everything]}\n", "'everything' is not a known word"),
        ("escalation: {to: [nobody]}\n", "neither a role nor a contact"),
        ("escalation: {to: []}\n", "this list is empty"),
        ("escalation: {to: [qa], after: 5s}\n", "this is too small"),
        ("escalation: {to: [qa], webhook_env: https://example.net/x}\n", "cannot stand here"),
    ],
)
def test_a_rule_that_cannot_be_is_named(text: str, wrong: str) -> None:
    found = problems(PLAN + text)
    assert any(wrong in str(p) for p in found), found


def test_sign_offs_are_overridden_only_where_a_stage_says_that_it_is_no_production() -> None:
    rule = "    override: {role: devops, second: qa, covers: [sign-offs]}\n"
    text = changed("    title: First\n", f"    title: First\n{rule}", PLAN)
    assert [p.wrong for p in problems(text)] == [
        "first is a production stage, and its required sign-offs are never overridden"
    ]
    assert load(changed("    title: First\n", f"    title: First\n    production: false\n{rule}", PLAN))


def test_one_person_in_both_roles_is_no_second_person() -> None:
    alone = changed("groups: [S0001]", "members: [U0001]", changed("members: [U0001, U0002]", "members: [U0001]"))
    found = problems(alone + "override: {role: devops, second: qa}\n")
    assert any("takes two" in p.expected or "takes two" in p.wrong for p in found), found


# -- a changed plan ----------------------------------------------------------------------------------------------------


def stage(plan: Plan, key: str, **values: object) -> Plan:
    return plan.model_copy(
        update={"stages": tuple(s.model_copy(update=values) if s.key == key else s for s in plan.stages)}
    )


def test_every_difference_is_said_in_words() -> None:
    old = sandbox_plan()
    new = stage(old, "canary", bake=5400, sign_offs={"qa": 2})
    new = new.model_copy(
        update={
            "title": "Another",
            "checklist": old.checklist[1:],
            "contacts": tuple(reversed(old.contacts)),
            "capabilities": old.capabilities.model_copy(update={"start": ("tech-lead",)}),
        }
    )
    said = amend.difference(old, new)
    assert f"title: {old.title} → Another" in said
    assert "stages canary bake: 1 d → 1 h 30 min" in said
    assert "stages canary sign offs qa: 1 → 2" in said
    assert any(line.startswith("stages canary sign offs tech-lead: taken out") for line in said)
    assert any(line.startswith("contacts: in another order") for line in said)
    assert any(line.startswith(f"checklist {old.checklist[0].key}: taken out") for line in said)
    assert "capabilities start: taken out: devops" in said
    assert amend.difference(old, old) == []


@given(st.data())
def test_no_change_of_a_field_is_left_out_of_the_words(data: st.DataObject) -> None:
    old = sandbox_plan()
    key = data.draw(st.sampled_from([s.key for s in old.stages]))
    values = {
        "bake": st.integers(0, 9999),
        "max_parallel": st.integers(1, 50),
        "title": st.text("abc", min_size=1, max_size=9),
        "criteria": st.just(()),
        "production": st.booleans(),
        "busy": st.sampled_from(["wait", "ask", "restart"]),
    }
    name = data.draw(st.sampled_from(sorted(values)))
    new = stage(old, key, **{name: data.draw(values[name])})
    assert bool(amend.difference(old, new)) == (new != old)


def test_terms_of_a_stage_are_its_targets_and_criteria() -> None:
    old = sandbox_plan()
    at = tuple(At(s.key, S.REVIEW, True, False) for s in old.stages)

    def stale(new: Plan) -> list[str]:
        return amend.stale(Wanted(old, new, at))

    assert stale(stage(old, "dev", max_parallel=1, windows=(), days="1", title="x", busy="ask")) == []
    assert stale(stage(old, "dev", max_failures=1)) == ["dev"]
    assert stale(old.model_copy(update={"runtimes": old.runtimes.model_copy(update={"fallback": None})})) == [
        s.key for s in old.stages
    ]
    item = next(i for i in old.checklist if i.stage == "canary")
    others = tuple(i for i in old.checklist if i.key != item.key)
    assert "canary" in stale(old.model_copy(update={"checklist": others}))
    assert "dev" not in stale(old.model_copy(update={"checklist": others}))
    passed = tuple(At(s.key, S.PASSED, True, True) for s in old.stages)
    assert amend.stale(Wanted(old, stage(old, "dev", max_failures=1), passed)) == []


def test_who_overrode_a_sign_off_of_a_passed_stage_stays_allowed_to() -> None:
    old = sandbox_plan()
    new = old.model_copy(update={"override": Override(role="devops", second="qa")})
    plain, waived = (At("dev", S.PASSED, True, True, waived) for waived in (False, True))
    assert amend.problems(Wanted(old, new, (plain,))) == []
    assert "who may override there" in amend.problems(Wanted(old, new, (waived,)))[0]
