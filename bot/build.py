"""The Slack wing put together: one object to start and to stop."""

import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final, Literal

import structlog
from slack_bolt.error import BoltError
from slack_sdk.errors import SlackApiError

from bot import clients
from bot.answers import Answers
from bot.cardboard import Cardboard
from bot.clients import NotSent, Own, RateLimited, Refused, Unknown, client, who_we_are
from bot.directory import Directory
from bot.door import Door
from bot.homes import Homes
from bot.identity import Identity
from bot.listeners import bolt_app
from bot.pace import Budget, Pace
from bot.posting import ADVICE
from bot.sender import Sender
from bot.serve import Inlet, SocketMode
from bot.workers import Workers
from storage import directory
from storage.database import Database
from storage.migrate import pending

log = structlog.get_logger("bot")

SLACK: Final = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class BotSettings:
    """What the bot needs to know. Times are seconds of machine time."""

    bot_token: str
    signing_secret: str = ""  # needed for HTTP
    app_token: str = ""  # needed for Socket Mode
    base_url: str = SLACK
    mode: Literal["socket", "http"] = "socket"
    host: str = "0.0.0.0"
    port: int = 3000  # 0: any free one, see Bot.port
    app_id: str | None = None  # when set, other apps' deliveries are refused
    worker_threads: int = 8
    listener_threads: int = 32
    inbox_poll: float = 1.0
    sender_poll: float = 0.5
    lookup_seconds: float = 1.0
    call_seconds: float = 5.0
    edits_per_minute: int = 40
    edits_reserved: int = 8  # for final states
    homes_per_minute: int = 30
    home_gap: float = 20.0
    card_gap: float = 1.5
    post_gap: float = 1.05
    submission_margin: float = 0.4
    directory_every: float = 600.0


class NoSlack(Exception):
    """Slack does not accept our credentials; says what to do."""


class Bot:
    """Everything that talks to Slack. ``start`` returns at once when Slack cannot be reached and goes on trying."""

    def __init__(self, settings: BotSettings, database: Database, door: Door) -> None:
        self._settings, self._database, self._door = settings, database, door
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._web = client(settings.bot_token, settings.base_url, settings.call_seconds)
        self._lookups = client(settings.bot_token, settings.base_url, settings.lookup_seconds)
        self._inlet: Inlet = self._way_in()
        self._own: Own | None = None
        self._workers: Workers | None = None
        self._sender: Sender | None = None
        self._directory: Directory | None = None
        self._identity: Identity | None = None
        self._stopping = threading.Event()
        self._connecting: threading.Thread | None = None

    @property
    def port(self) -> int | None:
        """The port of HTTP mode."""
        return self._inlet.port

    def start(self) -> None:
        """Connect and begin to work. Raises NoSlack when Slack refuses our credentials."""
        self._inlet.start()
        if not self._connect():
            self._connecting = threading.Thread(target=self._keep_connecting, name="slack", daemon=True)
            self._connecting.start()

    def stop(self, timeout: float = 8.0) -> None:
        """Take no more presses, finish what is in hand, give the rest back."""
        until = time.monotonic() + timeout
        self._stopping.set()
        if self._connecting is not None:
            self._connecting.join(timeout / 4)
        self._inlet.stop(max(0.5, timeout / 4))
        if self._directory is not None:
            self._directory.stop(1.0)
        for part in (self._workers, self._sender):
            if part is not None:
                part.stop(max(0.5, until - time.monotonic()))
        if self._identity is not None:
            self._identity.close()

    def wake(self) -> None:
        """Something was written to the outbox or to a card: look now instead of soon."""
        if self._sender is not None:
            self._sender.wake()
        if self._directory is not None:
            self._directory.wake()

    def ready(self) -> dict[str, bool]:
        """What must hold for work to be done, and whether it does."""
        try:
            current = not pending(self._database)
            reachable = True
        except Exception:
            log.warning("the database does not answer", exc_info=True)
            current = reachable = False
        slack = self._own is not None and self._inlet.connected
        return {"database": reachable, "migrations": current, "slack": slack}

    def _way_in(self) -> Inlet:
        given = self._settings
        if given.mode == "socket":
            return SocketMode(given.app_token, client(given.bot_token, given.base_url, 30.0))
        from bot.serve_http import Http  # a web server, which Socket Mode does without

        return Http(given.host, given.port, self.ready)

    def _keep_connecting(self) -> None:
        wait = 1.0
        while not self._stopping.wait(wait):
            try:
                if self._connect():
                    return
            except NoSlack as error:
                log.error(str(error))
            except Exception:  # the database, perhaps: this thread must not end before we are connected
                log.exception("the bot could not be connected; trying again")
            wait = min(60.0, wait * 2)

    def _connect(self) -> bool:
        """Build what needs to know who we are, and begin. False when Slack cannot be reached now."""
        try:
            if self._own is None:
                own = who_we_are(self._web, self._settings.app_id)
                self._build(own)
                self._own = own
                log.info("Slack knows us", team=own.team_id, bot=own.user_id)
            assert self._workers is not None
            app = bolt_app(
                self._web,
                self._settings.signing_secret,
                self._own,
                self._door,
                self._workers,
                self._settings.listener_threads,
            )
            self._inlet.serve(app)
        except Refused as error:
            raise NoSlack(f"Slack refuses us: {error}. {ADVICE.get(error.error, 'Check SLACK_BOT_TOKEN')}.") from error
        except SlackApiError as error:
            try:
                raise clients.meaning(error) from error
            except Refused as refused:
                raise NoSlack(f"Slack refuses Socket Mode: {refused}. Check SLACK_APP_TOKEN.") from refused
            except (RateLimited, Unknown) as other:
                log.warning("Slack cannot be reached; trying again", error=str(other))
                return False
        except (RateLimited, NotSent, Unknown, OSError, BoltError) as error:
            log.warning("Slack cannot be reached; trying again", error=str(error))
            return False
        return True

    def _build(self, own: Own) -> None:
        settings, database, door = self._settings, self._database, self._door
        self._identity = Identity(self._lookups, own, self._named_groups, seconds=settings.lookup_seconds)
        answers = Answers(self._web, settings.call_seconds)
        self._workers = Workers(
            database,
            door,
            self._identity,
            answers,
            self._owner,
            threads=settings.worker_threads,
            poll=settings.inbox_poll,
            margin=settings.submission_margin,
        )
        pace = Pace(settings.post_gap)
        budget = Budget(settings.edits_per_minute, settings.edits_reserved)
        internal = self._identity.is_internal
        cardboard = Cardboard(database, door, self._web, pace, budget, settings.card_gap, internal=internal)
        self._sender = Sender(
            database,
            door,
            self._web,
            cardboard,
            pace,
            self._owner,
            poll=settings.sender_poll,
            internal=internal,
            homes=Homes(database, door, answers, Budget(settings.homes_per_minute, 0), gap=settings.home_gap),
        )
        self._directory = Directory(database, self._web, own, self._owner, every=settings.directory_every)
        self._workers.start()
        self._sender.start()
        self._directory.start()

    def _named_groups(self) -> frozenset[str]:
        with self._database.read() as session:
            return directory.named(session).groups


def build_app(settings: BotSettings, database: Database, door: Door) -> Bot:
    """The bot, not started yet. Makes no call to Slack; in HTTP mode the port is bound."""
    return Bot(settings, database, door)
