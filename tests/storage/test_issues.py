"""Issues under two replicas, over a changed plan file, and in the sealed record."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import delete, update

from rollout.gates import Refuse
from rollout.states import ItemState, StageState
from storage import chain, intents_issues, intents_items, intents_signing, sealing
from storage.models import Issue, Item
from storage.opening import open_rollouts
from tests.commands.world import PEOPLE, World


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, targets=1)
    yield made
    made.close()


def found(**values: Any) -> intents_issues.Found:
    given = {"title": "Late", "critical": False, "about": "other", "owner": PEOPLE["qa"], **values}
    return intents_issues.Found(**given)


def together(*acts: Callable[[], Any]) -> list[Any]:
    """What each of the acts gives when they begin at the same moment."""
    ready, given = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index: int) -> None:
        ready.wait(60)
        try:
            given[index] = acts[index]()
        except Exception as error:
            given[index] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return given


def test_reports_at_the_same_moment_get_numbers_of_their_own(world: World) -> None:
    def report() -> Any:
        return intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, found())

    assert sorted(issue.number for issue in together(*[report] * 6)) == [1, 2, 3, 4, 5, 6]


def test_one_message_reported_twice_at_once_is_one_issue(world: World) -> None:
    def report() -> Any:
        made = found(message="C1:1.2")
        return intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, made)

    given = together(report, report, report)
    assert sum(isinstance(g, Refuse) for g in given) == 2
    with world.database.read() as session:
        assert session.query(Issue).count() == 1


def test_the_last_sign_off_and_a_critical_issue_at_once_never_pass_a_held_stage(world: World) -> None:
    world.started("dev", StageState.REVIEW)

    def approve() -> Any:
        return intents_signing.approve(world.database, world.who("developer"), world.now, world.rollout_id, "dev")

    def report() -> Any:
        made = found(critical=True, stage="dev")
        return intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, made)

    approved, reported = together(approve, report)
    assert reported.number == 1
    passed = world.stage("dev").state is StageState.PASSED
    if isinstance(approved, Refuse):
        assert "issues_open" in {r.code for r in approved.reasons}
    assert passed is not isinstance(approved, Refuse)
    kinds = [e.kind for e in world.events() if e.kind in {"issue", "stage_passed", "approve"}]
    assert (kinds[0] == "issue") is isinstance(approved, Refuse)


def test_the_record_of_an_issue_is_sealed_and_verifies(world: World) -> None:
    intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, found(critical=True))
    intents_issues.resolve(world.database, world.who("devops"), world.now, world.rollout_id, 1, "a", "b")
    sealing.seal_now(world.database, world.rollout_id)
    with world.database.read() as session:
        head = sealing.head_of(session, world.rollout_id)
    assert head is not None
    assert head.count == len(world.events()) + 1  # the opening of the rollout
    assert world.outbox() == ["issue_reported", "issue_resolved"]


def test_an_issue_outlives_a_plan_file_that_is_read_anew(world: World) -> None:
    target = world.targets("dev")[0].id
    made = found(stage="dev", target_id=target, critical=True)
    intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, made)
    open_rollouts(world.database, [world.plan.model_copy(update={"title": "Another title"})], world.now)
    with world.database.read() as session:
        row = session.query(Issue).one()
    assert (row.target_id, row.stage_key) == (None, "dev")
    assert world.say("qa", "/rollout issues 1").refused is None


def test_an_issue_of_a_stage_that_the_plan_has_no_more_still_holds(world: World) -> None:
    made = found(stage="gone", critical=True)
    intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, made)
    world.started("dev", StageState.REVIEW)
    assert world.say("developer", "/rollout approve dev").refused == "issues_open"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            update(Issue).values(open=False),
            "issue #1 is resolved and critical; the record says that it is open and cri",
        ),
        (update(Issue).values(critical=False), "issue #1 is open; the record says that it is open and critical"),
        (delete(Issue), "issue #1, which the record tells of, is not there any more"),
        (update(Item).values(state=ItemState.DONE), "checklist item ITEM is done; the record says that it is open"),
        (delete(Item), None),
        (update(Item).values(by="U0NOBODY99"), "checklist item ITEM does not say what"),
        (update(Item).values(comment="forged"), "checklist item ITEM does not say what"),
    ],
)
def test_what_was_changed_by_hand_in_the_tables_is_found_by_the_audit(
    world: World, edit: Any, said: str | None
) -> None:
    """An item that is open and one that has no row are the same."""
    who, item = world.who("qa"), next(i.key for i in world.plan.checklist if i.by == "person" and "qa" in i.attest)
    intents_issues.report(world.database, who, world.now, world.rollout_id, found(critical=True))
    for state in (ItemState.DONE, ItemState.OPEN):
        done = intents_items.attest(world.database, who, world.now, world.rollout_id, [item], state)
        assert not isinstance(done, Refuse), done
    while sealing.Sealer(world.database, "test").tick():
        pass
    assert chain.verify(world.database, world.rollout_id).intact
    with world.database.write() as session:
        session.execute(edit)
    problems = chain.verify(world.database, world.rollout_id).problems
    assert [p.replace(item, "ITEM")[: len(said or "")] for p in problems] == ([said] if said else [])


@pytest.mark.parametrize("edit", [update(Issue).values(critical=False, ever_critical=False), delete(Issue)])
def test_a_critical_issue_that_somebody_takes_out_by_hand_opens_no_gate(world: World, edit: Any) -> None:
    world.started("dev", StageState.REVIEW)
    made = found(critical=True, stage="dev")
    intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, made)
    with world.database.write() as session:
        session.execute(edit)
    refused = intents_signing.approve(world.database, world.who("developer"), world.now, world.rollout_id, "dev")
    assert isinstance(refused, Refuse)
    assert "evidence_altered" in {r.code for r in refused.reasons}
    assert world.stage("dev").state is StageState.REVIEW
