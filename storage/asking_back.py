"""Asking for a rollback: for people who may not do it themselves."""

from dataclasses import dataclass
from datetime import datetime

from rollout.decisions import Refuse
from rollout.reasons import Reason
from rollout.standing import HAS_CHANGES
from storage import escalating, open_escalations
from storage.acting import Who, acting
from storage.database import Database
from storage.record import event, post, touch_card


@dataclass(frozen=True, slots=True)
class AskedBack:
    """It is in the channel, and is escalated while nobody looks after it."""

    stage: str


def ask(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str, reason: str
) -> AskedBack | Refuse:
    """Ask those who may for a rollback of the stage; one question at a time."""
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        if not act.roles:
            said = "A rollback is asked for by people who hold a role in this plan."
            return Refuse((Reason("not_a_role_holder", said, "/rollout contacts names whom to ask."),))
        if stage.state not in HAS_CHANGES:
            said = f"Nothing of {stage_key} is changed now."
            return Refuse((Reason("nothing_to_roll_back", said, f"/rollout status {stage_key}"),))
        if not reason.strip():
            said = "To ask for a rollback needs a reason."
            return Refuse((Reason("reason_required", said, "Fill in why."),))
        standing = open_escalations.newest(act.session, rollout_id).get(stage.id)
        if standing is not None and standing.cause == "rollback":
            said = f"A rollback of {stage_key} is asked for already."
            return Refuse((Reason("asked_already", said, f"/rollout status {stage_key}"),))
        sentence = f"asked for a rollback of {stage_key}: {reason}"
        asked = event(act.session, now, who.by, "ask_rollback", sentence, stage=stage, data={"reason": reason})
        act.session.flush()
        key = f"rollback:{stage.id}:{asked.id}"
        number = escalating.begin(act.session, stage, "rollback", f"a rollback is asked for: {reason}", key, now)
        ids = {"escalation": number, "by": who.user_id, "reason": reason}
        letter = f"rollback_wanted:{number}"
        post(
            act.session, now, letter, "rollback_wanted", rollout_id=rollout_id, stage_id=stage.id, ids=ids, repeat=True
        )
        touch_card(act.session, stage)
        return AskedBack(stage_key)
