"""Quartz expressions, beside the triggers of APScheduler where both can say the same."""

from datetime import UTC, datetime
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger

from sandbox.databricks import cron

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("quartz", "same"),
    [
        ("0 5 * * * ?", {"minute": 5}),
        ("0 0/15 * * * ?", {"minute": "*/15"}),
        ("0 30 3 * * ?", {"hour": 3, "minute": 30}),
        ("0 0 5 ? * MON-FRI", {"hour": 5, "minute": 0, "day_of_week": "mon-fri"}),
        ("0 15 0/4 * * ?", {"hour": "*/4", "minute": 15}),
        ("30 10 1,13 ? * SUN", {"hour": "1,13", "minute": 10, "second": 30, "day_of_week": "sun"}),
        ("0 0 6 1 * ?", {"day": 1, "hour": 6, "minute": 0}),
        ("0 0 6 L * ?", {"day": "last", "hour": 6, "minute": 0}),
        ("0 0 0 29 2 ?", {"month": 2, "day": 29, "hour": 0, "minute": 0}),
        ("0 0 9 ? * 2 *", {"day_of_week": "mon", "hour": 9, "minute": 0}),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_fires_when_apscheduler_says_so(quartz: str, same: dict[str, Any], zone: str) -> None:
    ours, theirs = cron.parse(quartz, zone), CronTrigger(**same, timezone=zone)
    moment, expected = START.timestamp(), START
    for _ in range(18):
        found = ours.next(moment)
        expected = theirs.get_next_fire_time(expected, expected)
        assert found is not None
        assert found == expected.timestamp()
        moment, expected = found, datetime.fromtimestamp(found + 1, UTC)


@pytest.mark.parametrize(
    "bad",
    [
        "5 * * * *",
        "0 5 * * * *",
        "0 61 * * * ?",
        "0 5 25 * * ?",
        "0 5 * ? * FUN",
        "0 5-1 * * * ?",
        "0 0/0 * * * ?",
        "0 x * * * ?",
        "",
    ],
)
def test_what_is_no_quartz_expression_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cron.parse(bad, "UTC")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        cron.parse("0 5 * * * ?", "Europe/Atlantis")


def test_a_day_that_never_comes_has_no_firing() -> None:
    assert cron.parse("0 0 0 31 2 ?", "UTC").next(START.timestamp()) is None
