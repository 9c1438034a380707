"""The small words of a plan that are more than text: durations, times of day, zones and cron expressions."""

import re
from datetime import datetime, time
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_DURATION: Final = 90 * 86_400
_DURATION: Final = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", re.ASCII)
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_LIMIT: Final = re.compile(r"(\d{1,7})(%?)", re.ASCII)
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)", re.ASCII)
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: What the five fields of a cron expression may hold: name, least, most, and names for the numbers.
_FIELDS: Final[tuple[tuple[str, int, int, tuple[str, ...]], ...]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _WEEKDAYS),
)
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART: Final = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\w+))?", re.ASCII)


def mistake(wrong: str, expected: str) -> PydanticCustomError:
    """A validator's refusal that says in plain words what is wrong and what was expected."""
    return PydanticCustomError("plan", "{wrong}; expected {expected}", {"wrong": wrong, "expected": expected})


def seconds(value: object) -> object:
    """Seconds of a duration such as ``2h``, ``90m``, ``1d12h`` or ``0``. Numbers are seconds already.

    Raises PydanticCustomError for a text that is no duration: a number without a unit could be anything.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    expected = "a duration such as 90m, 2h, 1d or 0"
    if not isinstance(value, str):
        raise mistake("this is not a duration", expected)
    found = _DURATION.fullmatch(value)
    if value == "0":
        return 0
    if not value or found is None:
        number = re.fullmatch(r"\d+", value, re.ASCII)
        raise mistake(f"{value!r} has no unit" if number else f"{value!r} is not a duration", expected)
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    total = days * 86_400 + hours * 3_600 + minutes * 60 + rest
    if total > MAX_DURATION:
        raise mistake(f"{value!r} is too long", f"at most {MAX_DURATION // 86_400}d")
    return total


def names_of(value: object) -> object:
    """A plain list where a mapping of words is wanted is one of names."""
    return {"names": value} if isinstance(value, list | tuple) else value


def _time(value: object) -> object:
    if isinstance(value, time):
        return value
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise mistake(f"{value!r} is not a time of day", "hours and minutes such as 08:00, up to 23:59")
    hour, minute, second = (int(part or 0) for part in found.groups())
    return time(hour, minute, second)


def _zone(value: str) -> str:
    if value == "UTC":  # known even where the system has no zone files
        return value
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise mistake(
            f"{value!r} is not a time zone", "a zone such as UTC, Europe/Berlin or America/New_York"
        ) from None
    return value


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != len(_FIELDS):
        wrong = f"{value!r} has {len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise mistake(wrong, "five: minute, hour, day of the month, month, weekday, such as '0 9 * * mon-fri'")
    for text, (name, least, most, names) in zip(fields, _FIELDS, strict=True):
        for part in text.split(","):
            _cron_part(part, name, least, most, names)
    days, months = (_numbers(text, *_FIELDS[i][1:]) for i, text in ((2, fields[2]), (3, fields[3])))
    if min(days) > max(_LONGEST[month - 1] for month in months):
        raise mistake(f"{value!r} never comes", "a day that one of its months has")
    return value


def _numbers(text: str, least: int, most: int, names: tuple[str, ...]) -> set[int]:
    """The numbers that a field, already found good, stands for."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or match["all"]:
            low, high = least, most
        else:
            low, high = (_number(word, least, names) for word in (match["low"], match["high"] or match["low"]))
            high = most if match["step"] and not match["high"] else high
        found.update(range(low, high + 1, int(match["step"] or 1) if match else 1))
    return found


def _number(word: str, least: int, names: tuple[str, ...]) -> int:
    return int(word) if word.isdigit() else names.index(word.lower()) + least


def _cron_part(part: str, name: str, least: int, most: int, names: tuple[str, ...]) -> None:
    """Refuse one part of a field, such as ``mon-fri`` or ``*/15``, that a schedule could not follow."""
    weekday = name == "weekday"
    if weekday:
        expected = "* or names such as mon-fri: numbered weekdays begin on different days in different systems"
    else:
        expected = f"numbers from {least} to {most}{f' or names such as {names[0]}' if names else ''}, such as "
        expected += f"*, {least}, {least}-{least + 2} or */2"

    def number(word: str) -> int:
        if word.lower() in names:
            return least + names.index(word.lower())
        if weekday or not word.isdigit() or len(word) > 2 or not least <= int(word) <= most:
            raise mistake(f"{word!r} is not a {name}", expected)
        return int(word)

    found = _PART.fullmatch(part)
    if found is None:
        raise mistake(f"{part!r} is not a {name}", expected)
    low, high = found["low"], found["high"]
    named = bool(low) and low.lower() in names
    if named and (found["step"] or (high and high.lower() not in names)):
        raise mistake(f"{part!r} mixes names and numbers", f"{names[0]}, {names[0]}-{names[2]} or a list of names")
    first = least if found["all"] else number(low)
    last = number(high) if high else most if found["all"] or found["step"] else first
    if first > last:
        raise mistake(f"{part!r} runs backwards", f"the earlier {name} first; for both ends write two parts with ','")
    step = found["step"]
    if step is not None and not (step.isdigit() and len(step) <= 2 and 1 <= int(step) <= max(last - first, 1)):
        raise mistake(f"the step of {part!r} does not fit its range", f"a step from 1 to {max(last - first, 1)}")


def _limit(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        number, percent = value, False
    else:
        found = _LIMIT.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            said = repr(value) if isinstance(value, str) else "this"
            raise mistake(f"{said} is not a limit", "a count such as 3, or a per cent such as 10%")
        number, percent = int(found[1]), bool(found[2])
    if number < 1 or number > (100 if percent else 1_000_000):
        raise mistake(f"{value!r} is no sensible limit", "a count of at least 1, or a per cent from 1% to 100%")
    return f"{number}%" if percent else number


def _moment(value: object) -> object:
    if isinstance(value, datetime):
        return value
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    try:
        if found is None:
            raise ValueError
        return datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        said = repr(value) if isinstance(value, str) else "this"
        raise mistake(f"{said} is not a moment", "day and time in its zone, such as 2026-12-20 18:00") from None


Duration = Annotated[int, BeforeValidator(seconds), Field(ge=0, le=MAX_DURATION)]
TimeOfDay = Annotated[time, BeforeValidator(_time)]
#: A count, or a per cent as text such as ``10%``.
Limit = Annotated[int | str, BeforeValidator(_limit)]
#: A naive moment on the clock of a zone that stands beside it.
Moment = Annotated[datetime, BeforeValidator(_moment)]
Zone = Annotated[str, AfterValidator(_zone)]
Cron = Annotated[str, AfterValidator(_cron)]


def described(*fields: Any) -> dict[str, str]:
    """Pattern -> what it stands for in plain words, from annotated types that carry both."""
    found: dict[str, str] = {}
    for annotated in fields:
        info = annotated.__metadata__[0]
        for constraint in info.metadata:
            pattern = getattr(constraint, "pattern", None)
            if pattern is not None:
                found[pattern] = info.description
    return found
