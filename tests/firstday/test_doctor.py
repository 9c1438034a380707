"""`python app.py doctor`: what is ready, what is not, and what to do about it; against real doubles over sockets."""

import dataclasses
import fcntl
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from engine.lock import EngineLock, holder
from sandbox.databricks import acl
from sandbox.databricks.databricks import Databricks
from sandbox.slack import server as slack_server
from sandbox.slack.limits import Limits
from sandbox.slack.manifest import Manifest
from sandbox.slack.server import Slack
from storage.backups import CONFIGURATION, Place
from storage.database import Database
from storage.migrate import migrate
from storage.models import Backup, PlanRevision, Rollout, Stage, Target
from storage.secrets import Vault
from tests.firstday.conftest import Run
from tests.workspace.scripted import Answer, serving

KEY = "qC1Yx0d4ZrY3bG0cQm9tq0o8c0k5mQe1l3JcC2m1m1s="


@pytest.fixture
def whole(settings: pytest.MonkeyPatch, slack: Slack) -> pytest.MonkeyPatch:
    """Everything that the sandbox's bot is given."""
    settings.setenv("SLACK_API_URL", slack.api_url)
    settings.setenv("SLACK_BOT_TOKEN", slack.bot_token)
    settings.setenv("SLACK_APP_TOKEN", slack.app_token)
    settings.setenv("ROLLOUT_PLANS", "sandbox/plan.yml")
    settings.setenv("ROLLOUT_SECRET_KEYS", KEY)
    return settings


def asked(run: Run) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and the findings by subject; of several the worst."""
    code, said, _ = run("doctor", "--json")
    found: dict[str, dict[str, str]] = {}
    rank = {"ok": 0, "warn": 1, "FAIL": 2}
    for one in json.loads(said)["findings"]:
        known = found.get(one["subject"])
        if known is None or rank[one["level"]] > rank[known["level"]]:
            found[one["subject"]] = one
    return code, found


def test_a_whole_installation_is_well_and_each_part_says_what_was_found(
    whole: pytest.MonkeyPatch, run: Run, tmp_path: Path, databricks: Databricks
) -> None:
    code, said, problems = run("doctor")
    assert (code, problems) == (0, "")
    assert " FAIL" in said.splitlines()[-1]  # the counts
    assert said.splitlines()[-1].endswith("0 FAIL")
    for wanted in (
        "plan                           sandbox: 5 stages",
        "all 6 of manifest.yml",
        "Socket Mode takes it",
        "#platform-support (C0SUPPORT1): the bot is in it, and it is not shared",
        "2 of 2 can act: U0SAND0004, U0SAND0005",
        "different people can sign each of the 5 stages",
        "we are rollout-bot",
        "5 of 5 looked at can be managed",
        "17.3 and 13.3 are offered",
        "not there yet; the first start makes it",
    ):
        assert wanted in said, said
    for secret in (
        KEY,
        *(os.environ[n] for n in os.environ if n.startswith(("SLACK_", "DATABRICKS_")) and "TOKEN" in n),
    ):
        assert secret not in said
    assert not (tmp_path / "rollout.db").exists()  # nothing is made by looking
    assert [c for c in databricks.calls if c.method != "GET"] == []


def test_without_anything_it_says_what_is_missing_and_goes_on(
    settings: pytest.MonkeyPatch, run: Run, databricks: Databricks
) -> None:
    for key in databricks.workspaces:
        settings.delenv(f"DATABRICKS_{key.upper()}_HOST")
    settings.delenv("ROLLOUT_CLOCK")
    code, found = asked(run)
    assert code == 0
    for subject, todo in (
        ("slack", "docs/install.md"),
        ("plan", "plan new"),
        ("keys", "python app.py key"),
        ("workspaces", "DATABRICKS_<KEY>_HOST"),
    ):
        assert found[subject]["level"] == "warn"
        assert todo in found[subject]["next"]
    assert found["calendar"]["level"] == "ok"
    assert found["database"]["level"] == "ok"


@pytest.mark.parametrize(
    ("change", "subject", "said", "todo"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-wrong-wrong"}, "slack bot token", "invalid_auth", "SLACK_BOT_TOKEN"),
        ({"SLACK_BOT_TOKEN": "xoxb-wrong-wrong"}, "channel of sandbox", "invalid_auth", "Mend the bot token first"),
        ({"SLACK_APP_TOKEN": "xapp-wrong-wrong"}, "slack app token", "invalid_auth", "connections:write"),
        ({"SLACK_APP_TOKEN": ""}, "setting SLACK_APP_TOKEN", "missing", "docs/install.md"),
        ({"ROLLOUT_MODE": "http"}, "setting SLACK_SIGNING_SECRET", "missing", "docs/install.md"),
        ({"PORT": "many"}, "setting PORT", "valid integer", "docs/install.md"),
        ({"SLACK_API_URL": "http://127.0.0.1:9/api/"}, "slack bot token", "cannot be reached", "proxy"),
        ({"DATABRICKS_DEV_TOKEN": "dapi-wrong-wrong"}, "workspace dev", "Invalid access token", "DATABRICKS_DEV_*"),
        ({"DATABRICKS_DEV_HOST": "http://127.0.0.1:9"}, "workspace dev", "no answer", "DATABRICKS_DEV_HOST"),
        ({"DATABRICKS_DEV_TOKEN": ""}, "workspace dev", "give either a token", "docs/install.md"),
        ({"ROLLOUT_SECRET_KEYS": "short"}, "keys", "not 32 url-safe", "app.py key"),
        ({"DATABASE_URL": "mysql://u:pass-word@x/y"}, "database", "cannot be read", "postgresql://"),
        ({"DATABASE_URL": "postgresql://u:pass-word@127.0.0.1:9/y"}, "database", "OperationalError", "password"),
        ({"DATABASE_URL": "sqlite:////proc/none/rollout.db"}, "database", "cannot be made", "directory"),
        ({"ROLLOUT_PLANS": "nowhere.yml"}, "setting ROLLOUT_PLANS", "no file nowhere.yml", "docs/install.md"),
        ({"ROLLOUT_PLANS": "plans/dbr-17.3.yml"}, "plan", "plans/dbr-17.3.yml:", "plan check"),
    ],
)
def test_what_is_broken_fails_says_what_to_do_and_tells_no_secret(
    whole: pytest.MonkeyPatch, run: Run, change: dict[str, str], subject: str, said: str, todo: str
) -> None:
    for name, value in change.items():
        whole.setenv(name, value)
    code, found = asked(run)
    assert code == 1
    assert found[subject]["level"] == "FAIL", found
    assert said in found[subject]["found"]
    assert todo in found[subject]["next"]
    text = json.dumps(found)
    assert "wrong-wrong" not in text
    assert "pass-word" not in text
    assert found["workspace prod"]["level"] == "ok"  # the rest is looked at all the same


def test_a_channel_is_looked_at_for_its_place_its_members_and_its_sharing(
    whole: pytest.MonkeyPatch, run: Run, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yml"
    whole.setenv("ROLLOUT_PLANS", str(plan))
    text = Path("sandbox/plan.yml").read_text()
    for channel, said in (
        ("C0PARTNER1", "shared with another company"),
        ("C0NOWHERE1", "does not exist"),
        ("C0FILLMEIN", "still to be filled in"),
        ("C0GENERAL1", "the bot is not in #general"),
    ):
        plan.write_text(text.replace("C0SUPPORT1", channel))
        code, found = asked(run)
        assert code == 1
        assert said in found["channel of sandbox"]["found"], found["channel of sandbox"]


def test_people_who_cannot_act_and_sign_offs_that_one_person_would_have_to_give_twice_are_named(
    whole: pytest.MonkeyPatch, run: Run, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yml"
    whole.setenv("ROLLOUT_PLANS", str(plan))
    text = Path("sandbox/plan.yml").read_text()
    plan.write_text(
        text.replace("qa: {members: [U0SAND0003]}", "qa: {members: [U0SAND0010, U0SAND0009, U0SAND0008, U0NOBODY01]}")
        .replace("developer: {members: [U0SAND0001]}", "developer: {groups: [S0DEVOPS01], members: [U0SAND0001]}")
        .replace("product-owner: {members: [U0SAND0006]}", "product-owner: {members: [U0SAND0006, U0SAND0009]}")
    )
    code, found = asked(run)
    assert code == 1
    qa = found["role qa of sandbox"]
    assert qa["level"] == "FAIL"
    for said in ("U0SAND0010: the account is deactivated", "U0SAND0009: guests may not act", "U0SAND0008: the person"):
        assert said in qa["found"]
    assert found["role developer of sandbox"]["found"].startswith("3 of 3 can act")
    owner = found["role product-owner of sandbox"]
    assert owner["level"] == "warn"
    assert "1 of 2 can act" in owner["found"]
    signs = found["sign-offs of sandbox"]
    assert signs["level"] == "FAIL"
    assert "cannot be signed as qa" in signs["found"]
    plan.write_text(text.replace("devops: {members: [U0SAND0004, U0SAND0005]}", "devops: {members: [U0SAND0004]}"))
    code, found = asked(run)
    assert "whoever may start full is needed to sign it" in found["sign-offs of sandbox"]["found"]


def test_scopes_that_the_app_lacks_are_named(
    whole: pytest.MonkeyPatch, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with slack_server.running(tmp_path_factory.mktemp("poor")) as poor:
        manifest = poor.workspace.manifest
        assert isinstance(manifest, Manifest)
        left = tuple(s for s in manifest.scopes if s not in {"users:read", "groups:read"})
        poor.workspace.manifest = dataclasses.replace(manifest, scopes=left)
        whole.setenv("SLACK_API_URL", poor.api_url)
        whole.setenv("SLACK_BOT_TOKEN", poor.bot_token)
        whole.setenv("SLACK_APP_TOKEN", poor.app_token)
        code, found = asked(run)
    assert code == 1
    assert found["slack scopes"]["found"] == "missing: users:read, groups:read"
    assert "install the app again" in found["slack scopes"]["next"]


def test_what_slack_does_not_tell_just_now_is_no_failure_of_the_plan(
    whole: pytest.MonkeyPatch, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = Limits(tiers={2: 20, 3: 50, 4: 3})
    with slack_server.running(tmp_path_factory.mktemp("busy"), limits=limits) as busy:
        whole.setenv("SLACK_API_URL", busy.api_url)
        whole.setenv("SLACK_BOT_TOKEN", busy.bot_token)
        whole.setenv("SLACK_APP_TOKEN", busy.app_token)
        code, found = asked(run)
    assert code == 0
    roles = [f for subject, f in found.items() if subject.startswith("role ")]
    assert sum("could not be looked up" in f["found"] for f in roles) >= 3
    assert found["sign-offs of sandbox"]["level"] == "warn"


def test_a_target_that_it_may_not_manage_fails_unless_it_only_looks(
    whole: pytest.MonkeyPatch, run: Run, databricks: Databricks
) -> None:
    ws = databricks.workspaces["prod"]
    before = dict(ws.shelf("permissions"))
    ws.admin = False  # an administrator may manage whatever the lists say
    for job in ws.jobs:
        acl.grant(ws, "jobs", str(job), {"permission": "CAN_VIEW"})
    try:
        code, found = asked(run)
        assert code == 1
        assert found["jobs of prod"]["level"] == "FAIL"
        assert "0 of 5 looked at can be managed" in found["jobs of prod"]["found"]
        assert "Can Manage" in found["jobs of prod"]["next"]
        assert found["clusters of prod"]["level"] == "ok"
        whole.setenv("ROLLOUT_READ_ONLY", "1")
        code, found = asked(run)
        assert code == 0
        assert found["jobs of prod"]["level"] == "ok"
        assert "read only" in found["settings"]["found"]
    finally:
        ws.admin = True
        ws.shelf("permissions").clear()
        ws.shelf("permissions").update(before)


def test_a_workspace_that_never_answers_is_given_up_in_time_and_the_others_are_looked_at(
    whole: pytest.MonkeyPatch, run: Run
) -> None:
    with serving() as silent:
        silent.on("/api/2.0/preview/scim/v2/Me", Answer(fault="silent"))
        whole.setenv("DATABRICKS_DEV_HOST", silent.host)
        began = time.monotonic()
        code, found = asked(run)
        assert time.monotonic() - began < 60  # the limit itself is a constant; here it only must not hang
    assert code == 1
    assert found["workspace dev"]["level"] == "FAIL"
    assert found["workspace prod"]["level"] == "ok"


# -- the database ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sealed(migrated_url: str) -> str:
    """A database with one backup, made with KEY."""
    database = Database(migrated_url)
    now = datetime(2026, 3, 2, tzinfo=UTC)
    with database.write() as session:
        session.add(plan := PlanRevision(plan_key="p", revision=1, digest="d", text="{}", created_at=now))
        session.flush()
        session.add(rollout := Rollout(plan_key="p", revision_id=plan.id, channel="C0", opened_at=now))
        session.flush()
        session.add(stage := Stage(rollout_id=rollout.id, key="dev", position=0, state="ready"))
        given = {"rollout_id": rollout.id, "workspace": "dev", "kind": "job", "object_id": "1", "name": "n"}
        session.add(target := Target(**given, seen_at=now, seen_machine=now))
        session.flush()
        of = {"target_id": target.id, "stage_id": stage.id, "generation": 1}
        ciphertext, digest = Place("dev", "job", "1", stage.id, 1).sealed(Vault([KEY]), {"a": 1}, CONFIGURATION)
        session.add(Backup(**of, ciphertext=ciphertext, digest=digest, state="", created_at=now))
    database.close()
    return migrated_url


def test_backups_are_all_opened_and_a_lost_key_fails(whole: pytest.MonkeyPatch, run: Run, sealed: str) -> None:
    whole.setenv("DATABASE_URL", sealed)
    code, found = asked(run)
    assert code == 0
    assert found["database"]["found"].endswith("reachable and migrated")
    assert found["keys"]["found"] == "all 1 backups can be read, each as one of its target"
    for keys in (Fernet.generate_key().decode(), ""):
        whole.setenv("ROLLOUT_SECRET_KEYS", keys)
        code, found = asked(run)
        assert code == 1
        assert "not all of 1 backups can be read" in found["keys"]["found"]
        assert "Put the key" in found["keys"]["next"]


def test_an_old_schema_is_a_warning_and_says_how_it_is_brought_forward(
    whole: pytest.MonkeyPatch, run: Run, sqlite_url: str
) -> None:
    database = Database(sqlite_url)
    migrate(database, "0001")
    database.close()
    whole.setenv("DATABASE_URL", sqlite_url)
    code, found = asked(run)
    assert code == 0
    assert found["database"]["level"] == "warn"
    assert "python app.py migrate" in found["database"]["next"]


def test_who_runs_the_engine_is_told_without_taking_its_lock(
    whole: pytest.MonkeyPatch, run: Run, migrated_sqlite_url: str
) -> None:
    file = Path(migrated_sqlite_url.removeprefix("sqlite:///"))
    whole.setenv("DATABASE_URL", migrated_sqlite_url)
    assert "nobody runs it" in asked(run)[1]["engine"]["found"]
    lock = EngineLock(file)
    try:
        assert f"pid {os.getpid()} runs it" in asked(run)[1]["engine"]["found"]
    finally:
        lock.release()
    assert holder(file) is None  # its number is still in the file, and alive
    EngineLock(file).release()
    engine = file.with_name(file.name + ".engine")
    engine.write_text("999999999")
    assert holder(file) is None
    with engine.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        engine.write_text(str(os.getpid()))
        assert holder(file) == f"pid {os.getpid()}"
