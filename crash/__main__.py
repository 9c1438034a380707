"""`python -m crash`: kill the engine at every journal boundary of a stage, forward and back, and compare the ends."""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from crash.databases import databases
from crash.point import Outcome
from crash.points import chosen, thinned
from crash.trial import Tally, count, tried, undisturbed, warm

_BOTH = ("sqlite", "postgresql")
_MEMORY = Path("/dev/shm")
#: How the time is shared between finishing a stage (twice as many points, twice as long) and turning back at once.
_SHARE = {False: 4.0, True: 1.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try, print, and say by the exit code whether everything ended as without a crash."""
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--database", choices=[*_BOTH, "both"], default="both")
    parser.add_argument(
        "--then",
        choices=["finish", "roll-back", "both"],
        default="both",
        help="after the crash: finish the stage and roll it back, or roll it back at once (points on the way forward)",
    )
    parser.add_argument("--every", type=int, default=1, metavar="K", help="every K-th boundary")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="N", help="from this boundary on")
    parser.add_argument("--to", type=int, default=None, dest="last", metavar="N", help="up to this boundary")
    parser.add_argument("--only", type=int, default=None, metavar="N", help="this boundary alone, with the log")
    parser.add_argument("--at", default="", metavar="TEXT", help="those with TEXT in their names, as --list shows them")
    parser.add_argument("--most", type=int, default=None, metavar="N", help="so many points, evenly over the range")
    parser.add_argument("--minutes", type=float, default=15.0, help="begin no new point after so long (15)")
    parser.add_argument("--seed", type=int, default=1, help="who is drawn next at a boundary; another order of things")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="points at once (one for each core)")
    parser.add_argument("--list", action="store_true", help="print the boundaries and stop")
    options = parser.parse_args(arguments)
    _logs(logging.INFO if options.only is not None else logging.CRITICAL)
    kinds = _BOTH if options.database == "both" else (options.database,)
    ways = {"finish": (False,), "roll-back": (True,), "both": (False, True)}[options.then]
    began = time.monotonic()
    shares = [_SHARE[way] for _ in kinds for way in ways]
    ends = [began + 60 * options.minutes * sum(shares[: n + 1]) / sum(shares) for n in range(len(shares))]
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="crash-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as home:
        for kind in kinds:
            try:
                tallies += _run(kind, ways, Path(home), ends[len(tallies) :], options)
            except ValueError as error:
                parser.error(str(error))
    return _report(tallies) if tallies else 0


def _run(
    kind: str, ways: Sequence[bool], home: Path, ends: Sequence[float], options: argparse.Namespace
) -> Iterator[Tally]:
    directory = home / kind
    directory.mkdir()
    with databases(kind, directory) as found:
        run = undisturbed(found, options.seed, directory)
        forward = run.back.boundary - 1
        print(f"{kind}: {len(run.names)} boundaries, {forward} forward and {len(run.names) - forward} back", flush=True)
        if options.list:
            for number, name in enumerate(run.names, 1):
                print(f"{number:>5}  {name}")
            return
        warm(found, run)
        for turn_back, until in zip(ways, ends, strict=False):
            names = run.names[:forward] if turn_back else run.names
            if turn_back and options.only is not None and options.only > forward:
                continue  # it is on the way back already
            numbers = chosen(names, options.every, options.first, options.last, options.only, options.at)
            if options.most is not None:
                numbers = thinned(numbers, options.most)
            tally = Tally(f"{kind}, rolled back" if turn_back else kind, len(names))
            began = time.monotonic()
            for outcome in tried(found, run, numbers, options.seed, options.workers, until, turn_back):
                count(tally, outcome, run.names)
                if not outcome.well:
                    _tell(kind, outcome, turn_back)
                for line in outcome.harmless:
                    print(f"  {tally.name}, point {outcome.number}: harmless repeat, {line}", flush=True)
            tally.seconds = time.monotonic() - began
            yield tally


def _tell(kind: str, outcome: Outcome, turn_back: bool) -> None:
    print(f"  {kind} point {outcome.number}: {outcome.name}")
    for line in (*outcome.harmful, *outcome.differing):
        print(f"    {line}")
    if outcome.trouble:
        print("    " + outcome.trouble.strip().replace("\n", "\n    "))
    then = "roll-back" if turn_back else "finish"
    print(f"    again: python -m crash --database {kind} --then {then} --only {outcome.number}", flush=True)


def _report(tallies: Sequence[Tally]) -> int:
    print()
    columns = ("tried", "of", "equal", "harmful repeats", "harmless", "not reached", "seconds")
    print(f"{'crash points':<25}" + "".join(f"{name:>{len(name) + 3}}" for name in columns))
    for t in tallies:
        row = (t.tried, t.total, t.equal, t.harmful, t.harmless, t.unreached, round(t.seconds))
        print(f"{t.name:<25}" + "".join(f"{n:>{len(name) + 3}}" for n, name in zip(row, columns, strict=True)))
        if t.renamed:
            print(f"  {t.renamed} of them at another boundary than the undisturbed run had there")
    good = all(not t.broken and t.tried for t in tallies)
    print("every end state equals that of the undisturbed run" if good else "SOMETHING BROKE, see above")
    return 0 if good else 1


def _logs(level: int) -> None:
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)  # it says at length that the warming reached nobody
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
