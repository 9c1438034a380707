"""One action, look by look: what is not known is not called good, not written twice, and not waited for in vain."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from engine.claimed import MOST_UNANSWERED
from engine.execute import execute
from engine.parts import Parts
from rollout.states import ActionKind, ActionState, StageState
from storage import actions
from storage.models import Backup
from storage.secrets import Vault
from tests.engine.desk import NEW, OLD, Desk, desk, seen
from workspace.errors import Forbidden, OutcomeUnknown, Throttled, Unavailable

OTHER_KEY = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        made.put(StageState.UPGRADING)
        yield made


def failing(error: Exception, times: int = 1_000_000) -> Any:
    """Something that raises so many times and then does nothing."""
    left = [times]

    def fail(_object_id: str) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    return fail


def test_a_change_is_written_once_and_verified(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.work(rounds=3)
    assert bench.get(change).state is ActionState.DONE
    assert bench.kind.writes == ["c"]


# -- what a look after the change knows --------------------------------------------------------------------------------


def test_the_last_look_sees_a_cluster_that_went_down_after_its_change(bench: Desk) -> None:
    target = bench.target("c", state="RUNNING", version=NEW)
    bench.action(target, ActionKind.CHANGE, ActionState.DONE, seen=seen({"state": "RUNNING"}))
    bench.kind.raws["c"].update(state="TERMINATED", termination_reason={"code": "DRIVER_UNREACHABLE"})
    assert bench.advance() is StageState.VALIDATING
    bench.work(rounds=2)
    (look,) = bench.of(target, ActionKind.VALIDATE)
    assert (look.state, look.reason_code) == (ActionState.FAILED, "cluster_error")


def test_a_retry_does_not_call_a_cluster_good_that_never_came_up(bench: Desk) -> None:
    target = bench.target("c", version=NEW)
    before = {"seen": seen({"state": "RUNNING"}), "reason_code": "cluster_error"}
    bench.action(target, ActionKind.CHANGE, ActionState.FAILED, **before)
    bench.kind.raws["c"].update(state="TERMINATED", termination_reason={"code": "DRIVER_UNREACHABLE"})
    again = bench.action(target, ActionKind.CHANGE, attempt=2)
    bench.work(rounds=2)
    assert (bench.get(again).state, bench.get(again).reason_code) == (ActionState.FAILED, "cluster_error")
    bench.kind.raws["c"].update(state="RUNNING", last_restarted_time=2)
    third = bench.action(target, ActionKind.CHANGE, attempt=3)
    bench.work(rounds=2)
    assert bench.get(third).state is ActionState.DONE, "somebody started it: now it is good"


def test_an_old_value_read_by_the_last_look_is_read_again_before_it_is_a_conflict(bench: Desk) -> None:
    bench.put(StageState.VALIDATING)
    lagging = bench.action(bench.target("lagging"), ActionKind.VALIDATE)
    changed = bench.action(bench.target("changed"), ActionKind.VALIDATE)
    bench.work()
    assert bench.get(lagging).state is ActionState.RUNNING
    bench.kind.raws["lagging"]["spark_version"] = NEW
    bench.work()
    assert bench.get(lagging).state is ActionState.DONE
    assert bench.get(changed).state is ActionState.CONFLICT


def test_a_revert_that_finds_nothing_to_put_back_looks_again_before_it_believes_that(bench: Desk) -> None:
    target = bench.backed_up("c")
    bench.put(StageState.ROLLING_BACK)
    revert = bench.action(target, ActionKind.REVERT)
    bench.work()
    assert bench.get(revert).state is ActionState.RUNNING, "a lagging read, or a write that is still on its way"
    bench.kind.raws["c"]["spark_version"] = NEW
    bench.work(rounds=3)
    assert bench.get(revert).state is ActionState.DONE
    assert bench.kind.raws["c"]["spark_version"] == OLD


# -- the database ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["look_again", "commit", "end"])
def test_a_database_that_is_away_for_a_moment_fails_no_action(
    bench: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    away = [True]
    real = getattr(actions, moment)

    def once(*arguments: Any, **values: Any) -> None:
        if away[0]:
            away[0] = False
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))
        real(*arguments, **values)

    if moment == "look_again":
        bench.kind.raws["c"]["state"] = "RESIZING"
    monkeypatch.setattr(actions, moment, once)
    bench.work()
    assert bench.get(change).state is ActionState.RUNNING
    bench.kind.raws["c"]["state"] = "TERMINATED"
    bench.work(seconds=bench.parts.lease_seconds, rounds=6)
    assert bench.get(change).state is ActionState.DONE
    assert bench.kind.writes == ["c"]


def test_an_error_of_ours_while_a_write_may_be_on_its_way_does_not_end_the_action(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_apply = failing(RuntimeError("a defect"), times=1)
    bench.work()
    assert bench.get(change).state is ActionState.RUNNING, "a revert must not run beside a write of unknown outcome"
    bench.database.push(bench.parts.lease_seconds)
    bench.kind.on_read = failing(RuntimeError("a defect"))
    bench.work()
    assert (bench.get(change).state, bench.get(change).reason_code) == (ActionState.FAILED, "internal_error")


# -- leases ------------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_when_committing_the_intent_took_too_much_of_the_lease(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    real = actions.commit
    slow = [True]

    def commit(session: Any, claim: Any, **values: Any) -> None:
        real(session, claim, **values)
        if values.get("intent_at") is not None and slow[0]:
            slow[0] = False
            bench.database.push(bench.parts.lease_seconds - 10)

    monkeypatch.setattr(actions, "commit", commit)
    (claim,) = bench.claim()
    execute(bench.parts, claim)
    assert bench.kind.writes == [], "less lease was left than a call may take"
    assert bench.get(change).intent_at is None
    bench.work(rounds=3)
    assert (bench.get(change).state, bench.kind.writes) == (ActionState.DONE, ["c"])


def test_who_lost_the_lease_while_reading_writes_nothing(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    thawed = bench.replica("thawed")
    (frozen,) = bench.claim(parts=thawed)

    def freeze(_object_id: str) -> None:
        bench.kind.on_read = lambda _: None
        bench.database.push(bench.parts.lease_seconds + 1)
        bench.work(rounds=3)

    bench.kind.on_read = freeze
    execute(thawed, frozen)
    assert bench.kind.writes == ["c"]
    assert bench.get(change).state is ActionState.DONE


def test_reads_that_are_always_too_slow_for_the_lease_end_with_a_person(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_read = lambda _: bench.database.push(bench.parts.lease_seconds - 10)
    bench.now += timedelta(hours=2)  # a calendar that runs fast says nothing of how long a look takes
    bench.work(rounds=MOST_UNANSWERED - 1)
    assert bench.get(change).state is ActionState.RUNNING
    bench.work(rounds=2)
    assert (bench.get(change).state, bench.get(change).reason_code) == (ActionState.FAILED, "stuck")
    assert bench.kind.writes == []


# -- answers that do not come ------------------------------------------------------------------------------------------


def test_a_workspace_that_never_answers_again_after_a_write_ends_with_a_person(bench: Desk) -> None:
    target = bench.backed_up("c", state="RUNNING")
    change = bench.action(target, ActionKind.CHANGE)
    bench.work()
    assert bench.kind.writes == ["c"]
    bench.kind.on_read = failing(Unavailable("no answer"))
    bench.work(seconds=60, rounds=MOST_UNANSWERED + 1)
    assert (bench.get(change).state, bench.get(change).reason_code) == (ActionState.FAILED, "workspace_unreachable")


def test_a_workspace_that_only_throttles_ends_with_a_person(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_read = failing(Throttled("too many", 1))
    bench.work(seconds=60, rounds=MOST_UNANSWERED + 1)
    assert (bench.get(change).state, bench.get(change).reason_code) == (ActionState.FAILED, "workspace_unreachable")


def test_only_looks_in_a_row_that_were_not_answered_count(bench: Desk) -> None:
    target = bench.backed_up("c", state="RESIZING")
    change = bench.action(target, ActionKind.CHANGE)
    for _ in range(MOST_UNANSWERED):
        bench.kind.on_read = failing(Unavailable("no answer"), times=1)
        bench.work(seconds=60, rounds=2)
    assert bench.get(change).state is ActionState.RUNNING


@pytest.mark.parametrize("error", [Throttled("too many", 1), Unavailable("no answer")])
def test_one_look_without_an_answer_long_after_a_lost_write_does_not_end_the_action(
    bench: Desk, error: Exception
) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_apply = failing(OutcomeUnknown("lost"), times=1)
    bench.work()
    bench.database.push(3600)  # nobody was there to look
    bench.kind.on_read = failing(error, times=1)
    bench.work(seconds=60, rounds=6)
    assert (bench.get(change).state, bench.kind.writes) == (ActionState.DONE, ["c"])


def test_a_workspace_that_never_answers_again_after_a_lost_write_ends_with_a_person(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_apply = failing(OutcomeUnknown("lost"), times=1)
    bench.work()
    bench.kind.on_read = failing(Unavailable("no answer"))
    bench.work(seconds=60, rounds=MOST_UNANSWERED - 1)
    assert bench.get(change).state is ActionState.RUNNING
    bench.work(seconds=60, rounds=2)
    assert (bench.get(change).state, bench.get(change).reason_code) == (ActionState.FAILED, "workspace_unreachable")


def test_a_refused_look_while_a_write_may_be_on_its_way_does_not_end_the_action(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_apply = failing(OutcomeUnknown("lost"), times=1)
    bench.work()
    bench.kind.on_read = failing(Forbidden("no"))
    bench.work()
    assert bench.get(change).state is ActionState.RUNNING, "a revert must not run beside a write of unknown outcome"
    bench.work(seconds=40, rounds=3)
    assert (bench.get(change).state, bench.get(change).reason_code) == (ActionState.FAILED, "permission_denied")


def test_a_lost_write_is_sent_again_only_after_two_quiet_looks(bench: Desk) -> None:
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)
    bench.kind.on_apply = failing(OutcomeUnknown("lost"), times=1)
    rounds, began = 0, bench.database.machine()
    while not bench.kind.writes:
        bench.work(seconds=1)
        rounds += 1
        assert rounds < 200
    waited = (bench.database.machine() - began).total_seconds()
    assert waited >= bench.parts.patience.unknown + bench.parts.patience.settle
    bench.work(rounds=2)
    assert bench.get(change).state is ActionState.DONE


def test_a_backup_that_the_keys_no_longer_open_is_said_as_such(bench: Desk) -> None:
    target = bench.backed_up("c")
    bench.put(StageState.ROLLING_BACK)
    revert = bench.action(target, ActionKind.REVERT)
    p = bench.parts
    foreign = Parts(p.database, p.calendar, p.clients, Vault([OTHER_KEY]), "other", p.patience)
    (claim,) = bench.claim(parts=foreign)
    execute(foreign, claim)
    assert (bench.get(revert).state, bench.get(revert).reason_code) == (ActionState.FAILED, "no_backup")
    assert "ROLLOUT_SECRET_KEYS" in (bench.get(revert).sentence or "")


def test_the_backup_of_another_target_is_never_put_back(bench: Desk) -> None:
    target, other = bench.backed_up("c"), bench.backed_up("d")
    with bench.database.write() as session:
        theirs = session.execute(select(Backup).where(Backup.target_id == other)).scalar_one()
        changed = {"ciphertext": theirs.ciphertext, "digest": theirs.digest}
        session.execute(update(Backup).where(Backup.target_id == target).values(**changed))
    before = dict(bench.kind.raws["c"])
    bench.put(StageState.ROLLING_BACK)
    revert = bench.action(target, ActionKind.REVERT)
    bench.work()
    assert (bench.get(revert).state, bench.get(revert).reason_code) == (ActionState.FAILED, "backup_altered")
    assert bench.kind.raws["c"] == before


def test_a_target_that_was_written_to_late_still_gets_its_time_to_come_to_rest(bench: Desk) -> None:
    target = bench.backed_up("c", state="RESTARTING")
    change = bench.action(target, ActionKind.CHANGE)
    bench.work()
    assert bench.get(change).state is ActionState.RUNNING, "it restarts by itself: nothing can be written yet"
    bench.now += timedelta(minutes=44)
    bench.kind.raws["c"]["state"] = "RUNNING"

    def restarts(key: str) -> None:
        bench.kind.raws[key] |= {"state": "RESTARTING"}

    bench.kind.on_apply = restarts
    bench.work(rounds=2)
    bench.now += timedelta(minutes=10)
    bench.work()
    assert bench.get(change).state is ActionState.RUNNING, "ten minutes after the write is not too long"
    bench.now += timedelta(minutes=40)
    bench.work()
    assert bench.get(change).reason_code == "stuck"
