"""*I look after it*: who has taken on what went wrong, who is named while nobody has; and asking for a rollback."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from commands.call import Call, Refused, refused
from commands.reply import (
    Block,
    Button,
    Buttons,
    Form,
    Icon,
    Line,
    Paragraph,
    Part,
    Person,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.words import lasting, short
from rollout.gates import Refuse
from rollout.people import members
from rollout.standing import StageStanding, Standing
from storage import asking_back, escalating, open_escalations

LABEL: Final = "I look after it"
_MENTIONS: Final = 8


def acknowledge(call: Call) -> Reply:
    """Take on what went wrong."""
    number = call.number("escalation")
    if number is None and call.stage_key is not None:
        number = call.stage.escalation
    if number is None:
        raise refused(
            "acknowledgement_over", "Nothing wants a look there now.", "/rollout status", stage=call.stage_key
        )
    done = escalating.acknowledge(call.database, call.who, call.now, call.standing.id, number)
    if isinstance(done, Refuse):
        with call.database.read() as session:
            found = open_escalations.shown(session, number)
        who = (line(Person(found.acknowledged_by), " looks after it."),) if found and found.acknowledged_by else ()
        raise Refused(done.reasons, call.stage_key, lines=who)
    said = f"You look after {done.stage}: nobody else is named."
    button = call.button("Details", "status", stage=done.stage)
    return Reply(said, (Paragraph((line(Icon("ok"), f" {said}"), line(short(done.sentence, 300)))), Buttons((button,))))


def ask_back(call: Call) -> Reply:
    """Ask those who may for a rollback."""
    stage = call.stage
    if not call.submitted:
        why = TextInput("reason", "Why?", required=True, multiline=True, initial=call.reason[:300], max_length=300)
        body = (Paragraph((line(f"Those who may are asked in the channel to roll back {stage.key}."),)),)
        arguments = {"rollout": call.standing.id, "stage": stage.key}
        return Reply(
            f"Ask for a rollback of {stage.key}?",
            form=Form("Ask for a rollback", "ask-rollback", arguments, "Ask for it", body, (why,)),
        )
    reason = call.text("reason") or call.reason
    done = asking_back.ask(call.database, call.who, call.now, call.standing.id, stage.key, reason)
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    said = f"Asked in the channel to roll back {stage.key}."
    return Reply(said, (Paragraph((line(Icon("waiting"), f" {said}"),)),))


def button(standing: Standing, stage: StageStanding) -> list[Button]:
    """The button for what nobody looks after yet; nothing where nothing wants a look."""
    if stage.escalation is None or stage.looked_after_by:
        return []
    return [Button(LABEL, "acknowledge", {"rollout": standing.id, "stage": stage.key, "escalation": stage.escalation})]


def looked_after(stage: StageStanding) -> list[Line]:
    """Who looks after what went wrong in a stage."""
    if stage.escalation is None or not stage.looked_after_by:
        return []
    return [line(Icon("info"), " ", Person(stage.looked_after_by), " looks after it.")]


# -- messages ----------------------------------------------------------------------------------------------------------


def escalated(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], lasted: Any
) -> Reply | None:
    """The message that names the next contact; None once somebody looks after it, or it is over."""
    found = open_escalations.shown(session, int(ids.get("escalation") or 0))
    if found is None or found.over or found.acknowledged_by:
        return None
    contact = str(ids.get("contact") or "")
    said = f"{stage.key}: nobody has looked after it for {lasting(lasted - found.began_at)}"
    lines = (
        line(Icon("warning"), " ", *_named(standing, contact), ": ", Strong(said)),
        line(short(found.sentence, 400)),
        line(f"Press “{LABEL}” to take it on; else the next contact of the plan is named, if there is one."),
    )
    details = Button("Details", "status", {"rollout": standing.id, "stage": stage.key})
    return Reply(
        f"{said}: {short(found.sentence, 200)}", (Paragraph(lines), Buttons((*button(standing, stage), details)))
    )


def acknowledged(session: Session, stage: StageStanding, ids: Mapping[str, Any]) -> Reply | None:
    """The message that somebody looks after it."""
    found = open_escalations.shown(session, int(ids.get("escalation") or 0))
    if found is None or not found.acknowledged_by:
        return None
    said = f"{stage.key} is looked after"
    who = line(
        Icon("info"), " ", Person(found.acknowledged_by), f" looks after {stage.key}: {short(found.sentence, 200)}"
    )
    return Reply(f"{said}.", (Paragraph((who,)),))


def rollback_wanted(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], pressed: Buttons
) -> Reply | None:
    """The message that asks those who may for a rollback."""
    found = open_escalations.shown(session, int(ids.get("escalation") or 0))
    if found is None or found.over:
        return None
    said = f"A rollback of {stage.key} is asked for"
    by: Line = (" by ", Person(str(ids["by"]))) if ids.get("by") else ()
    may = [standing.plan.roles[r].title for r in standing.plan.capabilities.rollback if r in standing.plan.roles]
    lines = (
        line(Icon("back"), " ", Strong(said), *by, f": {short(str(ids.get('reason') or ''), 300)}"),
        line(f"{', '.join(may)} may do it: /rollout rollback {stage.key}"),
        *looked_after(stage),
    )
    return Reply(f"{said}.", (Paragraph(lines), pressed))


def closing(session: Session, stage_key: str, ids: Mapping[str, Any]) -> Reply:
    """What a message says once somebody looks after it, or it is over."""
    found = open_escalations.shown(session, int(ids.get("escalation") or 0))
    if found is not None and found.acknowledged_by:
        return Reply(
            f"{stage_key} is looked after.",
            (Paragraph((line(Icon("ok"), " ", Person(found.acknowledged_by), f" looks after {stage_key}."),)),),
        )
    said = f"What wanted a look at {stage_key} is over."
    blocks: tuple[Block, ...] = (Paragraph((line(Icon("info"), f" {said}"),)),)
    return Reply(said, blocks)


def _named(standing: Standing, contact: str) -> list[Part]:
    """A contact of the escalation: the people of a role, or what the plan says of a contact."""
    plan = standing.plan
    if contact in plan.roles:
        people = sorted(members(plan, standing.groups).get(contact, ()))[:_MENTIONS]
        parts: list[Part] = [Strong(plan.roles[contact].title)]
        for user in people:
            parts += [" ", Person(user)]
        return parts
    found = next((c for c in plan.contacts if c.role == contact), None)
    return [Strong(contact), f" ({short(found.contact, 120)})"] if found is not None else [Strong(contact)]
