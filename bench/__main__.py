"""`python -m bench [NAME ...]`: run benchmarks and print their table. A missed goal is marked, and fails nothing."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from bench import acknowledgement, double, looking, stage, starting
from bench.report import Figure, machine_line, table, write

BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "stage": stage.main,
    "looking": looking.main,
    "starting": starting.main,
    "acknowledgement": acknowledgement.main,
    "double": double.main,
}


def main() -> int:
    """Run what was named, or everything; 0 unless something did not end, 2 for a name that does not exist."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, too (all of them only)")
    chosen = parser.parse_args()
    names = chosen.names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}: there are {', '.join(BENCHMARKS)}")
    if chosen.write and chosen.names:
        parser.error("--write is for all of them: the page shows one run")
    print(machine_line(), flush=True)
    figures: list[Figure] = []
    for name in names:
        print(f"\n== {name}", flush=True)
        figures += BENCHMARKS[name]()
    print("\n" + "\n".join(table(figures)))
    if chosen.write:
        write(figures, f"{datetime.now(UTC):%d %B %Y}")
    return 0


sys.exit(main())
