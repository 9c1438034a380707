"""The engine stops in time whatever hangs, and the process with it."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.loop import Engine
from engine.pool import Pool
from rollout.states import ActionKind, StageState
from tests.engine.desk import Desk, desk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        yield made


def test_a_call_that_hangs_does_not_hold_up_the_stop(bench: Desk) -> None:
    bench.put(StageState.PREPARING)
    bench.action(bench.target("c"), ActionKind.BACKUP)
    hanging, release = threading.Event(), threading.Event()

    def hang(_object_id: str) -> None:
        hanging.set()
        release.wait(60)

    bench.kind.on_read = hang
    engine = Engine(bench.parts)
    engine.start()
    assert hanging.wait(60)
    began = time.monotonic()
    engine.stop(1.0)
    assert time.monotonic() - began < 30
    release.set()


def test_a_call_in_hand_is_finished_before_the_engine_stops(bench: Desk) -> None:
    bench.put(StageState.PREPARING)
    action = bench.action(bench.target("c"), ActionKind.BACKUP)
    reading, release = threading.Event(), threading.Event()

    def read(_object_id: str) -> None:
        reading.set()
        release.wait(60)

    bench.kind.on_read = read
    engine = Engine(bench.parts)
    engine.start()
    assert reading.wait(60)
    threading.Timer(0.2, release.set).start()
    engine.stop(20.0)
    assert bench.get(action).state == "done"


def test_a_process_ends_though_work_of_its_pool_hangs() -> None:
    program = textwrap.dedent(
        """
        import threading, time
        from engine.pool import Pool
        pool, began = Pool(2, "p"), threading.Event()
        pool.submit(lambda: (began.set(), time.sleep(600)))
        began.wait()
        pool.close()
        print(pool.join(time.monotonic() + 0.1))
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.strip()) == (0, "False"), ended.stderr


def test_a_pool_runs_so_many_at_once_and_drops_what_waits_when_it_is_closed() -> None:
    pool, gate, began, ran = Pool(2, "p"), threading.Event(), threading.Semaphore(0), []

    def work(number: int) -> None:
        began.release()
        gate.wait(60)
        ran.append(number)

    for number in range(5):
        assert pool.submit(lambda number=number: work(number))  # type: ignore[misc]
    began.acquire()
    began.acquire()
    assert not began.acquire(timeout=0.05), "no third at once"
    pool.close()
    assert not pool.submit(lambda: None)
    gate.set()
    assert pool.join(time.monotonic() + 60)
    assert sorted(ran) == [0, 1]
