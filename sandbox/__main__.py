"""`python -m sandbox`: the local Slack, the local Databricks and the bot, until Ctrl-C."""

import argparse
import asyncio
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.directory import Refused
from sandbox.story.stories import STORIES
from sandbox.supervisor import Commands, Options, Supervisor

HIGHEST_PORT = 65535
NAMED_FLEET = r"sample|large(:[1-9]\d{0,4}(\+\d{1,4})?)?"


def main(arguments: Sequence[str] | None = None, commands: Commands | None = None) -> int:
    """Read the command line, run, return the exit code: 0 stopped, 1 something died, 2 it cannot start so."""
    options = parse(arguments)
    try:
        return asyncio.run(Supervisor(options, commands or Commands()).run())
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 2


def parse(arguments: Sequence[str] | None) -> Options:
    """The options; argparse itself says what is wrong and exits with 2."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=port, default=8800, help="of the page; the workspaces take the ones after it")
    parser.add_argument("--speed", type=speed, default=60.0, help="of the calendar at the start (default 60)")
    parser.add_argument(
        "--fleet", type=fleet, help="sample (default), large (2,000 targets; or large:N, large:JOBS+CLUSTERS) or a file"
    )
    parser.add_argument("--database", metavar="URL", help="of the bot (default: DIR/rollout.db)")
    parser.add_argument("--mode", choices=("socket", "http"), default="socket", help="how Slack reaches the bot")
    parser.add_argument("--state", metavar="DIR", type=Path, default=Path(".sandbox"), help="kept between starts")
    parser.add_argument("--fresh", action="store_true", help="forget what DIR holds first")
    parser.add_argument("--without-bot", action="store_true", help="print the bot's settings instead of starting it")
    parser.add_argument("--story", choices=STORIES, help="begin at an interesting moment; needs the sample fleet")
    given = parser.parse_args(arguments)
    if given.story and (given.without_bot or given.fleet not in (None, "sample")):
        parser.error("--story needs the bot and the sample fleet: leave --without-bot and --fleet away")
    return Options(
        port=given.port,
        speed=given.speed,
        fleet=given.fleet,
        database=given.database,
        mode=given.mode,
        state=given.state,
        with_bot=not given.without_bot,
        fresh=given.fresh,
        story=given.story,
    )


def port(text: str) -> int:
    """A port with room for the workspaces after it; 0 takes free ones."""
    number = int(text)
    if not 0 <= number < HIGHEST_PORT - 100:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return number


def speed(text: str) -> float:
    """How many calendar seconds pass in a second."""
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a speed")
    return number


def fleet(text: str) -> str:
    """The name of a fleet, or the absolute path of a file that describes one."""
    if re.fullmatch(NAMED_FLEET, text):
        return text
    path = Path(text).absolute()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is neither sample nor large nor a file")
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
