"""Every gate as a table: which facts refuse, with which reason codes, and that each reason says what to do next."""

from dataclasses import replace
from typing import Any

import pytest

from rollout import gates
from rollout.facts import (
    AttestFacts,
    May,
    PauseFacts,
    Predecessor,
    RetryFacts,
    RollBackFacts,
    SignFacts,
    StartFacts,
    TargetRollBackFacts,
    UnlockFacts,
)
from rollout.states import ActionState, StageState

YES, NO = May(True, ("DevOps", "Tech Lead")), May(False, ("DevOps", "Tech Lead"))
S = StageState


def codes(decision: gates.Decision) -> list[str]:
    """The reason codes of a decision; each reason must say what to do next."""
    if isinstance(decision, gates.Proceed):
        return []
    assert all(reason.sentence and reason.next_step for reason in decision.reasons)
    return [reason.code for reason in decision.reasons]


START = StartFacts(
    stage="staging",
    state=S.READY,
    may=YES,
    actor="U1",
    required={"qa": 1, "lead": 1},
    candidates={"qa": frozenset({"U2"}), "lead": frozenset({"U3", "U1"})},
    titles={"qa": "QA", "lead": "Tech Lead"},
)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"state": S.WAITING}, []),  # the state column alone refuses nothing
        ({"may": NO}, ["not_permitted"]),
        ({"state": S.PREPARING}, ["stage_busy"]),
        ({"state": S.UPGRADING}, ["stage_busy"]),
        ({"state": S.VALIDATING}, ["stage_busy"]),
        ({"state": S.BAKING}, ["stage_busy"]),
        ({"state": S.REVIEW}, ["stage_busy"]),
        ({"state": S.ROLLING_BACK}, ["stage_busy"]),
        ({"state": S.PASSED}, ["stage_passed"]),
        ({"state": S.ROLLED_BACK, "locked": True}, ["stage_locked"]),
        ({"state": S.PASSED, "may": NO}, ["not_permitted", "stage_passed"]),
        ({"not_passed": (Predecessor("dev", S.READY),)}, ["predecessor_not_passed"]),
        ({"not_passed": (Predecessor("dev", S.REVIEW, ("QA",)),)}, ["predecessor_not_passed"]),
        ({"not_passed": (Predecessor("dev", S.PASSED, ("QA",)),)}, ["predecessor_not_passed"]),
        ({"not_passed": (Predecessor("dev", S.REVIEW, (), True),)}, ["predecessor_not_passed"]),
        (
            {"not_passed": (Predecessor("a", S.ROLLED_BACK), Predecessor("b", S.WAITING))},
            ["predecessor_not_passed"] * 2,
        ),
        ({"paused": True}, ["rollout_paused"]),
        ({"items_open": ("one", "two", "three", "four")}, ["items_open"]),
        ({"never_looked": ("test",), "targets": 0}, ["no_discovery"]),
        ({"stale": ("test",)}, ["discovery_stale"]),
        ({"unreachable": (("test", "no answer"), ("prod", "403"))}, ["workspace_unreachable"] * 2),
        ({"targets": 0}, ["no_targets"]),
        ({"candidates": {"qa": frozenset(), "lead": frozenset({"U3"})}}, ["roles_unfilled"]),
        ({"candidates": {"qa": frozenset({"U3"}), "lead": frozenset({"U3"})}}, ["roles_unfilled"]),
        ({"candidates": {"qa": frozenset({"U2"}), "lead": frozenset({"U1"})}}, ["starter_needed_as_signer"]),
        ({"candidates": {"qa": frozenset({"U1", "U3"}), "lead": frozenset({"U3"})}}, ["starter_needed_as_signer"]),
        ({"required": {"lead": 2}, "candidates": {"lead": frozenset({"U1", "U3"})}}, ["starter_needed_as_signer"]),
        ({"required": {}}, []),
        (
            {"paused": True, "items_open": ("x",), "stale": ("a",), "not_passed": (Predecessor("dev", S.READY),)},
            ["predecessor_not_passed", "rollout_paused", "items_open", "discovery_stale"],
        ),
    ],
)
def test_a_stage_starts_only_when_nothing_speaks_against_it(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(gates.may_start(replace(START, **changed))) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"may": NO}, ["not_permitted"]),
        ({"state": S.UPGRADING}, ["nothing_to_retry"]),
        ({"paused": True}, ["rollout_paused"]),
        ({"may": NO, "paused": True, "state": S.READY}, ["not_permitted", "nothing_to_retry", "rollout_paused"]),
    ],
)
def test_only_a_blocked_stage_is_retried(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(gates.may_retry(replace(RetryFacts("dev", S.BLOCKED, YES), **changed))) == expected


SIGN = SignFacts("canary", S.REVIEW, "U2", "U1", ("qa",), ("qa",), ("QA", "Tech Lead"), titles={"qa": "QA"})


@pytest.mark.parametrize(
    ("changed", "approve", "reject"),
    [
        ({}, [], []),
        ({"held": (), "open_roles": ()}, ["not_a_role_holder"], ["not_a_role_holder"]),
        ({"started_by": "U2"}, ["started_by_you"], ["started_by_you"]),
        ({"said": "granted", "open_roles": ()}, ["already_signed"], []),
        ({"said": "rejected"}, [], ["already_signed"]),
        ({"open_roles": ()}, ["role_filled"], []),
        ({"state": S.UPGRADING, "doing": "is upgrading"}, ["nothing_to_approve"], ["nothing_to_approve"]),
        ({"state": S.PASSED}, ["nothing_to_approve"], ["nothing_to_approve"]),
        ({"state": S.READY, "elsewhere": ("dev",)}, ["nothing_to_approve"], ["nothing_to_approve"]),
        (
            {"held": (), "state": S.READY},
            ["not_a_role_holder", "nothing_to_approve"],
            ["not_a_role_holder", "nothing_to_approve"],
        ),
    ],
)
def test_only_an_open_role_signs_and_never_the_starter(
    changed: dict[str, Any], approve: list[str], reject: list[str]
) -> None:
    facts = replace(SIGN, **changed)
    assert codes(gates.may_approve(facts)) == approve
    assert codes(gates.may_reject(facts)) == reject


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        *[
            ({"state": s}, [])
            for s in (S.PREPARING, S.UPGRADING, S.VALIDATING, S.BAKING, S.REVIEW, S.BLOCKED, S.PASSED)
        ],
        ({"state": S.READY}, ["nothing_to_roll_back"]),
        ({"state": S.WAITING}, ["nothing_to_roll_back"]),
        ({"state": S.ROLLING_BACK}, ["rollback_running"]),
        ({"state": S.ROLLED_BACK}, ["nothing_to_roll_back"]),
        ({"state": S.ROLLED_BACK, "bad_reverts": 2}, []),
        ({"state": S.ROLLED_BACK, "in_use": 1}, []),
        ({"may": NO}, ["not_permitted"]),
        ({"later_started": ("full",)}, ["later_stage_started"]),
        ({"may": NO, "later_started": ("full",)}, ["not_permitted", "later_stage_started"]),
    ],
)
def test_whatever_has_changes_can_be_rolled_back_latest_first(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(gates.may_roll_back(replace(RollBackFacts("canary", S.PASSED, YES), **changed))) == expected


TARGET = TargetRollBackFacts("job", "dev", S.UPGRADING, YES, acted=True, change=ActionState.DONE)


@pytest.mark.parametrize(
    ("changed", "expected", "reverts"),
    [
        ({}, [], True),
        ({"state": S.PASSED}, [], True),
        ({"change": ActionState.FAILED}, [], True),
        ({"change": ActionState.PENDING}, [], False),
        ({"change": None}, [], False),
        ({"running": True}, ["actions_in_flight"], True),
        ({"acted": False, "change": None}, ["nothing_to_roll_back"], False),
        ({"state": None}, ["nothing_to_roll_back"], True),
        ({"state": S.READY, "acted": False}, ["nothing_to_roll_back"], True),
        ({"state": S.ROLLING_BACK}, ["rollback_running"], True),
        ({"state": S.ROLLED_BACK}, ["nothing_to_roll_back"], True),
        ({"pinned": True, "revert": ActionState.DONE}, ["nothing_to_roll_back"], False),
        ({"pinned": True, "revert": ActionState.CONFLICT}, [], True),
        ({"may": NO}, ["not_permitted"], True),
    ],
)
def test_a_target_is_put_back_once_nothing_runs_on_it(
    changed: dict[str, Any], expected: list[str], reverts: bool
) -> None:
    facts = replace(TARGET, **changed)
    assert codes(gates.may_roll_back_target(facts)) == expected
    assert gates.needs_revert(facts) is reverts


@pytest.mark.parametrize(
    ("may", "paused", "pause", "resume"),
    [
        (YES, False, [], ["not_paused"]),
        (YES, True, ["already_paused"], []),
        (NO, False, ["not_permitted"], ["not_permitted", "not_paused"]),
        (NO, True, ["not_permitted", "already_paused"], ["not_permitted"]),
    ],
)
def test_pause_and_resume_take_turns(may: May, paused: bool, pause: list[str], resume: list[str]) -> None:
    facts = PauseFacts(may, paused, "looking")
    assert codes(gates.may_pause(facts)) == pause
    assert codes(gates.may_resume(facts)) == resume


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"locked": False}, ["not_locked"]),
        ({"state": S.ROLLING_BACK}, ["rollback_running"]),
        ({"reason": "  "}, ["reason_required"]),
        ({"may": NO}, ["not_permitted"]),
    ],
)
def test_only_what_was_rolled_back_is_unlocked_and_with_a_reason(changed: dict[str, Any], expected: list[str]) -> None:
    facts = UnlockFacts("dev", S.ROLLED_BACK, True, YES, "fixed")
    assert codes(gates.may_unlock(replace(facts, **changed))) == expected


def test_the_unlock_form_opens_without_a_reason() -> None:
    facts = UnlockFacts("dev", S.ROLLED_BACK, True, YES)
    assert codes(gates.may_unlock(facts, submitted=False)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"actor_roles": ()}, ["not_a_role_holder"]),
        ({"unknown": ("x",)}, ["unknown_item"]),
        ({"by_the_bot": ("Backups",)}, ["not_attestable"]),
        ({"not_theirs": (("Runbooks", ("QA",)),)}, ["not_permitted"]),
        ({"nothing": True}, ["missing_argument"]),
        ({"reason_missing": True}, ["reason_required"]),
        ({"actor_roles": (), "not_theirs": (("Runbooks", ("QA",)),)}, ["not_a_role_holder"]),
    ],
)
def test_items_are_ticked_by_those_who_may(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(gates.may_attest(replace(AttestFacts(("qa",)), **changed))) == expected


def test_a_support_is_not_put_back_by_itself() -> None:
    shared = TargetRollBackFacts("etl", None, None, YES, support=True)
    assert codes(gates.may_roll_back_target(shared)) == ["support_in_use"]
