"""`python -m sandbox.story NAME --port PORT`: play a story in a running sandbox, as --story does."""

import argparse
import sys
from collections.abc import Sequence

from sandbox.say.client import Trouble
from sandbox.story import stories
from sandbox.story.player import Player


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; 0 when the story stands, 1 with a sentence when something stood in the way."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.story", description=__doc__)
    parser.add_argument("name", choices=stories.STORIES)
    parser.add_argument("--port", type=int, default=8800, help="of the page (8800)")
    given = parser.parse_args(arguments)
    try:
        stories.play(given.name, Player(given.port, lambda sentence: print(sentence, flush=True)))
    except Trouble as trouble:
        print(f"the story {given.name} cannot go on: {trouble}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
