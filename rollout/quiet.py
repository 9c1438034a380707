"""When little runs: a change window proposed from the run history. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HOURS: Final = 4
#: With fewer runs, quiet says nothing.
FEWEST: Final = 50
#: How much less than usual must run for hours to be called quiet.
QUIET: Final = 0.6
#: A run that is said to have taken longer counts no more: it may be a stream.
_LONGEST: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Quiet:
    """From ``start`` to ``end`` o'clock in ``zone`` there runs ``share`` of what usually runs in so many hours."""

    start: int
    end: int
    zone: str
    share: float


def quiet_hours(spans: Iterable[tuple[datetime, datetime]], zone: str = "UTC") -> Quiet | None:
    """The four hours of the day in which least runs; None when there are few runs, or it is never quiet.

    ``spans`` are the beginnings and ends of runs (aware). Of equals, the hours nearest to 22 o'clock are taken.
    """
    busy, count = [0.0] * 24, 0
    for start, end in spans:
        count += 1
        _add(busy, start.astimezone(ZoneInfo(zone)) if zone != "UTC" else start, min(end - start, _LONGEST))
    whole = sum(busy)
    if count < FEWEST or not whole:
        return None
    sums = [sum(busy[(hour + i) % 24] for i in range(HOURS)) for hour in range(24)]
    best = min(range(24), key=lambda hour: (sums[hour], (hour - 22) % 24))
    share = sums[best] / (whole * HOURS / 24)
    return Quiet(best, (best + HOURS) % 24, zone, share) if share <= QUIET else None


def _add(busy: list[float], local: datetime, lasted: timedelta) -> None:
    """Spread a run over the hours of the day that it ran in."""
    left = max(lasted.total_seconds(), 1.0)
    hour = local.hour
    room = 3600.0 - (local.minute * 60 + local.second)
    while left > 0:
        here = min(left, room)
        busy[hour] += here
        left -= here
        hour, room = (hour + 1) % 24, 3600.0
