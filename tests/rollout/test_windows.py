"""Change windows in their own zone, across midnight and over clock changes."""

from datetime import UTC, datetime, time

import pytest

from rollout.plan import Window
from rollout.windows import is_open, next_opening

NIGHT = Window(days=("fri",), start=time(22), end=time(4), zone="Europe/Berlin")
OFFICE = Window(days=("mon", "tue"), start=time(9), end=time(17), zone="UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "when", "open_"),
    [
        (OFFICE, "2026-11-23T09:00", True),  # Monday, the first minute
        (OFFICE, "2026-11-23T08:59", False),
        (OFFICE, "2026-11-23T17:00", False),  # the end is outside
        (OFFICE, "2026-11-25T10:00", False),  # Wednesday
        (NIGHT, "2026-11-27T21:30", True),  # Friday 22:30 in Berlin
        (NIGHT, "2026-11-28T02:59", True),  # Saturday 03:59: still Friday's window
        (NIGHT, "2026-11-28T03:00", False),
        (NIGHT, "2026-11-26T22:00", False),  # Thursday
        (NIGHT, "2026-10-24T01:30", True),  # the night before clocks go back: Saturday 03:30
        (NIGHT, "2026-03-28T02:30", True),  # the night before clocks go forward: Saturday 03:30
    ],
)
def test_a_window_is_open_by_its_own_clock(window: Window, when: str, open_: bool) -> None:
    assert is_open([window], at(when)) is open_


def test_no_window_means_always() -> None:
    assert is_open([], at("2026-11-25T03:00"))
    assert next_opening([], at("2026-11-25T03:00")) is None


def test_the_next_opening_is_the_first_of_all_windows() -> None:
    assert next_opening([OFFICE, NIGHT], at("2026-11-25T10:00")) == at("2026-11-27T21:00")
    assert next_opening([OFFICE], at("2026-11-25T10:00")) == at("2026-11-30T09:00")


def test_an_open_window_has_no_next_opening() -> None:
    assert next_opening([OFFICE], at("2026-11-23T10:00")) is None
