"""What a benchmark found: figures with their goals, as a table for the terminal and for docs/benchmarks.md."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Written by `make bench ARGS=--write`; never edited by hand. Each ratio has both its sides measured in the same run. A
missed goal is marked here and fails nothing.

"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, the goal that it should not pass, and what it was made of."""

    name: str
    value: float
    goal: float
    of: str

    @property
    def reached(self) -> bool:
        return self.value <= self.goal


def machine_line() -> str:
    """The machine, in a line."""
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as about:
        model = next((line.split(":", 1)[1].strip() for line in about if line.startswith("model name")), model)
    with open("/proc/meminfo", encoding="utf-8") as about:
        memory = int(about.readline().split()[1]) / 2**20
    cores = os.cpu_count()
    return f"{platform.system()}, {cores} x {model}, {memory:.0f} GB, Python {platform.python_version()}"


def table(figures: Iterable[Figure]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = ["| figure | measured | goal | | of |", "| --- | ---: | ---: | --- | --- |"]
    for figure in figures:
        mark = "reached" if figure.reached else "**missed**"
        lines.append(f"| {figure.name} | {figure.value:,.2f} | {figure.goal:,.2f} | {mark} | {figure.of} |")
    return lines


def write(figures: Sequence[Figure], when: str) -> None:
    """Write the page."""
    PAGE.write_text(f"{_HEAD}{when}, {machine_line()}\n\n" + "\n".join(table(figures)) + "\n", encoding="utf-8")
