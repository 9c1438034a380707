"""Which crash points are tried, and in which order. Pure."""

from collections.abc import Iterator, Sequence


def chosen(total: int, every: int = 1, first: int = 1, last: int | None = None, only: int | None = None) -> list[int]:
    """The boundaries to die at, of 1..``total``. Raises ValueError when there are none."""
    if only is not None:
        found = [only] if 1 <= only <= total else []
    else:
        found = list(range(max(first, 1), min(last or total, total) + 1, max(every, 1)))
    if not found:
        raise ValueError(f"there is no such boundary: there are 1 to {total}")
    return found


def spread(points: Sequence[int]) -> Iterator[int]:
    """All of them, so ordered that wherever one stops, those up to there lie evenly over the whole range."""
    bits = max(len(points) - 1, 1).bit_length()
    for number in range(2**bits):
        place = int(f"{number:0{bits}b}"[::-1], 2)  # counted with the digits turned around: 0, 1/2, 1/4, 3/4, ...
        if place < len(points):
            yield points[place]
