"""The first day by the ordinary command: plan new, its way back through plan check, and plan check --online."""

import json
import re
from pathlib import Path

import pytest

from checks import CHECKS
from planning import load_plan
from sandbox.databricks.databricks import Databricks
from sandbox.slack.server import Slack
from tests.firstday.conftest import Run


def filled(path: Path) -> Path:
    """The proposed plan with the people of the local Slack in it."""
    people = iter([f"U0SAND000{n}" for n in range(1, 8)])
    text = path.read_text().replace("C0FILLMEIN", "C0SUPPORT1")
    path.write_text(re.sub(r"U0FILLMEIN\d\d", lambda _: next(people), text))
    return path


def test_a_plan_is_proposed_accepted_filled_in_and_accepted_by_the_world(
    settings: pytest.MonkeyPatch, run: Run, slack: Slack, tmp_path: Path
) -> None:
    out = tmp_path / "plan.yml"
    code, said, progress = run("plan", "new", "--out", out)
    assert code == 0, progress
    assert said == ""
    assert "prod: 34 clusters and jobs" in progress
    code, said, _ = run("plan", "check", out)
    assert code == 0
    assert "5 stages" in said
    assert f"before it can be used: {out}:" in said
    assert said.count("still to be filled in") == 8
    filled(out)
    settings.setenv("SLACK_API_URL", slack.api_url)
    settings.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    code, said, problems = run("plan", "check", "--online", out)
    assert (code, problems) == (0, "")
    assert "filled in" not in said
    assert [s.key for s in load_plan(out, CHECKS).stages] == ["dev", "test", "staging", "canary", "full"]


def test_without_a_file_the_plan_goes_to_standard_output_and_progress_does_not(
    settings: pytest.MonkeyPatch, run: Run
) -> None:
    code, said, progress = run("plan", "new", "--workspace", "dev", "--workspace", "prod")
    assert code == 0
    assert said.startswith("# A first plan")
    assert "workspaces: [dev, prod]" in said
    assert "  test: null" in said
    assert progress.startswith(("dev: looking", "prod: looking"))
    assert "staging: looking" not in progress


def test_a_file_that_is_there_is_overwritten_only_by_force(
    settings: pytest.MonkeyPatch, run: Run, databricks: Databricks, tmp_path: Path
) -> None:
    out = tmp_path / "plan.yml"
    out.write_text("mine")
    asked = len(databricks.calls)
    code, _, problems = run("plan", "new", "--out", out, "--workspace", "dev")
    assert code == 2
    assert "--force" in problems
    assert out.read_text() == "mine"
    assert len(databricks.calls) == asked  # nobody is asked for what cannot be written
    assert run("plan", "new", "--out", out, "--workspace", "dev", "--force")[0] == 0
    assert "extends: dbr-17.3" in out.read_text()
    code, _, problems = run("plan", "new", "--out", tmp_path / "no" / "plan.yml", "--workspace", "dev")
    assert code == 2
    assert "cannot be written" in problems


def test_hosts_may_be_named_on_the_command_line_and_mistakes_are_said_together(
    settings: pytest.MonkeyPatch, run: Run, databricks: Databricks
) -> None:
    ws = databricks.workspaces["dev"]
    settings.setenv("DATABRICKS_LAB_TOKEN", ws.token)
    code, said, _ = run("plan", "new", "--workspace", f"lab={ws.host}")
    assert code == 0
    assert "workspaces: [lab]" in said
    code, _, problems = run("plan", "new", "--workspace", "La-b=x", "--workspace", "other=https://x.example.net")
    assert code == 2
    assert "'La-b' is no key" in problems
    assert "DATABRICKS_OTHER_*" in problems


def test_a_workspace_that_does_not_let_us_in_leaves_nothing_written(
    settings: pytest.MonkeyPatch, run: Run, tmp_path: Path
) -> None:
    settings.setenv("DATABRICKS_TEST_TOKEN", "dapi-wrong-wrong-wrong")
    out = tmp_path / "plan.yml"
    code, said, problems = run("plan", "new", "--out", out)
    assert code == 1
    assert "test: Invalid access token" in problems
    assert "Nothing was written" in problems
    assert "dapi-wrong" not in said + problems
    assert not out.exists()


def test_without_a_workspace_it_says_what_to_set(
    settings: pytest.MonkeyPatch, run: Run, databricks: Databricks
) -> None:
    for key in databricks.workspaces:
        settings.delenv(f"DATABRICKS_{key.upper()}_HOST")
    settings.setenv("DATABRICKS_CONFIG_PROFILE", "DEFAULT")  # the SDK's own
    code, _, problems = run("plan", "new")
    assert code == 2
    assert "DATABRICKS_<KEY>_HOST" in problems


def test_everything_that_is_wrong_with_a_plan_comes_in_one_list(
    settings: pytest.MonkeyPatch, run: Run, slack: Slack, tmp_path: Path
) -> None:
    out = tmp_path / "plan.yml"
    assert run("plan", "new", "--out", out)[0] == 0
    text = filled(out).read_text()
    text = text.replace("workspaces: [dev, test, staging, prod]", "workspaces: [dev, test, staging, prod, moon]")
    text = text.replace('- "orders-hourly"', '- "orders-hourli"')
    text = text.replace("qa: {members: [U0SAND0003]}", "qa: {members: [U0SAND0010]}")  # she is gone
    text += "checklist:\n  full-users-notified: {blocks: dev}\n"  # a stage that waits for a later one
    text += 'runtimes: {target: "19.1"}\n'
    text = text.replace("  staging: #", '  staging:\n    windows: [{days: [mon], start: "10:00", end: "10:00"}]\n    #')
    out.write_text(text)
    settings.setenv("SLACK_API_URL", slack.api_url)
    settings.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    code, said, problems = run("plan", "check", "--online", out)
    assert (code, said) == (2, "")
    for wanted in (
        "moon does not answer: DATABRICKS_MOON_*",
        "'orders-hourli'; expected the name of one that is there (did you mean 'orders-hourly'?)",
        "roles.qa: nobody who could act holds this role: U0SAND0010",
        "checklist[",
        "comes first or is the same",
        "no workspace offers 19.1; expected one of",
        "this window never opens",
    ):
        assert wanted in problems, problems
    assert all(re.match(r"\S+:\d+: ", line) for line in problems.strip().splitlines())


def test_without_slack_the_roles_are_not_looked_up_and_that_is_said(settings: pytest.MonkeyPatch, run: Run) -> None:
    code, said, problems = run("plan", "check", "--online", "sandbox/plan.yml")
    assert code == 0
    assert "ok" in said
    assert "The roles were not looked up" in problems


def test_nothing_is_started_with_what_is_still_to_be_filled_in(
    settings: pytest.MonkeyPatch, run: Run, slack: Slack, tmp_path: Path
) -> None:
    out = tmp_path / "plan.yml"
    assert run("plan", "new", "--out", out)[0] == 0
    settings.setenv("ROLLOUT_PLANS", str(out))
    settings.setenv("SLACK_API_URL", slack.api_url)
    settings.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    settings.setenv("SLACK_APP_TOKEN", slack.app_token)
    settings.setenv("ROLLOUT_SECRET_KEYS", "qC1Yx0d4ZrY3bG0cQm9tq0o8c0k5mQe1l3JcC2m1m1s=")
    code, _, problems = run()
    assert code == 2
    assert problems.count("still to be filled in") == 8
    assert f"{out}:" in problems


def test_all_of_this_only_looks(databricks: Databricks) -> None:
    assert [c for c in databricks.calls if c.method != "GET"] == []


def test_the_answers_of_the_doctor_are_for_programs_too(settings: pytest.MonkeyPatch, run: Run) -> None:
    code, said, _ = run("doctor", "--json")
    found = json.loads(said)
    assert code == 0
    assert found["ok"] is True
    assert {f["level"] for f in found["findings"]} == {"ok", "warn"}
    assert all(f["next"] for f in found["findings"] if f["level"] != "ok")
