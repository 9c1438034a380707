"""Change windows in their own zone, across midnight and over clock changes."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.plan import Freeze, Plan, Window
from rollout.windows import frozen, is_open, may_touch, may_touch_from, next_opening
from tests.engine.harness import plan_of_two

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


def every(start: str, end: str) -> Window:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return Window.model_validate({"days": days, "start": start, "end": end, "zone": "Europe/Berlin"})


# The clocks of Berlin skip 02:00-03:00 on 2026-03-29 (at 01:00 UTC), and repeat it on 2026-10-25 (from 01:00 UTC on).
@pytest.mark.parametrize(
    ("window", "opens", "closes"),
    [
        (every("02:30", "04:00"), "2026-03-29T01:00", "2026-03-29T02:00"),  # what is skipped begins at the skip
        (every("01:00", "02:30"), "2026-03-29T00:00", "2026-03-29T01:00"),  # and ends at the skip
        (every("22:00", "02:30"), "2026-03-28T21:00", "2026-03-29T01:00"),
        (every("02:30", "04:00"), "2026-10-25T00:30", "2026-10-25T03:00"),  # from the first 02:30 on, 2 h 30 min
        (every("01:00", "02:30"), "2026-10-24T23:00", "2026-10-25T00:30"),  # until the first 02:30, and not again
        (every("02:10", "02:50"), "2026-10-25T00:10", "2026-10-25T00:50"),
        (every("22:00", "02:30"), "2026-10-24T20:00", "2026-10-25T00:30"),
    ],
)
def test_on_both_days_of_clock_changes_a_window_opens_once_and_closes_once(
    window: Window, opens: str, closes: str
) -> None:
    second = timedelta(seconds=1)
    assert not is_open([window], at(opens) - second)
    assert is_open([window], at(opens))
    assert is_open([window], at(closes) - second)
    assert not is_open([window], at(closes))
    assert next_opening([window], at(opens) - second) == at(opens)
    assert next_opening([window], at(closes)) > at(closes) + timedelta(hours=12)  # type: ignore[operator]


def test_a_window_in_the_hour_that_is_skipped_opens_on_the_next_day_only() -> None:
    window = every("02:10", "02:50")
    assert next_opening([window], at("2026-03-28T12:00")) == at("2026-03-30T00:10")
    assert not any(is_open([window], at("2026-03-29T00:00") + timedelta(minutes=n)) for n in range(300))


@settings(deadline=None)  # not about speed
@given(st.times(), st.times(), st.integers(0, 8 * 86_400))
def test_the_next_opening_is_the_first_moment_that_is_open(start: time, end: time, when: int) -> None:
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    window = Window(days=("sat", "sun", "mon"), start=start, end=end, zone="Europe/Berlin")
    now = at("2026-03-25T00:00") + timedelta(seconds=when)
    opens = next_opening([window], now)
    if opens is None:
        assert start == end or is_open([window], now)
        return
    assert is_open([window], opens)
    steps = range(0, int((opens - now).total_seconds()), 601)
    assert not any(is_open([window], now + timedelta(seconds=n)) for n in steps)


def with_freezes(*freezes: tuple[str, str], **more: object) -> Plan:
    made = [
        Freeze.model_validate({"from": a, "to": b, "zone": "Europe/Berlin", "reason": "year end"}) for a, b in freezes
    ]
    return plan_of_two().model_copy(update={"freezes": tuple(made), **more})


def test_a_freeze_holds_from_its_first_moment_to_its_last_in_its_own_zone() -> None:
    plan = with_freezes(("2026-12-20 18:00", "2027-01-06 08:00"))
    assert frozen(plan.freezes, at("2026-12-20T16:59:59")) is None
    assert frozen(plan.freezes, at("2026-12-20T17:00")) is plan.freezes[0]
    assert may_touch(plan, "first", False, at("2027-01-06T06:59:59")) is False
    assert may_touch(plan, "first", False, at("2027-01-06T07:00")) is True


def test_after_a_freeze_the_next_freeze_and_the_window_are_awaited() -> None:
    plan = with_freezes(("2026-12-20 18:00", "2026-12-21 08:00"), ("2026-12-21 07:00", "2026-12-22 12:00"))
    assert may_touch_from(plan, "first", False, at("2026-12-20T20:00")) == at("2026-12-22T11:00")
    stage = plan.stages[0].model_copy(update={"windows": (every("22:00", "02:00"),)})
    windowed = plan.model_copy(update={"stages": (stage, plan.stages[1])})
    assert may_touch_from(windowed, "first", False, at("2026-12-20T20:00")) == at("2026-12-22T21:00")


def test_running_clusters_that_people_work_on_have_the_shared_window_where_their_stage_has_none() -> None:
    plan = plan_of_two().model_copy(update={"shared_window": every("22:00", "02:00")})
    noon = at("2026-12-01T11:00")
    assert may_touch(plan, "first", False, noon)
    assert not may_touch(plan, "first", True, noon)
    assert may_touch_from(plan, "first", True, noon) == at("2026-12-01T21:00")
    own = plan.stages[0].model_copy(update={"windows": (every("12:00", "13:00"),)})
    assert may_touch(plan.model_copy(update={"stages": (own,)}), "first", True, noon), "its own windows rule"
