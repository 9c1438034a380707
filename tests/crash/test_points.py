"""Which crash points are chosen, whose turn it is, and what counts as a difference."""

import threading
import time
from collections.abc import Callable

import pytest

from crash.boundaries import Boundaries
from crash.comparing import differences, named_alike, repeats
from crash.forking import Hung, alone, forked
from crash.points import chosen, spread, thinned
from crash.turns import Crew

NAMES = [f"change {n}: {'during POST' if n % 10 == 0 else 'before GET'}" for n in range(1, 101)]


def test_all_boundaries_are_chosen_unless_fewer_are_asked_for() -> None:
    assert chosen(NAMES) == list(range(1, 101))
    assert chosen(NAMES, every=25) == [1, 26, 51, 76]
    assert chosen(NAMES, first=98) == [98, 99, 100]
    assert chosen(NAMES, last=3) == [1, 2, 3]
    assert chosen(NAMES, only=7) == [7]
    assert chosen(NAMES, at="POST", every=4) == [10, 50, 90]


@pytest.mark.parametrize("asked", [{"only": 0}, {"only": 101}, {"first": 101}, {"at": "DELETE"}])
def test_a_choice_without_boundaries_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no such boundary"):
        chosen(NAMES, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 7, 64, 742])
def test_wherever_the_time_is_up_the_points_lie_evenly_over_the_whole_range(count: int) -> None:
    points = list(range(1, count + 1))
    order = list(spread(points))
    assert sorted(order) == points
    for done in (4, 16, 64):
        if done < count:
            gaps = [b - a for a, b in zip([0, *sorted(order[:done])], [*sorted(order[:done]), count], strict=True)]
            assert max(gaps) <= 4 * count / done


def test_thinned_points_keep_both_ends() -> None:
    assert thinned(range(1, 101), 4) == [1, 34, 67, 100]
    assert thinned([3, 5], 9) == [3, 5]


def a_crew_at_work(seed: int) -> list[str]:
    """The order of the boundaries of three threads; they are reached by one thread at a time."""
    crew = Crew(seed)
    boundaries = Boundaries(crew, 1, None, lambda **_: None)

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            with boundaries.doing(name):
                for step in range(5):
                    boundaries.reach(str(step))

        return run

    for name in "abc":
        crew.submit(work(name))
    crew.rest()
    return boundaries.names


def test_whose_turn_it_is_is_drawn_and_the_same_for_the_same_seed() -> None:
    first = a_crew_at_work(1)
    assert first == a_crew_at_work(1)
    assert first != a_crew_at_work(2)
    assert sorted(first) == sorted(f"{name}: {step}" for name in "abc" for step in range(5))
    assert [n[0] for n in first] != sorted(n[0] for n in first)  # they really take turns


def test_what_a_thread_raises_is_raised_by_whoever_waits_for_it() -> None:
    crew = Crew(1)

    def breaks() -> None:
        raise RuntimeError("broken")

    crew.submit(breaks)
    with pytest.raises(RuntimeError, match="broken"):
        crew.rest()


def test_differences_name_their_place_and_equal_things_have_none() -> None:
    one = {"clusters": {"a": {"spec": {"spark_version": "13.3"}}}, "list": [1, 2]}
    other = {"clusters": {"a": {"spec": {"spark_version": "17.3"}}, "b": {}}, "list": [1, 2, 3]}
    assert list(differences(one, one)) == []
    assert list(differences(one, other)) == [
        "clusters.a.spec.spark_version: 13.3 is 17.3",
        "clusters.b: None is {}",
        "list: [1, 2] is [1, 2, 3]",
    ]


def test_once_more_and_once_less_than_undisturbed_are_both_told() -> None:
    assert repeats({"a": 1, "b": 1}, {"a": 1, "b": 1}) == []
    assert repeats({"a": 1, "b": 1}, {"a": 2}) == ["a: 2 times, undisturbed 1", "b: 0 times, undisturbed 1"]


def test_forked_pieces_come_back_with_what_they_gave_or_raised() -> None:
    def breaks() -> int:
        raise ValueError("broken piece")

    results = list(forked([lambda: 1, lambda: 2, breaks], at_once=2, limit=60))
    assert sorted(r for r in results if isinstance(r, int)) == [1, 2]
    assert [str(r).strip().splitlines()[-1] for r in results if isinstance(r, Exception)] == [
        "ValueError: broken piece"
    ]


def test_a_piece_that_hangs_is_ended() -> None:
    with pytest.raises(Hung):
        alone(lambda: threading.Event().wait(300), limit=1)


def test_no_piece_is_begun_once_the_time_is_up() -> None:
    assert list(forked([lambda: 1], at_once=1, limit=60, until=time.monotonic())) == []


def test_pools_that_the_engine_made_are_named_alike_in_every_run_and_counted_one_by_one() -> None:
    one, other = "1123-080300-pool-cjfbi0o3", "1123-081400-pool-hf0edji0"
    assert named_alike({"write": {f"/delete {one}": 1}}) == named_alike({"write": {f"/delete {other}": 1}})
    assert named_alike({one: 1, other: 2}) == {"(new pool 1)": 1, "(new pool 2)": 2}
    assert named_alike(["0118-070000-crash1-pool-i3xlarge"]) == ["0118-070000-crash1-pool-i3xlarge"]
