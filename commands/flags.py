"""``pause [reason]``, ``resume`` and ``refresh``: the flags of a whole rollout, at once and without a form."""

from commands.call import Call, Refused
from commands.reply import Buttons, Icon, Paragraph, Reply, Strong, line
from commands.words import count
from rollout import gates
from rollout.gatefacts import pause_facts, resume_facts
from rollout.gates import Refuse
from storage import intents


def pause(call: Call) -> Reply:
    """Hold all forward work at once."""
    resume_button = call.button("Resume", "resume", version=call.standing.version + 1)
    call.proceed(gates.may_pause(pause_facts(call.standing, call.roles)))
    reason = (call.text("reason") or call.reason)[:500]
    done = intents.pause(call.database, call.who, call.now, call.standing.id, reason)
    if isinstance(done, Refuse):
        raise Refused(done.reasons)
    return Reply(
        "The rollout is paused.",
        (
            Paragraph(
                (
                    line(Icon("paused"), " ", Strong("The rollout is paused."), " Nothing new is begun."),
                    line("What is being written right now ends first. A rollback is possible all the same."),
                    line("/rollout resume lets it go on."),
                )
            ),
            Buttons((resume_button,)),
        ),
    )


def resume(call: Call) -> Reply:
    """Let the rollout go on."""
    call.proceed(gates.may_resume(resume_facts(call.standing, call.roles)))
    done = intents.resume(call.database, call.who, call.now, call.standing.id, call.number("version"))
    if isinstance(done, Refuse):
        raise Refused(done.reasons)
    return Reply(
        "The rollout goes on.",
        (
            Paragraph(
                (line(Icon("ok"), " ", Strong("The rollout goes on.")), line("/rollout status shows where it is."))
            ),
            Buttons((call.button("Status", "status"),)),
        ),
    )


def refresh(call: Call) -> Reply:
    """Ask for a fresh look at the workspaces."""
    asked = intents.look_again(call.database, call.who, call.now, call.standing.id)
    said = f"A fresh look at {count(asked, 'workspace')} is under way." if asked else "The first look is under way."
    return Reply(
        said,
        (
            Paragraph((line(Icon("working"), f" {said}"), line("It takes a moment; then look again at the plan."))),
            Buttons((call.button("Plan", "plan"), call.button("Status", "status"))),
        ),
    )
