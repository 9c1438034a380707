"""What is posted to the channel: one document for each kind of the outbox, as it reads when it is sent."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from commands import (
    amendment,
    compared,
    download,
    drifted,
    escalation,
    finalsummary,
    issue,
    outlook,
    override,
    ownernews,
    report,
    teamnews,
    teamwords,
)
from commands import card as cards
from commands.reply import (
    At,
    Block,
    Button,
    Buttons,
    Code,
    Icon,
    Line,
    Note,
    Paragraph,
    Part,
    Person,
    Reply,
    Strong,
    line,
)
from commands.shown import backups_line, targets_words
from commands.teamwords import sign_off_line
from commands.words import count, short
from rollout import teams
from rollout.people import members
from rollout.standing import StageStanding, Standing
from rollout.states import ActionKind, StageState
from storage import sealing
from storage.models import Target

card = cards.card

_MENTIONS = 5
_TEAMS = 10
_NAMED = 8
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
    if kind in {"paused", "resumed"}:
        return _flag(standing, kind)
    if kind in _OF_START:
        return _start(standing, kind, ids)
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
        reply = _stage_passed(session, standing, stage, {}, now)
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


def _decision_wanted(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    if stage.state is not StageState.REVIEW:
        return None
    after = standing.plan.after(stage.key)
    then = f"{after[0].key} may then be started." if after else "It is the last stage."
    said = f"{stage.key} is ready for review: accept it or not; {then}"
    blocks: list[Block] = [
        Paragraph((line(Icon("info"), " ", Strong(said)), line(targets_words(stage).capitalize() + "."))),
        *cards.failures(session, stage, 3),
        Paragraph(tuple(_wanted(standing, stage))),
        _buttons(standing, stage, now, {"approve", "reject", "recheck", "acknowledge"}),
        *override.at_criteria(standing, stage.key),
    ]
    return Reply(said, tuple(blocks))


def _wanted(standing: Standing, stage: StageStanding) -> list[Line]:
    """Whom the decision is asked of, by name."""
    titles, people = standing.titles(), members(standing.plan, standing.groups)
    signed = {s.user_id for s in stage.grants} | {stage.started_by or ""}
    lines: list[Line] = [line(Strong("Wanted"), f": type /rollout approve {stage.key} or press the button")]
    lacking = stage.lacking(standing.required(stage.key))
    for role, number in [(p, n) for p, n in lacking.items() if not teams.team_of(p)][:10]:
        parts: list[Part] = [f"{titles.get(role, role)}{f' ×{number}' if number > 1 else ''}: "]
        held = sorted((people.get(role, frozenset()) & standing.available) - signed)
        for index, user in enumerate(held[:_MENTIONS]):
            parts += [" or " if index else "", Person(user)]
        lines.append(tuple(parts))
    for place in [p for p in lacking if teams.team_of(p) and _told_here(standing, p)][:_TEAMS]:
        held = sorted((people.get(place, frozenset()) & standing.available) - signed)[:_MENTIONS]
        named: list[Part] = [f"{titles.get(place, place)}: "]
        for index, user in enumerate(held):
            named += [" or " if index else "", Person(user)]
        lines.append(tuple(named))
    # The others are asked where they are: in their channels.
    lines += teamwords.lines(standing, stage)
    if stage.signatures:
        lines.append(sign_off_line(standing, stage))
    return lines


def _told_here(standing: Standing, place: str) -> bool:
    """Whether a team has no channel of its own."""
    team = standing.plan.teams.get(teams.team_of(place))
    return team is None or team.channel is None


def _stage_blocked(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    if stage.state is not StageState.BLOCKED:
        return None
    why = stage.block_sentence or "it needs a person"
    code = f" ({stage.block_code})" if stage.block_code else ""
    said = f"{stage.key} is blocked: {why}"
    starter: Line = ("Started by ", Person(stage.started_by)) if stage.started_by else ("",)
    blocks: list[Block] = [
        Paragraph((line(Icon("blocked"), " ", Strong(f"{said}{code}")), line(targets_words(stage).capitalize() + "."))),
        *cards.failures(session, stage),
        Paragraph((starter, *_next_when_blocked(stage))),
        _buttons(standing, stage, now, {"start", "pin", "rollback", "acknowledge"}),
    ]
    return Reply(said, tuple(blocks))


def _next_when_blocked(stage: StageStanding) -> list[Line]:
    return [
        line(Strong("Next"), f": /rollout start {stage.key} tries again, /rollout rollback TARGET leaves one behind,"),
        line(f"/rollout rollback {stage.key} puts everything back."),
    ]


def _stage_passed(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    if stage.state is not StageState.PASSED:
        return None
    after = standing.plan.after(stage.key)
    following = outlook.after_passing(standing, stage.key, now)
    said = f"{stage.key} has passed."
    lines = (
        line(Icon("ok"), " ", Strong(said), f" {targets_words(stage).capitalize()}."),
        sign_off_line(standing, stage),
        *teamwords.lines(standing, stage),
        line(following),
    )
    # The place of this very event, not the end of the chain: what is said again later must name the same head.
    place = sealing.place_of(session, standing.id, stage.key, stage.generation, "stage_passed")
    buttons = []
    if after:
        at = {"rollout": standing.id, "stage": after[0].key}
        items = any(r.code == "items_open" for r in outlook.start_reasons(standing, after[0].key, now))
        # What its checklist holds cannot be started: the way there leads over the list.
        start = Button("Checklist", "checklist", at) if items else Button(f"Start {after[0].key}", "start", at)
        buttons = [Button(f"Plan {after[0].key}", "plan", at), start]
    head = (Note(line("Record ", Code(str(place)))),) if place is not None else ()
    return Reply(f"{said} {following}", (Paragraph(lines), *head, *((Buttons(tuple(buttons)),) if buttons else ())))


def _rollback_started(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    by: Line = (" by ", Person(stage.locked_by)) if stage.locked_by else ()
    why = f": {stage.locked_reason}" if stage.locked_reason else "."
    said = f"{stage.key} is being rolled back"
    touched = stage.tally(ActionKind.CHANGE)
    number = touched.good + touched.bad + touched.running
    lines = (
        line(Icon("back"), " ", Strong(said), *by, why),
        line(f"Up to {count(number, 'target')} get back what their backups say. The card shows how far it is."),
    )
    return Reply(f"{said}{why}", (Paragraph(lines), _buttons(standing, stage, now, set())))


def _rollback_ended(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    if stage.state is not StageState.ROLLED_BACK:
        return None
    bad = stage.tally(ActionKind.REVERT).bad
    said = f"{stage.key} is rolled back" + (f", except {count(bad, 'target')}." if bad else ".")
    lines = [
        line(
            Icon("ok" if not bad and stage.compared.clean else "warning"),
            " ",
            Strong(said),
            f" {targets_words(stage).capitalize()}.",
        ),
        *((line(stage.block_sentence),) if stage.block_sentence else ()),
        *((backups,) if (backups := backups_line(stage)) is not None else ()),
        line(f"It is locked. Once it is known what went wrong: /rollout unlock {stage.key} REASON"),
    ]
    if bad:
        lines.append(line(f"/rollout rollback {stage.key} tries the rest again."))
    elif stage.in_use:
        what = f"{count(stage.in_use, 'support')} left as changed"
        lines.append(line(f"/rollout rollback {stage.key} asks again of {what}, once nothing needs them."))
    blocks: tuple[Block, ...] = (
        Paragraph(tuple(lines)),
        *cards.failures(session, stage),
        *compared.blocks(session, stage, _NAMED),
        _buttons(standing, stage, now, {"unlock", "rollback"} if bad or stage.in_use else {"unlock"}),
    )
    counted = stage.compared.words()
    return Reply(f"{said} {counted}." if counted else said, blocks)


def _stage_rejected(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    if not stage.rejections:
        return None
    by: Line = (" by ", Person(str(ids.get("by"))), f" ({ids.get('role')})") if ids.get("by") else ()
    said = f"{stage.key} is rejected"
    starter: Line = (Person(stage.started_by), ", it") if stage.started_by else ("It",)
    lines = (
        line(Icon("warning"), " ", Strong(said), *by, f": {short(str(ids.get('reason') or ''), 500)}"),
        line(
            *starter,
            f" is held until the same role approves it, or until it is put back: /rollout rollback {stage.key}",
        ),
    )
    return Reply(
        f"{said}: {short(str(ids.get('reason') or ''), 200)}", (Paragraph(lines), _buttons(standing, stage, now, set()))
    )


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
    pressed = _buttons(standing, stage, now, {"rollback", "acknowledge"})
    return escalation.rollback_wanted(session, standing, stage, ids, pressed)


def _roles_wanted(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The question to the missing roles once more: by a person, or a day later by the bot."""
    lacking = stage.lacking(standing.required(stage.key))
    if stage.state is not StageState.REVIEW or not lacking:
        return None
    by: Line = (", asked again by ", Person(str(ids["by"]))) if ids.get("by") else ()
    said = f"{stage.key} still waits for its sign-offs"
    blocks: list[Block] = [
        Paragraph((line(Icon("waiting"), " ", Strong(said), *by), *_wanted(standing, stage))),
        _buttons(standing, stage, now, {"approve", "reject"}),
    ]
    return Reply(f"{said}.", tuple(blocks))


def _bake_worse(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    said = f"{stage.key}: {short(str(ids.get('sentence') or 'its runs got worse'), 500)}"
    blocks: tuple[Block, ...] = (
        Paragraph((line(Icon("warning"), " ", Strong(said)), line("This decides nothing; please look."))),
        *cards.runs(standing, stage),
        _buttons(standing, stage, now, {"rollback"}),
    )
    return Reply(said, blocks)


def _pinned(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    target = session.execute(select(Target).where(Target.id == ids.get("target_id"))).scalar_one_or_none()
    if target is None or not target.pinned_reason:
        return None
    said = f"{short(target.name, 80)} ({target.workspace}) stays on the old runtime"
    by: Line = (" by ", Person(target.pinned_by)) if target.pinned_by else ()
    owner: Line = ("; owner ", Person(target.pinned_owner)) if target.pinned_owner else ()
    why = f": {short(target.pinned_reason, 300)}"
    lines = (line(Icon("locked"), " ", Strong(said), ": pinned", *by, why, *owner),)
    button = Button("Target", "status", {"rollout": standing.id, "target_id": target.id})
    return Reply(f"{said}.", (Paragraph(lines), Buttons((button,))))


def _pinned_failed(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    names = [short(str(name), 60) for name in ids.get("names") or ()]
    number = int(ids.get("number") or len(names))
    said = f"{count(number, 'target')} of {stage.key} {'stays' if number == 1 else 'stay'} on the old runtime"
    by: Line = (" by ", Person(str(ids["by"]))) if ids.get("by") else ()
    more = f" and {number - len(names)} more" if number > len(names) else ""
    lines = (
        line(Icon("locked"), " ", Strong(said), ": pinned", *by, f": {short(str(ids.get('reason') or ''), 300)}"),
        line(f"{', '.join(names)}{more}"),
    )
    return Reply(f"{said}.", (Paragraph(lines), _buttons(standing, stage, now, {"start"})))


_OF_START = frozenset({"start_scheduled", "start_cancelled", "start_refused"})


def _start(standing: Standing, kind: str, ids: Mapping[str, Any]) -> Reply | None:
    """A start that was to begin later: that it is, that it is not any more, or that it did not and why."""
    stage = next((s for s in standing.stages if s.key == ids.get("stage")), None)
    if stage is None:
        return None
    by: Line = (Person(str(ids["by"])),) if ids.get("by") else ("somebody",)
    at = {"rollout": standing.id, "stage": stage.key}
    if kind == "start_scheduled":
        if stage.begin_at is None or stage.begin_at.isoformat() != ids.get("begin_at"):
            return None
        said = f"{stage.key} is to begin later"
        lines = [line(Icon("waiting"), " ", Strong(said), " at ", At(stage.begin_at), ", scheduled by ", *by)]
        buttons = (Button("Cancel the start", "cancel", at), Button(f"Plan {stage.key}", "plan", at))
        return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons(buttons)))
    if kind == "start_cancelled":
        said = f"{stage.key} does not begin by itself any more"
        return Reply(f"{said}.", (Paragraph((line(Icon("info"), f" {said}: cancelled by ", *by),)),))
    said = f"{stage.key} did not begin at its time"
    lines = [line(Icon("warning"), " ", *by, ": ", Strong(said))]
    for code, sentence, next_step in list(ids.get("reasons") or ())[:5]:
        lines.append(line(f"{sentence} ({code}) Next: {next_step}"))
    return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons((Button(f"Plan {stage.key}", "plan", at),))))


def _flag(standing: Standing, kind: str) -> Reply | None:
    if (kind == "paused") is not standing.paused:
        return None
    if not standing.paused:
        return Reply("The rollout goes on.", (Paragraph((line(Icon("ok"), " The rollout goes on."),)),))
    by: Line = (" by ", Person(standing.paused_by)) if standing.paused_by else ()
    why = f": {standing.paused_reason}" if standing.paused_reason else "."
    lines = (
        line(Icon("paused"), " ", Strong("The rollout is paused"), *by, why),
        line("Nothing new is begun. /rollout resume lets it go on; a rollback is possible all the same."),
    )
    button = Button("Resume", "resume", {"rollout": standing.id})
    return Reply(f"The rollout is paused{why}", (Paragraph(lines), Buttons((button,))))


def _buttons(standing: Standing, stage: StageStanding, now: datetime, verbs: set[str]) -> Buttons:
    found = [b for b in outlook.next_buttons(standing, stage, now) if b.verb in verbs]
    details = Button("Details", "status", {"rollout": standing.id, "stage": stage.key})
    return Buttons((*found, *compared.button(standing, stage), details))


_OF_STAGE: dict[str, Maker] = {
    "decision_wanted": _decision_wanted,
    "stage_blocked": _stage_blocked,
    "stage_passed": _stage_passed,
    "rollback_started": _rollback_started,
    "rollback_ended": _rollback_ended,
    "bake_worse": _bake_worse,
    "sign_offs_stale": _sign_offs_stale,
    "override_wanted": _override_wanted,
    "override_confirmed": _override_confirmed,
    "roles_wanted": _roles_wanted,
    "escalated": _escalated,
    "acknowledged": _acknowledged,
    "rollback_wanted": _rollback_wanted,
    "stage_rejected": _stage_rejected,
    "pinned": _pinned,
    "pinned_failed": _pinned_failed,
}
