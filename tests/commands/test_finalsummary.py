"""The final summary is computed from items, stages and issues, and says of each line where its state comes from."""

from commands.reply import Paragraph, Reply
from rollout.finalsummary import Summed, summed
from rollout.plan import SummaryLine
from rollout.states import StageState, Verdict
from storage import facts
from storage.models import Evidence, Rollout
from tests.commands.world import NOW, PEOPLE, World


def lines(world: World) -> dict[str, Summed]:
    with world.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, world.rollout_id))
    return {s.line.key: s for s in summed(standing)}


def text(reply: Reply) -> str:
    return str([b for b in reply.blocks if isinstance(b, Paragraph)])


def test_at_first_nothing_holds_and_each_line_says_what_is_missing(world: World) -> None:
    found = lines(world)
    assert len(found) == 14
    assert not any(s.holds for s in found.values())
    assert all(s.missing for s in found.values())
    assert "0 of 14 lines hold" in text(world.say("qa", "/rollout report"))


def test_items_stages_and_issues_make_it_and_undo_it(world: World) -> None:
    world.tick_all()
    world.passed(*[s.key for s in world.plan.stages])
    assert all(s.holds for s in lines(world).values())
    report = text(world.say("qa", "/rollout report"))
    assert "14 of 14 lines hold" in report
    assert "dev has passed" in report
    assert PEOPLE["devops"] in report
    arguments = {"rollout": world.rollout_id, "title": "Wrong sums", "about": "data", "owner": PEOPLE["qa"]}
    world.press("qa", "issue", {**arguments, "submitted": True})
    open_now = {key for key, s in lines(world).items() if not s.holds}
    assert open_now == {"during-issues", "post-data"}
    assert "1 open issue about data: #1" in text(world.say("qa", "/rollout report"))
    world.press(
        "devops", "resolve", {"rollout": world.rollout_id, "issue": 1, "cause": "a", "fix": "b", "submitted": True}
    )
    arguments = {"rollout": world.rollout_id, "items": ["quality-validated"], "submitted": True}
    world.press("qa", "unmark", arguments)
    assert {key for key, s in lines(world).items() if not s.holds} == {"pre-quality"}


def test_a_stage_that_was_set_to_passed_by_hand_does_not_count(world: World) -> None:
    world.started("dev", StageState.PASSED)
    staged = lines(world)["during-staged"]
    assert not staged.holds
    assert "do not carry" in staged.missing[0].words


def test_a_line_that_rests_on_nothing_never_holds() -> None:
    assert not Summed(SummaryLine(key="x", phase="p", title="t", source="F/x"), ()).holds


def test_it_is_posted_once_when_the_last_stage_passes(world: World) -> None:
    world.tick_all()
    keys = [s.key for s in world.plan.stages]
    world.passed(*keys[:-1])
    world.started(keys[-1], StageState.REVIEW)
    for person in ("developer", "tech-lead", "qa", "devops-2"):
        assert world.confirm(person, f"/rollout approve {keys[-1]}").refused is None
    assert "final_summary" not in world.outbox()
    assert "has passed" in world.confirm("product-owner", f"/rollout approve {keys[-1]}").text
    assert world.outbox().count("final_summary") == 1
    said = world.door.document("final_summary", world.rollout_id, None, {})
    assert said is not None
    assert "14 of 14 lines hold" in said.text
    world.set_stage("dev", state=StageState.ROLLED_BACK)
    assert world.door.document("final_summary", world.rollout_id, None, {}) is None


def test_numbers_that_people_judge_are_no_check_that_fails(world: World) -> None:
    world.passed(*[s.key for s in world.plan.stages])
    judged = {"verdict": Verdict.INCONCLUSIVE, "reason_code": "people_judge"}
    with world.database.write() as session:
        for criterion, more in (("settled", {"verdict": Verdict.PASS}), ("runs_compared", judged)):
            row = {"stage_id": world.stage("dev").id, "generation": 1, "criterion": criterion, **more}
            session.add(Evidence(**row, sentence="So it is.", facts={}, at=NOW))
    assert "dev has passed, 1 of 1 checks hold" in [s.words for s in lines(world)["during-staged"].sources]
