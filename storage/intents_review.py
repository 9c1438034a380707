"""Acts of people on a stage in review: take back what they said, have its checks look again, ask the missing roles."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from rollout import conditions, teams
from rollout.decisions import Refuse, listed
from rollout.gatefacts import may
from rollout.gates_governing import RevokeFacts, may_recheck, may_revoke
from rollout.reasons import Reason
from rollout.states import StageState
from storage import signatures
from storage.acting import Who, acting, back_to_checks, stale
from storage.database import Database
from storage.intents_signing import NO_KEY, pass_stage
from storage.models import Event, SignOff
from storage.record import event, post, touch_card

#: Calendar: so soon the missing roles are not asked again by a person.
ASK_APART: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Revoked:
    """What the person said of the stage counts no more. ``passed``: it was a rejection, and nothing else held it."""

    stage: str
    said: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Again:
    """It is under way; ``roles`` are the titles of those who were asked, where somebody was."""

    stage: str
    roles: tuple[str, ...] = ()


def revoke(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str, version: int | None = None
) -> Revoked | Refuse:
    """Take back all that one said of a stage, for teams too, before it has passed."""
    if not database.keyring:
        return NO_KEY
    with acting(database, who, now, rollout_id, None) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        rows = act.session.scalars(
            select(SignOff)
            .where(
                SignOff.stage_id == stage.id,
                SignOff.generation == stage.generation,
                SignOff.user_id == who.user_id,
                SignOff.revoked_at.is_(None),
            )
            .order_by(SignOff.id)
        ).all()
        said = listed(list(dict.fromkeys(str(row.decision) for row in rows))) if rows else None
        decision = may_revoke(RevokeFacts(stage_key, said, stage.state))
        if isinstance(decision, Refuse):
            return decision
        assert said is not None
        for row in rows:
            signatures.revoke(act.session, row, signatures.Place(rollout_id, stage_key), now, who.user_id)
        titles = act.standing.titles()
        places = [teams.place(row.role, row.team or "") for row in rows]
        what = {"granted": "the sign-off", "rejected": "the rejection"}.get(said, "what they said")
        sentence = f"took back {what} of {stage_key} as {listed([titles.get(p, p) for p in places])}"
        data = {
            "revoked": [row.id for row in rows],
            "role": rows[0].role,
            "teams": [row.team for row in rows if row.team],
            "evidence_digest": rows[0].evidence_digest,
        }
        event(act.session, now, who.by, "revoke", sentence, stage=stage, data=data)
        touch_card(act.session, stage, final=True)
        act.look()
        passed = conditions.may_pass(act.standing, stage_key)
        if passed:
            pass_stage(act, stage, who.by)
        return Revoked(stage_key, said, passed)


def recheck(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str, version: int | None = None
) -> Again | Refuse:
    """Have every check of a stage in review look once more. Where they find the same, what was signed counts on."""
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        allowed = may(act.plan, act.plan.capabilities.start, act.roles)
        decision = may_recheck(stage_key, allowed, stage.state)
        if isinstance(decision, Refuse):
            return decision
        sentence = f"asked for the checks of {stage_key} to look once more"
        event(act.session, now, who.by, "recheck", sentence, stage=stage)
        back_to_checks(act, stage, sentence)
        return Again(stage_key)


def ask_again(database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str) -> Again | Refuse:
    """Ask the roles that are still missing once more, by name, in the channel."""
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage, standing = act.stages[stage_key], act.standing
        lacking = standing.stage(stage_key).lacking(standing.required(stage_key))
        if not act.roles:
            said = "The missing roles are asked by people who hold a role in this plan."
            return Refuse((Reason("not_a_role_holder", said, "/rollout contacts names them."),))
        if stage.state is not StageState.REVIEW or not lacking:
            said = f"{stage_key} waits for nobody's sign-off now."
            return Refuse((Reason("nothing_to_approve", said, f"/rollout status {stage_key}"),))
        last = act.session.execute(
            select(Event.at)
            .where(
                Event.rollout_id == rollout_id,
                Event.stage_key == stage_key,
                Event.generation == stage.generation,
                Event.kind.in_(["ask_again", "stage_review"]),
            )
            .order_by(Event.id.desc())
            .limit(1)
        ).scalar_one_or_none()
        if last is not None and now - last < ASK_APART:
            said = f"The missing roles of {stage_key} were asked less than 15 minutes ago."
            return Refuse((Reason("asked_already", said, "Give them a moment, or write to them yourself."),))
        titles = standing.titles()
        roles = tuple(titles.get(role, role) for role in lacking)
        asked = event(act.session, now, who.by, "ask_again", f"asked again: {', '.join(roles)}", stage=stage)
        act.session.flush()
        ids = {"by": who.user_id}
        key = f"roles_wanted:{stage.id}:{stage.generation}:{asked.id}"
        post(act.session, now, key, "roles_wanted", rollout_id=rollout_id, stage_id=stage.id, ids=ids)
        return Again(stage_key, roles)
