"""Acts of people on issues: report, resolve, open again, change. Each renews the evidence of what is in review."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from rollout import conditions, gates
from rollout import issues as domain
from rollout.facts import IssueFacts
from rollout.gatefacts import issue_facts
from rollout.gates import Refuse
from rollout.reasons import Reason
from rollout.states import StageState
from storage import evidence, issues
from storage.acting import Act, Who, acting
from storage.database import Database
from storage.intents_signing import pass_stage
from storage.models import Issue
from storage.record import event, post, touch_card

#: A stage that was not begun has no card to hang a message on, and goes away when its plan file is read anew.
_UNTOUCHED: Final = frozenset({StageState.WAITING, StageState.READY})


@dataclass(frozen=True, slots=True)
class Found:
    """What somebody reports."""

    title: str
    critical: bool
    about: str
    owner: str
    stage: str | None = None
    target_id: int | None = None
    comment: str = ""
    message: str = ""  # channel and ts, where it was made from a message
    permalink: str = ""


def report(database: Database, who: Who, now: datetime, rollout_id: int, found: Found) -> domain.Issue | Refuse:
    """Keep an issue. Refused only where the message that it is made from is one already."""
    with acting(database, who, now, rollout_id, None) as act:
        if found.message and (before := issues.of_message(act.session, rollout_id, found.message)) is not None:
            return Refuse((known_message(before),))
        newest = select(func.coalesce(func.max(Issue.number), 0)).where(Issue.rollout_id == rollout_id)
        row = Issue(
            rollout_id=rollout_id,
            number=act.session.execute(newest).scalar_one() + 1,
            stage_key=found.stage,
            target_id=found.target_id,
            title=found.title,
            about=found.about,
            critical=found.critical,
            ever_critical=found.critical,
            owner=found.owner,
            reporter=who.user_id,
            comment=found.comment,
            message=found.message or None,
            permalink=found.permalink or None,
            open=True,
            cause="",
            fix="",
            reported_at=now,
            version=1,
        )
        act.session.add(row)
        act.session.flush()
        _record(act, row, f"reported #{row.number}{' (critical)' if row.critical else ''}: {row.title}", "reported")
        return _settle(act, row, told=row.critical)


def known_message(number: int) -> Reason:
    """One message is one issue."""
    return Reason(
        "message_is_issue",
        f"This message was reported before: it is issue #{number}.",
        f"/rollout issues {number}",
    )


def resolve(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    number: int,
    cause: str,
    fix: str,
    version: int | None = None,
) -> domain.Issue | Refuse:
    """Say that an issue is dealt with, by what it was and what was done."""
    with acting(database, who, now, rollout_id, None) as act:
        row = _row(act, number, version)
        if isinstance(row, Refuse):
            return row
        decision = gates.may_resolve_issue(_facts(act, row), cause, fix)
        if isinstance(decision, Refuse):
            return decision
        row.open, row.cause, row.fix, row.resolved_by, row.resolved_at = False, cause, fix, who.user_id, now
        row.version += 1
        _record(act, row, f"resolved #{number}: {row.title}. Cause: {cause}. Fix: {fix}", "resolved")
        return _settle(act, row, told=row.critical)


def reopen(
    database: Database, who: Who, now: datetime, rollout_id: int, number: int, why: str = "", version: int | None = None
) -> domain.Issue | Refuse:
    """Open a resolved issue again. What was said of cause and fix stays in the record of events."""
    with acting(database, who, now, rollout_id, None) as act:
        row = _row(act, number, version)
        if isinstance(row, Refuse):
            return row
        decision = gates.may_reopen_issue(_facts(act, row))
        if isinstance(decision, Refuse):
            return decision
        row.open, row.cause, row.fix, row.resolved_by, row.resolved_at = True, "", "", None, None
        row.version += 1
        _record(act, row, f"re-opened #{number}: {row.title}" + (f" ({why})" if why else ""), "reopened")
        return _settle(act, row, told=row.critical)


def change(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    number: int,
    critical: bool,
    owner: str,
    why: str = "",
    version: int | None = None,
) -> domain.Issue | Refuse:
    """Make an issue critical or not, and give it to ``owner``."""
    with acting(database, who, now, rollout_id, None) as act:
        row = _row(act, number, version)
        if isinstance(row, Refuse):
            return row
        decision = gates.may_change_issue(_facts(act, row), critical, owner)
        if isinstance(decision, Refuse):
            return decision
        said = []
        if critical != row.critical:
            said.append("is critical" if critical else "is not critical any more")
        if owner != row.owner:
            said.append(f"belongs to {owner}")
        if not said:
            return issues.shown(row)
        told = critical and not row.critical
        row.critical, row.ever_critical, row.owner = critical, row.ever_critical or critical, owner
        row.version += 1
        reason = f" ({why})" if why else ""
        _record(act, row, f"#{number} {' and '.join(said)}: {row.title}{reason}", "changed")
        return _settle(act, row, told=told)


def _row(act: Act, number: int, version: int | None) -> Issue | Refuse:
    """The issue, locked like everything of its rollout by the act."""
    row = act.session.execute(
        select(Issue)
        .where(Issue.rollout_id == act.rollout.id, Issue.number == number)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        return Refuse((Reason("unknown_issue", f"There is no issue #{number}.", "/rollout issues"),))
    if version is not None and version != row.version:
        sentence = f"What you pressed was drawn before issue #{number} changed; nothing was done."
        return Refuse((Reason("stale_view", sentence, "/rollout issues shows it as it is now."),))
    return row


def _facts(act: Act, row: Issue) -> IssueFacts:
    return issue_facts(act.standing, issues.shown(row), act.who.user_id, act.roles)


def _record(act: Act, row: Issue, sentence: str, what: str) -> None:
    stage = act.stages.get(row.stage_key) if row.stage_key is not None else None
    data = {
        "issue": row.number,
        "what": what,
        "critical": row.critical,
        "open": row.open,
        "owner": row.owner,
        "about": row.about,
    }
    event(act.session, act.now, act.who.by, "issue", sentence, rollout_id=act.rollout.id, stage=stage, data=data)


def _pass(act: Act) -> None:
    """Where everybody had signed, and only an issue held the stage, nobody is left to sign: it passes now."""
    standing = act.look()
    for key, stage in act.stages.items():
        if stage.state is StageState.REVIEW and conditions.may_pass(standing, key):
            pass_stage(act, stage, act.who.by)


def _settle(act: Act, row: Issue, told: bool = False) -> domain.Issue:
    """What every change of an issue causes: evidence in review renewed, cards edited, a critical one posted."""
    act.session.flush()
    evidence.renew_issues(act.session, act.stages.values(), act.now, act.who.by, f"issue #{row.number}")
    for stage in act.stages.values():
        touch_card(act.session, stage, make=False)
    _pass(act)
    if told:
        of = act.stages.get(row.stage_key) if row.stage_key is not None else None
        kind = "issue_reported" if row.open else "issue_resolved"
        post(
            act.session,
            act.now,
            f"{kind}:{row.rollout_id}:{row.number}:{row.version}",
            kind,
            rollout_id=row.rollout_id,
            stage_id=of.id if of is not None and of.state not in _UNTOUCHED else None,
            ids={"issue": row.number},
            repeat=True,
        )
    return issues.shown(row)
