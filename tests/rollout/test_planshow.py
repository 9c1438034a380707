"""A plan that is written as a file is the same plan when it is read."""

import pytest
import yaml

from checks import CHECKS
from rollout.plan import Escalation, Override, Plan
from rollout.planfile import digest, parse
from rollout.planshow import duration, file_text
from tests.commands.world import sandbox_plan
from tests.rollout.test_teams import PLAN as TEAMS


def _with_teams() -> Plan:
    frozen = """freezes: [{from: 2026-12-18 18:00, to: 2027-01-04 08:00, zone: Europe/Berlin, reason: year end}]
shared_window: {days: [mon, tue], start: "20:00", end: "23:00", zone: Europe/Berlin}
"""
    return parse(TEAMS + frozen, "plan.yml", lambda name: None, ())


def _governed() -> Plan:
    return sandbox_plan().model_copy(
        update={
            "escalation": Escalation(after=5_400, to=("on-call",)),
            "override": Override(role="devops", second="qa"),
        }
    )


@pytest.mark.parametrize("plan", [sandbox_plan, _governed, _with_teams])
def test_a_plan_reads_as_it_was_written(plan: object) -> None:
    assert callable(plan)
    made = plan()
    read = parse(file_text(made), "shown.yml", lambda name: None, CHECKS)
    assert digest(read) == digest(made)


def test_durations_are_written_with_their_units() -> None:
    written = yaml.safe_load(file_text(_governed()))
    assert written["escalation"]["after"] == "1h30m"
    assert [duration(n) for n in (0, 45, 7_200, 129_600)] == ["0", "45s", "2h", "1d12h"]
