"""What else is touched when a target moves."""

import pytest

from rollout.sharing import Key, sentence, sharing

J1, J2, J3, J4, C1, C2 = ("job", "1"), ("job", "2"), ("job", "3"), ("job", "4"), ("cluster", "a"), ("cluster", "b")
POOL, POLICY, PIPE = ("pool", "p"), ("policy", "q"), ("pipeline", "r")

USES: dict[Key, list[Key]] = {
    J1: [C1],
    J2: [C1, J3],
    J3: [POLICY],
    J4: [POLICY, POOL, PIPE],
    C1: [POOL],
    C2: [POOL, POLICY],
}


@pytest.mark.parametrize(
    ("targets", "dragged", "supports"),
    [
        ([J1], [C1, J2, J3], []),  # by its cluster to the job on it, and on to the job that that one starts
        ([C1], [J1, J2, J3], [(POOL, 2)]),
        ([J3], [J2, C1, J1], [(POLICY, 2)]),  # from a job to the one that starts it
        ([J4], [], [(POLICY, 2), (POOL, 2)]),  # a pipeline that nobody else uses is not shared
        ([C2], [], [(POLICY, 2), (POOL, 2)]),  # supports are counted, not followed
        ([C2, J4], [], [(POLICY, 1), (POOL, 1)]),
        ([J1, J2, C1, J3], [], [(POLICY, 2), (POOL, 2)]),  # all of it together is isolated
        ([("job", "unknown")], [], []),
    ],
)
def test_what_is_dragged_along(targets: list[Key], dragged: list[Key], supports: list[tuple[Key, int]]) -> None:
    found = sharing(USES, targets)
    assert [d.key for d in found.dragged] == dragged
    assert list(found.supports) == supports
    assert found.isolated is not bool(dragged)


def test_jobs_that_start_each_other_in_a_circle() -> None:
    circle: dict[Key, list[Key]] = {J1: [J2], J2: [J3], J3: [J1]}
    assert [d.key for d in sharing(circle, [J1]).dragged] == [J2, J3]


def test_a_cluster_that_is_not_known_is_still_named() -> None:
    assert [d.key for d in sharing({J1: [("cluster", "gone")]}, [J1]).dragged] == [("cluster", "gone")]


def test_the_sentence_names_who_binds_whom() -> None:
    names = {J1: "import", C1: "etl", J2: "export", J3: "load", POOL: "fast"}
    said = sentence(sharing(USES, [J1]), names, most=2)
    assert said == "Not isolated: drags along cluster etl (by job import), job export (by cluster etl) and 1 more."
    assert sentence(sharing(USES, [C1]), names).endswith("Shares pool fast with 2 others.")
    assert sentence(sharing({J1: []}, [J1]), names) == ""
