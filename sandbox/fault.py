"""`python -m sandbox.fault`: let the local Slack or the local Databricks misbehave, show how, and stop it."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from typing import Any

KINDS = {
    "databricks": ("429", "500", "503", "403", "reset", "lost-answer", "slow", "eventual"),
    "slack": ("429", "500", "drop", "refresh", "late", "duplicate"),
}
COLUMNS = ("number", "kind", "path", "rate", "workspace", "method", "times", "seconds", "hits")
EXAMPLES = """examples:
  python -m sandbox.fault --on databricks --path '/api/2.1/clusters/*' --kind 429 --rate 0.05
  python -m sandbox.fault --on databricks --path '*/clusters/edit' --kind lost-answer --times 1
  python -m sandbox.fault --on databricks --path '/api/2.2/jobs/*' --kind eventual --seconds 3
  python -m sandbox.fault --on slack --path 'chat.*' --kind 429 --retry-after 2
  python -m sandbox.fault --on databricks --list
  python -m sandbox.fault --on databricks --clear 3"""


def main(arguments: list[str] | None = None) -> int:
    """Print the faults that are set after doing what was asked; exit 1 when the sandbox refuses or does not answer."""
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted = sum((options.kind is not None, options.clear is not None, options.list))
    if wanted != 1:
        parser.error("say one of --kind (a new fault), --list and --clear")
    if options.kind is not None and options.kind not in KINDS[options.on]:
        parser.error(f"{options.on} has no fault {options.kind!r}: there are {', '.join(KINDS[options.on])}")
    try:
        found = ask(options)
    except (OSError, ValueError) as error:
        print(_why(error, options), file=sys.stderr)
        return 1
    print(table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.fault",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--on", choices=sorted(KINDS), required=True, help="which of the two services")
    parser.add_argument(
        "--port", type=int, default=8800, help="port of the sandbox's page; Databricks is the one after"
    )
    parser.add_argument("--list", action="store_true", help="only show what is set, with the hits so far")
    parser.add_argument("--clear", nargs="?", type=_number, const=0, metavar="NUMBER", help="remove one fault, or all")
    parser.add_argument("--kind", help="; ".join(f"{on}: {', '.join(kinds)}" for on, kinds in KINDS.items()))
    parser.add_argument("--path", default="*", help="which calls: a pattern of paths, or of method names for Slack")
    parser.add_argument("--rate", type=_rate, help="the chance per call, from 0 to 1 (default 1)")
    parser.add_argument("--workspace", metavar="W", help="of one workspace only")
    parser.add_argument("--method", metavar="M", help="of one HTTP method only")
    parser.add_argument("--times", type=_number, metavar="N", help="at most so often (default: for ever)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how late, or for how long, in real seconds")
    parser.add_argument("--reads", type=_number, metavar="N", help="eventual: for the next N reads instead")
    parser.add_argument("--retry-after", type=_number, metavar="N", help="429: the seconds in Retry-After (default 1)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the chance, to see the same again")
    return parser


def _rate(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def ask(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Do what the options ask for; the faults that are set then. Raises OSError or ValueError."""
    method, body = "GET", None
    if options.clear is not None:
        method, body = ("POST", {"clear": options.clear}) if options.clear else ("DELETE", None)
    elif options.kind is not None:
        names = ("kind", "path", "rate", "workspace", "method", "times", "seconds", "reads", "retry_after", "seed")
        given = {name: getattr(options, name) for name in names}
        method, body = "POST", {name: value for name, value in given.items() if value is not None}
    request = urllib.request.Request(
        f"http://127.0.0.1:{_port(options)}/sandbox/faults",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    found: list[dict[str, Any]] = answer["faults"]
    return found


def table(faults: list[dict[str, Any]]) -> str:
    """One line per fault under a line of titles."""
    if not faults:
        return "No faults are set."
    names = [name for name in COLUMNS if any(name in fault for fault in faults)]
    rows = [names, *([_cell(fault.get(name)) for name in names] for fault in faults)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(names))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _port(options: argparse.Namespace) -> int:
    return int(options.port) + (1 if options.on == "databricks" else 0)


def _why(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            told = json.load(error)
            return f"The sandbox refused: {told.get('message') or told['error']}"
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"The sandbox refused: {error}"
    where = f"http://127.0.0.1:{_port(options)}"
    return f"No local {options.on.title()} answers at {where}: start the sandbox with `make sandbox`. ({error})"


if __name__ == "__main__":
    sys.exit(main())
