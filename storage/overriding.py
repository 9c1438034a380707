"""Overrides: one unmet condition that a person asks to pass over and a second one confirms. Signed when confirmed.

A confirmed override enters the evidence that people sign, so that whoever signs has seen it. It covers the evidence as
it was without overrides; when that changes, it counts no more, and goes on being shown.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from rollout import conditions
from rollout.decisions import Refuse
from rollout.gatefacts import may
from rollout.gates_governing import OverrideFacts, may_ask_override, may_confirm_override, may_decline_override
from rollout.reasons import Reason
from rollout.states import StageState
from storage import chain, evidence, waivers
from storage.acting import Act, Who, acting
from storage.amended import givers
from storage.database import Database
from storage.intents_signing import NO_KEY
from storage.models import Override, Stage
from storage.record import event, post, touch_card


@dataclass(frozen=True, slots=True)
class Asked:
    """It waits for a second person."""

    override: int
    title: str


@dataclass(frozen=True, slots=True)
class Decided:
    """It was confirmed, or declined."""

    confirmed: bool
    stage: str
    title: str


def ask(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str, condition: str, reason: str
) -> Asked | Refuse:
    """Ask for ``condition`` of the stage to be passed over. One that waits for the same condition is replaced."""
    if not database.keyring:
        return NO_KEY
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        found = conditions.named(act.standing, stage_key, condition)
        condition = found.condition if found is not None else condition
        decision = may_ask_override(_facts(act, stage, condition, "role", reason=reason))
        if isinstance(decision, Refuse):
            return decision
        assert found is not None
        act.session.execute(
            update(Override)
            .where(
                Override.stage_id == stage.id,
                Override.generation == stage.generation,
                Override.condition == condition,
                Override.state == "asked",
            )
            .values(state="replaced", decided_by=who.user_id, decided_at=now)
        )
        row = Override(
            stage_id=stage.id,
            generation=stage.generation,
            condition=condition,
            title=f"{found.title}: {found.sentence}"[:500],
            reason=reason,
            evidence_digest=evidence.core(stage.evidence_text),
            asked_by=who.user_id,
            asked_at=now,
        )
        act.session.add(row)
        act.session.flush()
        sentence = f"asked to override {condition} of {stage_key}: {reason}"
        data = {"override": row.id, "condition": condition, "evidence_digest": row.evidence_digest, "reason": reason}
        event(act.session, now, who.by, "override", sentence, stage=stage, data=data)
        key = f"override_wanted:{row.id}"
        ids = {"override": row.id, "channel": act.rollout.channel}
        post(act.session, now, key, "override_wanted", rollout_id=rollout_id, stage_id=stage.id, ids=ids, repeat=True)
        return Asked(row.id, row.title)


def confirm(database: Database, who: Who, now: datetime, rollout_id: int, override: int) -> Decided | Refuse:
    """Let the condition be passed over: signed, and part of the evidence from now on."""
    if not database.keyring:
        return NO_KEY
    record = chain.verify(database, rollout_id)
    if not record.intact:
        said = "The record of this rollout does not verify; nothing is passed over."
        return Refuse((Reason("evidence_altered", said, "/rollout audit says what is wrong."),))
    with acting(database, who, now, rollout_id, None) as act:
        row, stage = _row(act, override)
        decision = may_confirm_override(_facts_of(act, row, stage))
        if isinstance(decision, Refuse):
            return decision
        assert row is not None
        assert stage is not None
        row.state, row.decided_by, row.decided_at = "confirmed", who.user_id, now
        waivers.sign(act.session, row, stage)
        sentence = f"overrode {row.condition} of {stage.key}, which {row.asked_by} asked for: {row.reason}"
        data = {
            "override": row.id,
            "condition": row.condition,
            "asked_by": row.asked_by,
            "reason": row.reason,
            "evidence_digest": row.evidence_digest,
        }
        event(act.session, now, who.by, "override_confirmed", sentence, stage=stage, data=data)
        told = givers(act.session, stage.id)
        if stage.evidence_text is not None:
            bundle = evidence.with_overrides(stage.evidence_text, evidence.overrides(act.session, stage))
            stage.evidence_text, stage.evidence_digest = bundle.text, bundle.digest
        stage.version += 1
        touch_card(act.session, stage, make=stage.state not in {StageState.WAITING, StageState.READY})
        key = f"override_confirmed:{row.id}"
        ids = {"override": row.id}
        post(
            act.session, now, key, "override_confirmed", rollout_id=rollout_id, stage_id=stage.id, ids=ids, repeat=True
        )
        if told:
            letter = f"sign_offs_stale:{stage.id}:{stage.generation}:{stage.version}"
            about = {"givers": told, "why": "a condition is passed over", "looks": False}
            post(
                act.session,
                now,
                letter,
                "sign_offs_stale",
                rollout_id=rollout_id,
                stage_id=stage.id,
                ids=about,
                repeat=True,
            )
        return Decided(True, stage.key, row.title)


def decline(database: Database, who: Who, now: datetime, rollout_id: int, override: int) -> Decided | Refuse:
    """Leave the condition as it is."""
    with acting(database, who, now, rollout_id, None) as act:
        row, stage = _row(act, override)
        decision = may_decline_override(_facts_of(act, row, stage))
        if isinstance(decision, Refuse):
            return decision
        assert row is not None
        assert stage is not None
        row.state, row.decided_by, row.decided_at = "declined", who.user_id, now
        sentence = f"declined the override of {row.condition} of {stage.key}"
        event(act.session, now, who.by, "override_declined", sentence, stage=stage, data={"override": row.id})
        return Decided(False, stage.key, row.title)


# -- inside ------------------------------------------------------------------------------------------------------------


def _row(act: Act, override: int) -> tuple[Override | None, Stage | None]:
    row = act.session.execute(
        select(Override).where(Override.id == override).with_for_update().execution_options(populate_existing=True)
    ).scalar_one_or_none()
    stage = next((s for s in act.stages.values() if row is not None and s.id == row.stage_id), None)
    return (row, stage) if stage is not None else (None, None)


def _facts_of(act: Act, row: Override | None, stage: Stage | None) -> OverrideFacts:
    if row is None or stage is None:
        return OverrideFacts("", "", False, may(act.plan, (), ()), act.who.user_id, None, False, state="gone")
    return _facts(act, stage, row.condition, "second", row=row)


def _facts(
    act: Act, stage: Stage, condition: str, word: str, reason: str = "-", row: Override | None = None
) -> OverrideFacts:
    rule = conditions.covered(act.plan, stage.key, condition)
    standing = act.standing.stage(stage.key)
    allowed = (getattr(rule, word),) if rule is not None else ()
    altered = conditions.kind_of(condition) == conditions.SIGN_OFF and standing.doubtful
    return OverrideFacts(
        stage=stage.key,
        condition=condition,
        rule=rule is not None,
        may=may(act.plan, allowed, act.roles),
        actor=act.who.user_id,
        started_by=stage.started_by,
        unmet=conditions.named(act.standing, stage.key, condition) is not None,
        whole=standing.evidence_doubt or ("a sign-off is not as it was signed" if altered else ""),
        reason=reason,
        asked_by=row.asked_by if row is not None else "",
        state=row.state if row is not None else "asked",
        same=row is None
        or (row.generation == stage.generation and row.evidence_digest == evidence.core(stage.evidence_text)),
    )
