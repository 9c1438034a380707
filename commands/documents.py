"""What is posted to the channel: one document for each kind of the outbox, as it reads when it is sent."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from commands import (
    amendment,
    download,
    drifted,
    escalation,
    finalsummary,
    issue,
    override,
    ownernews,
    pausenews,
    pinnews,
    report,
    stagenews,
    startnews,
    teamnews,
)
from commands import card as cards
from commands.reply import Buttons, Code, Icon, Note, Paragraph, Person, Reply, line
from rollout.standing import StageStanding, Standing
from rollout.states import StageState
from storage import sealing

card = cards.card

#: What names the head of the record: whatever happened until then is sealed first.
TELL_A_HEAD = frozenset({"stage_passed", "daily_summary"})

Maker = Callable[[Session, Standing, StageStanding, Mapping[str, Any], datetime], Reply | None]


def document(
    session: Session, standing: Standing, kind: str, stage_key: str | None, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The message of that kind; None when there is nothing to say any more, or nobody knows the kind."""
    if kind == "daily_summary":
        return report.daily(session, standing, ids, now)
    if kind == "edits":
        return download.document(session, standing, ids)
    if kind == "drift":
        return drifted.document(session, standing)
    if kind == "amendment_proposed":
        return amendment.proposed(session, standing, ids)
    if kind == "plan_amended":
        return amendment.amended(session, standing, ids)
    if kind == "final_summary":
        return finalsummary.document(standing)
    if kind in {"issue_reported", "issue_resolved"}:
        return issue.document(session, standing, kind, ids)
    if kind in pausenews.KINDS:
        return pausenews.document(standing, kind)
    if kind in startnews.KINDS:
        return startnews.document(standing, kind, ids)
    make = _OF_STAGE.get(kind)
    stage = next((s for s in standing.stages if s.key == stage_key), None)
    if kind in ownernews.KINDS:
        return ownernews.document(session, standing, stage, ids, now, kind) if stage is not None else None
    if kind in teamnews.KINDS:
        return teamnews.document(session, standing, stage, ids, kind) if stage is not None else None
    return make(session, standing, stage, ids, now) if make is not None and stage is not None else None


def closing(
    session: Session, standing: Standing, kind: str, stage_key: str | None, ids: Mapping[str, Any], now: datetime
) -> Reply:
    """A posted message whose time is over: what it was about, what became of it, nothing to press."""
    if kind == "amendment_proposed":
        return amendment.closing(session, standing, ids)
    if kind in {"escalated", "rollback_wanted"}:
        return escalation.closing(session, stage_key or "", ids)
    if kind == "override_wanted":
        return override.closing(session, stage_key or "", ids)
    if kind == "issue_reported":
        return issue.closing(session, standing, ids)
    stage = standing.stage(stage_key or "")
    if kind == "stage_passed" and stage.state is StageState.PASSED:
        reply = stagenews.passed(session, standing, stage, {}, now)
        if reply is not None:
            return replace(reply, blocks=tuple(b for b in reply.blocks if not isinstance(b, Buttons)))
    said = f"{stage_key} {_WAS.get(kind, 'has gone on')}. That is over; its card shows how it stands."
    # What names the head of the record goes on naming it: an older database shows against it (docs/audit.md).
    place = sealing.place_of(session, standing.id, stage.key, None, kind) if kind in TELL_A_HEAD else None
    head = (Note(line("Record ", Code(str(place)))),) if place is not None else ()
    return Reply(said, (Paragraph((line(Icon("info"), " ", said),)), *head))


_WAS = {
    "roles_wanted": "was waiting for sign-offs",
    "decision_wanted": "was ready for review",
    "stage_rejected": "was rejected",
    "stage_blocked": "was blocked",
    "stage_passed": "had passed",
    "rollback_started": "was being rolled back",
    "rollback_ended": "was rolled back",
}


def shared(reply: Reply, by: str) -> Reply:
    """A look that somebody shared with the channel, without buttons that were meant for that person."""
    blocks = tuple(b for b in reply.blocks if not isinstance(b, Buttons))
    return replace(reply, blocks=(*blocks, Note(line("Shared by ", Person(by)))), share=False, form=None)


def _sign_offs_stale(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    return amendment.stale_sign_offs(stage.key, standing.id, ids)


def _override_wanted(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    return override.wanted(session, standing, stage, ids)


def _override_confirmed(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    return override.confirmed(session, standing, stage, ids)


def _escalated(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    return escalation.escalated(session, standing, stage, ids, now)


def _acknowledged(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    return escalation.acknowledged(session, stage, ids)


def _rollback_wanted(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    pressed = stagenews.buttons(standing, stage, now, {"rollback", "acknowledge"})
    return escalation.rollback_wanted(session, standing, stage, ids, pressed)


_OF_STAGE: dict[str, Maker] = {
    "decision_wanted": stagenews.decision_wanted,
    "stage_blocked": stagenews.blocked,
    "stage_passed": stagenews.passed,
    "rollback_started": stagenews.rollback_started,
    "rollback_ended": stagenews.rollback_ended,
    "bake_worse": stagenews.bake_worse,
    "sign_offs_stale": _sign_offs_stale,
    "override_wanted": _override_wanted,
    "override_confirmed": _override_confirmed,
    "roles_wanted": stagenews.roles_wanted,
    "escalated": _escalated,
    "acknowledged": _acknowledged,
    "rollback_wanted": _rollback_wanted,
    "stage_rejected": stagenews.rejected,
    "pinned": pinnews.pinned,
    "pinned_failed": pinnews.pinned_failed,
}
