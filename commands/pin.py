"""``pin [STAGE | TARGET]``: of a blocked stage leave behind what failed in it, asked for by a button; or one target."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from commands import pins
from commands.call import Call, Refused, refused
from commands.reply import Buttons, FieldErrors, Form, Icon, Line, Paragraph, Reply, Strong, TextInput, line
from commands.start import check_version
from commands.words import count, short
from rollout import gates
from rollout.gatefacts import pin_failed_facts
from storage import intents_rollback
from storage.models import Stage

_FIRST = 10


def pin(call: Call) -> Reply:
    """A stage that was named, or else a target."""
    return _failed(call) if call.stage_key is not None else pins.pin(call)


def _failed(call: Call) -> Reply:
    """Ask for the reason, or put back and pin the targets that failed in a stage."""
    stage = call.stage
    check_version(call, stage)
    call.proceed(gates.may_pin_failed(pin_failed_facts(call.standing, stage.key, call.roles)))
    reason = call.text("reason", 300) or call.reason
    if not call.submitted:
        with call.database.read() as session:
            row = session.execute(select(Stage).where(Stage.id == stage.id)).scalar_one()
            names = [
                f"{t.name[:80]} ({t.kind} in {t.workspace})" for t in intents_rollback.failed_targets(session, row)
            ]
        if not names:
            raise refused("nothing_to_retry", f"Nothing failed in {stage.key}.", f"/rollout status {stage.key}")
        what = count(len(names), "target")
        body = (
            Paragraph((line(Strong(f"{what} failed")), *_listed(names))),
            Paragraph(
                (
                    line("Each is put back from its backup where something was written to it, and pinned:"),
                    line("the rollout leaves it on the old runtime, with your reason and you as the owner."),
                    line("A field that somebody else changed since is left as it is, and shown."),
                    line(f"{stage.key} stays blocked until somebody lets it go on: /rollout start {stage.key}"),
                )
            ),
        )
        form = Form(
            title=f"Pin failed {stage.key}"[:24],
            verb="pin",
            arguments={"rollout": call.standing.id, "stage": stage.key, "version": stage.version},
            submit="Pin failed",
            body=body,
            inputs=(TextInput("reason", "Why?", required=True, initial=reason[:300], max_length=300),),
            danger=True,
        )
        return Reply(f"Put back and pin {what} of {stage.key}?", form=form)
    done = intents_rollback.pin_failed(
        call.database, call.who, call.now, call.standing.id, stage.key, reason, call.number("version")
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, stage.key)
    back = f", {done.reverting} of them are being put back" if done.reverting else ""
    said = f"{count(len(done.pinned), 'target')} of {stage.key} pinned{back}."
    left = [f"{name[:80]} is not: {why}" for name, why in done.left]
    lines = (line(Icon("back"), " ", Strong(said)), *_listed(left))
    again = call.button(f"Let {stage.key} go on", "start", "primary", stage=stage.key)
    return Reply(said, (Paragraph(lines), Buttons((again, call.button("Status", "status", stage=stage.key)))))


def _listed(names: list[str]) -> list[Line]:
    more = [line(f"and {len(names) - _FIRST} more")] if len(names) > _FIRST else []
    return [*(line(f"• {short(name, 300)}") for name in names[:_FIRST]), *more]


def check_pin(arguments: Mapping[str, Any]) -> None:
    """A pin says why; that of one target also who answers for it."""
    if not arguments.get("stage"):
        pins.check_pin(arguments)
    elif not str(arguments.get("reason") or "").strip():
        raise FieldErrors({"reason": "Say why these targets stay on the old runtime."})
