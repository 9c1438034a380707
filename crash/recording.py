"""What the database says at a halt, in words that are the same in every run: no ids, no times."""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Action, Backup, Event, Evidence, Outbox, Stage, Target

#: Edits of cards and summaries follow the clock; these follow what happened.
_TIMED: Final = frozenset({"daily_summary", "bake_worse"})


def record(session: Session) -> dict[str, Any]:
    """The stage, its actions, targets, backups, evidence, transitions and messages."""
    names = {t.id: f"{t.kind} {t.name}" for t in session.execute(select(Target)).scalars()}
    stage = session.execute(select(Stage)).scalar_one()
    return {
        "stage": {
            "state": stage.state,
            "generation": stage.generation,
            "change_set": stage.change_set_digest,
            "evidence": stage.evidence_digest,
            "block": stage.block_sentence,
        },
        "actions": {
            f"{names[a.target_id]}, {a.kind} {a.attempt}": [a.state, a.reason_code, a.change]
            for a in session.execute(select(Action)).scalars()
        },
        "targets": {
            names[t.id]: [t.release, t.skip_code, t.change, t.gone] for t in session.execute(select(Target)).scalars()
        },
        "backups": {names[b.target_id]: b.digest for b in session.execute(select(Backup)).scalars()},
        "verdicts": {e.criterion: e.verdict for e in session.execute(select(Evidence).order_by(Evidence.id)).scalars()},
        "transitions": [
            e.kind for e in session.execute(select(Event).order_by(Event.id)).scalars() if e.kind.startswith("stage_")
        ],
        "messages": sorted(o.kind for o in session.execute(select(Outbox)).scalars() if o.kind not in _TIMED),
    }


def backups(session: Session) -> dict[int, bytes]:
    """The backups as they are stored."""
    return {b.id: b.ciphertext for b in session.execute(select(Backup)).scalars()}
