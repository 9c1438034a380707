"""Starts the local Databricks, the local Slack and the bot, keeps them running, and stops them again.

The bot is told nothing but its settings: what it gets here by environment is what it would get in production.
"""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sandbox import calendar
from sandbox.child import Child, ending
from sandbox.directory import Directory, Refused
from sandbox.slack import tokens

REPOSITORY = Path(__file__).resolve().parent.parent
PLAN = REPOSITORY / "sandbox" / "plan.yml"
BOT_PATIENCE = 10.0
SERVER_PATIENCE = 4.0
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 16.0
SLOW_START = 30.0
KEPT_VARIABLES = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV")
KEPT_PREFIXES = ("LC_", "PYTHON", "ROLLOUT_RECORD_")  # the last: where the local Slack leaves examples of what it took


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    port: int
    speed: float
    fleet: str | None
    database: str | None
    mode: str
    state: Path
    with_bot: bool
    fresh: bool
    story: str | None = None


@dataclass(frozen=True)
class Commands:
    """The programs; tests put smaller ones in their place."""

    databricks: Sequence[str] = (sys.executable, "-m", "sandbox.databricks")
    slack: Sequence[str] = (sys.executable, "-m", "sandbox.slack")
    bot: Sequence[str] = (sys.executable, "app.py")
    story: Sequence[str] = (sys.executable, "-m", "sandbox.story")


class Ended(Exception):
    """The sandbox cannot go on: a sentence for the terminal and the exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        """Take both."""
        super().__init__(sentence)
        self.code = code


class Supervisor:
    """One run of the sandbox."""

    def __init__(self, options: Options, commands: Commands) -> None:
        """Take what to run; nothing is touched before run()."""
        self._options = options
        self._commands = commands
        self._home = Directory(options.state)
        self._environment = clean_environment(os.environ)
        self._databricks: Child | None = None
        self._slack: Child | None = None
        self._bot: Child | None = None
        self._story: Child | None = None
        self._bot_stands = asyncio.Event()

    async def run(self) -> int:
        """Run until a signal, or until it cannot go on; return the exit code. No process is left behind."""
        signals: asyncio.Queue[None] = asyncio.Queue()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, None)
        self._prepare()
        serving = asyncio.create_task(self._serve())
        asked = asyncio.create_task(signals.get())
        try:
            await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            return 0
        except Ended as end:
            say(str(end))
            return end.code
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            stopping = asyncio.create_task(self._stop())
            again = asyncio.create_task(signals.get())
            await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():  # asked twice: no more patience
                for child in (self._story, self._bot, self._slack, self._databricks):
                    if child:
                        child.kill()
            await stopping

    def _prepare(self) -> None:
        self._home.hold()
        if self._options.fresh:
            self._home.empty()
        for port in (self._options.port, self._options.port + 1):
            if self._options.port and not is_free(port):
                raise Refused(f"Port {port} is in use: stop what listens there, or give another --port.")

    async def _serve(self) -> NoReturn:
        settings, url = await self._start_servers()
        if self._options.with_bot:
            tasks = [self._keep_bot(settings), self._begin(url)]
        else:
            for name, value in settings.items():
                print(f"{name}={value}")
            say(f"ready: {url}")
            tasks = [forever()]
        assert self._databricks
        assert self._slack
        await first_failure(*tasks, watch(self._databricks), watch(self._slack))

    async def _start_servers(self) -> tuple[dict[str, str], str]:
        """Start both servers, side by side where the ports are known before; return the bot's settings and the page."""
        options, home = self._options, self._home
        fleet = home.agree_on(options.fleet, options.story)
        home.start_clock(options.speed)
        common = ("--state", str(home.path), "--clock", str(home.clock))
        port = options.port
        self._databricks = databricks = Child("the local Databricks", home.path / "databricks.log", says_ready)
        self._slack = slack = Child("the local Slack", home.path / "slack.log", says_ready)
        flags = ("--port", str(port + 1 if port else 0), "--fleet", fleet)
        await databricks.start((*self._commands.databricks, *flags, *common), self._environment, REPOSITORY)
        workspaces: Mapping[str, Any] = {}
        admin = f"http://127.0.0.1:{port + 1}"
        if not port:
            workspaces = await answered(databricks)
            admin = str(workspaces["admin"])
        settings = {"ROLLOUT_MODE": options.mode}
        delivery = ["--mode", options.mode]
        if options.mode == "http":
            settings |= {"ROLLOUT_HOST": "127.0.0.1", "PORT": str(free_port())}
            delivery += ["--bot-url", f"http://127.0.0.1:{settings['PORT']}/slack/events"]
        links = ("--databricks-admin", admin, "--pids", str(home.pids))
        await slack.start(
            (*self._commands.slack, "--port", str(port), *links, *delivery, *common), self._environment, REPOSITORY
        )
        self._leave_pids()
        url = str((await answered(slack))["url"]).rstrip("/")
        workspaces = workspaces or await answered(databricks)
        return {**settings, **self._settings(url, workspaces["workspaces"])}, url

    def _settings(self, slack: str, workspaces: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """The environment of the bot, apart from mode and port: the production settings and nothing else."""
        secrets = tokens.load(self._home.path)
        settings = {
            "SLACK_API_URL": f"{slack}/api/",
            "SLACK_BOT_TOKEN": secrets.bot,
            "SLACK_APP_TOKEN": secrets.app,
            "SLACK_SIGNING_SECRET": secrets.signing_secret,
            "ROLLOUT_PLANS": str(PLAN),
            "DATABASE_URL": self._options.database or self._home.database,
            "ROLLOUT_SECRET_KEYS": self._home.secret_key(),
            "ROLLOUT_CLOCK": str(self._home.clock),
        }
        for key, workspace in workspaces.items():
            prefix = f"DATABRICKS_{key.upper()}"
            settings |= {f"{prefix}_HOST": workspace["host"], f"{prefix}_TOKEN": workspace["token"]}
        return settings

    async def _begin(self, url: str) -> NoReturn:
        """Once the bot stands: play the story, if one is wanted, and say that all is ready."""
        await self._bot_stands.wait()
        if self._options.story:
            await self._play(self._options.story, url)
        say(f"ready: {url}")
        await forever()

    async def _play(self, name: str, url: str) -> None:
        """Play a story to its end; its lines go to the terminal. It sets the calendar as it likes: ours comes after."""
        self._story = story = Child(f"the story {name}", self._home.path / "story.log", lambda line: False, say)
        command = (*self._commands.story, name, "--port", url.rpartition(":")[2])
        await story.start(command, self._environment, REPOSITORY)
        code = await story.ended()
        if code:
            raise Ended(f"{story.name} was not built ({ending(code)}); see {story.log}", 1)
        calendar.set_speed(self._home.clock, self._options.speed)

    async def _keep_bot(self, settings: Mapping[str, str]) -> NoReturn:
        """Start the bot, and start it again when it dies; give up when its settings are refused."""
        environment = {**self._environment, **settings, "ROLLOUT_LOG": "json", "PYTHONUNBUFFERED": "1"}
        backoff = FIRST_BACKOFF
        while True:
            self._bot = bot = Child("the bot", self._home.path / "bot.log", lambda line: line.get("event") == "ready")
            await bot.start(self._commands.bot, environment, REPOSITORY)
            self._leave_pids()
            slow = asyncio.get_running_loop().call_later(SLOW_START, say, f"the bot is not ready yet; see {bot.log}")
            ready = await bot.ready()
            slow.cancel()
            if ready:
                if self._bot_stands.is_set():
                    say("the bot is ready again")
                self._bot_stands.set()
                backoff = FIRST_BACKOFF
            code = await bot.ended()
            if code == 2:
                raise Ended("\n".join([*bot.tail, "The bot refused its settings (exit code 2)."]), 2)
            killed = code == -signal.SIGKILL  # by somebody, not by itself: it need not be given time to think
            wait = 0.0 if killed and ready else backoff
            say(f"the bot ended ({ending(code)}) and is started again {soon(wait)}; see {bot.log}")
            await asyncio.sleep(wait)
            if not ready and code >= 0:  # it fails by itself: no hurry
                backoff = min(2 * backoff, LONGEST_BACKOFF)

    def _leave_pids(self) -> None:
        children = {"bot": self._bot, "slack": self._slack, "databricks": self._databricks}
        self._home.write_pids(
            {"supervisor": os.getpid(), **{name: c.pid if c else None for name, c in children.items()}}
        )

    async def _stop(self) -> None:
        """The story first; the bot, so that it can still finish the call in hand; the servers; last the calendar."""
        if self._story:
            await self._story.stop(SERVER_PATIENCE)
        if self._bot:
            await self._bot.stop(BOT_PATIENCE)
        await asyncio.gather(*(server.stop(SERVER_PATIENCE) for server in (self._slack, self._databricks) if server))
        self._home.stop_clock()
        self._home.forget_pids()


async def answered(server: Child) -> Mapping[str, Any]:
    """The server's ready line; it must not end before that."""
    ready = await server.ready()
    if ready is None:
        await watch(server)
    assert ready is not None
    return ready


async def watch(server: Child) -> NoReturn:
    """A server that ends takes the sandbox with it; its exit code 2 means that it cannot start so."""
    code = await server.ended()
    lines = "\n".join(list(server.tail)[-15:])
    raise Ended(f"{lines}\n{server.name} ended ({ending(code)}); see {server.log}".lstrip(), 2 if code == 2 else 1)


async def forever() -> NoReturn:
    """Nothing to do until the sandbox stops."""
    while True:
        await asyncio.sleep(3600)


async def first_failure(*endless: Coroutine[Any, Any, NoReturn]) -> NoReturn:
    """Run what never returns until one of it fails; raise that."""
    tasks = [asyncio.create_task(one) for one in endless]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        raise done.pop().exception() or AssertionError("an endless task returned")
    finally:
        for task in tasks:
            task.cancel()


def soon(seconds: float) -> str:
    """When something happens that waits so long."""
    return f"in {seconds:g} s" if seconds else "at once"


def says_ready(line: Mapping[str, Any]) -> bool:
    """Whether this is the line with which a server says that it listens."""
    return line.get("ready") is True


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a child needs of the caller's environment: no tokens, hosts or settings that happen to be set there."""
    return {
        name: value
        for name, value in environment.items()
        if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }  # fmt: skip


def is_free(port: int) -> bool:
    """Whether somebody could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port on which nobody listens; of those below the ones that the system gives to whoever asks for any."""
    return next(port for port in random.SystemRandom().sample(range(10_000, 32_000), 1_000) if is_free(port))


def say(sentence: str) -> None:
    """One line for whoever started the sandbox, at once."""
    print(sentence, flush=True)
