"""The one door: every way in becomes a Request, and every Request goes through ``Door.handle``."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlalchemy.orm import Session

from commands import arguments, documents, find, lookonly, refusals, reminders
from commands.call import Call, Refused, refused
from commands.glance import glance
from commands.help import help_reply, unknown
from commands.home import rollout_blocks
from commands.registry import VERBS
from commands.reply import (
    Actor,
    Block,
    Divider,
    FieldErrors,
    Heading,
    Line,
    Note,
    Paragraph,
    Reply,
    Request,
    Surface,
    line,
)
from commands.verb import Verb
from rollout.people import roles_of
from rollout.standing import Standing
from storage import events, facts, reminding, sealing
from storage.database import Database
from storage.models import Rollout, Stage
from storage.record import By, event
from storage.transitions import Lost

_HOMES = 3  # rollouts on the Home tab


class Log(Protocol):
    """Where the door tells what it did: structlog's loggers fit."""

    def info(self, event: str, **values: Any) -> Any: ...
    def exception(self, event: str, **values: Any) -> Any: ...


class Door:
    """The door over one database. ``calendar`` gives calendar now.

    ``read_only``: whatever leads to a write in a workspace, or signs for one, is refused, and every look says so.
    """

    def __init__(
        self,
        database: Database,
        calendar: Callable[[], datetime],
        log: Log | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self._database, self._calendar, self._read_only = database, calendar, read_only
        self._log: Log = log if log is not None else structlog.get_logger("commands")
        #: Called after every request: where the engine runs, too, what a person asked for begins at once.
        self.afterwards: Callable[[], None] = lambda: None

    def handle(self, request: Request) -> Reply:
        """Answer a request: authorise, find what it means, look or act. Only FieldErrors of a form is ever raised."""
        try:
            return self._shown(self._handled(request))
        finally:
            self.afterwards()

    def _handled(self, request: Request) -> Reply:
        seen: dict[str, Any] = {}
        request = replace(request, verb=arguments.cleaned(request.verb))
        try:
            try:
                return self._answer(request, seen)
            except Lost:  # somebody else was quicker: decide once more on what is there now
                return self._answer(request, seen)
        except FieldErrors:
            raise
        except Refused as said:
            return self._refuse(request, said, seen.get("standing"))
        except Exception:
            return self._failed(request)

    def check_form(self, request: Request) -> None:
        """Look at the fields of a submitted form, and at nothing else. Raises FieldErrors."""
        verb = VERBS.get(request.verb)
        if verb is None:
            return
        try:
            given = arguments.checked(request.arguments, request.verb)
        except Refused:
            return  # it is no mistake in a field; ``handle`` refuses it
        verb.fields(given, self._calendar())

    def card(self, stage_id: int) -> Reply:
        """The live card of a stage. Raises LookupError for a stage that does not exist."""
        now = self._calendar()
        with self._database.read() as session:
            stage = session.get(Stage, stage_id)
            if stage is None:
                raise LookupError(f"no stage {stage_id}")
            standing = self._standing(session, session.get_one(Rollout, stage.rollout_id))
            return self._shown(documents.card(session, standing, stage.key, now))

    def document(self, kind: str, rollout_id: int | None, stage_id: int | None, ids: Mapping[str, Any]) -> Reply | None:
        """A message of the outbox as it reads now; None when there is nothing to say any more."""
        now = self._calendar()
        if kind == reminding.KIND:
            return self._reminder(ids, now)
        if kind in documents.TELL_A_HEAD and rollout_id is not None:
            sealing.seal_now(self._database, rollout_id)
        with self._database.read() as session:
            stage = session.get(Stage, stage_id) if stage_id is not None else None
            rollout = session.get(Rollout, rollout_id or (stage.rollout_id if stage is not None else 0))
            if rollout is None:
                return None
            standing = self._standing(session, rollout)
            if kind != "shared":
                said = documents.document(session, standing, kind, stage.key if stage else None, ids, now)
                return self._shown(said) if said is not None else None
        return self._shared(standing, ids, now)

    def closing(
        self, kind: str, stage_id: int | None, rollout_id: int | None = None, ids: Mapping[str, Any] | None = None
    ) -> Reply:
        """What a posted message says once its time is over: what became of it, and no buttons.

        ``rollout_id`` is that of a message that is about no stage.
        """
        now = self._calendar()
        with self._database.read() as session:
            stage = session.get_one(Stage, stage_id) if stage_id is not None else None
            standing = self._standing(
                session, session.get_one(Rollout, stage.rollout_id if stage is not None else rollout_id or 0)
            )
            key = stage.key if stage is not None else None
            return documents.closing(session, standing, kind, key, ids or {}, now)

    def home(self, actor: Actor) -> Reply:
        """The Home tab of a person."""
        now = self._calendar()
        if actor.problem is not None:
            return self._refuse(Request(actor, "home", {}, Surface.HOME), _may_not_enter(actor), None, record=False)
        with self._database.read() as session:
            rollouts = facts.open_rollouts(session)
            standings = [self._standing(session, rollout) for rollout in rollouts[:_HOMES]]
            seen = [glance(session, standing) for standing in standings]
        blocks: list[Block] = []
        for standing, below in zip(standings, seen, strict=True):
            roles = roles_of(standing.plan, actor.user_id, actor.groups)
            blocks += ([Divider()] if blocks else []) + rollout_blocks(standing, actor.user_id, roles, now, below)
        if not blocks:
            text = "The bot opens one for each plan file it is given (settings: ROLLOUT_PLANS)."
            blocks = [Heading("No rollout is open"), Paragraph((line(text),))]
        if len(rollouts) > _HOMES:
            blocks.append(Note(line(f"{len(rollouts) - _HOMES} more are open: /rollout in their channels.")))
        return self._shown(Reply("Where the rollout is, and what waits for you.", tuple(blocks)))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request, seen: dict[str, Any]) -> Reply:
        if request.actor.problem is not None:
            raise _may_not_enter(request.actor)
        request = replace(request, arguments=arguments.checked(request.arguments, request.verb))
        verb = VERBS.get(request.verb)
        if request.verb == "help":
            return help_reply(VERBS, find.word(request))
        if verb is None:
            raise unknown(VERBS, request.verb)
        if verb.act and request.shared_channel:
            raise refused(
                "shared_channel",
                "This channel is shared with another company; nothing is decided here.",
                "Type it in a channel that only your own team is in.",
            )
        if self._read_only and lookonly.forbids(verb):
            raise lookonly.refusal()
        if request.arguments.get("submitted"):
            verb.fields(request.arguments, self._calendar())
        call = self._call(request, verb, seen)
        reply = _guessed(_dated(verb.run(call), seen.get("newest")), call.guess)
        if verb.act and reply.form is None:
            self._log.info("command", verb=verb.name, actor=request.actor.user_id, surface=str(request.surface))
        return reply

    def _reminder(self, ids: Mapping[str, Any], now: datetime) -> Reply | None:
        with self._database.read() as session:
            if not reminding.is_wanted(session, str(ids.get("user") or "")):
                return None
            standings = [self._standing(session, rollout) for rollout in facts.open_rollouts(session)]
        said = reminders.document(standings, ids, now)
        return self._shown(said) if said is not None else None

    def _standing(self, session: Session, rollout: Rollout) -> Standing:
        found = facts.standing(session, rollout)
        return replace(found, read_only=True) if self._read_only else found

    def _shown(self, reply: Reply) -> Reply:
        return lookonly.shown(reply, VERBS) if self._read_only else reply

    def _call(self, request: Request, verb: Verb, seen: dict[str, Any]) -> Call:
        with self._database.read() as session:
            rollout = find.rollout(session, request)
            standing = self._standing(session, rollout)
            seen |= {"standing": standing, "newest": events.newest_id(session, rollout.id) if verb.act else None}
            meant = find.meant(session, standing, request, verb.takes)
        roles = roles_of(standing.plan, request.actor.user_id, request.actor.groups)
        return Call(
            request,
            self._database,
            self._calendar(),
            standing,
            roles,
            stage_key=meant.stage,
            target_id=meant.target_id,
            reason=meant.reason,
            word=meant.word,
            guess=meant.guess,
        )

    def _shared(self, standing: Standing, ids: Mapping[str, Any], now: datetime) -> Reply | None:
        verb = VERBS.get(str(ids.get("verb")))
        by = str(ids.get("by") or "")
        asked = ids.get("arguments")
        if verb is None or verb.act:
            return None
        given = {**(asked if isinstance(asked, dict) else {}), "rollout": standing.id}
        request = Request(Actor("", by), verb.name, given, Surface.BUTTON, standing.channel)
        try:
            return documents.shared(self._shown(verb.run(self._call(request, verb, {}))), by)
        except Refused:
            return None

    def _refuse(self, request: Request, said: Refused, standing: Standing | None, record: bool = True) -> Reply:
        error_id = secrets.token_hex(4)
        now = self._calendar()
        since: list[Line] = []
        if standing is not None:
            with self._database.read() as session:
                rollout = session.get(Rollout, standing.id)
                standing = self._standing(session, rollout) if rollout is not None else standing
                if any(r.code in {"stale_view", "change_set_changed"} for r in said.reasons):
                    since = refusals.since(session, standing, said.stage, now, _seen(request))
        self._log.info(
            "refused",
            verb=request.verb[:40],
            actor=request.actor.user_id,
            reasons=[r.code for r in said.reasons],
            error_id=error_id,
        )
        if record:
            self._record(request, said, standing, error_id, now)
        return refusals.render(said, error_id, standing, request.actor, now, since)

    def _record(self, request: Request, said: Refused, standing: Standing | None, error_id: str, now: datetime) -> None:
        actor, first = request.actor, said.reasons[0]
        with self._database.write() as session:
            rollout_id = standing.id if standing else _asked_of(session, request)
            stage_id = next((s.id for s in standing.stages if s.key == said.stage), None) if standing else None
            event(
                session,
                now,
                By(actor.user_id, actor.team_id, str(request.surface)),
                request.verb[:40],
                first.sentence[:500],
                rollout_id=rollout_id,
                stage=session.get(Stage, stage_id) if stage_id is not None else None,
                outcome="refused",
                reason_code=first.code,
                data={"error_id": error_id, "reasons": [r.code for r in said.reasons]},
            )

    def _failed(self, request: Request) -> Reply:
        error_id = secrets.token_hex(4)
        self._log.exception("command failed", verb=request.verb[:40], actor=request.actor.user_id, error_id=error_id)
        try:
            self._record_failure(request, error_id)
        except Exception:
            self._log.exception("a failure could not be recorded", error_id=error_id)
        said = "Something went wrong in the bot itself; it is not known whether this took effect."
        following = "Look with /rollout status before you repeat it, and tell the people who run the bot the error id."
        return Reply(
            f"{said} {following} Error id {error_id}",
            (
                Paragraph((line(f"Failed (internal_error) {said}"), line(following))),
                Note(line(f"Error id {error_id}")),
            ),
            error_id=error_id,
        )

    def _record_failure(self, request: Request, error_id: str) -> None:
        actor = request.actor
        with self._database.write() as session:
            event(
                session,
                self._calendar(),
                By(actor.user_id, actor.team_id, str(request.surface)),
                request.verb[:40],
                f"An error of the bot itself; it is not known whether it took effect. Error id {error_id}",
                rollout_id=_asked_of(session, request),
                outcome="failed",
                reason_code="internal_error",
                data={"error_id": error_id},
            )


def _dated(reply: Reply, newest: int | None) -> Reply:
    """A form with the newest event that it was drawn after: its refusal can say what happened since."""
    form = reply.form
    if form is None or newest is None or "version" not in form.arguments:
        return reply
    return replace(reply, form=replace(form, arguments={**form.arguments, "seen": newest}))


def _guessed(reply: Reply, guess: str) -> Reply:
    """With a word that the target was not named whole, above what is shown of it."""
    if not guess:
        return reply
    said = Note(line(f"This is {guess}."))
    if reply.form is not None:
        return replace(reply, form=replace(reply.form, body=(said, *reply.form.body)))
    return replace(reply, blocks=(*reply.blocks[:1], said, *reply.blocks[1:]))


def _seen(request: Request) -> int | None:
    """The newest event when the view was made that is answered; None where it does not say."""
    found = request.arguments.get("seen")
    return found if isinstance(found, int) and request.arguments.get("submitted") else None


def _asked_of(session: Session, request: Request) -> int | None:
    """The rollout that a refused stranger asked for, for the record only."""
    try:
        return find.rollout(session, request).id
    except Refused:
        return None


def _may_not_enter(actor: Actor) -> Refused:
    code = actor.problem if actor.problem in refusals.WHO else "identity_unknown"
    sentence, next_step = refusals.WHO[code]
    if actor.again_in is not None:
        next_step = f"Try again in {actor.again_in} s."
    return refused(code, sentence, next_step)
