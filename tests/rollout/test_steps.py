"""What the engine does after one look: unknown never leads to a second write before two quiet looks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.change import Holds
from rollout.steps import Look, Patience, Settling, Step, decide

PATIENCE = Patience(http=30, settle=5)
FRESH = Look(Holds.BEFORE, conflicts=False, editable=True, settling=Settling.YES)
UNKNOWN = replace(FRESH, intended=True, intent_age=36)
ANSWERED = replace(FRESH, intended=True, answered=True, holds=Holds.AFTER, intent_age=1, answer_age=1)

CASES = [
    ("an untouched target is written to", FRESH, Step.WRITE),
    ("one that is there already is done", replace(FRESH, holds=Holds.AFTER), Step.DONE),
    ("a third value is a conflict", replace(FRESH, holds=Holds.OTHER), Step.CONFLICT),
    ("a half-changed one is a conflict", replace(FRESH, holds=Holds.MIXED), Step.CONFLICT),
    ("one that cannot be edited now is waited for", replace(FRESH, editable=False), Step.WAIT),
    ("but not for ever", replace(FRESH, editable=False, expired=True), Step.FAIL_STUCK),
    ("a pause gives an unwritten one back", replace(FRESH, may_write=False), Step.RELEASE),
    ("a pause does not hold what is done", replace(FRESH, may_write=False, holds=Holds.AFTER), Step.DONE),
    ("after an answer a lagging read is waited for", replace(ANSWERED, holds=Holds.BEFORE), Step.WAIT),
    (
        "an answered write that never shows is not verified",
        replace(ANSWERED, holds=Holds.BEFORE, answer_age=6),
        Step.FAIL_NOT_VERIFIED,
    ),
    ("a third value after our write is a conflict", replace(ANSWERED, holds=Holds.OTHER, answer_age=6), Step.CONFLICT),
    ("a restart is waited for", replace(ANSWERED, settling=Settling.NOT_YET), Step.WAIT),
    ("but not for ever, either", replace(ANSWERED, settling=Settling.NOT_YET, expired=True), Step.FAIL_STUCK),
    ("a cluster that does not come up fails", replace(ANSWERED, settling=Settling.FAILED), Step.FAIL_CLUSTER),
    ("a restarted one is done", ANSWERED, Step.DONE),
    ("a put-back target with a foreign field is a conflict", replace(ANSWERED, conflicts=True), Step.CONFLICT),
    ("a lost write that shows is taken as written", replace(UNKNOWN, holds=Holds.AFTER), Step.TAKE_AS_WRITTEN),
    ("a lost write is not judged before its time", replace(UNKNOWN, intent_age=34), Step.WAIT),
    ("one quiet look is not enough", UNKNOWN, Step.COUNT_QUIET_LOOK),
    ("two quiet looks are", replace(UNKNOWN, looks=1), Step.FORGET_INTENT),
    ("an edit in the events forbids a second write", replace(UNKNOWN, looks=1, edited=True), Step.WAIT),
    (
        "and in the end a person is asked",
        replace(UNKNOWN, looks=1, edited=True, intent_age=141),
        Step.FAIL_UNKNOWN,
    ),
    ("a third value after a lost write is a conflict", replace(UNKNOWN, holds=Holds.OTHER), Step.CONFLICT),
]


@pytest.mark.parametrize(("look", "step"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_one_look_leads_to_one_step(look: Look, step: Step) -> None:
    assert decide(look, PATIENCE) is step


LOOKS = st.builds(
    Look,
    holds=st.sampled_from(Holds),
    conflicts=st.booleans(),
    editable=st.booleans(),
    settling=st.sampled_from(Settling),
    intended=st.booleans(),
    answered=st.booleans(),
    intent_age=st.floats(0, 1e6),
    answer_age=st.floats(0, 1e6),
    looks=st.integers(0, 5),
    edited=st.sampled_from([None, True, False]),
    expired=st.booleans(),
    may_write=st.booleans(),
)


@given(LOOKS)
def test_a_write_is_sent_only_over_the_old_value_and_never_while_an_earlier_one_is_open(look: Look) -> None:
    if decide(look, PATIENCE) is Step.WRITE:
        assert look.holds is Holds.BEFORE
        assert look.may_write
        assert look.editable
        assert not look.intended
        assert not look.answered


@given(LOOKS)
def test_an_intent_is_forgotten_only_after_its_time_and_two_quiet_looks(look: Look) -> None:
    if decide(look, PATIENCE) is Step.FORGET_INTENT:
        assert look.intent_age >= PATIENCE.unknown
        assert look.looks >= 1
        assert look.holds is Holds.BEFORE
        assert not look.edited


@given(LOOKS)
def test_done_means_that_the_wanted_value_is_there_and_at_rest(look: Look) -> None:
    if decide(look, PATIENCE) is Step.DONE:
        assert look.holds is Holds.AFTER
        assert look.settling is Settling.YES
        assert not look.conflicts
