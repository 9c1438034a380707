"""The settings as such, the plan files and the calendar: what can be said without asking anybody."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from doctor.finding import Finding, fail, ok, warn
from rollout import placeholders
from rollout.plan import Plan


def settings(problems: Sequence[str], slack: bool, read_only: bool) -> Iterator[Finding]:
    """What is wrong with the settings (each problem names its setting first), and what is not set up yet."""
    for problem in problems:
        name, _, said = problem.partition(": ")
        yield fail(f"setting {name}", said, "Correct it: docs/install.md, 3. Settings.")
    if not problems:
        yield ok("settings", "all can be read" + (", read only" if read_only else ""))
    if not slack:
        yield warn("slack", "not set up yet; nothing of it was looked at", "docs/install.md, 1. The Slack app")


def files(named: bool, problems: Sequence[str], plans: Sequence[Plan]) -> Iterator[Finding]:
    """The plan files: ``problems`` by file and line, ``plans`` those that are good."""
    if not named:
        todo = "python app.py plan new --out plan.yml proposes one; then name it in ROLLOUT_PLANS."
        yield warn("plan", "none is named", todo)
    for problem in problems:
        yield fail("plan", problem, "Correct it, then: python app.py plan check FILE")
    for plan in plans:
        if left := placeholders.left(plan):
            found = f"{plan.key} leaves open: {', '.join(left)}"
            yield fail(
                "plan", found, f"Replace every {placeholders.WORD}: python app.py plan check FILE names the lines."
            )
        else:
            yield ok("plan", f"{plan.key}: {len(plan.stages)} stages, {len(plan.checklist)} items")


def calendar(clock_file: str | None, now: datetime | None) -> Iterator[Finding]:
    """The calendar by which bakes and windows go; ``now`` is None when its file cannot be read."""
    if now is None:
        yield fail("calendar", f"ROLLOUT_CLOCK: {clock_file} cannot be read", "Take it out: only the sandbox has one.")
    elif clock_file is not None:
        found = f"that of the sandbox: {now:%Y-%m-%d %H:%M} UTC"
        yield warn("calendar", found, "Take ROLLOUT_CLOCK out where real workspaces are concerned.")
    elif now.year < 2025:
        yield fail("calendar", f"this machine says {now:%Y-%m-%d}", "Set its clock (NTP).")
    else:
        yield ok("calendar", f"{now:%Y-%m-%d %H:%M} UTC, by this machine's clock")
