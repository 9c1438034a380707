"""Sign-offs carry a signature over everything they say; whoever counts one verifies it first.

A sign-off that is taken back is signed anew, as taken back, in the place of its first signature.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from storage.database import keyring_of
from storage.keyring import Keyring
from storage.models import SignOff

#: How much of a signature people are shown.
SHORT: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """The stage that a sign-off belongs to."""

    rollout_id: int
    stage_key: str


def sign(session: Session, row: SignOff, place: Place, plan_digest: str) -> None:
    """Sign a sign-off that was flushed (it has its id). Raises KeyProblem without a key."""
    row.plan_digest = plan_digest
    _seal(keyring_of(session), row, place)
    session.flush()


def revoke(session: Session, row: SignOff, place: Place, at: datetime, by: str) -> None:
    """Take a sign-off back: ``at`` is a calendar instant, ``by`` a Slack user id. Raises KeyProblem without a key.

    One whose signature did not fit is not signed now: taken back or not, it goes on being named as altered.
    """
    fits = doubt(keyring_of(session), row, place) is None
    row.revoked_at, row.revoked_by = at, by
    if fits:
        _seal(keyring_of(session), row, place)
    session.flush()


def doubt(keyring: Keyring, row: SignOff, place: Place) -> str | None:
    """The reason code why a sign-off cannot be trusted; None when its signature fits."""
    if row.signature is None or row.key_id is None:
        return "sign_off_unsigned"
    if not keyring.knows(row.key_id):
        return "sign_off_key_unknown"
    return None if keyring.fits(row.key_id, _text(row, place), row.signature) else "sign_off_altered"


def _seal(keyring: Keyring, row: SignOff, place: Place) -> None:
    row.key_id = keyring.first
    row.signature = keyring.seal(row.key_id, _text(row, place))


def _text(row: SignOff, place: Place) -> str:
    said = [
        "sign-off",
        row.id,
        place.rollout_id,
        place.stage_key,
        row.stage_id,
        row.generation,
        row.role,
        row.team_id,
        row.user_id,
        str(row.decision),
        row.comment,
        row.evidence_digest,
        row.plan_digest,
        row.at.isoformat(),
        row.revoked_at.isoformat() if row.revoked_at is not None else None,
        row.revoked_by,
        row.key_id,
    ]
    if row.team is not None:  # of the stage it is said as before there were teams
        said += ["team", row.team]
    return json.dumps(said, separators=(",", ":"))
