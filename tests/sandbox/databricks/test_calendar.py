"""The calendar file."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox import calendar

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_a_fresh_calendar_begins_on_a_monday_morning_and_stands_still(tmp_path: Path) -> None:
    clock = calendar.make(tmp_path / "deep" / "clock.json")
    assert clock.now() == clock.now() == MONDAY
    assert MONDAY.weekday() == 0


def test_an_existing_calendar_is_left_as_it_is(tmp_path: Path) -> None:
    calendar.make(tmp_path / "c")
    calendar.step(tmp_path / "c", 60)
    assert calendar.make(tmp_path / "c").now() == MONDAY + timedelta(seconds=60)


def test_a_reader_sees_a_step_at_its_next_question(tmp_path: Path) -> None:
    clock = calendar.make(tmp_path / "c")
    calendar.step(tmp_path / "c", 86_400)
    assert clock.now() == MONDAY + timedelta(days=1)
    assert clock.milliseconds() == round((MONDAY + timedelta(days=1)).timestamp() * 1000)


def test_at_speed_the_calendar_runs_with_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = 1000.0
    monkeypatch.setattr("time.time", lambda: machine)
    clock = calendar.make(tmp_path / "c", speed=60)
    machine = 1010.0
    assert clock.now() == MONDAY + timedelta(minutes=10)
    assert calendar.set_speed(tmp_path / "c", 0) == MONDAY + timedelta(minutes=10)
    machine = 5000.0
    assert clock.now() == MONDAY + timedelta(minutes=10)
    assert clock.speed == 0


def test_the_calendar_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = 1000.0
    monkeypatch.setattr("time.time", lambda: machine)
    clock = calendar.make(tmp_path / "c", speed=10)
    machine = 1100.0
    seen = clock.now()
    machine = 900.0
    assert clock.now() == seen
    with pytest.raises(ValueError, match="never goes back"):
        calendar.step(tmp_path / "c", -1)
    with pytest.raises(ValueError, match="never goes back"):
        calendar.set_speed(tmp_path / "c", -1)
    with pytest.raises(ValueError, match="never goes back"):
        calendar.write(tmp_path / "c", MONDAY, -1)


def test_the_file_is_replaced_and_never_written_in_place(tmp_path: Path) -> None:
    clock = calendar.make(tmp_path / "c")
    before = os.stat(clock.path).st_ino
    calendar.step(clock.path, 1)
    assert os.stat(clock.path).st_ino != before
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []
