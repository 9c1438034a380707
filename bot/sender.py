"""Sends the outbox, shows the cards and keeps the Home tabs.

One replica at a time does it, so that order, rates and budget hold.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from slack_sdk import WebClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.cardboard import Cardboard
from bot.clients import NotSent, RateLimited, Refused, Unknown
from bot.door import Door
from bot.homes import Homes
from bot.pace import Pace
from bot.posting import ADVICE, backoff, post, refuse_shared
from bot.uploading import UPLOADS, not_uploaded, upload
from commands.reply import File, Reply
from storage import cards, leases, outbox, reminding
from storage.database import Database
from storage.models import Rollout
from storage.outbox import Letter

log = structlog.get_logger("bot.sender")

LEASE: Final = "slack-sender"
#: What is also shown in the channel, beside the thread of its stage's card.
BROADCAST: Final = frozenset(
    {
        "decision_wanted",
        "stage_blocked",
        "stage_passed",
        "rollback_started",
        "rollback_ended",
        "bake_worse",
        "stage_rejected",
        "sign_offs_stale",
        "override_wanted",
        "override_confirmed",
        "escalated",
        "rollback_wanted",
        "roles_wanted",
        "issue_reported",
    }
)
#: What is said anew at its next due time: the newest one says it all.
SUMMARIES: Final = frozenset({"daily_summary"})
#: How the ids of people begin.
_PEOPLE: Final = ("U", "W")
#: What is for one person only.
PERSONAL: Final = frozenset({"owner_notice", reminding.KIND})
#: A message that Slack refuses for its own sake must not hold back the others for ever.
_REFUSALS: Final = 5


class Sender:
    """A thread over the outbox and the cards. ``owner`` names this process in leases.

    A message waits ``patience`` seconds for the card that its thread hangs on. ``internal`` says whether a channel is
    not shared with another company.
    """

    def __init__(
        self,
        database: Database,
        door: Door,
        web: WebClient,
        cardboard: Cardboard,
        pace: Pace,
        owner: str,
        *,
        poll: float = 0.5,
        lease: float = 15.0,
        patience: float = 60.0,
        internal: Callable[[str], bool] = lambda _: True,
        homes: Homes | None = None,
    ) -> None:
        self._patience, self._internal, self._homes = patience, internal, homes
        self._waiting: dict[int, float] = {}  # message -> since when it waits for its card (monotonic)
        self._database, self._door, self._web = database, door, web
        self._cardboard, self._pace, self._owner = cardboard, pace, owner
        self._poll, self._lease = poll, lease
        self._leading_until = 0.0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def stop(self, timeout: float = 8.0) -> None:
        """Finish the call in hand and let another replica take over."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if not self._thread.is_alive():
                leases.release(self._database, LEASE, self._owner)

    def _run(self) -> None:
        while not self._stopping.is_set():
            busy = False
            try:
                busy = self._leads() and self.turn()
            except Exception:
                log.exception("sending failed")
                self._stopping.wait(1.0)
            if not busy:
                self._wake.wait(self._poll)
                self._wake.clear()

    def _leads(self) -> bool:
        """Whether we are the one replica that sends; renews the lease when less than half of it is left."""
        now = time.monotonic()
        if now < self._leading_until - self._lease / 2:
            return True
        was_leading = now < self._leading_until
        if not leases.take(self._database, LEASE, self._owner, self._lease):
            self._leading_until = 0.0
            return False
        self._leading_until = now + self._lease
        if not was_leading:
            self._cardboard.taken_over()
        return True

    def turn(self) -> bool:
        """Do one thing: a message, a card or a Home tab; False when there is nothing to do now."""
        now = self._database.machine()
        with self._database.read() as session:
            abandoned = outbox.abandoned(session, now)
        if abandoned:
            log.warning("messages were left half sent", outbox=abandoned)
            with self._database.write() as session:
                outbox.resolve_abandoned(session, now)
        sent = self._send_one()
        return self._cardboard.turn() or self._cardboard.close_one() or sent or self._keep_a_home()

    def _keep_a_home(self) -> bool:
        return self._homes is not None and self._homes.turn()

    def _send_one(self) -> bool:
        now = self._database.machine()
        with self._database.read() as session:
            letters = outbox.next_letters(session, now)
            wheres = [self._where(session, letter) for letter in letters]
        for letter, (channel, thread, waits) in zip(letters, wheres, strict=True):
            if waits or (channel is not None and not self._pace.ready(channel)):
                continue
            with self._database.write() as session:
                claimed = outbox.claim(session, letter, self._owner, now, 60.0, letter.kind in UPLOADS)
            if claimed is not None:
                self._send(claimed, channel, thread)
                return True
        return False

    def _where(self, session: Session, letter: Letter) -> tuple[str | None, str | None, bool]:
        """Channel and thread of a message, and whether it should wait for the card that its thread hangs on."""
        if letter.ids.get("to"):
            return str(letter.ids["to"]), None, False  # a team's own channel, or one person
        if letter.stage_id is not None:
            card = cards.of_stage(session, letter.stage_id)
            if card is not None:
                waits = card.ts is None and letter.attempts == 0 and card.shown == 0
                return card.channel, card.ts, waits and self._still_waits(letter)
        channel = session.execute(select(Rollout.channel).where(Rollout.id == letter.rollout_id)).scalar_one_or_none()
        return channel, None, False

    def _still_waits(self, letter: Letter) -> bool:
        now = time.monotonic()
        return now < self._waiting.setdefault(letter.id, now) + self._patience

    def _send(self, letter: Letter, channel: str | None, thread: str | None) -> None:
        self._waiting.pop(letter.id, None)
        if letter.kind in SUMMARIES and self._superseded(letter):
            return
        try:
            reply = self._door.document(letter.kind, letter.rollout_id, letter.stage_id, letter.ids)
        except Exception as error:
            log.exception("a message could not be made", outbox=letter.id, kind=letter.kind)
            self._failed(letter, channel or "", Refused("internal", (type(error).__name__,)))
            return
        if reply is None or channel is None:
            with self._database.write() as session:
                outbox.drop(session, letter, "there is nothing to say any more")
            return
        try:
            if not channel.startswith(_PEOPLE):  # the directory says that they are of our team
                refuse_shared(self._internal, channel)
            self._pace.used(channel)
            if reply.file is not None:
                if (refused := self._upload(letter, channel, thread, reply, reply.file)) is None:
                    return
                reply = refused
            ts = post(
                self._web,
                channel,
                reply,
                thread=thread,
                broadcast=letter.kind in BROADCAST,
                repeated=letter.repeated,
            )
        except (RateLimited, Refused, NotSent, Unknown) as error:
            self._failed(letter, channel, error)
            return
        with self._database.write() as session:
            outbox.sent(session, letter, ts)

    def _upload(self, letter: Letter, channel: str, thread: str | None, reply: Reply, file: File) -> Reply | None:
        """Upload the file of a message; where Slack refuses files, what is said instead.

        A file that cannot come must not hold back the decisions behind it. Raises as ``upload`` does otherwise.
        """
        seconds = float(self._web.timeout)
        try:
            upload(self._web, channel, reply, file, seconds, thread=thread, repeated=letter.repeated)
        except Refused as error:
            todo = ADVICE.get(error.error, "")
            log.warning("a file could not be uploaded", outbox=letter.id, error=str(error), todo=todo)
            return not_uploaded(file, error.error, todo)
        with self._database.write() as session:
            outbox.sent(session, letter, None)
        return None

    def _superseded(self, letter: Letter) -> bool:
        """Drop a summary after which a newer one waits: after a week without Slack one is enough."""
        with self._database.write() as session:
            return outbox.has_newer(session, letter) and outbox.drop(session, letter, "a newer one waits")

    def _failed(self, letter: Letter, channel: str, error: Exception) -> None:
        name = error.error if isinstance(error, Refused) else ""
        wait = error.seconds if isinstance(error, RateLimited) else backoff(letter.attempts)
        at = self._database.machine() + timedelta(seconds=wait)
        with self._database.write() as session:
            if isinstance(error, Unknown):
                outbox.unknown(session, letter, at, str(error))
            elif isinstance(error, Refused) and letter.ids.get("to"):
                # It must not hold back what comes after it. What is for one person is not told to all instead.
                if letter.kind in PERSONAL or letter.ids.get("copy"):
                    outbox.drop(session, letter, str(error))
                else:
                    outbox.elsewhere(session, letter, at, str(error))
            elif isinstance(error, Refused) and name not in ADVICE and letter.attempts >= _REFUSALS:
                outbox.drop(session, letter, str(error))
            else:
                outbox.later(session, letter, at, str(error))
        if isinstance(error, RateLimited):
            self._pace.hold(channel, error.seconds)
        log.warning(
            "a message could not be posted",
            outbox=letter.id,
            kind=letter.kind,
            channel=channel,
            error=str(error),
            attempts=letter.attempts,
            again_in=round(wait, 1),
            todo=ADVICE.get(name, ""),
        )
