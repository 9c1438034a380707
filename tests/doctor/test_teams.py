"""The doctor looks at the people of teams as soon as a stage asks them to sign."""

from doctor import people
from doctor.finding import Level
from doctor.people import Known
from rollout.plan import EachTeam, OfTeam, Plan, Team
from tests.bot.harness import plan


def of_teams(asks: bool) -> Plan:
    made = plan(members=("U0000DEV1",))
    teams = {
        "orders": Team(title="Orders", select=OfTeam(names=("orders-*",)), members=("U000ORDER",)),
        "search": Team(title="Search", select=OfTeam(names=("search-*",)), group="S000SEARCH"),
    }
    rule = {"dev": EachTeam()} if asks else {}
    stages = tuple(s.model_copy(update={"each_team": rule}) for s in made.stages)
    return made.model_copy(update={"teams": teams, "stages": stages})


def test_a_team_in_which_nobody_can_act_fails_once_a_stage_asks_it() -> None:
    known = Known({"U0000DEV1": None, "U000ORDER": None}, {"S000SEARCH": frozenset()}, {})
    found = {f.subject: f.level for f in people.roles(of_teams(True), known)}
    assert found["team orders of sample"] is Level.OK
    assert found["team search of sample"] is Level.FAIL
    assert not any(f.subject.startswith("team") for f in people.roles(of_teams(False), known))


def test_people_of_teams_are_looked_up_only_where_they_sign() -> None:
    assert people.named(of_teams(True)) == ({"U0000DEV1", "U000ORDER"}, {"S000SEARCH"})
    assert people.named(of_teams(False)) == ({"U0000DEV1"}, frozenset())
