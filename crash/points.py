"""Which crash points are tried, and in which order. Pure."""

from collections.abc import Iterator, Sequence


def chosen(
    names: Sequence[str], every: int = 1, first: int = 1, last: int | None = None, only: int | None = None, at: str = ""
) -> list[int]:
    """The boundaries to die at, counted from 1, of those with these names. Raises ValueError when there are none."""
    numbers = range(max(first, 1), min(last or len(names), len(names)) + 1)
    if only is not None:
        numbers = range(only, only + 1) if 1 <= only <= len(names) else range(0)
    found = [number for number in numbers if at in names[number - 1]][:: max(every, 1)]
    if not found:
        raise ValueError(f"there is no such boundary: --list shows 1 to {len(names)}")
    return found


def thinned(points: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly over the whole range, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(n * (len(points) - 1) / max(most - 1, 1))] for n in range(most)]


def spread(points: Sequence[int]) -> Iterator[int]:
    """All of them, so ordered that wherever one stops, those up to there lie evenly over the whole range."""
    bits = max(len(points) - 1, 1).bit_length()
    for number in range(2**bits):
        place = int(f"{number:0{bits}b}"[::-1], 2)  # its digits turned around: 0, 1/2, 1/4, 3/4, 1/8, ...
        if place < len(points):
            yield points[place]
