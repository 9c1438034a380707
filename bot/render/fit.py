"""Cutting blocks to what one message or view may hold. Buttons and the last note stay; what goes is counted."""

from bot.render import limits
from bot.render.figures import Json, note, shortened

_STAYS = frozenset({"actions", "header"})
_FEWEST_ROWS = 10


def fit(blocks: list[Json], message: bool) -> list[Json]:
    """The blocks within count and characters. The same input gives the same output."""
    most = limits.MESSAGE_BLOCKS if message else limits.VIEW_BLOCKS
    room = limits.MESSAGE_CHARACTERS if message else limits.VIEW_CHARACTERS
    if _fits(blocks, most, room):
        return blocks
    blocks = _shorter_table(blocks, room)
    if _fits(blocks, most, room):
        return blocks
    return _without_middle(blocks, most, room)


def _fits(blocks: list[Json], most: int, room: int) -> bool:
    return len(blocks) <= most and limits.characters(blocks) <= room


def _shorter_table(blocks: list[Json], room: int) -> list[Json]:
    """Take rows from a native table until the characters fit, but leave some."""
    for index, block in enumerate(blocks):
        if block["type"] != "table":
            continue
        over = limits.characters(blocks) + 40 - room
        rows = len(block["rows"]) - 1
        while over > 0 and rows > _FEWEST_ROWS:
            over -= limits.characters(block["rows"][rows])
            rows -= 1
        short, left = shortened(block, rows)
        return [*blocks[:index], short, *([note(f"and {left} more rows")] if left else []), *blocks[index + 1 :]]
    return blocks


def _without_middle(blocks: list[Json], most: int, room: int) -> list[Json]:
    """Leave out the last blocks that may go, and say how many at the place of the cut."""
    stays = [block["type"] in _STAYS for block in blocks]
    stays[-1] = stays[-1] or blocks[-1]["type"] == "context"
    size = limits.characters(blocks) + 60
    count = len(blocks) + 1
    gone: list[int] = []
    for sure in (False, True):  # in need, what should stay goes too
        for index in range(len(blocks) - 1, -1, -1):
            if count <= most and size <= room:
                break
            if stays[index] == sure:
                gone.append(index)
                size -= limits.characters(blocks[index])
                count -= 1
    cut = min(gone)
    left = note(f"and {len(gone)} more parts that do not fit here: ask for one stage or one target")
    kept = set(range(len(blocks))) - set(gone)
    return [
        *(blocks[i] for i in range(cut) if i in kept),
        left,
        *(blocks[i] for i in range(cut, len(blocks)) if i in kept),
    ]
