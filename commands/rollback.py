"""``rollback [STAGE | TARGET]`` and ``unlock STAGE``: the way back, from stored facts and at once."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from commands import find, supports
from commands.call import Call, Refused, refused
from commands.reply import (
    Block,
    Button,
    Buttons,
    Choice,
    FieldErrors,
    Form,
    Icon,
    Input,
    Line,
    Note,
    Paragraph,
    PersonInput,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.shown import facts_age
from commands.words import ago, change_words, count, doing, listed
from rollout import gates
from rollout.gatefacts import roll_back_facts, unlock_facts
from rollout.gates import Refuse
from rollout.standing import StageStanding
from rollout.states import ActionKind, StageState
from storage import acting, intents_rollback, managed, tallies
from storage.models import Target


def rollback(call: Call) -> Reply:
    """A stage, a target, or without either the newest stage with changes."""
    if call.target_id is not None:
        return _target(call, call.target_id)
    keys = _stages(call)
    stage = call.standing.stage(keys[0])
    generation = call.number("generation")
    if generation is not None and generation != stage.generation:
        raise Refused(acting.stale(stage.key).reasons, stage.key)
    for key in keys:
        decision = gates.may_roll_back(roll_back_facts(call.standing, key, call.roles, keys))
        if isinstance(decision, Refuse):
            raise Refused(decision.reasons, key, [*_all_of_them(call, key, decision), *_asking(call, key, decision)])
    if not call.submitted:
        return _form(call, keys)
    reason = call.text("reason") or call.reason
    done = intents_rollback.roll_back(
        call.database,
        call.who,
        call.now,
        call.standing.id,
        keys,
        reason,
        call.number("generation"),
        managed_too=bool(call.request.arguments.get("managed_too")),
    )
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    names = listed(list(done.stages))
    said = f"{names} {'is' if len(done.stages) == 1 else 'are'} being rolled back."
    return Reply(
        said,
        (
            Paragraph(
                (
                    line(Icon("back"), " ", Strong(said)),
                    line("What is being written now is awaited first; then every target is put back from its backup."),
                    line(f"Watch the card, or type /rollout status {done.stages[-1]}"),
                )
            ),
            Buttons((call.button("Status", "status", stage=done.stages[-1]),)),
        ),
    )


def _stages(call: Call) -> list[str]:
    """The stages that are meant; the named one first."""
    several = call.request.arguments.get("stages")
    known = {s.key for s in call.standing.stages}
    if isinstance(several, list) and several:
        for key in several:
            if key not in known:
                find.stage(call.standing, key, "rollback")
        return several
    if call.stage_key is not None:
        return [call.stage_key]
    newest = call.standing.newest_with_changes()
    if newest is None:
        going = next((s for s in call.standing.stages if s.state is StageState.ROLLING_BACK), None)
        if going is not None:
            raise refused("rollback_running", f"{going.key} is being rolled back.", f"/rollout status {going.key}")
        bad = next((s for s in reversed(call.standing.stages) if _left_over(s)), None)
        if bad is None:
            raise refused(
                "nothing_to_roll_back", "No stage has changes: there is nothing to put back.", "/rollout status"
            )
        return [bad.key]
    return [newest.key]


def _left_over(stage: StageStanding) -> bool:
    return stage.state is StageState.ROLLED_BACK and stage.tally(ActionKind.REVERT).bad + stage.in_use > 0


def _asking(call: Call, key: str, decision: Refuse) -> list[Button]:
    """Who holds a role but may not roll back can ask those who may."""
    if not call.roles or not any(r.code == "not_permitted" for r in decision.reasons):
        return []
    return [call.button("Ask for a rollback", "ask-rollback", stage=key, reason=call.reason[:300])]


def _all_of_them(call: Call, key: str, decision: Refuse) -> tuple[Any, ...]:
    """The button that rolls back the later stages too, latest first."""
    if not any(r.code == "later_stage_started" for r in decision.reasons):
        return ()
    keys = [*(s.key for s in call.standing.later_with_changes(key)), key]
    label = f"Roll back {listed(keys)}"[:75]
    return (call.button(label, "rollback", "danger", stages=keys),)


def _form(call: Call, keys: list[str]) -> Reply:
    standing = call.standing
    lines: list[Line] = []
    for key in keys:
        stage = standing.stage(key)
        lines.append(line(Icon("back"), " ", Strong(key), f": {_reverted(stage)}"))
    body: list[Block] = [
        Paragraph(tuple(lines)),
        Paragraph(
            (
                line("Each target gets back what its backup says of the fields we changed."),
                line("Running clusters are restarted."),
                *supports.put_back_last(call, keys),
                line("A field that somebody else changed since is left as it is, and shown."),
                line(f"Afterwards {_locked(keys)} with a reason."),
            )
        ),
        Note(facts_age(standing, call.now)),
    ]
    said, inputs = _emergency(call, keys)
    body[2:2] = said
    stage = standing.stage(keys[0])
    name = keys[0] if len(keys) == 1 else f"{len(keys)} stages"
    arguments: dict[str, Any] = {"rollout": standing.id, "stage": keys[0], "generation": stage.generation}
    if len(keys) > 1:
        arguments["stages"] = keys
    form = Form(
        title=f"Roll back {name}",
        verb="rollback",
        arguments=arguments,
        submit=f"Roll back {name}",
        body=tuple(body),
        inputs=(
            TextInput("reason", "Why? It is shown in the channel.", initial=call.reason[:300], max_length=300),
            *inputs,
        ),
        danger=True,
    )
    return Reply(f"Roll back {listed(keys)}? {_reverted(stage)}", form=form)


def _emergency(call: Call, keys: list[str]) -> tuple[list[Block], list[Input]]:
    """What repositories have deployed meanwhile is put back only when that is ticked by itself."""
    names: dict[str, int] = {}
    with call.database.read() as session:
        for key in keys:
            stage = call.standing.stage(key)
            for target, _ in managed.revertible(session, stage.id, stage.generation, call.standing.id, key):
                names[target.repository or "unnamed"] = names.get(target.repository or "unnamed", 0) + 1
    if not names:
        return [], []
    number = sum(names.values())
    repositories = listed([f"{name} ({n:,})" for name, n in list(names.items())[:5]])
    text = f" {count(number, 'target')} deployed by repositories stay on the new runtime: the way back is a deploy of"
    undone = "In an emergency they can be put back by API: the next deploy of that repository undoes it."
    block = Paragraph((line(Icon("warning"), f"{text} {repositories}."), line(undone)))
    option = ("api", f"Put back {count(number, 'target')} by API; the next deploy undoes it"[:75])
    return [block], [Choice("managed_too", "Deployed from repositories", (option,), required=False, many=True)]


def _why(reason: str) -> Line:
    return (f": {reason}",) if reason else (".",)


def _locked(keys: list[str]) -> str:
    if len(keys) == 1:
        return f"{keys[0]} is locked until somebody unlocks it"
    return f"{listed(keys)} are locked until somebody unlocks them"


def _reverted(stage: StageStanding) -> str:
    if stage.state is StageState.ROLLED_BACK and not stage.tally(ActionKind.REVERT).bad:
        return f"{count(stage.in_use, 'support')} left as changed will be asked again."
    if stage.state is StageState.ROLLED_BACK:
        return f"{count(stage.tally(ActionKind.REVERT).bad, 'target')} that could not be put back will be tried again."
    changes = stage.tally(ActionKind.CHANGE)
    touched = changes.good + changes.bad + changes.running
    if not touched:
        return "nothing was changed yet; it is stopped."
    going = f" ({changes.running} of them under way now)" if changes.running else ""
    most = "up to " if changes.running else ""
    return f"{most}{count(touched, 'target')}{going} will be put back."


def _target(call: Call, target_id: int) -> Reply:
    with call.database.read() as session:
        target = session.execute(select(Target).where(Target.id == target_id)).scalar_one_or_none()
        if target is None:
            raise refused("unknown_target", "This target is no longer known.", "/rollout plan")
        found = intents_rollback.target_facts(session, call.standing, call.roles, target)
        change = tallies.newest_change(session, target_id) or target.change
    decision = gates.may_roll_back_target(found)
    if isinstance(decision, Refuse):
        raise Refused(decision.reasons, found.stage)
    if not call.submitted:
        return _target_form(call, target, change, gates.needs_revert(found))
    reason = call.text("reason") or call.reason
    owner = call.text("owner") or None
    done = intents_rollback.roll_back_target(
        call.database, call.who, call.now, call.standing.id, target_id, reason, owner
    )
    if isinstance(done, Refuse):
        raise Refused(done.reasons, found.stage)
    said = f"{done.target} is {'being put back and ' if done.reverting else ''}pinned."
    blocked = found.state is StageState.BLOCKED
    more = f" /rollout start {done.stage} lets the stage go on without it." if blocked else ""
    return Reply(
        said,
        (
            Paragraph((line(Icon("back"), " ", Strong(said)), line(f"No stage touches it again.{more}"))),
            Buttons((call.button("Target", "status", target_id=target_id),)),
        ),
    )


def _target_form(call: Call, target: Target, change: Mapping[str, Any] | None, reverts: bool) -> Reply:
    what = "It was changed: first it is put back from its backup" if reverts else "Nothing was written to it yet"
    body = (
        Paragraph(
            (
                line(Strong(target.name[:120]), f" ({target.kind} in {target.workspace})"),
                line(f"Our change: {change_words(change)}; it is {target.release or '-'}, {target.state or '-'} now."),
                line(f"{what}, and it is pinned: the rollout leaves it on the old runtime."),
                line("A field that somebody else changed since is left as it is and shown."),
            )
        ),
        Note(line(f"Seen {ago(target.seen_at, call.now)}.")),
    )
    pins_it = call.request.verb == "pin"  # what was changed is put back first
    submit = ("Put back and pin" if reverts else "Pin target") if pins_it else "Roll back target"
    form = Form(
        title="Pin target" if pins_it else "Roll back target",
        verb="rollback",
        arguments={"rollout": call.standing.id, "target_id": target.id},
        submit=submit,
        body=body,
        inputs=(
            TextInput("reason", "Why?", initial=call.reason[:300], max_length=300),
            PersonInput("owner", "Who answers for the pin?", initial=call.actor),
        ),
        danger=True,
    )
    ask = f"Put {target.name} back and pin it?" if pins_it and reverts else f"Pin {target.name}?"
    return Reply(ask if pins_it else f"Roll back {target.name} and pin it?", form=form)


def unlock(call: Call) -> Reply:
    """Make a rolled-back stage ready again, with a reason."""
    if call.stage_key is None:
        locked = [s for s in call.standing.stages if s.locked]
        if not locked:
            raise refused("not_locked", "No stage is locked.", "/rollout status")
        buttons = [call.button(f"Unlock {s.key}", "unlock", stage=s.key) for s in locked[:5]]
        raise refused("missing_argument", f"Which stage? Locked: {listed([s.key for s in locked])}.", "", *buttons)
    stage = call.stage
    generation = call.number("generation")
    if generation is not None and generation != stage.generation:
        raise Refused(acting.stale(stage.key).reasons, stage.key)
    reason = call.text("reason") or call.reason
    call.proceed(gates.may_unlock(unlock_facts(call.standing, stage.key, call.roles, reason), call.submitted))
    if not call.submitted:
        form = Form(
            title=f"Unlock {stage.key}",
            verb="unlock",
            arguments={"rollout": call.standing.id, "stage": stage.key, "generation": stage.generation},
            submit=f"Unlock {stage.key}",
            body=(
                Paragraph(
                    (
                        line(Icon("locked"), f" {stage.key} {doing(stage, call.now)}", *_why(stage.locked_reason)),
                        line("Unlocking makes it ready for a new try; nothing is changed by that."),
                        *((line(Icon("warning"), f" {stage.block_sentence}"),) if stage.block_sentence else ()),
                    )
                ),
            ),
            inputs=(
                TextInput(
                    "reason",
                    "What was fixed?",
                    required=True,
                    multiline=True,
                    initial=call.reason[:500],
                    max_length=500,
                ),
            ),
        )
        return Reply(f"Unlock {stage.key}?", form=form)
    done = intents_rollback.unlock(
        call.database, call.who, call.now, call.standing.id, stage.key, reason, call.number("generation")
    )
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    following = f"/rollout start {done.stage}" if done.ready else "It waits for the stages before it: /rollout status"
    said = f"{done.stage} is unlocked."
    return Reply(
        f"{said} {following}",
        (
            Paragraph((line(Icon("ok"), " ", Strong(said)), line(f"Next: {following}"))),
            Buttons((call.button("Plan", "plan", stage=done.stage),)),
        ),
    )


def check_unlock(arguments: Mapping[str, Any]) -> None:
    """Unlocking says why."""
    if not str(arguments.get("reason") or "").strip():
        raise FieldErrors({"reason": "Say what was fixed, or why it may be tried again."})
