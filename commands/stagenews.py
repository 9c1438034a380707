"""What is posted of a stage's course: that a decision is wanted, that it is blocked, passed, put back or rejected."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from commands import card as cards
from commands import compared, outlook, override, teamwords
from commands.reply import Block, Button, Buttons, Code, Icon, Line, Note, Paragraph, Part, Person, Reply, Strong, line
from commands.shown import backups_line, targets_words
from commands.teamwords import sign_off_line
from commands.words import count, short
from rollout import teams
from rollout.people import members
from rollout.standing import StageStanding, Standing
from rollout.states import ActionKind, StageState
from storage import sealing

_MENTIONS = 5
_ROLES = 10
_TEAMS = 10
_NAMED = 8


def decision_wanted(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The stage is ready for review: accept it or not."""
    if stage.state is not StageState.REVIEW:
        return None
    after = standing.plan.after(stage.key)
    then = f"After that {after[0].key} may be started." if after else "It is the last stage."
    said = f"{stage.key} is ready for review: accept it or not. {then}"
    blocks: list[Block] = [
        Paragraph((line(Icon("info"), " ", Strong(said)), line(targets_words(stage).capitalize() + "."))),
        *cards.failures(session, stage, 3),
        Paragraph(tuple(_wanted(standing, stage))),
        buttons(standing, stage, now, {"approve", "reject", "recheck", "acknowledge"}),
        *override.at_criteria(standing, stage.key),
    ]
    return Reply(said, tuple(blocks))


def _wanted(standing: Standing, stage: StageStanding) -> list[Line]:
    """Whom the decision is asked of, by name."""
    titles, people = standing.titles(), members(standing.plan, standing.groups)
    signed = {s.user_id for s in stage.grants} | {stage.started_by or ""}
    lines: list[Line] = [line(Strong("Wanted"), f": type /rollout approve {stage.key} or press the button")]
    lacking = stage.lacking(standing.required(stage.key))
    roles = [place for place in lacking if not teams.team_of(place)][:_ROLES]
    # The other teams are asked where they are: in their channels.
    of_teams = [place for place in lacking if teams.team_of(place) and _told_here(standing, place)][:_TEAMS]
    for place in (*roles, *of_teams):
        number = f" ×{lacking[place]}" if place in roles and lacking[place] > 1 else ""
        parts: list[Part] = [f"{titles.get(place, place)}{number}: "]
        held = sorted((people.get(place, frozenset()) & standing.available) - signed)
        for index, user in enumerate(held[:_MENTIONS]):
            parts += [" or " if index else "", Person(user)]
        lines.append(tuple(parts))
    lines += teamwords.lines(standing, stage)
    if stage.signatures:
        lines.append(sign_off_line(standing, stage))
    return lines


def _told_here(standing: Standing, place: str) -> bool:
    """Whether a team has no channel of its own."""
    team = standing.plan.teams.get(teams.team_of(place))
    return team is None or team.channel is None


def blocked(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The stage stands still and needs a person."""
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
        buttons(standing, stage, now, {"start", "pin", "rollback", "acknowledge"}),
    ]
    return Reply(said, tuple(blocks))


def _next_when_blocked(stage: StageStanding) -> list[Line]:
    return [
        line(Strong("Next"), f": /rollout start {stage.key} tries again, /rollout rollback TARGET leaves one behind,"),
        line(f"/rollout rollback {stage.key} puts everything back."),
    ]


def passed(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The stage has passed, and what comes next."""
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
        # What its checklist holds cannot be started: the way there leads over the list.
        held = outlook.held_by_items(standing, after[0].key, now)
        start = Button("Checklist", "checklist", at) if held else Button(f"Start {after[0].key}", "start", at)
        buttons = [Button(f"Plan {after[0].key}", "plan", at), start]
    head = (Note(line("Record ", Code(str(place)))),) if place is not None else ()
    return Reply(f"{said} {following}", (Paragraph(lines), *head, *((Buttons(tuple(buttons)),) if buttons else ())))


def rollback_started(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The stage is being put back."""
    by: Line = (" by ", Person(stage.locked_by)) if stage.locked_by else ()
    why = f": {stage.locked_reason}" if stage.locked_reason else "."
    said = f"{stage.key} is being rolled back"
    touched = stage.tally(ActionKind.CHANGE)
    number = touched.good + touched.bad + touched.running
    lines = (
        line(Icon("back"), " ", Strong(said), *by, why),
        line(f"Up to {count(number, 'target')} get back what their backups say. The card shows how far it is."),
    )
    return Reply(f"{said}{why}", (Paragraph(lines), buttons(standing, stage, now, set())))


def rollback_ended(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The stage was put back, how far, and how it stands to its backups."""
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
        buttons(standing, stage, now, {"unlock", "rollback"} if bad or stage.in_use else {"unlock"}),
    )
    counted = stage.compared.words()
    return Reply(f"{said} {counted}." if counted else said, blocks)


def rejected(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """Somebody does not accept the stage."""
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
        f"{said}: {short(str(ids.get('reason') or ''), 200)}", (Paragraph(lines), buttons(standing, stage, now, set()))
    )


def roles_wanted(
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
        buttons(standing, stage, now, {"approve", "reject"}),
    ]
    return Reply(f"{said}.", tuple(blocks))


def bake_worse(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], now: datetime
) -> Reply | None:
    """The runs got worse while it bakes; people are to look."""
    said = f"{stage.key}: {short(str(ids.get('sentence') or 'its runs got worse'), 500)}"
    blocks: tuple[Block, ...] = (
        Paragraph((line(Icon("warning"), " ", Strong(said)), line("This decides nothing; please look."))),
        *cards.runs(standing, stage),
        buttons(standing, stage, now, {"rollback"}),
    )
    return Reply(said, blocks)


def buttons(standing: Standing, stage: StageStanding, now: datetime, verbs: set[str]) -> Buttons:
    """Those of ``verbs`` that may be pressed now, and the way to the details."""
    found = [b for b in outlook.next_buttons(standing, stage, now) if b.verb in verbs]
    details = Button("Details", "status", {"rollout": standing.id, "stage": stage.key})
    return Buttons((*found, *compared.button(standing, stage), details))
