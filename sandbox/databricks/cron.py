"""When a Quartz cron expression fires next. Only what job schedules use: `0 30 6 ? * MON-FRI`, steps, lists, ranges, L.

Made for speed (integers, no datetime arithmetic in UTC), because thousands of schedules are followed at once.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = 86_400
EPOCH = date(1970, 1, 1).toordinal()
MONTHS = {
    "JAN": 1,
    "FEB": 2,
    "MAR": 3,
    "APR": 4,
    "MAY": 5,
    "JUN": 6,
    "JUL": 7,
    "AUG": 8,
    "SEP": 9,
    "OCT": 10,
    "NOV": 11,
    "DEC": 12,
}
WEEKDAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}


class Cron:
    """A parsed expression in a time zone. Raises ValueError for what is not a Quartz expression that we know."""

    def __init__(self, expression: str, timezone_id: str) -> None:
        fields = expression.upper().split()
        if len(fields) not in (6, 7):
            raise ValueError(f"'{expression}' has {len(fields)} fields, expected 6 or 7")
        if fields[3] != "?" and fields[5] != "?":
            raise ValueError(f"'{expression}': one of day-of-month and day-of-week must be '?'")
        seconds, minutes, hours = (_numbers(fields[i], 0, top, {}) for i, top in ((0, 59), (1, 59), (2, 23)))
        self._moments = sorted(h * 3600 + m * 60 + s for h in hours for m in minutes for s in seconds)
        self._last_day = fields[3] == "L"
        self._days = None if fields[3] in ("?", "*", "L") else _numbers(fields[3], 1, 31, {})
        self._months = None if fields[4] == "*" else _numbers(fields[4], 1, 12, MONTHS)
        self._weekdays = None if fields[5] in ("?", "*") else _numbers(fields[5], 1, 7, WEEKDAYS)
        self._every_day = self._days is None and self._months is None and self._weekdays is None and not self._last_day
        try:
            self._zone = None if timezone_id in ("UTC", "Etc/UTC", "GMT") else ZoneInfo(timezone_id)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"'{timezone_id}' is not a time zone") from error

    def next(self, after: float) -> int | None:
        """The first firing strictly after `after` (unix seconds), or None if there is none within five years."""
        local = int(after) + self._offset(int(after))
        day, moment = divmod(local, DAY)
        if self._fires_on(day):
            found = bisect_right(self._moments, moment)
            if found < len(self._moments):
                return self._unix(day * DAY + self._moments[found])
        for later in range(day + 1, day + 5 * 366):
            if self._fires_on(later):
                return self._unix(later * DAY + self._moments[0])
        return None

    def _fires_on(self, day: int) -> bool:
        if self._every_day:
            return True
        if self._days is None and self._months is None and not self._last_day:
            return (day + 4) % 7 + 1 in (self._weekdays or ())
        this = date.fromordinal(EPOCH + day)
        if self._months is not None and this.month not in self._months:
            return False
        if self._last_day:
            return (this + timedelta(days=1)).month != this.month
        if self._days is not None and this.day not in self._days:
            return False
        return self._weekdays is None or this.isoweekday() % 7 + 1 in self._weekdays

    def _offset(self, unix: int) -> int:
        if self._zone is None:
            return 0
        offset = datetime.fromtimestamp(unix, UTC).astimezone(self._zone).utcoffset()
        return int(offset.total_seconds()) if offset else 0

    def _unix(self, local: int) -> int:
        if self._zone is None:
            return local
        wall = datetime.fromtimestamp(local, UTC)
        return int(wall.replace(tzinfo=self._zone).timestamp())


@lru_cache(maxsize=4096)
def parse(expression: str, timezone_id: str) -> Cron:
    """The expression, parsed once however many jobs use it."""
    return Cron(expression, timezone_id)


def _numbers(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, low, high, names)
            last = _number(end, low, high, names) if dash else (high if step else first)
        if step and (not step.isdigit() or int(step) < 1):
            raise ValueError(f"'{part}' has no usable step")
        if last < first:
            raise ValueError(f"'{part}' runs backwards")
        found.update(range(first, last + 1, int(step) if step else 1))
    return frozenset(found)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    value = names.get(text, int(text) if text.isdigit() else -1)
    if not low <= value <= high:
        raise ValueError(f"'{text}' is not between {low} and {high}")
    return value
