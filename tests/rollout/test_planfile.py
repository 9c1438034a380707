"""Plan files: every mistake is named with its file and line, all of them at once; what is right becomes one plan."""

import re
from collections.abc import Mapping
from datetime import time
from textwrap import dedent
from typing import Any

import pytest
import yaml
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rollout import yamlmarks
from rollout.plan import PATTERNS, Plan, Report
from rollout.planfile import PlanError, Problem, canonical, digest, from_canonical, parse

CHECKS = ("runs_compared", "targets_settled")

PLAN = """\
key: small
title: A small plan
runtimes: {source: "13.3", target: "17.3"}
workspaces: [dev, prod]
channel: C0123
roles:
  qa:
    title: QA
    members: [U0001, U0002]
  devops:
    title: DevOps
    groups: [S0001]
capabilities: {start: [devops], rollback: [devops, qa], pause: [qa]}
stages:
  - key: first
    title: First
    targets:
      workspaces: [dev]
    sign_offs:
      qa: 1
    criteria:
      - key: settled
        title: At rest
        source: S1/1
        by: check
        check: targets_settled
  - key: second
    title: Second
    targets:
      workspaces: [prod]
      names: ["orders-*"]
    sign_offs: {qa: 2}
    bake: 2h
    windows:
      - days: [mon, fri]
        start: "08:00"
        end: "18:00"
  - key: third
    title: Third
    targets:
      workspaces: [prod]
    sign_offs: {devops: 1}
checklist:
  - key: agreed
    title: Agreed
    source: P/1
    phase: Before
    attest: [qa]
    blocks: first
  - key: tried
    title: Tried
    source: S1/2
    phase: Stages
    stage: first
    blocks: second
summary:
  - key: all-agreed
    phase: Before
    title: Agreed
    source: F/pre/1
    items: [agreed]
    stages: [first]
reports:
  daily:
    cron: "0 9 * * mon-fri"
    zone: Europe/Berlin
"""


def load(text: str, name: str = "mine.yml", **others: str) -> Plan:
    """The plan in the text; ``others`` are the plans that may be extended."""

    def resolve(key: str) -> tuple[str, str] | None:
        return (f"{key}.yml", others[key]) if key in others else None

    return parse(text, name, resolve, CHECKS)


def problems(text: str, **others: str) -> list[Problem]:
    with pytest.raises(PlanError) as caught:
        load(text, **others)
    return caught.value.problems


def attempt(text: str, **others: str) -> Plan | list[Problem]:
    try:
        return load(text, **others)
    except PlanError as error:
        return error.problems


def changed(old: str, new: str, text: str = PLAN) -> str:
    assert text.count(old) == 1, (old, text.count(old))
    return text.replace(old, new)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


# --- what is right


def test_a_plan_is_read_with_its_durations_times_and_defaults() -> None:
    plan = load(PLAN)
    assert [stage.bake for stage in plan.stages] == [0, 7200, 0]
    assert plan.stages[1].windows[0].end == time(18, 0)
    assert plan.stages[0].targets.kinds == ("cluster", "job")
    assert plan.runtimes.target == "17.3"
    assert plan.checklist[0].required


def test_scalars_are_what_they_look_like_and_not_what_yaml_1_1_guesses() -> None:
    text = changed('{source: "13.3", target: "17.3"}', "{source: 13.3, target: 17.10}")
    text = changed('end: "18:00"', "end: 18:00", text)  # 1080 in base sixty to YAML 1.1
    text = changed("key: third", "key: on", text)
    plan = load(text)
    assert (plan.runtimes.target, plan.stages[1].windows[0].end, plan.stages[2].key) == ("17.10", time(18), "on")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0", 0), ("0h", 0), ("90m", 5400), ("2h", 7200), ("24h", 86400), ("1d", 86400), ("1d12h", 129600), ("30s", 30)],
)
def test_durations_are_numbers_with_units(written: str, seconds: int) -> None:
    assert load(changed("bake: 2h", f"bake: {written}")).stages[1].bake == seconds


def test_the_canonical_text_gives_the_same_plan_back() -> None:
    plan = load(PLAN)
    again = from_canonical(canonical(plan))
    assert again == plan
    assert list(again.roles) == list(plan.roles) == ["qa", "devops"]
    assert (canonical(again), digest(again)) == (canonical(plan), digest(plan))
    assert re.fullmatch(r"[0-9a-f]{64}", digest(plan))


def test_the_canonical_text_is_the_same_however_the_file_is_laid_out() -> None:
    moved = changed("key: small\n", "") + "key: small  # at the end\n"
    assert canonical(load(moved)) == canonical(load(PLAN))
    assert digest(load(changed("bake: 2h", "bake: 3h"))) != digest(load(PLAN))
    assert digest(load(changed("bake: 2h", "bake: 120m"))) == digest(load(PLAN))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_what_is_not_a_canonical_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each layer has its own kind of it
        from_canonical(text)


# --- extending


def test_an_extending_plan_changes_entries_in_place_and_appends_new_ones() -> None:
    plan = load(
        dedent("""
            extends: base
            key: mine
            roles:
              qa: {members: [U0009, U0008, U0007]}
            stages:
              - key: second
                bake: 1d
                windows: null
              - key: fourth
                title: Fourth
                targets: {workspaces: [late]}
                sign_offs: {qa: 1}
            workspaces: [dev, prod, late]
        """),
        base=PLAN,
    )
    assert (plan.key, plan.title) == ("mine", "A small plan")
    assert plan.roles["qa"].title == "QA"
    assert plan.roles["qa"].members == ("U0009", "U0008", "U0007")
    assert [stage.key for stage in plan.stages] == ["first", "second", "third", "fourth"]
    second = plan.stages[1]
    assert (second.title, second.bake, second.windows, second.targets.names) == ("Second", 86400, (), ("orders-*",))


def test_things_may_be_changed_and_removed_by_their_key() -> None:
    plan = load("extends: base\nchecklist: {agreed: {blocks: second}, tried: null}\n", base=PLAN)
    assert [(item.key, item.blocks) for item in plan.checklist] == [("agreed", "second")]


def test_null_removes_an_entry_of_a_mapping() -> None:
    plan = load("extends: base\nchecklist: [{key: agreed, blocks: null}]\nreports: null\n", base=PLAN)
    assert plan.checklist[0].blocks is None
    assert plan.reports.daily.zone == "UTC"


def test_an_empty_list_takes_everything_away() -> None:
    plan = load("extends: base\nchecklist: []\nsummary: []\n", base=PLAN)
    assert plan.checklist == ()


def test_extending_goes_through_several_plans() -> None:
    assert load("extends: middle\ntitle: T\n", middle="extends: base\nkey: m\n", base=PLAN).key == "m"


def test_a_problem_points_at_the_file_that_it_comes_from() -> None:
    broken = changed("bake: 2h", "bake: soon")
    found = problems("extends: base\nstages: [{key: first, bake: later}]\n", base=broken)
    assert [(p.file, p.line, p.path) for p in found] == [
        ("base.yml", line_of(broken, "bake: soon"), "stages[1].bake"),
        ("mine.yml", 2, "stages[0].bake"),
    ]


def test_a_removed_item_that_the_summary_names_is_a_problem_of_the_summary() -> None:
    found = problems("extends: base\nchecklist: {agreed: null}\n", base=PLAN)
    assert [(p.file, p.line) for p in found] == [("base.yml", line_of(PLAN, "items: [agreed]"))]


def test_a_misspelt_key_of_a_change_is_recognised() -> None:
    found = problems("extends: base\nchecklist:\n  agred: {blocks: second}\n", base=PLAN)
    assert {p.line for p in found} == {3}
    assert all("did you mean 'agreed'?" in p.expected for p in found)
    assert {p.path for p in found} == {"checklist[2].title", "checklist[2].source", "checklist[2].phase"}


@pytest.mark.parametrize(
    ("text", "others", "wrong"),
    [
        ("extends: base\n", {}, "there is no plan 'base' to extend"),
        ("extends: [base]\n", {"base": PLAN}, "this is not the name of a plan"),
        ("extends: base\n", {"base": "extends: other\n", "other": "extends: base\n"}, "'base' extends itself"),
    ],
)
def test_what_cannot_be_extended_is_named(text: str, others: Mapping[str, str], wrong: str) -> None:
    (problem,) = problems(text, **others)
    assert wrong in problem.wrong
    assert (problem.path, problem.line) == ("extends", 1)


# --- mistakes in one place: the change, the line it is on, where in the plan, what is wrong, what was expected

MISTAKES: list[tuple[str, str, str, str, str]] = [
    # unknown words
    (
        "title: A small plan",
        "titel: A small plan",
        "titel",
        "'titel' is not a known word here",
        "did you mean 'title'?",
    ),
    ("bake: 2h", "backe: 2h", "stages[1].backe", "'backe' is not a known word here", "did you mean 'bake'?"),
    ("by: check", "by: chek", "stages[0].criteria[0].by", "'chek' is not a known word here", "did you mean 'check'?"),
    ("[mon, fri]", "[mon, fry]", "stages[1].windows[0].days[1]", "'fry' is not a known word", "did you mean 'fri'?"),
    # wrong types and shapes
    ("[dev, prod]", "dev", "workspaces", "'dev' is not a list", "a list"),
    ("  qa:\n    title: QA\n    members: [U0001, U0002]", "  qa: U1", "roles.qa", "'U1' is not a mapping", "a mapping"),
    ("{qa: 2}", "{qa: two}", "stages[1].sign_offs.qa", "'two' is not a whole number", "a whole number"),
    ("{qa: 2}", "{qa: 0}", "stages[1].sign_offs.qa", "this is too small", "at least 1"),
    ("title: Second", "title: [Second]", "stages[1].title", "this is not text", "text"),
    ("title: Agreed\n    source: P", "title: ''\n    source: P", "checklist[0].title", "this text is empty", "a text"),
    ("blocks: first", "required: perhaps", "checklist[0].required", "'perhaps' is not true or false", "true or false"),
    ("title: Tried", f"title: {'x' * 76}", "checklist[1].title", "this text is too long", "at most 75 characters"),
    ("[mon, fri]", "[]", "stages[1].windows[0].days", "this list is empty", "at least one entry"),
    (
        "      workspaces: [dev]",
        "      workspaces: []",
        "stages[0].targets.workspaces",
        "this list is empty",
        "one entry",
    ),
    # patterns in plain words
    ("channel: C0123", "channel: '#ops'", "channel", "'#ops' cannot stand here", "a Slack channel id such as"),
    ("[U0001, U0002]", "[U0001, '@ann']", "roles.qa.members[1]", "'@ann' cannot stand here", "a Slack user id such as"),
    ("[S0001]", "[ops]", "roles.devops.groups[0]", "'ops' cannot stand here", "a Slack user group id such as"),
    ('target: "17.3"', "target: '017.3'", "runtimes.target", "'017.3' cannot stand here", "a runtime release such as"),
    ('target: "17.3"', "target: '17.03'", "runtimes.target", "'17.03' cannot stand here", "a runtime release such as"),
    ('target: "17.3"', "target: '١٧.3'", "runtimes.target", "cannot stand here", "a runtime release such as"),
    # what would not read as it is written
    (
        "title: Tried",
        'title: "Tried\\u202eyltsenoh"',
        "checklist[1].title",
        "U+202E (right-to-left over",
        "as it reads",
    ),
    ("title: First", 'title: "Fir\\tst"', "stages[0].title", "the character U+0009", "a text as it reads"),
    ("title: First", 'title: "Fir\\u0007st"', "stages[0].title", "the character U+0007", "a text as it reads"),
    ("title: QA", "title: QA <!channel>", "roles.qa.title", "'<!c' would call people", "a name, without"),
    ("title: QA", "title: '<@U0123> QA'", "roles.qa.title", "'<@U' would call people", "a name, without"),
    ('target: "17.3"', "target: latest", "runtimes.target", "'latest' cannot stand here", "a runtime release such as"),
    ("key: third", "key: third-and-last-one", "stages[2].key", "cannot stand here", "at most 14 characters"),
    ("key: small", "key: Small!", "key", "'Small!' cannot stand here", "lower-case letters"),
    # words of a plan
    ("bake: 2h", "bake: 2 hours", "stages[1].bake", "'2 hours' is not a duration", "such as 90m, 2h, 1d or 0"),
    ("bake: 2h", "bake: 24", "stages[1].bake", "'24' has no unit", "such as 90m, 2h, 1d or 0"),
    ("bake: 2h", "bake: 91d", "stages[1].bake", "'91d' is too long", "at most 90d"),
    ("bake: 2h", "bake: -2h", "stages[1].bake", "'-2h' is not a duration", "such as 90m"),
    ('"08:00"', '"8am"', "stages[1].windows[0].start", "'8am' is not a time of day", "such as 08:00"),
    ('"18:00"', '"24:00"', "stages[1].windows[0].end", "'24:00' is not a time of day", "up to 23:59"),
    ('"18:00"', '"08:00"', "stages[1].windows[0].end", "this window never opens", "other than the start"),
    ("Europe/Berlin", "Berlin", "reports.daily.zone", "'Berlin' is not a time zone", "Europe/Berlin"),
    ("Europe/Berlin", "../etc", "reports.daily.zone", "'../etc' is not a time zone", "Europe/Berlin"),
    ("0 9 * * mon-fri", "0 9 * *", "reports.daily.cron", "'0 9 * *' has 4 fields", "five: minute, hour"),
    ("0 9 * * mon-fri", "0 9 * * 1-5", "reports.daily.cron", "'1' is not a weekday", "names such as mon-fri"),
    ("0 9 * * mon-fri", "0 24 * * *", "reports.daily.cron", "'24' is not a hour", "numbers from 0 to 23"),
    ("0 9 * * mon-fri", "0 9 * * sat-mon", "reports.daily.cron", "'sat-mon' runs backwards", "first"),
    ("0 9 * * mon-fri", "*/90 9 * * *", "reports.daily.cron", "the step of '*/90' does not fit", "a step from 1 to"),
    # missing
    ("channel: C0123\n", "", "channel", "is missing", "a Slack channel id such as"),
    ("    title: Third\n", "", "stages[2].title", "is missing", "a text"),
    ("    phase: Before\n    attest", "    attest", "checklist[0].phase", "is missing", "a text"),
    # names that nothing bears
    ("start: [devops]", "start: [devop]", "capabilities.start[0]", "no role 'devop'", "did you mean 'devops'?"),
    ("{devops: 1}", "{ops: 1}", "stages[2].sign_offs.ops", "no role 'ops'", "one of qa, devops"),
    ("attest: [qa]", "attest: [qaa]", "checklist[0].attest[0]", "no role 'qaa'", "did you mean 'qa'?"),
    ("blocks: first", "blocks: frist", "checklist[0].blocks", "no stage 'frist'", "did you mean 'first'?"),
    ("stage: first", "stage: zero", "checklist[1].stage", "no stage 'zero'", "one of first, second, third"),
    ("stages: [first]", "stages: [fist]", "summary[0].stages[0]", "no stage 'fist'", "did you mean 'first'?"),
    ("items: [agreed]", "items: [agreet]", "summary[0].items[0]", "no item 'agreet'", "did you mean 'agreed'?"),
    ("stage: first", "part_of: agree", "checklist[1].part_of", "no item 'agree'", "did you mean 'agreed'?"),
    (
        "      workspaces: [dev]",
        "      workspaces: [de]",
        "stages[0].targets.workspaces[0]",
        "no workspace 'de'",
        "'dev'",
    ),
    ("targets_settled", "target_settled", "stages[0].criteria[0].check", "no check", "did you mean 'targets_settled'?"),
    # checks
    ("        check: targets_settled\n", "", "stages[0].criteria[0]", "by which is not said", "check: one of"),
    ("        by: check\n", "", "stages[0].criteria[0].check", "not done by a check", "by: check, or no check"),
    (
        "key: settled\n        title: At rest\n        source: S1/1\n"
        "        by: check\n        check: targets_settled\n",
        "key: settled\n        title: At rest\n        source: S1/1\n        by: issues\n",
        "stages[0].criteria[0]",
        "by issues, but by which",
        "critical, data or all",
    ),
    (
        "        by: check\n        check: targets_settled\n",
        "        issues: critical\n",
        "stages[0].criteria[0].issues",
        "not done by them",
        "by: issues, or no issues",
    ),
    (
        "title: A small plan",
        "title: A small plan\nreminders: {at: '18:00'}",
        "reminders.at",
        "end before they begin",
        "an `until` after",
    ),
    # keys
    ("key: third", "key: first", "stages[2].key", "the key 'first' is taken", "there once"),
    ("key: tried", "key: agreed", "checklist[1].key", "the key 'agreed' is taken", "there once"),
    # people
    ("{qa: 2}", "{qa: 3}", "stages[1].sign_offs.qa", "3 have to sign as qa, which has 2 members", "at most 2"),
    ("members: [U0001, U0002]", "members: []", "roles.qa.members", "nobody holds this role", "in mine.yml"),
    (
        "groups: [S0001]",
        "groups: []",
        "roles.devops.groups",
        "may start, may roll back, signs third",
        "roles.devops.members",
    ),
    ("{qa: 2}", "{}", "stages[1].sign_offs", "nobody has to sign this stage", "at least one role"),
    ("start: [devops]", "start: []", "capabilities.start", "nobody may do this", "at least one role"),
    ("[U0001, U0002]", "[U0001, U0002, U0001]", "roles.qa.members[2]", "'U0001' is there twice", "each once"),
    # stages, targets and items that do not fit
    ('      names: ["orders-*"]\n', "", "stages[1].targets", "so that third is left nothing", "targets.names"),
    ("blocks: second", "blocks: first", "checklist[1].blocks", "which comes first or is the same", "after first"),
    ("blocks: first", "blocks: first\n    required: no", "checklist[0].blocks", "it is not required", "required: true"),
    (
        "blocks: first",
        "blocks: first\n    by: action",
        "checklist[0].blocks",
        "nobody can tick it before",
        "by: person",
    ),
    ("stage: first", "part_of: tried", "checklist[1].part_of", "'tried' is itself part of a line", "a whole line"),
    ('target: "17.3"', "target: 12.2", "runtimes.target", "12.2 is older than the source 13.3", "a release after 13.3"),
    ('target: "17.3"', "target: 9.10", "runtimes.target", "9.10 is older than the source", "a release after 13.3"),
    ('target: "17.3"', "target: 13.3", "runtimes.target", "13.3 is the source as well", "other than the source"),
    ('target: "17.3"', "target: 17.3, fallback: 17.3", "runtimes.fallback", "17.3 is the source or", "a third release"),
]


@pytest.mark.parametrize(
    ("old", "new", "path", "wrong", "expected"), MISTAKES, ids=[m[2] + ": " + m[3] for m in MISTAKES]
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, path: str, wrong: str, expected: str) -> None:
    text = changed(old, new)
    found = [p for p in problems(text) if p.path == path and wrong in p.wrong]
    assert len(found) == 1, problems(text)
    assert expected in found[0].expected
    assert found[0].file == "mine.yml"
    if "is missing" not in wrong and new:
        first = line_of(PLAN, old)
        assert first <= found[0].line <= first + max(old.count("\n"), new.count("\n"))


def test_two_roles_cannot_share_their_only_person() -> None:
    text = changed("groups: [S0001]", "members: [U0001]")
    text = changed("{devops: 1}", "{devops: 1, qa: 2}", text)
    (problem,) = problems(text)
    assert problem.path == "stages[2].sign_offs"
    assert "one person counts once" in problem.wrong


def test_a_role_that_nothing_needs_may_be_empty() -> None:
    text = changed("roles:\n", "roles:\n  guests: {title: Guests}\n")
    assert load(text).roles["guests"].members == ()


def test_all_mistakes_come_in_one_list_by_file_and_line() -> None:
    text = PLAN
    for old, new in (
        ("channel: C0123", "channel: ops"),
        ("start: [devops]", "start: [boss]"),
        ("bake: 2h", "bake: long"),
        ("stage: first", "stage: none-such"),
        ("Europe/Berlin", "Mars"),
    ):
        text = changed(old, new, text)
    found = problems(text)
    assert [p.path for p in found] == [
        "channel",
        "capabilities.start[0]",
        "stages[1].bake",
        "checklist[1].stage",
        "reports.daily.zone",
    ]
    assert [p.line for p in found] == sorted(p.line for p in found)


def test_a_problem_reads_as_one_sentence_that_editors_can_jump_to() -> None:
    text = changed("bake: 2h", "bake: long")
    with pytest.raises(PlanError) as caught:
        load(text)
    line = line_of(text, "bake: long")
    expected = "a duration such as 90m, 2h, 1d or 0"
    assert str(caught.value) == f"mine.yml:{line}: stages[1].bake: 'long' is not a duration; expected {expected}"


# --- what is not even a tree


@pytest.fixture(params=["fast", "pure"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers: which one there is depends on the installation."""
    if request.param == "pure":
        monkeypatch.setattr(yamlmarks, "_LOADER", yaml.SafeLoader)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("", 1, "the file is empty"),
        ("# nothing but a remark\n", 1, "the file is empty"),
        ("- a\n- b\n", 1, "this is not a plan"),
        ("just text\n", 1, "this is not a plan"),
        ("key: a\ntitle: b: c\n", 2, "this is not YAML"),
        ("key: a\n\ttitle: b\n", 2, "this is not YAML"),
        ("key: [a\n", 2, "this is not YAML"),
        ("key: a\n---\nkey: b\n", 2, "a second document begins"),
        ("key: a\nkey: b\n", 2, "'key' is there twice: first in line 1"),
        ("? [a, b]\n: c\n", 1, "the name of this entry is not a word"),
        ("null: c\n", 1, "the name of this entry is not a word"),
        ("key: a\ntitle: &x b\n", 2, "the anchor &x"),
        ("key: &x a\ntitle: *x\n", 2, "the alias *x"),
        ("key: !!python/name:os.system a\n", 1, "the tag"),
        ("key: " + "[" * 200_000, 1, "this is nested too deeply"),
        ("key:\n" + "".join(" " * n + "-\n" for n in range(1, 200)), 21, "this is nested too deeply"),
    ],
)
def test_what_is_not_a_plain_tree_is_refused_with_its_line(text: str, line: int, wrong: str) -> None:
    found = [p for p in problems(text) if wrong in p.wrong]
    assert len(found) == 1, problems(text)
    assert found[0].line == line
    assert found[0].expected


def test_a_control_character_is_refused() -> None:
    (problem,) = problems("key: a\ntitle: \x07\n")
    assert "this is not YAML" in problem.wrong


def test_a_huge_file_is_not_even_read() -> None:
    (problem,) = problems("# " + "x" * 1_000_000)
    assert problem.wrong == "the file has 1,000,002 characters"


def test_entities_that_multiply_are_refused_where_they_are_made() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    assert [p.line for p in problems(bomb) if "anchor" in p.wrong] == [1, 2, 3]


def test_what_is_in_a_workspace_is_named_as_it_is_there() -> None:
    plan = attempt(changed("workspaces: [dev]\n", 'workspaces: [dev]\n      names: ["<!channel> \\u202eodd"]\n'))
    assert isinstance(plan, Plan), plan
    assert plan.stages[0].targets.names == ("<!channel> \u202eodd",)


# --- cron


CRON_PARTS = st.one_of(
    st.just("*"),
    st.integers(0, 70).map(str),
    st.tuples(st.integers(0, 70), st.integers(0, 70)).map(lambda t: f"{t[0]}-{t[1]}"),
    st.tuples(st.integers(0, 70), st.integers(0, 70), st.integers(0, 70)).map(lambda t: f"{t[0]}-{t[1]}/{t[2]}"),
    st.integers(0, 70).map(lambda n: f"*/{n}"),
    st.sampled_from(["jan", "mar-jul", "dec-jan", "mon", "SUN", "mon-fri", "fri-mon", "mon-5", "1-fri", "mon-fri/2"]),
    st.sampled_from(["", "x", "last", "1-", "-1", "*/", "1,", "1-2-3", "²"]),
)
CRON_FIELDS = st.lists(CRON_PARTS, min_size=1, max_size=2).map(",".join)


@settings(deadline=None)
@given(st.lists(CRON_FIELDS, min_size=5, max_size=5).map(" ".join))
def test_every_cron_expression_that_is_taken_can_be_scheduled(cron: str) -> None:
    found = attempt(changed("0 9 * * mon-fri", cron))
    if isinstance(found, Plan):
        CronTrigger.from_crontab(cron, timezone="UTC")
    else:
        assert {p.path for p in found} == {"reports.daily.cron"}


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "0 9 * * mon-fri",
        "*/15 8-18 * * *",
        "0,30 6 1 jan,jul *",
        "5 4 1-15/2 * sat,sun",
        "0 9 * mar-oct MON",
    ],
)
def test_usual_cron_expressions_are_taken(cron: str) -> None:
    assert load(changed("0 9 * * mon-fri", cron)).reports.daily.cron == cron


# --- whatever comes


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    with pytest.raises(PlanError):
        load(text)


def _paths(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for key, value in below for p in _paths(value, (*path, key)))]


STRANGE: list[Any] = [
    None,
    "",
    "x",
    "9" * 5000,
    -1,
    [],
    {},
    [None],
    [[]],
    {"key": None},
    {"key": []},
    [{"key": "x"}] * 2,
    "²",
]


@settings(deadline=None)  # not about speed
@given(st.data())
def test_a_strange_value_anywhere_gives_problems_and_never_an_error(data: st.DataObject) -> None:
    tree = yaml.safe_load(PLAN)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([p for p in _paths(tree) if p]))
        holder: Any = tree
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = yaml.safe_load(yaml.safe_dump(data.draw(st.sampled_from(STRANGE))))
    text = yaml.dump(tree, Dumper=_plain_dumper())
    for found in (attempt(text), attempt("extends: base\n" + text, base=PLAN)):
        if isinstance(found, Plan):
            assert from_canonical(canonical(found)) == found
        else:
            assert found
            assert all(p.line >= 1 and p.wrong and p.expected for p in found)


def _plain_dumper() -> type[yaml.SafeDumper]:
    class Dumper(yaml.SafeDumper):
        """Writes no anchors: the reader refuses them."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Dumper


def test_every_pattern_of_the_models_is_explained_in_plain_words() -> None:
    def patterns(schema: Any) -> set[str]:
        if isinstance(schema, dict):
            own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
            keyed = set(schema.get("patternProperties", {}))
            return own | keyed | {p for value in schema.values() for p in patterns(value)}
        return {p for value in schema for p in patterns(value)} if isinstance(schema, list) else set()

    assert patterns(Plan.model_json_schema()) <= set(PATTERNS)
    assert all(PATTERNS.values())


@pytest.mark.parametrize(
    ("cron", "comes"),
    [
        ("0 9 31 feb *", False),
        ("0 9 31 4,6 *", False),
        ("0 9 30-31 feb *", False),
        ("0 9 29 feb *", True),
        ("0 9 */30 2 *", True),
    ],
)
def test_a_schedule_that_never_comes_is_refused(cron: str, comes: bool) -> None:
    if comes:
        Report(cron=cron)
    else:
        with pytest.raises(ValidationError, match="never comes"):
            Report(cron=cron)


LIMITS = """\
limits: {prod: {calls_per_second: 5, max_parallel: 3}}
freezes:
  - {from: 2026-12-18 18:00, to: "2027-01-04T08:00", zone: Europe/Berlin, reason: year end}
shared_window: {days: [mon], start: "20:00", end: "23:00"}
"""


def test_limits_freezes_and_the_shared_window_survive_being_stored() -> None:
    text = PLAN.replace("    bake: 2h\n", "    bake: 2h\n    max_failures: 10%\n    max_run_failures: 4\n") + LIMITS
    plan = parse(text, "plan.yml", lambda _: None, CHECKS)
    assert (plan.stages[1].max_failures, plan.stages[1].max_run_failures) == ("10%", 4)
    assert plan.limits["prod"].calls_per_second == 5
    assert plan.freezes[0].end.isoformat() == "2027-01-04T08:00:00"
    assert from_canonical(canonical(plan)) == plan


@pytest.mark.parametrize(
    ("old", "new", "path", "wrong", "expected"),
    [
        ("{prod:", "{prd:", "limits.prd", "there is no workspace 'prd'", "did you mean 'prod'?"),
        ("calls_per_second: 5", "calls_per_second: 0", "limits.prod.calls_per_second", "too small", "at least 0.1"),
        ("from: 2026-12-18 18:00", "from: 2026-12-18", "freezes[0].from", "is not a moment", "2026-12-20 18:00"),
        ("from: 2026-12-18 18:00", "from: 2026-13-18 18:00", "freezes[0].from", "is not a moment", "day and time"),
        ("2027-01-04T08:00", "2026-12-18 18:00", "freezes[0].to", "ends before it begins", "after `from`"),
        ("from: 2026", "form: 2026", "freezes[0].form", "not a known word", "did you mean 'from'?"),
        (", reason: year end", "", "freezes[0].reason", "is missing", "a text"),
        ('end: "23:00"', 'end: "20:00"', "shared_window.end", "never opens", "other than the start"),
        ("bake: 2h", "max_failures: ten", "stages[1].max_failures", "'ten' is not a limit", "such as 10%"),
        ("bake: 2h", "max_failures: 0", "stages[1].max_failures", "no sensible limit", "at least 1"),
        ("bake: 2h", "max_run_failures: 101%", "stages[1].max_run_failures", "no sensible limit", "1% to 100%"),
    ],
)
def test_a_mistake_in_a_limit_is_named_with_its_place(old: str, new: str, path: str, wrong: str, expected: str) -> None:
    text = PLAN + LIMITS
    assert old in text
    with pytest.raises(PlanError) as raised:
        parse(text.replace(old, new, 1), "plan.yml", lambda _: None, CHECKS)
    found = [p for p in raised.value.problems if p.path == path]
    assert [p for p in found if wrong in str(p) and expected in str(p)], raised.value.problems
