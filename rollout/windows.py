"""When targets may be touched: change windows in their own zone, and freezes. Over clock changes too.

A window belongs to the day on which it begins. A time that the clocks skip is the moment at which they skip it; of a
time that comes twice the first counts, for the end as well as for the beginning: a window opens once and closes once.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rollout.plan import Day, Freeze, Plan, Window

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(windows: Sequence[Window], now: datetime) -> bool:
    """Whether any window is open at ``now`` (aware). No windows: always open."""
    return not windows or any(_holds(w, now) for w in windows)


def next_opening(windows: Sequence[Window], now: datetime) -> datetime | None:
    """The next instant (UTC) at which a window opens; None when one is open or none ever opens."""
    if is_open(windows, now):
        return None
    starts: list[datetime] = []
    for window in windows:
        today = now.astimezone(ZoneInfo(window.zone)).date()
        # Two weeks: a window that lies in the hour that the clocks skip does not open in that week.
        for ahead in range(15):
            start, end = _opening(window, today + timedelta(days=ahead))
            if now < start < end:
                starts.append(start)
                break
    return min(starts, default=None)


def frozen(freezes: Sequence[Freeze], now: datetime) -> Freeze | None:
    """The freeze that holds at ``now``; of several the one that ends last."""
    holding = [f for f in freezes if instant(f.begin, f.zone) <= now < instant(f.end, f.zone)]
    return max(holding, key=lambda f: instant(f.end, f.zone), default=None)


def windows_of(plan: Plan, stage: str, shared: bool) -> tuple[Window, ...]:
    """The windows of a target of a stage; ``shared``: a running cluster on which people work."""
    own = plan.stage(stage).windows
    if not own and shared and plan.shared_window is not None:
        return (plan.shared_window,)
    return own


def may_touch(plan: Plan, stage: str, shared: bool, now: datetime) -> bool:
    """Whether a forward write to a target of the stage may begin now, as far as windows and freezes go."""
    return frozen(plan.freezes, now) is None and is_open(windows_of(plan, stage, shared), now)


def may_touch_from(plan: Plan, stage: str, shared: bool, now: datetime) -> datetime | None:
    """The first instant (UTC) at which that holds; None when it holds now, or never will."""
    moment = now
    for _ in range(2 * len(plan.freezes) + 2):
        freeze = frozen(plan.freezes, moment)
        if freeze is not None:
            moment = instant(freeze.end, freeze.zone)
        elif (opens := next_opening(windows_of(plan, stage, shared), moment)) is not None:
            moment = opens
        elif is_open(windows_of(plan, stage, shared), moment):
            return moment if moment > now else None
        else:
            return None
    return None


def instant(local: datetime, zone: str) -> datetime:
    """The instant (UTC) of a naive ``local`` moment: the first of two, and for one that is skipped the skip."""
    place = ZoneInfo(zone)
    first = local.replace(tzinfo=place, fold=0).astimezone(UTC)
    if first.astimezone(place).replace(tzinfo=None) == local:
        return first
    found = local.replace(tzinfo=place, fold=1).astimezone(UTC)
    while found.astimezone(place).replace(tzinfo=None) < local:  # clocks skip at full minutes, an hour or so
        found += timedelta(minutes=1)
    return found.replace(second=0, microsecond=0)


def _holds(window: Window, now: datetime) -> bool:
    today = now.astimezone(ZoneInfo(window.zone)).date()
    for day in (today, today - timedelta(days=1)):
        start, end = _opening(window, day)
        if start <= now < end:
            return True
    return False


def _opening(window: Window, day: date) -> tuple[datetime, datetime]:
    """When the window that begins on ``day`` opens and closes; not after its opening where it does not open."""
    if _DAYS[day.weekday()] not in window.days:
        never = datetime.combine(day, time(), UTC)
        return never, never
    last = day if window.start < window.end else day + timedelta(days=1)
    return (
        instant(datetime.combine(day, window.start), window.zone),
        instant(datetime.combine(last, window.end), window.zone),
    )
