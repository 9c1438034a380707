"""Secrets in a configuration come out nowhere: no view, no line of the log, no stored sentence, no message of Slack."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from bot.render.messages import message
from commands.door import Door
from commands.plaintext import render
from commands.reply import Actor, Request, Surface
from rollout.states import StageState
from sandbox.databricks.call import Call
from sandbox.databricks.errors import ApiError
from sandbox.databricks.workspace import Workspace
from storage.models import Outbox, Target
from tests.engine.harness import OPS, World, world
from tests.engine.test_meanwhile import PLAIN, person

SECRETS = {
    "conf": "hunter2-in-spark-conf",
    "env": "hunter2-in-env-vars",
    "docker": "hunter2-in-docker",
    "tag": "hunter2-in-a-tag",
    "script": "hunter2-in-init-script",
    "argument": "hunter2-in-an-argument",
    "later": "hunter2-set-by-a-person-later",
}
REFERENCE = "{{secrets/team/key}}"
HOSTILE: dict[str, Any] = {
    **PLAIN,
    "spark_conf": {"spark.hadoop.fs.key": SECRETS["conf"], "spark.other": REFERENCE},
    "spark_env_vars": {"NUM_WORKERS": SECRETS["env"]},
    "custom_tags": {"team": "data", "note": SECRETS["tag"], "api_token": SECRETS["tag"]},
    "init_scripts": [{"workspace": {"destination": f"/Users/a/{SECRETS['script']}.sh"}}],
}
DOCKER = {"url": "registry.example.com/x:1", "basic_auth": {"username": "puller", "password": SECRETS["docker"]}}
FLEET: dict[str, Any] = {
    "seed": 7,
    "templates": {"job_clusters": {"plain": HOSTILE}},
    "workspaces": {
        "dev": {
            "clusters": [
                {"name": "plain", "state": "TERMINATED", "permission": "CAN_MANAGE", **HOSTILE},
                {"name": "refused", "state": "TERMINATED", "permission": "CAN_MANAGE", **HOSTILE},
                {
                    "name": "imaged",
                    "state": "TERMINATED",
                    "permission": "CAN_MANAGE",
                    **HOSTILE,
                    "docker_image": DOCKER,
                },
            ],
            "jobs": [
                {
                    "name": "nightly",
                    "compute": "plain",
                    "permission": "CAN_MANAGE",
                    "tasks": ["load"],
                }
            ],
        },
        "prod": {"clusters": [], "jobs": []},
    },
}


@pytest.fixture
def fleet(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    with world(migrated_url, tmp_path, FLEET) as made:
        _quote_what_is_refused(made)
        made.engine()
        made.looked()
        yield made


def _quote_what_is_refused(made: World) -> None:
    """A workspace that refuses one edit and repeats the whole configuration in its sentence, as real ones may."""
    real = made.databricks.answer

    def answer(ws: Workspace, call: Call, authorization: str, late: Any = None) -> Any:
        named = ws.clusters.get(str(call.body.get("cluster_id"))) if call.method == "POST" else None
        if call.path.endswith("/clusters/update") and named is not None and named.name == "refused":
            quoted = f"NUM_WORKERS is {SECRETS['env']}, spark.hadoop.fs.key is {SECRETS['conf']}"
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"The configuration does not fit: {quoted}")
        return real(ws, call, authorization, late)

    made.databricks.answer = answer  # type: ignore[method-assign]


def views(made: World) -> Iterator[tuple[str, str]]:
    """Everything that people can be shown, for the terminal and for Slack."""
    door = Door(made.database, made.calendar)
    actor = Actor("T0TEST", OPS.user_id)
    with made.database.read() as session:
        targets = list(session.execute(select(Target.id, Target.name)))
        letters = list(session.execute(select(Outbox.kind, Outbox.rollout_id, Outbox.stage_id, Outbox.ids)))
    asked: list[tuple[str, dict[str, Any]]] = [
        ("status", {}),
        ("status", {"stage": "first"}),
        ("status", {"stage": "first", "compared": True}),
        ("plan", {}),
        ("plan", {"managed": True}),
        ("report", {}),
        ("audit", {}),
        ("checklist", {}),
        ("home", {}),
        *(("status", {"target_id": target}) for target, _ in targets),
        *(("rollback", {"target_id": target}) for target, _ in targets),
    ]
    for verb, arguments in asked:
        reply = door.handle(Request(actor, verb, arguments, Surface.TERMINAL))
        yield f"{verb} {arguments}", render(reply)
        yield f"{verb} {arguments} in Slack", json.dumps(message(reply))
    card = door.card(made.stage("first").id)
    yield "card", json.dumps(message(card))
    for kind, rollout_id, stage_id, ids in letters:
        posted = door.document(kind, rollout_id, stage_id, ids)
        if posted is not None:
            yield f"posted {kind}", json.dumps(message(posted))


def stored(made: World) -> Iterator[tuple[str, str]]:
    """What is stored outside of the encrypted backups; tags are kept for the selections of plans."""
    with made.database.read() as session:
        for table in ("action", "event", "outbox", "evidence", "workspace", "inbox"):
            for row in session.execute(text(f"SELECT * FROM {table}")):
                yield f"table {table}", str(row)
        for row in session.execute(text("SELECT change, skip_sentence, proposal, drift, activity FROM target")):
            yield "table target", str(row)


def leaks(found: Iterator[tuple[str, str]]) -> list[str]:
    return [f"{where}: {secret}" for where, shown in found for secret in SECRETS.values() if secret in shown]


def test_no_secret_of_a_configuration_comes_out_anywhere(fleet: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert leaks(views(fleet)) == []
    fleet.start("first")
    fleet.until("first", StageState.BLOCKED)
    assert leaks(views(fleet)) == []
    ids = {t.name: t.object_id for t in fleet.targets("first")}
    changed = {"spark_env_vars": {"NUM_WORKERS": SECRETS["later"]}, "custom_tags": {"team": SECRETS["later"]}}
    body = {"cluster_id": ids["plain"], "update_mask": "spark_env_vars,custom_tags", "cluster": changed}
    person(fleet, "/api/2.1/clusters/update", body)
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    shown = dict(views(fleet))
    assert leaks(iter(shown.items())) == []
    assert leaks(stored(fleet)) == []
    logged = capfd.readouterr()
    assert leaks(iter([("log", logged.out), ("log", logged.err)])) == []
    # It says what differs all the same.
    differences = shown["status {'stage': 'first', 'compared': True}"]
    assert "spark_env_vars.NUM_WORKERS" in differences
    assert "custom_tags.team" in differences
    assert "(hidden), another value" in differences
    refused = [s for s in shown.values() if "The configuration does not fit" in s]
    assert refused, "the refusal itself is shown"
    assert "NUM_WORKERS is (hidden)" in refused[0]


def test_references_to_secrets_are_none_and_are_shown(fleet: World) -> None:
    fleet.start("first")
    fleet.until("first", StageState.BLOCKED)
    ids = {t.name: t.object_id for t in fleet.targets("first")}
    changed = {"spark_conf": {"spark.hadoop.fs.key": REFERENCE, "spark.other": REFERENCE}}
    body = {"cluster_id": ids["plain"], "update_mask": "spark_conf", "cluster": changed}
    person(fleet, "/api/2.1/clusters/update", body)
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    shown = dict(views(fleet))["status {'stage': 'first', 'compared': True}"]
    assert REFERENCE in shown
    assert leaks(iter([("view", shown)])) == []
