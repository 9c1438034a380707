"""When targets may be touched: change windows in their own zone, also across midnight and over clock changes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rollout.plan import Day, Window

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(windows: Sequence[Window], now: datetime) -> bool:
    """Whether any window is open at ``now`` (aware). No windows: always open."""
    return not windows or any(_holds(w, now) for w in windows)


def next_opening(windows: Sequence[Window], now: datetime) -> datetime | None:
    """The next instant (UTC, to the minute) at which a window opens; None when one is open or none ever opens."""
    if is_open(windows, now):
        return None
    starts: list[datetime] = []
    for window in windows:
        local = now.astimezone(ZoneInfo(window.zone))
        for ahead in range(9):
            day = local.date() + timedelta(days=ahead)
            if _DAYS[day.weekday()] not in window.days:
                continue
            start = datetime.combine(day, window.start, ZoneInfo(window.zone)).astimezone(UTC)
            if start > now and _holds(window, start):
                starts.append(start)
                break
    return min(starts, default=None)


def _holds(window: Window, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo(window.zone))
    today, yesterday = _DAYS[local.weekday()], _DAYS[local.weekday() - 1]
    clock = local.time()
    if window.start < window.end:
        return today in window.days and window.start <= clock < window.end
    # Across midnight the window belongs to the day on which it began.
    return (today in window.days and clock >= window.start) or (yesterday in window.days and clock < window.end)
