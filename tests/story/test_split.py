"""Web and workers apart, on PostgreSQL: one worker is killed in the middle of a stage, the other ends it."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.story.driving import KEPT, ROOT, Sandbox, sandbox


@contextmanager
def process(world: Sandbox, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`python app.py ...` with the settings of the sandbox; gone at the end."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | world.settings
    with (world.state / "bot.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "app.py", *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


@pytest.mark.soak
def test_a_worker_is_killed_and_the_other_ends_the_stage(tmp_path: Path, postgresql_url: str) -> None:
    settings = {"DATABASE_URL": postgresql_url, "ROLLOUT_HTTP_TIMEOUT": "1", "ROLLOUT_SETTLE": "0.3"}
    engine = create_engine(postgresql_url)

    def ask(sql: str) -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(text(sql)).fetchall())

    with sandbox(tmp_path, "--mode", "http", settings=settings) as world, ExitStack() as running:
        with process(world, "worker") as early:
            assert early.wait(60) == 2, "without the schema a worker says what to run"
        assert "python app.py migrate" in world.log()
        with process(world, "migrate") as migration:
            assert migration.wait(60) == 0
        doomed = running.enter_context(process(world, "worker"))
        world.until(lambda: ask("SELECT count(looked_at) FROM workspace") == [(4,)], "the first look", 60)
        survivor = running.enter_context(process(world, "worker"))
        web = running.enter_context(process(world, "web"))
        world.until(world.connected, "web to answer")
        port = world.settings["PORT"]
        world.until(lambda: ready(port), "web to be ready", 60)
        world.say("devops", "/rollout start dev")
        world.say("devops", "--click", "Start dev")
        world.until(lambda: ask("SELECT count(*) FROM action WHERE state = 'done'")[0][0] > 2, "some work")
        doomed.send_signal(signal.SIGKILL)
        world.until(lambda: ask("SELECT state FROM stage WHERE key = 'dev'") == [("review",)], "the review", 120)
        writes = [
            c for c in world.admin("calls?since=0")["calls"] if c["path"].endswith("/update") and c["status"] == 200
        ]
        assert len({c["target"] for c in writes}) == len(writes) == 12
        world.say("developer", "/rollout approve dev")
        assert "has passed" in world.say("developer", "--click", "Approve dev")
        for part in (web, survivor):
            part.terminate()
            assert part.wait(60) == 0
    engine.dispose()


def ready(port: str) -> bool:
    """Whether a part of the bot says that it can do its work."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_health_pages_answer_in_http_mode(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--mode", "http") as world:
        world.start_bot()
        for path in ("/healthz", "/readyz"):
            with urllib.request.urlopen(f"http://127.0.0.1:{world.settings['PORT']}{path}", timeout=60) as answer:
                assert answer.status == 200
        assert world.stop_bot() == 0
