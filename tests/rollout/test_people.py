"""Whether distinct people can fill the required roles."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.people import unfilled

PEOPLE = "abcde"


@pytest.mark.parametrize(
    ("required", "candidates", "excluded", "missing"),
    [
        ({"qa": 1}, {"qa": "a"}, "", ()),
        ({"qa": 1}, {"qa": ""}, "", ("qa",)),
        ({"qa": 1}, {}, "", ("qa",)),
        ({"qa": 1}, {"qa": "a"}, "a", ("qa",)),
        ({"lead": 1, "qa": 1}, {"lead": "a", "qa": "a"}, "", ("qa",)),
        ({"lead": 1, "qa": 1}, {"lead": "ab", "qa": "a"}, "", ()),  # the first choice has to move
        ({"qa": 2}, {"qa": "ab"}, "", ()),
        ({"qa": 3}, {"qa": "ab"}, "", ("qa",)),
        ({}, {}, "", ()),
    ],
)
def test_one_person_fills_one_place(
    required: dict[str, int], candidates: dict[str, str], excluded: str, missing: tuple[str, ...]
) -> None:
    assert unfilled(required, candidates, excluded) == missing


@given(st.dictionaries(st.sampled_from("xyz"), st.sets(st.sampled_from(PEOPLE)), max_size=3))
def test_it_agrees_with_trying_every_seating(candidates: dict[str, set[str]]) -> None:
    required = dict.fromkeys("xyz", 1)
    possible = any(
        all(person in candidates.get(role, ()) for role, person in zip(required, seating, strict=True))
        for seating in permutations(PEOPLE, len(required))
    )
    assert (not unfilled(required, candidates)) is possible
