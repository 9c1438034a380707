"""How a refusal is said: which rule, what is missing, what to do next, and an error id that is in the log."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from commands import outlook, override
from commands.audit import with_names
from commands.call import Refused
from commands.reply import Actor, Block, Button, Buttons, Line, Note, Paragraph, Part, Person, Reply, Strong, line
from commands.words import ago, doing, short
from rollout import gates
from rollout.gatefacts import issue_facts
from rollout.people import roles_of
from rollout.reasons import Reason
from rollout.standing import Standing
from storage.models import Event

#: What the door itself refuses, before any command: who asks, and where.
WHO = {
    "other_team": ("This rollout belongs to another Slack team.", "Ask somebody of that team."),
    "guest_account": ("Guests may not use this.", "Ask a full member of the team."),
    "deactivated_account": ("This account is deactivated.", "Ask an administrator of your Slack."),
    "bot_account": ("Bots and apps may not use this.", "A person has to ask."),
    "identity_unknown": ("Slack did not say who you are.", "Try again in a moment; if it stays so, tell the admins."),
    "slack_rate_limited": (
        "Slack is limiting how often we may ask who you are. Nothing has happened.",
        "Try again in a minute.",
    ),
}


def render(
    refused: Refused, error_id: str, standing: Standing | None, actor: Actor, now: datetime, since: Sequence[Line] = ()
) -> Reply:
    """The refusal as a document. Its text begins ``Refused (reason_code)`` and names every reason."""
    first = refused.reasons[0]
    blocks: list[Block] = [Paragraph(_reason(first, f"Refused ({first.code}) "))]
    blocks += [Paragraph(_reason(reason, f"Also ({reason.code}) ")) for reason in refused.reasons[1:9]]
    if refused.lines:
        blocks.append(Paragraph(tuple(refused.lines)))
    if since:
        blocks.append(Paragraph(tuple(since)))
    buttons = list(refused.buttons)
    if standing is not None:
        buttons += _resolving(refused, standing, actor, now)
    if buttons:
        blocks.append(Buttons(tuple(_distinct(buttons))[:20]))
    blocks.append(Note(line(f"Error id {error_id}")))
    others = "".join(f" Also ({r.code}): {r.sentence}" for r in refused.reasons[1:9])
    text = f"Refused ({first.code}): {first.sentence}{others} Next: {first.next_step} Error id {error_id}"
    return Reply(short(text, 3000), tuple(blocks), refused=first.code, error_id=error_id)


def _reason(reason: Reason, head: str) -> tuple[Line, ...]:
    lines: list[Line] = [line(f"{head}{short(reason.sentence, 700)}")]
    if reason.next_step:
        lines.append(line(Strong("Next: "), short(reason.next_step, 300)))
    return tuple(lines)


def _resolving(refused: Refused, standing: Standing, actor: Actor, now: datetime) -> list[Button]:
    """Buttons that resolve a reason, for what this person may do."""
    at = {"rollout": standing.id}
    roles = roles_of(standing.plan, actor.user_id, actor.groups)
    stage = next((s for s in standing.stages if s.key == refused.stage), None)
    found: list[Button] = []
    for reason in refused.reasons:
        match reason.code:
            case "items_open":
                found.append(Button("Checklist", "checklist", {**at, "stage": refused.stage} if refused.stage else at))
                found += override.offered(standing, refused.stage, roles)
            case "criteria_unmet":
                if stage is not None:
                    if roles & set(standing.plan.capabilities.start):
                        found.append(Button("Check again", "recheck", {**at, "stage": stage.key}))
                    found += override.offered(standing, stage.key, roles)
            case "issues_open":
                found += _issues(refused.stage, standing, actor.user_id, roles)
            case "no_discovery" | "discovery_stale" | "workspace_unreachable" | "no_targets":
                found.append(Button("Look again", "refresh", at))
            case "rollout_paused" | "already_paused":
                if roles & set(standing.plan.capabilities.pause):
                    found.append(Button("Resume", "resume", {**at, "version": standing.version}))
            case "stage_locked":
                if stage is not None and roles & set(standing.plan.capabilities.start):
                    found.append(Button(f"Unlock {stage.key}", "unlock", {**at, "stage": stage.key}))
            case "predecessor_not_passed":
                current = standing.current()
                if current is not None:
                    following = outlook.next_buttons(standing, current, now, (actor.user_id, roles))
                    found += [b for b in following if b.style != "danger"][:2]
                    found.append(Button(f"Status of {current.key}", "status", {**at, "stage": current.key}))
            case "nothing_to_approve":
                if stage is not None:
                    found.append(Button(f"Status of {stage.key}", "status", {**at, "stage": stage.key}))
            case "stale_view" | "change_set_changed" | "stage_busy" | "nothing_to_retry":
                if stage is not None:
                    found += outlook.next_buttons(standing, stage, now, (actor.user_id, roles))
                    found.append(Button(f"Status of {stage.key}", "status", {**at, "stage": stage.key}))
            case "not_permitted" | "not_a_role_holder" | "started_by_you" | "starter_needed_as_signer":
                found.append(Button("Contacts", "contacts", at))
            case "unknown_target" | "change_set":
                found.append(Button("Plan", "plan", at))
    return found


def _issues(stage: str | None, standing: Standing, actor: str, roles: frozenset[str]) -> list[Button]:
    """The issues that hold a stage: to be resolved by those who may, to be looked at by the others."""
    if stage is None:
        return [Button("Issues", "issues", {"rollout": standing.id})]
    holding = {i.number: i for i in (*standing.issues_holding_start(stage), *standing.issues_holding_review(stage))}
    found: list[Button] = []
    for issue in list(holding.values())[:3]:
        at = {"rollout": standing.id, "issue": issue.number}
        may = gates.may_resolve_issue(issue_facts(standing, issue, actor, roles))
        if isinstance(may, gates.Proceed):
            found.append(Button(f"Resolve #{issue.number}…", "resolve", {**at, "version": issue.version}))
        else:
            found.append(Button(f"Issue #{issue.number}", "issues", at))
    return [*found, Button("Issues", "issues", {"rollout": standing.id, "stage": stage})]


def _distinct(buttons: Sequence[Button]) -> list[Button]:
    found: dict[str, Button] = {}
    for button in buttons:
        found.setdefault(button.label, button)
    return list(found.values())


def since(
    session: Session, standing: Standing, stage: str | None, now: datetime, seen: int | None, most: int = 4
) -> list[Line]:
    """The answer to what is stale: the last things since then, newest first, and how the stage stands.

    ``seen`` is the newest event when the view was made; None where that is not known: nothing is said of it then.
    """
    lines: list[Line] = []
    if seen is not None:
        where = [Event.rollout_id == standing.id, Event.outcome != "refused", Event.id > seen]
        if stage is not None:
            where.append(Event.stage_key == stage)
        for event in session.execute(select(Event).where(*where).order_by(Event.id.desc()).limit(most)).scalars():
            who: Part = Person(event.actor) if event.actor else "the bot"
            lines.append(line(f"{ago(event.at, now)}: ", who, ": ", *with_names(short(event.sentence, 200), event)))
    if lines:
        lines.insert(0, line(Strong("What happened since")))
    found = next((s for s in standing.stages if s.key == stage), None)
    if found is not None:
        lines.append(line(f"Now {found.key} {doing(found, now)}."))
    return lines
