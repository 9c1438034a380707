"""Runs on the old runtime beside runs on the new one, per job and together. Numbers for people; they decide nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

#: Results that count as a failure of the job; a cancelled, skipped or platform-failed run says nothing about it.
FAILED = frozenset({"failed", "timedout"})
COUNTED = FAILED | {"success"}
#: A median this much longer than before is worth a message.
SLOWER = 1.25
#: Fewer runs than this on either side say nothing about durations.
FEWEST = 3


@dataclass(frozen=True, slots=True)
class SeenRun:
    """One finished run: its job, the release it ran on, how it ended and how long it executed, in seconds."""

    job: str
    release: str
    result: str
    ended_at: datetime
    duration: float


def compare_runs(
    runs: Iterable[SeenRun], source: str, target: str, names: Mapping[str, str], since: datetime
) -> dict[str, Any]:
    """The facts of a look: ``old`` and ``new`` with runs, failures and median seconds, and the same per job.

    ``names`` maps job to the name that people know; jobs without any run are listed too, so that silence is seen.
    """
    counted = [r for r in runs if r.result in COUNTED]
    jobs = []
    for job, name in sorted(names.items(), key=lambda pair: pair[1]):
        of_job = [r for r in counted if r.job == job]
        jobs.append({"name": name, "old": _side(of_job, source), "new": _side(of_job, target)})
    return {
        "old": _side(counted, source),
        "new": _side(counted, target),
        "jobs": jobs,
        "since": since.isoformat(),
    }


def _side(runs: Sequence[SeenRun], release: str) -> dict[str, Any]:
    of_side = [r for r in runs if r.release == release]
    good = [r.duration for r in of_side if r.result == "success"]
    return {
        "release": release,
        "runs": len(of_side),
        "failures": sum(r.result in FAILED for r in of_side),
        "median": round(median(good), 1) if good else None,
    }


def got_worse(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str | None:
    """What got worse between two looks, as one sentence; None when nothing did.

    Worse is: a job failed on the new runtime that had not failed there before more often on the old one, or a job's
    median grew past ``SLOWER`` times its old one. Said once per job and cause.
    """
    earlier = {j["name"]: j for j in (before or {}).get("jobs", ())}
    said = []
    for job in now["jobs"]:
        was = earlier.get(job["name"])
        if _fails_more(job) and not (was and _fails_more(was)):
            new = job["new"]
            said.append(f"{job['name']} failed {new['failures']} of {new['runs']} runs on {new['release']}")
        if _slower(job) and not (was and _slower(was)):
            said.append(f"{job['name']} takes {_ratio(job):.1f} times as long as before")
    return "; ".join(said) if said else None


def _fails_more(job: Mapping[str, Any]) -> bool:
    old, new = job["old"], job["new"]
    if not new["failures"]:
        return False
    old_rate = old["failures"] / old["runs"] if old["runs"] else 0.0
    return bool(new["failures"] / new["runs"] > old_rate)


def _slower(job: Mapping[str, Any]) -> bool:
    old, new = job["old"], job["new"]
    if old["runs"] < FEWEST or new["runs"] < FEWEST or not old["median"] or not new["median"]:
        return False
    return _ratio(job) >= SLOWER


def _ratio(job: Mapping[str, Any]) -> float:
    return float(job["new"]["median"]) / float(job["old"]["median"])
