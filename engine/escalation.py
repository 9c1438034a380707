"""What nobody looks after: escalated by the calendar, told to a web hook, and the missing signers asked once a day."""

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.parts import Parts
from rollout.states import StageState
from storage import escalating, facts, fences, hooks
from storage.hooks import Call
from storage.models import Event, Rollout, Stage
from storage.record import post

log = structlog.get_logger(__name__)

#: Machine seconds that the web hook may take to answer.
ANSWER: Final = 5.0
#: Calendar: how long the missing roles are left alone after they were asked.
ASKED: Final = timedelta(days=1)


def tick(parts: Parts) -> None:
    """Name who is next of what is due, and ask roles that have been missing for a day."""
    now = parts.calendar()
    escalating.tick(parts.database, now)
    with parts.database.read() as session:
        waiting = session.execute(
            select(Stage.id).join(Rollout).where(Rollout.open, Stage.state == StageState.REVIEW)
        ).scalars()
        due = [number for number in waiting if _asks(session, session.get_one(Stage, number), now) is not None]
    for number in due:
        with parts.database.write() as session:
            _ask(session, number, now)


def _asks(session: Session, stage: Stage, now: datetime) -> int | None:
    """Which day of waiting this is, where the missing roles are to be asked once more; else None."""
    if stage.state is not StageState.REVIEW or stage.reviewed_at is None or now - stage.reviewed_at < ASKED:
        return None
    day = (now - stage.reviewed_at) // ASKED
    if fences.taken(session, _job(stage), stage.rollout_id, str(day)):
        return None
    last = session.execute(
        select(func.max(Event.at)).where(
            Event.rollout_id == stage.rollout_id,
            Event.stage_key == stage.key,
            Event.generation == stage.generation,
            Event.kind == "ask_again",
        )
    ).scalar_one()
    if last is not None and now - last < ASKED:
        return None
    return day


def _job(stage: Stage) -> str:
    """One job per review: a new one begins to count its days anew."""
    return f"roles:{stage.id}:{stage.generation}:{stage.reviewed_at:%Y%m%dT%H%M%S}"


def _ask(session: Session, stage_id: int, now: datetime) -> None:
    stage = session.get_one(Stage, stage_id)
    day = _asks(session, stage, now)
    if day is None:
        return
    job, standing = _job(stage), facts.standing(session, stage.rollout)
    lacking = standing.stage(stage.key).lacking(standing.required(stage.key))
    # Also where nobody is missing the day is taken: the next look at it would find the same.
    if fences.take(session, job, stage.rollout_id, str(day), now) and lacking:
        key = f"roles_wanted:{job}:{day}"
        post(session, now, key, "roles_wanted", rollout_id=stage.rollout_id, stage_id=stage.id)


# -- the web hook ------------------------------------------------------------------------------------------------------


def call_hooks(parts: Parts) -> None:
    """Make the calls that are due. What they say is in the database; the address never leaves the environment."""
    with parts.database.read() as session:
        due = hooks.due(session, parts.database.machine())
    for number in due:
        with parts.database.write() as session:
            call = hooks.take(session, number, parts.database.machine())
        if call is not None:
            _make(parts, call)


def _make(parts: Parts, call: Call) -> None:
    address = parts.environment.get(call.variable, "")
    error, final = ("the variable is not set", False) if not address else _post(address, call)
    with parts.database.write() as session:
        given_up = hooks.made(session, call, parts.database.machine(), error, final)
    if error is not None:
        log.warning(
            "webhook_given_up" if given_up else "webhook_failed",
            hook=call.id,
            setting=call.variable,
            error=error,
            attempts=call.attempts,
        )


def _post(address: str, call: Call) -> tuple[str | None, bool]:
    """What went wrong, without the address, and whether it will go on doing so; None when it was taken."""
    try:
        scheme = urlsplit(address).scheme
        if scheme not in {"http", "https"}:
            return "the address is neither http nor https", True
        request = urllib.request.Request(  # looked at above
            address,
            json.dumps(dict(call.body)).encode(),
            {"Content-Type": "application/json", "Idempotency-Key": call.key},
            method="POST",
        )
        with _OPENER.open(request, timeout=ANSWER):
            return None, False
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}", False
    except (OSError, http.client.HTTPException, ValueError) as error:
        return type(error).__name__, isinstance(error, ValueError)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What the operator named is called, and nothing that it points to."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
