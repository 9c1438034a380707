"""The workers: take stored presses, find out who made them, ask the door, answer. Survive restarts by the inbox."""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from bot.answers import Answers, Failure
from bot.door import Door
from bot.homes import publish
from bot.identity import Identity
from bot.press import Kind, Press
from bot.render.messages import document
from commands.reply import Actor, FieldErrors, Line, Note, Paragraph, Reply, Request
from storage import inbox
from storage.database import Database

log = structlog.get_logger("bot.workers")

AGAIN = "The bot ended while it was at this, and began again: it may have taken effect the first time."


class Workers:
    """A pool of threads over the inbox. ``owner`` names this process in leases.

    ``margin`` is the time between a submission and its result: Slack must have seen the acknowledgement first, or the
    working view of the acknowledgement would overwrite the result.
    """

    def __init__(
        self,
        database: Database,
        door: Door,
        identity: Identity,
        answers: Answers,
        owner: str,
        *,
        threads: int = 8,
        lease: float = 60.0,
        poll: float = 1.0,
        margin: float = 0.4,
    ) -> None:
        self._database, self._door, self._identity, self._answers = database, door, identity, answers
        self._owner, self._threads, self._lease, self._poll, self._margin = owner, threads, lease, poll, margin
        self._pool: ThreadPoolExecutor | None = None
        self._poller: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._held: set[int] = set()

    # -- storing -----------------------------------------------------------------------------------------------------

    def accept(self, key: str, press: Press) -> inbox.Taken | None:
        """Store a press; None when it is a duplicate. Acknowledge it, then ``hand`` it on. Raises when it cannot be
        stored: then it must not be acknowledged."""
        now = self._database.machine()
        with self._database.write() as session:
            taken = inbox.store(session, key, press.kind, press.to_json(), self._owner, now, self._lease)
        if taken is not None:
            with self._lock:
                self._held.add(taken.id)
        return taken

    def hand(self, taken: inbox.Taken) -> None:
        """Give a press to the pool; when that is stopping, back to the inbox."""
        if self._pool is None or self._stopping.is_set():
            self._let_go(taken)
            return
        try:
            self._pool.submit(self._work, taken, time.monotonic() + self._margin)
        except RuntimeError:
            self._let_go(taken)

    def is_done(self, key: str) -> bool:
        """Whether a press was answered already."""
        with self._database.read() as session:
            return inbox.is_done(session, key)

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. On SQLite nobody else can be at work, so what a dead process held is free at once."""
        self._stopping.clear()
        if self._database.is_sqlite:
            with self._database.write() as session:
                inbox.give_back(session)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="press")
        self._poller = threading.Thread(target=self._polling, name="inbox", daemon=True)
        self._poller.start()

    def stop(self, timeout: float = 8.0) -> None:
        """Finish what is in hand, as far as the time allows, and give the rest back."""
        until = time.monotonic() + timeout
        self._stopping.set()
        self._wake.set()
        if self._poller is not None:
            self._poller.join(timeout)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for thread in list(getattr(self._pool, "_threads", ())):
                thread.join(max(0.0, until - time.monotonic()))
        with self._database.write() as session:
            inbox.give_back(session, self._owner)

    def _polling(self) -> None:
        forget_at = 0.0
        while not self._stopping.is_set():
            try:
                self._take_waiting()
                if time.monotonic() >= forget_at:
                    forget_at = time.monotonic() + 3600
                    with self._database.write() as session:
                        inbox.forget(session, self._database.machine() - timedelta(days=7))
            except Exception:
                log.exception("the inbox could not be read")
            self._wake.wait(self._poll)
            self._wake.clear()

    def _take_waiting(self) -> None:
        with self._lock:
            held = frozenset(self._held)
        room = 2 * self._threads - len(held)
        if room <= 0:
            return
        with self._database.read() as session:
            found = inbox.waiting(session, self._database.machine(), room, held)
        for press in found:
            with self._database.write() as session:
                taken = inbox.take(session, press, self._owner, self._database.machine(), self._lease)
            if taken is not None:
                with self._lock:
                    self._held.add(taken.id)
                self.hand(taken)

    def _let_go(self, taken: inbox.Taken) -> None:
        with self._database.write() as session:
            inbox.give_back(session, self._owner, taken.id)
        with self._lock:
            self._held.discard(taken.id)

    # -- work --------------------------------------------------------------------------------------------------------

    def _work(self, taken: inbox.Taken, settled_at: float) -> None:
        try:
            if self._stopping.is_set() or self._database.machine() > taken.lease_until - timedelta(seconds=30):
                self._let_go(taken)  # it waited so long that somebody else may have it by now
                return
            outcome = self._processed(Press.from_json(taken.payload), settled_at, again=taken.attempts > 1)
            with self._database.write() as session:
                inbox.finish(
                    session,
                    taken.id,
                    self._owner,
                    self._database.machine(),
                    {"attempts": taken.attempts, "outcome": outcome},
                )
        except DBAPIError:
            log.exception("the database failed while a press was worked on; it stays in the inbox", press=taken.id)
        except Exception:
            log.exception("a press could not be worked on", press=taken.id)
        finally:
            with self._lock:
                self._held.discard(taken.id)
            self._wake.set()

    def _processed(self, press: Press, settled_at: float, again: bool) -> str:
        try:
            found = self._identity.find(press)
        except DBAPIError:
            raise
        except Exception:
            reply = failed("who pressed could not be looked up", press.verb)
            return self._given(press, press.request(Actor("", press.user), False), reply)
        if press.kind == Kind.HOME:
            return self._home(press.user, found.actor)
        if found.actor.problem is None and (message := press.message) is not None:
            press = replace(press, arguments={**press.arguments, "permalink": self._answers.permalink(*message)})
        request = press.request(found.actor, found.shared_channel)
        reply = self._reply(request)
        if again and reply.refused is not None:
            reply = replace(reply, blocks=(*document(reply), Note((AGAIN,))))
        if press.kind == Kind.SUBMISSION:
            time.sleep(max(0.0, settled_at - time.monotonic()))
        try:
            outcome = self._given(press, request, reply)
        except Exception:
            outcome = self._given(press, request, failed("an answer could not be drawn", press.verb))
        if press.from_home:
            self._home(press.user, found.actor)
        return outcome

    def _given(self, press: Press, request: Request, reply: Reply) -> str:
        try:
            return self._answers.give(press, request, reply)
        except Failure as error:
            log.error("a person got no answer", user=press.user, verb=press.verb, error=str(error))
            return "unanswered"

    def _reply(self, request: Request) -> Reply:
        return guarded(lambda: self._door.handle(request), request.verb)

    def _home(self, user: str, actor: Actor) -> str:
        reply = guarded(lambda: self._door.home(actor), "home")
        try:
            if actor.problem is None:
                publish(self._database, self._answers, user, reply, actor.team_id)
            else:
                self._answers.home(user, reply)
            return "home"
        except Failure as error:
            log.warning("a Home tab could not be shown", user=user, error=str(error))
            return "unanswered"


def guarded(ask: Callable[[], Reply], verb: str) -> Reply:
    """The door's answer; an error of ours becomes one with an error id that is in the log."""
    try:
        return ask()
    except FieldErrors as error:
        lines: tuple[Line, ...] = tuple((sentence,) for sentence in error.errors.values())
        return Reply(
            "The form was not accepted: " + str(error), (Paragraph((("The form was not accepted:",), *lines)),)
        )
    except DBAPIError:
        raise
    except Exception:
        return failed("the door failed", verb)


def failed(what: str, verb: str) -> Reply:
    """Log the exception in hand, and the reply that names its error id."""
    error_id = uuid.uuid4().hex[:8]
    log.exception(what, verb=verb, error_id=error_id)
    text = "Something went wrong inside the bot; it is not known whether this took effect."
    return Reply(text, (Paragraph(((text,),)), Note((f"error id {error_id}",))), error_id=error_id)
