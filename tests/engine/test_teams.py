"""Each team signs for its own targets, and what was not signed in time is put back by the engine itself."""

from pathlib import Path

import pytest
from sqlalchemy import select

from rollout.plan import EachTeam, OfTeam, Plan, Team
from rollout.states import ActionKind, ActionState, StageState
from storage.models import Event, KnownPerson, Outbox
from tests.engine.harness import plan_of_two, world
from tests.engine.test_story import SMALL


def of_teams() -> Plan:
    plan = plan_of_two()
    teams = {
        "mine": Team(title="Mine", select=OfTeam(names=("running", "nightly")), members=("U0LEAD0001",)),
        "theirs": Team(title="Theirs", select=OfTeam(names=("stopped",)), members=("U0THEIRS01",)),
    }
    first = plan.stages[0].model_copy(update={"each_team": {"qa": EachTeam(after=2 * 86_400, unsigned="pin")}})
    return plan.model_copy(update={"teams": teams, "stages": (first, *plan.stages[1:])})


@pytest.mark.parametrize("replicas", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_what_a_team_does_not_sign_in_time_goes_back_and_the_others_go_on(
    migrated_url: str, tmp_path: Path, replicas: int
) -> None:
    if replicas > 1 and migrated_url.startswith("sqlite"):
        return  # one engine works on a SQLite file
    with world(migrated_url, tmp_path, SMALL, of_teams()) as made:
        with made.database.write() as session:
            known = {"team_id": "T0TEST", "available": True, "checked_at": made.calendar()}
            session.add(KnownPerson(user_id="U0THEIRS01", **known))
        for number in range(replicas):
            made.engine(f"engine-{number}")
        made.looked()
        assert {t.name: t.team for t in made.targets("first")}["stopped"] == "theirs"
        made.start("first")
        made.until("first", StageState.REVIEW)
        made.approve("first", "U0LEAD0001")
        assert made.state("first") is StageState.REVIEW
        made.step(40 * 3600)

        def warned() -> bool:
            with made.database.read() as session:
                return bool(session.execute(select(Outbox.id).where(Outbox.kind == "team_warned")).first())

        made.wait(warned, "the warning")
        made.step(12 * 3600)
        made.until("first", StageState.PASSED)

        def back() -> bool:
            reverts = [a for a in made.actions("first") if a.kind is ActionKind.REVERT]
            return [a.state for a in reverts] == [ActionState.DONE]

        made.wait(back, "the way back", step=30)
        assert made.raw("dev", "cluster", "stopped")["spark_version"] == "13.3.x-scala2.12"
        assert made.raw("dev", "cluster", "running")["spark_version"] == "17.3.x-scala2.13"
        (pinned,) = [t for t in made.targets("first") if t.pinned_reason]
        assert pinned.name == "stopped"
        assert "team Theirs did not sign by" in (pinned.pinned_reason or "")
        with made.database.read() as session:
            unsigned = session.execute(select(Event).where(Event.kind == "team_unsigned")).scalars().all()
            assert [e.data["team"] for e in unsigned] == ["theirs"]
