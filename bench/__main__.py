"""`python -m bench [NAME ...]`: run benchmarks and print their tables."""

import argparse
import platform
import sys
from collections.abc import Callable

from bench import acknowledgement, double

BENCHMARKS: dict[str, Callable[[], int]] = {"acknowledgement": acknowledgement.main, "double": double.main}


def main() -> int:
    """Run what was named, or everything; the exit code is the worst one."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; none: all")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}: there are {', '.join(BENCHMARKS)}")
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}")
    return max(BENCHMARKS[name]() for name in names)


sys.exit(main())
