"""`/rollout` alone and the Home tab: what is shown of each stage, and what waits for whom."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from commands.home import rollout_blocks
from commands.plaintext import render
from commands.reply import Paragraph, Progress, Reply
from rollout.comparing import Compared
from rollout.people import roles_of
from rollout.states import ActionKind, StageState, Verdict
from storage import facts
from storage.models import Rollout
from tests.commands.test_next_steps import found
from tests.commands.world import PEOPLE, World

S = StageState


def home(world: World, person: str) -> Reply:
    return world.door.home(world.actor(person))


def rolled_back(world: World, stage: str, bad: int = 0) -> None:
    world.started(stage, S.ROLLED_BACK)
    world.carry_out(stage, ActionKind.REVERT, bad=bad)
    world.set_stage(stage, locked=True, locked_reason="rolled back", block_code="actions_failed" if bad else None)


def waiting(reply: Reply) -> str:
    """What stands below "What waits for you"."""
    text = render(reply).split("What waits for you", 1)[1]
    return text.split("You are ", 1)[0]


# -- a stage that was put back -----------------------------------------------------------------------------------------


def test_a_stage_that_was_put_back_has_no_bar_of_the_way_forward(world: World) -> None:
    rolled_back(world, "dev")
    said = home(world, "devops")
    assert "3 of 3 targets put back" in render(said)
    assert "upgraded" not in render(said)
    assert not [b for b in said.blocks if isinstance(b, Progress)]


def test_what_could_not_be_put_back_is_a_bar_of_the_way_back(world: World) -> None:
    rolled_back(world, "dev", bad=1)
    assert [b for b in home(world, "devops").blocks if isinstance(b, Progress)] == [Progress(2, 3, 1, "put back")]


def test_a_difference_after_a_rollback_is_shown_at_home(world: World) -> None:
    rolled_back(world, "dev")
    with world.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, world.rollout_id))
    stages = (replace(standing.stages[0], compared=Compared(equal=2, differ=1)), *standing.stages[1:])
    roles = roles_of(world.plan, PEOPLE["devops"], frozenset())
    blocks = rollout_blocks(replace(standing, stages=stages), PEOPLE["devops"], roles, world.now)
    assert "2 of 3 equal to their backups, 1 differs" in render(Reply("", tuple(blocks)))
    assert [b.button.label for b in blocks if isinstance(b, Paragraph) and b.button] == ["Differences"]


# -- what waits for whom -----------------------------------------------------------------------------------------------


def _blocked(world: World) -> None:
    world.started("dev", S.BLOCKED, bad=1)


def _rejected(world: World) -> None:
    world.started("dev", S.REVIEW)
    world.confirm("developer", "reject dev", reason="It is slow.")


def _unmet(world: World) -> None:
    found(world, "dev", world.plan.stage("dev").criteria[0].key, Verdict.FAIL)
    world.started("dev", S.REVIEW)


def _paused(world: World) -> None:
    world.started("dev", S.UPGRADING)
    world.say("devops", "pause a look first")


@pytest.mark.parametrize(
    ("make", "typed"),
    [
        (lambda world: rolled_back(world, "dev"), "/rollout unlock dev"),
        (lambda world: rolled_back(world, "dev", bad=1), "/rollout rollback dev"),
        (_blocked, "/rollout start dev"),
        (lambda world: None, "/rollout start dev"),
        (_rejected, "/rollout rollback dev"),
        (_unmet, "/rollout recheck dev"),
        (_paused, "/rollout resume"),
    ],
    ids=["rolled back", "not all put back", "blocked", "ready", "rejected", "check fails", "paused"],
)
def test_what_a_role_must_do_waits_for_those_who_hold_it(
    world: World, make: Callable[[World], None], typed: str
) -> None:
    world.tick_all()
    make(world)
    said = home(world, "devops")
    assert typed in render(said).split("Who must act", 1)[1].split("What waits for you")[0]
    assert typed in waiting(said)
    assert "Nothing waits for you" not in render(said)


def test_what_waits_for_others_does_not_wait_for_those_without_the_role(world: World) -> None:
    rolled_back(world, "dev")
    assert "Nothing waits for you now." in waiting(home(world, "product-owner"))


# -- how it is said ----------------------------------------------------------------------------------------------------


def test_one_of_several_has_passed(world: World) -> None:
    world.passed("dev")
    assert "1 of 5 stages has passed." in render(world.say("qa", "status"))
    world.passed("test")
    assert "2 of 5 stages have passed." in render(world.say("qa", "status"))


def test_a_rollback_without_a_reason_has_none_anywhere(world: World) -> None:
    world.started("dev", S.REVIEW)
    world.confirm("devops", "rollback dev")
    world.set_stage("dev", state=S.ROLLED_BACK)
    for text in ("status", "status dev", "start dev", ""):
        assert "rolled back)" not in render(world.say("devops", text))
        assert ": rolled back" not in render(world.say("devops", text))
    form = world.say("devops", "unlock dev").form
    assert form is not None
    assert "dev was rolled back." in render(Reply("", form.body))


def test_several_stages_are_locked_after_their_rollback(world: World) -> None:
    world.passed("dev")
    world.started("test", S.REVIEW)
    arguments = {"rollout": world.rollout_id, "stages": ["test", "dev"]}
    form = world.press("devops", "rollback", arguments).form
    assert form is not None
    assert "Afterwards test and dev are locked until somebody unlocks them with a reason." in render(
        Reply("", form.body)
    )
