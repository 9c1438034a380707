"""A start that waits for its time: begun once, in the name of who scheduled it, or refused then and told."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from commands.reply import Buttons, FieldErrors, Reply, Request, Surface
from rollout.states import ActionKind, StageState
from storage import intents_schedule
from storage.database import Database
from storage.models import Event, Outbox, ScheduledStart, Target
from storage.opening import open_rollouts
from tests.commands.world import NOW, PEOPLE, World

LATER = NOW + timedelta(hours=10)


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url)
    made.tick_all()
    yield made
    made.close()


def schedule(world: World, when: object = None) -> Reply:
    return world.confirm("devops", "start dev", begin_at=int(LATER.timestamp()) if when is None else when)


def rows(world: World) -> list[str]:
    with world.database.read() as session:
        return list(session.execute(select(ScheduledStart.state).order_by(ScheduledStart.id)).scalars())


def told(world: World, kind: str) -> Reply:
    with world.database.read() as session:
        row = session.execute(select(Outbox).where(Outbox.kind == kind).order_by(Outbox.id.desc())).scalars().first()
        assert row is not None, kind
    reply = world.door.document(kind, row.rollout_id, row.stage_id, row.ids)
    assert reply is not None
    return reply


def buttons(reply: Reply) -> list[str]:
    return [b.verb for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]


def due(world: World, when: datetime = LATER) -> int:
    world.now = when
    return intents_schedule.begin_due(world.database, when)


def test_a_start_begins_when_it_is_due_and_not_before(world: World) -> None:
    reply = schedule(world)
    assert reply.refused is None
    assert "cancel" in buttons(reply)
    assert world.stage("dev").state is StageState.READY
    assert due(world, LATER - timedelta(seconds=1)) == 0
    assert due(world) == 1
    assert world.stage("dev").state is StageState.PREPARING
    assert world.stage("dev").started_by == PEOPLE["devops"]
    assert (rows(world), due(world)) == (["begun"], 0)
    assert [e.surface for e in world.events("start")] == ["schedule"]


def test_what_repositories_own_is_backed_up_by_a_start_that_was_due_too(world: World) -> None:
    owned = world.targets("dev")[0].id
    values = {"change": None, "skip_code": "managed_by_bundle", "managed_by": "bundle", "proposal": [{"path": ["x"]}]}
    with world.database.write() as session:
        session.execute(update(Target).where(Target.id == owned).values(**values))
    schedule(world)
    assert due(world) == 1
    assert {a.target_id: a.change is None for a in world.actions("dev", ActionKind.BACKUP)} == {
        t.id: t.id == owned for t in world.targets("dev")
    }


def test_status_and_channel_say_when_it_begins_with_a_button_that_cancels(world: World) -> None:
    schedule(world)
    for reply in (world.say("devops", "status dev"), world.say("qa", "status"), told(world, "start_scheduled")):
        assert repr(LATER) in repr(reply.blocks)
    assert "cancel" in buttons(world.say("devops", "status dev"))
    assert "cancel" not in buttons(world.say("qa", "status dev"))
    assert world.press("qa", "cancel", {"stage": "dev"}).refused == "not_permitted"
    assert world.press("devops", "cancel", {"stage": "dev"}).refused is None
    assert (rows(world), due(world)) == (["cancelled"], 0)
    assert world.stage("dev").state is StageState.READY
    assert world.press("devops", "cancel", {"stage": "dev"}).refused == "nothing_scheduled"
    assert PEOPLE["devops"] in repr(told(world, "start_cancelled"))


@pytest.mark.parametrize("why", ["paused", "other targets", "overlap", "left the company", "far too late"])
def test_what_no_longer_holds_when_it_is_due_refuses_it_and_tells_the_starter(world: World, why: str) -> None:
    schedule(world)
    when, code = LATER, {"paused": "rollout_paused", "other targets": "change_set_changed"}.get(why, "time_passed")
    if why == "paused":
        assert world.say("on-call", "pause incident").refused is None
    elif why == "other targets":
        with world.database.write() as session:
            target = world.targets("dev")[0].id
            session.execute(update(Target).where(Target.id == target).values(pinned_reason="keep"))
    elif why == "overlap":
        code = "selection_overlap"
        with world.database.write() as session:
            session.execute(update(Target).where(Target.id == world.targets("dev")[0].id).values(also_in=["test"]))
    elif why == "left the company":
        world.forget_people("devops")
        code = "deactivated_account"
    else:
        when = LATER + intents_schedule.LATEST + timedelta(seconds=1)
    assert due(world, when) == 0
    assert rows(world) == ["refused"]
    assert world.stage("dev").state is StageState.READY
    shown = repr(told(world, "start_refused"))
    assert code in shown
    assert f"Person(user_id='{PEOPLE['devops']}')" in shown
    assert [(e.outcome, e.reason_code) for e in world.events("start")] == [("refused", code)]
    assert due(world, when) == 0, "it is refused once"


def test_a_later_choice_replaces_the_earlier_one_and_a_start_by_hand_ends_it(world: World) -> None:
    schedule(world)
    schedule(world, int((LATER + timedelta(hours=1)).timestamp()))
    assert (rows(world), due(world)) == (["cancelled", "waiting"], 0)
    assert world.confirm("devops", "start dev").refused is None
    assert (rows(world), due(world, LATER + timedelta(hours=2))) == (["cancelled", "cancelled"], 0)


def test_a_time_that_has_passed_or_cannot_be_read_is_a_mistake_in_the_form(world: World) -> None:
    with pytest.raises(FieldErrors) as passed:
        schedule(world, int(NOW.timestamp()))
    assert "it is 2026-03-02 10:00 UTC now" in passed.value.errors["begin_at"]
    assert rows(world) == []
    form = world.say("devops", "start dev").form
    assert form is not None
    arguments = {**form.arguments, "begin_at": "tomorrow", "submitted": True}
    with pytest.raises(FieldErrors):
        world.door.check_form(Request(world.actor("devops"), "start", arguments, Surface.MODAL))


def test_in_a_terminal_the_time_is_typed(world: World) -> None:
    assert schedule(world, "2026-03-02 20:00").refused is None
    with world.database.read() as session:
        assert session.execute(select(ScheduledStart.begin_at)).scalar_one() == datetime(2026, 3, 2, 20, tzinfo=UTC)


def test_two_replicas_begin_it_once_and_a_restart_forgets_nothing(world: World) -> None:
    schedule(world)
    url = world.database.url.render_as_string(hide_password=False)
    both = [Database(url), Database(url)]
    began: list[int] = []
    gate = threading.Barrier(2)

    def replica(database: Database) -> None:
        gate.wait(60)
        began.append(intents_schedule.begin_due(database, LATER))

    threads = [threading.Thread(target=replica, args=(database,)) for database in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for database in both:
        database.close()
    assert sorted(began) == [0, 1]
    assert world.stage("dev").state is StageState.PREPARING
    assert len(world.events("start")) == 1


def test_a_plan_that_is_read_anew_drops_what_was_confirmed_of_the_old_one_and_says_so(world: World) -> None:
    schedule(world)
    with world.database.write() as session:  # a plan on which somebody ticked something is not read anew
        session.execute(delete(Event).where(Event.kind == "checklist"))
    changed = world.plan.model_copy(update={"title": "Another title"})
    open_rollouts(world.database, [changed], NOW)
    assert rows(world) == []
    assert "change_set_changed" in repr(told(world, "start_refused"))
