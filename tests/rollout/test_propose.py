"""A first plan for a company that has none: tiers, canary candidates, quiet hours, orphans, and a file that is good."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout import canary, placeholders, plantext
from rollout.firstlook import Looked, Ran, Seen, Ties, team_of, teams
from rollout.plan import EachTeam, Plan
from rollout.planbase import Base, outline, without
from rollout.planfile import parse
from rollout.propose import TIERS, Proposal, pattern, place, propose
from rollout.proposeteams import candidate
from rollout.quiet import quiet_hours
from rollout.selection import Candidate, belongs
from rollout.teams import owner
from rollout.yamlmarks import read

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ("runs_compared", "targets_on_target_runtime", "targets_settled")
NOW = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)


def job(name: str = "a", workspace: str = "prod", **more: Any) -> Seen:
    given: dict[str, Any] = {
        "workspace": workspace,
        "kind": "job",
        "object_id": f"id-{name}",
        "name": name,
        "owner": "orders-team@example.com",
        "state": "SCHEDULED",
        "on_source": True,
        "skip": None,
    }
    return Seen(**{**given, **more})


def runs_of(name: str, number: int, failed: int = 0, minutes: float = 10, hour: int | None = None) -> list[Ran]:
    found = []
    for index in range(number):
        start = NOW - timedelta(hours=index + 1)
        if hour is not None:
            start = (NOW - timedelta(days=index % 7 + 1)).replace(hour=hour)
        result = "failed" if index < failed else "success"
        found.append(Ran(f"id-{name}", start, start + timedelta(minutes=minutes), result))
    return found


def looked(
    workspace: str, *seen: Seen, runs: Sequence[Ran] = (), host: str = "https://adb-1.azuredatabricks.net"
) -> Looked:
    return Looked(workspace, host, seen, tuple(runs), NOW - timedelta(days=7), NOW)


@cache
def default() -> Base:
    tree, _ = read((ROOT / "plans" / "dbr-17.3.yml").read_text(), "dbr-17.3.yml")
    assert tree is not None
    return outline(tree)


def resolve(name: str) -> tuple[str, str] | None:
    path = ROOT / "plans" / f"{name}.yml"
    return (path.name, path.read_text()) if path.exists() else None


def written(proposal: Proposal) -> str:
    return plantext.render(proposal, default(), "dbr-17.3", NOW)


def accepted(proposal: Proposal) -> Plan:
    """The plan that the written file is; every mistake in it fails the test."""
    return parse(written(proposal), "plan.yml", resolve, CHECKS)


# -- tiers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "tier"),
    [
        ("dev", "dev"),
        ("team_dev_eu", "dev"),
        ("sandbox", "dev"),
        ("qa", "test"),
        ("test_1", "test"),
        ("stg", "staging"),
        ("uat", "staging"),
        ("preprod", "staging"),
        ("pre_prod", "staging"),
        ("nonprod", "staging"),
        ("prod_us", "prod"),
        ("prd", "prod"),
        ("live", "prod"),
    ],
)
def test_a_workspace_is_placed_by_the_words_of_its_name(key: str, tier: str) -> None:
    (placed,) = place([looked(key, job(workspace=key))])
    assert placed.tier == tier
    assert "in its name" in placed.why


def test_a_name_that_says_nothing_is_placed_by_its_host_and_else_by_its_size() -> None:
    by_host = place([looked("a", job(workspace="a"), host="https://shop-prod.cloud.databricks.com")])
    assert by_host[0].tier == "prod"
    sizes = {"alpha": 5, "beta": 1, "gamma": 9}
    found = place([looked(k, *(job(str(i), k) for i in range(n))) for k, n in sizes.items()])
    assert [(p.looked.workspace, p.tier) for p in found] == [("beta", "dev"), ("alpha", "test"), ("gamma", "prod")]
    assert "size" in found[0].why
    assert "largest" in found[-1].why


def test_many_names_that_say_nothing_all_find_a_stage_before_production() -> None:
    keys = [f"w{letter}" for letter in "abcdefg"]
    found = place([looked("prod", job()), *(looked(k, job(workspace=k)) for k in keys)])
    assert {p.tier for p in found} == set(TIERS)
    assert [p.looked.workspace for p in found if p.tier == "prod"] == ["prod"]


# -- the canary --------------------------------------------------------------------------------------------------------


def ranked(*seen: Seen, runs: Sequence[Ran]) -> list[canary.Candidate]:
    return canary.rank(looked("prod", *seen, runs=runs))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (job("b", ties=Ties(clusters=("c1",))), "shares cluster c1"),
        (job("b", ties=Ties(jobs=("id-a",))), "starts job id-a"),
        (job("b", ties=Ties(pools=("p1",))), "uses pool p1"),
        (job("b", ties=Ties(policies=("q1",))), "uses policy q1"),
        (job("b", state="CONTINUOUS"), "it runs continuously"),
        (job("b", state="PAUSED"), "it is paused"),
    ],
)
def test_what_is_isolated_goes_before_what_drags_something_along_however_often_it_runs(other: Seen, said: str) -> None:
    plain = job("c")
    found = ranked(other, plain, runs=[*runs_of("b", 160), *runs_of("c", 20)])
    assert [c.seen.name for c in found] == ["c", "b"]
    assert found[0].suits
    assert not found[1].suits
    assert said in found[1].words()


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (runs_of("b", 3), "too seldom"),
        (runs_of("b", 100, failed=10), "fails often"),
        (runs_of("b", 100, minutes=90), "more than an hour"),
        ([], "too seldom"),
    ],
)
def test_what_runs_seldom_fails_or_takes_long_does_not_suit(runs: list[Ran], said: str) -> None:
    found = ranked(job("b"), job("c"), runs=[*runs, *runs_of("c", 20)])
    assert [c.seen.name for c in found] == ["c", "b"]
    assert said in found[1].words()


def test_a_job_that_others_start_is_not_isolated_and_pools_count_their_users() -> None:
    starter = job("starter", ties=Ties(jobs=("id-b",)), skip="no_runtime")
    one, two = (job(n, ties=Ties(pools=("p",))) for n in ("x", "y"))
    words = {c.seen.name: c.words() for c in ranked(starter, job("b"), one, two, runs=[])}
    assert "is started by job starter" in words["b"]
    assert "uses pool p with 1 more" in words["x"]
    assert "starter" not in words  # it would not be changed


def test_cancelled_skipped_and_platform_runs_count_neither_as_runs_nor_as_failures() -> None:
    odd = [Ran("id-b", NOW, NOW, result) for result in ("canceled", "skipped", "platform")]
    (found,) = ranked(job("b"), runs=[*runs_of("b", 8, failed=1), *odd])
    assert (found.runs, found.failures) == (8, 1)


def test_the_canary_takes_the_best_few_and_what_suits_badly_is_said_so() -> None:
    many = [job(f"j{i}") for i in range(5)]
    runs = [run for i, s in enumerate(many) for run in runs_of(s.name, 100 + i)]
    proposal = propose([looked("prod", *many, runs=runs)])
    assert [c.seen.name for c in proposal.chosen] == ["j4", "j3", "j2"]
    tied = [job(f"j{i}", ties=Ties(clusters=("c1",))) for i in range(5)]
    proposal = propose([looked("prod", *tied)])
    assert len(proposal.chosen) == 1
    text = written(proposal)
    assert "No job suits well" in text
    assert "shares cluster c1" in text
    assert [s.key for s in accepted(proposal).stages] == ["canary", "full"]


def test_without_a_job_a_stopped_cluster_is_the_stand_in_and_a_single_target_has_no_canary() -> None:
    clusters = [job(n, kind="cluster", state=s) for n, s in (("a", "RUNNING"), ("b", "TERMINATED"))]
    plan = accepted(propose([looked("prod", *clusters)]))
    assert plan.stage("canary").targets.names == ("b",)
    assert plan.stage("canary").targets.kinds == ("cluster",)
    assert [s.key for s in accepted(propose([looked("prod", job())])).stages] == ["full"]


def test_two_jobs_of_one_name_are_not_taken_by_that_name() -> None:
    twins = [job("twin", object_id=str(i)) for i in range(2)]
    proposal = propose([looked("prod", *twins, job("other"), runs=runs_of("other", 20))])
    assert [c.seen.name for c in proposal.chosen] == ["other"]
    assert propose([looked("prod", *twins)]).chosen == ()


# -- the file ----------------------------------------------------------------------------------------------------------


SUBSETS = [s for n in range(1, 5) for s in combinations(TIERS, n)]


@pytest.mark.parametrize("tiers", SUBSETS, ids=["+".join(s) for s in SUBSETS])
def test_whatever_workspaces_there_are_the_plan_is_accepted_with_the_stages_that_have_something(
    tiers: tuple[str, ...],
) -> None:
    proposal = propose([looked(t, *(job(f"{t}{i}", t) for i in range(3))) for t in tiers])
    plan = accepted(proposal)
    expected = [k for t in tiers for k in (("canary", "full") if t == "prod" else (t,))]
    assert [s.key for s in plan.stages] == expected
    assert plan.workspaces == tiers
    kept = {s.key for s in plan.stages}
    assert {i.stage for i in plan.checklist} <= kept | {None}
    blocking = {i.key for i in plan.checklist if i.blocks is not None}
    assert "quality-validated" in blocking  # the prerequisites hold up the first stage, whichever that is
    assert next(i for i in plan.checklist if i.key == "quality-validated").blocks == expected[0]
    assert placeholders.left(plan) == ["channel", *(f"roles.{r}" for r in plan.roles)]


def test_what_a_left_out_stage_held_up_holds_up_the_next_one_and_empty_lines_go() -> None:
    base = default()
    adapted = without(base, ["dev", "full"])
    assert adapted.items["dev-tests-run"] == "full"
    assert "test-upgraded" in adapted.gone_items
    assert all(stages and set(stages) <= {"dev", "full"} for _, stages in adapted.lines.values() if stages)
    assert without(base, list(base.stages)).gone_items == ()


def test_orphans_and_workspaces_with_nothing_to_change_are_listed_and_not_forgotten() -> None:
    frozen = looked("finance", job("closing", "finance", skip="custom_image"))
    proposal = propose([looked("prod", job("a"), job("b")), frozen, looked("empty")])
    assert [s.name for s in proposal.orphans] == ["closing"]
    text = written(proposal)
    assert "finance: job closing (custom_image)" in text
    assert "1 custom_image: uses an image of its own" in text
    plan = accepted(proposal)
    assert plan.workspaces == ("prod", "finance")
    assert belongs(plan, Candidate("finance", "job", "closing")).stage is None


def test_nothing_to_change_gives_no_stage() -> None:
    assert propose([looked("prod", job(skip="already_target", on_source=False))]).stages == ()
    assert propose([]).stages == ()


def test_a_target_belongs_to_the_stage_that_the_file_says() -> None:
    seen = [job(n) for n in ("a*", "a?", "[a]", "plain", "ab")]
    proposal = propose([looked("prod", *seen, runs=[r for s in seen[:3] for r in runs_of(s.name, 50)])])
    plan = accepted(proposal)
    taken = {s.name for s in seen if belongs(plan, Candidate("prod", "job", s.name)).stage == "canary"}
    assert taken == {"a*", "a?", "[a]"}


@pytest.mark.parametrize(
    "name",
    [
        "x\nkey: evil",
        "# no comment",
        'quo"te',
        "it's: {a}",
        "tab\there",
        " \u2028line ",
        "\U0001f600",
        "\\x41",
        "é\u0085nel",
        "\u202eyltsenoh",
        "\u200f",
        "<!channel>",
        "null",
        "~",
    ],
)
def test_no_name_of_the_outside_world_can_break_the_file(name: str) -> None:
    seen = job(name, tags={"team": name}, owner=name)
    alone = job(name + "2", skip="custom_image")
    proposal = propose([looked("prod", seen, alone, job("other"), runs=runs_of(name, 50))])
    plan = accepted(proposal)
    assert plan.key == "rollout-17.3"
    assert belongs(plan, Candidate("prod", "job", name)).stage == "canary"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=2, max_size=6, unique=True))
def test_names_of_any_characters_make_a_plan_that_takes_exactly_them(names: list[str]) -> None:
    seen = [job(n, object_id=str(i), tags={"team": n}) for i, n in enumerate(names)]
    proposal = propose([looked("prod", *seen)])
    plan = accepted(proposal)
    first = [n for n in names if belongs(plan, Candidate("prod", "job", n)).stage == "canary"]
    assert first == [c.seen.name for c in proposal.chosen]


def test_the_file_is_ordinary_yaml_and_says_what_to_do() -> None:
    text = written(propose([looked("prod", job("a"), job("b"))]))
    assert yaml.safe_load(text)["extends"] == "dbr-17.3"
    assert "FILLMEIN" in text
    assert "plan check --online" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_name_is_a_pattern_for_itself_only() -> None:
    assert pattern("a*b?[c]") == "a[*]b[?][[]c]"


# -- teams and quiet hours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "owner", "team"),
    [
        ({"team": "orders"}, "x@example.com", "orders"),
        ({"Owning-Team": "billing"}, "x@example.com", "billing"),
        ({"cost-center": "1"}, "orders-team@example.com", "orders"),
        ({}, "mia.lopez@example.com", "mia.lopez"),
        ({}, "5de8c23d-5a4d-4b0c-9e0f-5de8c23d5de8", ""),
        ({}, None, ""),
    ],
)
def test_a_team_is_taken_from_tags_and_else_from_the_owner(tags: dict[str, str], owner: str | None, team: str) -> None:
    assert team_of(job(tags=tags, owner=owner)) == team


def test_teams_count_what_is_on_the_old_runtime_and_nobody_comes_last() -> None:
    seen = [job("a"), job("b"), job("c", owner=None), job("d", owner=None), job("e", owner=None)]
    assert teams([*seen, job("f", on_source=False)]) == [("orders", 2), ("", 3)]


def test_teams_become_teams_of_the_plan_that_take_their_own_targets_only() -> None:
    mine = [
        job("a", tags={"Team": "orders"}, owner="x@example.com"),
        job("b", tags={"Team": "Billing & Co"}, owner="x@example.com"),
        job("c", owner="x@example.com"),
        job("d", tags={"squad": "growth", "Team": "orders"}),
        job("e", tags={"squad": "growth"}),
        job("f", owner=None),
    ]
    plan = accepted(propose([looked("prod", *mine)]))
    assert {key: team.title for key, team in plan.teams.items()} == {
        "orders": "orders",
        "billing-co": "Billing & Co",
        "growth": "growth",
        "x": "x",
    }
    whose = [owner(plan, candidate(s)) for s in mine]
    assert whose == ["orders", "billing-co", "x", "orders", "growth", None]
    assert "FILLMEIN" in (plan.teams["orders"].group or "")
    assert not any(where.startswith("teams") for where in placeholders.left(plan))  # until a stage asks for them
    asked = tuple(s.model_copy(update={"each_team": {"developer": EachTeam()}}) for s in plan.stages)
    assert "teams.orders" in placeholders.left(plan.model_copy(update={"stages": asked}))


def spans(hours: Sequence[int], minutes: float = 50) -> list[tuple[datetime, datetime]]:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    starts = [day + timedelta(days=d, hours=h) for d in range(7) for h in hours]
    return [(s, s + timedelta(minutes=minutes)) for s in starts]


@pytest.mark.parametrize(
    ("busy", "zone", "start"),
    [
        (range(8, 20), "UTC", 22),
        ([*range(10), *range(16, 24)], "UTC", 10),
        ([h for h in range(24) if h not in (23, 0, 1, 2)], "UTC", 23),
        (range(8, 20), "Asia/Tokyo", 5),
    ],
)
def test_the_quiet_hours_are_those_in_which_least_runs(busy: Sequence[int], zone: str, start: int) -> None:
    found = quiet_hours(spans(list(busy)), zone)
    assert found is not None
    assert (found.start, found.end, found.zone) == (start, (start + 4) % 24, zone)
    assert found.share < 0.2


def test_it_is_never_quiet_where_little_is_known_or_as_much_runs_at_any_time() -> None:
    assert quiet_hours(spans([9])) is None
    assert quiet_hours([]) is None
    assert quiet_hours(spans(range(24))) is None


def test_a_long_run_counts_in_all_the_hours_that_it_takes_and_a_stream_does_not_drown_the_rest() -> None:
    found = quiet_hours(spans(range(0, 24, 12), minutes=8 * 60) + spans(range(8), 1) * 2)
    assert found is not None
    assert found.start in {8, 20}
    stream = [(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC))]
    assert quiet_hours(spans(range(8, 20)) * 2 + stream) is not None


def test_quiet_hours_become_windows_of_the_last_stage_only() -> None:
    seen = [job("a"), job("b")]
    runs = [r for h in range(8, 20) for r in runs_of("a", 7, hour=h)]
    plan = accepted(propose([looked("dev", job("d", "dev"), runs=runs), looked("prod", *seen, runs=runs)]))
    assert [bool(s.windows) for s in plan.stages] == [False, False, True]
    (window,) = plan.stage("full").windows
    assert (window.start.hour, window.end.hour) == (22, 2)
