"""`python -m sandbox.clock`: look at the sandbox's calendar, step it, change its speed."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from typing import Any

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def main(arguments: list[str] | None = None) -> int:
    """Print the calendar after doing what was asked; exit 1 when the sandbox does not answer."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.clock", description=__doc__)
    parser.add_argument("--port", type=int, default=8800, help="port of the sandbox's page")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--step", metavar="24h", help="jump ahead by so many s, m, h, d or w, e.g. 90m or 1d12h")
    what.add_argument("--to", choices=["next"], help="jump to just after the next deadline")
    what.add_argument("--speed", type=float, metavar="N", help="let N calendar seconds pass in one second")
    what.add_argument("--stop", action="store_true", help="stop the calendar")
    options = parser.parse_args(arguments)
    try:
        change = _change(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        print(told(ask(options.port, change)))
    except (OSError, ValueError) as error:
        print(_why(error, options.port), file=sys.stderr)
        return 1
    return 0


def seconds(text: str) -> float:
    """How long `24h`, `90m`, `1d12h` or a plain number of seconds is. Raises ValueError with a sentence."""
    rest, total, number = text.strip().lower(), 0.0, ""
    for letter in rest if not rest.isdigit() else f"{rest}s":
        if letter.isdigit() or letter == ".":
            number += letter
        elif letter in UNITS and number not in ("", "."):
            total, number = total + float(number) * UNITS[letter], ""
        else:
            raise ValueError(f"cannot read '{text}' as a duration: expected for example 90m, 24h or 1d12h")
    if number or total <= 0:
        raise ValueError(f"cannot read '{text}' as a duration: expected for example 90m, 24h or 1d12h")
    return total


def _change(options: argparse.Namespace) -> dict[str, Any] | None:
    if options.step:
        return {"step": seconds(options.step)}
    if options.to:
        return {"to": options.to}
    if options.stop:
        return {"speed": 0}
    if options.speed is not None:
        if options.speed < 0:
            raise ValueError("the calendar never goes back: --speed must be 0 or more")
        return {"speed": options.speed}
    return None


def ask(port: int, change: dict[str, Any] | None) -> dict[str, Any]:
    """The calendar as the sandbox tells it, after a change if one is given."""
    data = json.dumps(change).encode() if change else None
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/sandbox/clock", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def told(clock: dict[str, Any]) -> str:
    """One line: now, speed, what comes next."""
    speed = float(clock.get("speed") or 0)
    pace = "stopped" if speed == 0 else f"{speed:g}x"
    coming = f", next {clock['next']}" if clock.get("next") else ""
    return f"{clock['now']} ({pace}{coming})"


def _why(error: Exception, port: int) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            return f"The sandbox refused: {json.load(error)['error']}"
        except (ValueError, KeyError, TypeError):
            return f"The sandbox refused: {error}"
    return f"No sandbox answers at http://127.0.0.1:{port}: start one with `make sandbox`. ({error})"


if __name__ == "__main__":
    sys.exit(main())
