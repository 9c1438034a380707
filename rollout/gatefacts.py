"""From where a rollout stands to the flat facts of each gate. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from rollout import conditions, teams
from rollout.facts import (
    IssueFacts,
    May,
    PauseFacts,
    Predecessor,
    RetryFacts,
    RollBackFacts,
    SignFacts,
    StartFacts,
    UnlockFacts,
)
from rollout.issues import Issue
from rollout.plan import Plan
from rollout.standing import Signature, StageStanding, Standing, WorkspaceStanding
from rollout.states import (
    ActionKind,
    Decision,
    StageState,
)

#: A look at a workspace that is older than this (calendar) does not carry a start.
LOOK_LASTS: Final = timedelta(hours=24)


def may(plan: Plan, allowed: Collection[str], roles: Collection[str]) -> May:
    """Whether one of the person's ``roles`` is among the ``allowed`` ones."""
    return May(bool(set(allowed) & set(roles)), tuple(plan.roles[r].title for r in allowed if r in plan.roles))


def start_facts(standing: Standing, key: str, actor: str, roles: Collection[str], now: datetime) -> StartFacts:
    """The facts for ``gates.may_start``."""
    stage, plan = standing.stage(key), standing.plan
    looks = [standing.workspaces.get(w, WorkspaceStanding(w)) for w in plan.stage(key).targets.workspaces]
    return StartFacts(
        stage=key,
        state=stage.state,
        may=may(plan, plan.capabilities.start, roles),
        actor=actor,
        required=standing.required(key),
        candidates=standing.candidates(),
        titles=standing.titles(),
        locked=stage.locked,
        locked_reason=stage.locked_reason,
        paused=standing.paused,
        paused_reason=standing.paused_reason,
        not_passed=tuple(_predecessor(standing, s.key) for s in plan.before(key) if not standing.has_passed(s.key)),
        items_open=tuple(i.title for i in standing.blocking_items(key)),
        issues_open=tuple(i.named for i in standing.issues_holding_start(key)),
        never_looked=tuple(w.key for w in looks if w.looked_at is None and not w.error),
        stale=tuple(w.key for w in looks if w.looked_at is not None and now - w.looked_at > LOOK_LASTS),
        unreachable=tuple((w.key, w.error) for w in looks if w.error),
        # What repositories have to change is work of the stage too, although the bot only watches it arrive.
        targets=stage.planned + stage.managed,
        overlaps=standing.overlaps.get(key, ()),
        overrode=tuple(w.title for w in stage.overrides if not w.doubt and actor in (w.asked_by, w.second)),
        team_overlaps=stage.team_overlaps,
    )


def _predecessor(standing: Standing, key: str) -> Predecessor:
    stage, titles = standing.stage(key), standing.titles()
    lacking = stage.lacking(standing.required(key))
    return Predecessor(
        key,
        stage.state,
        tuple(titles.get(r, r) for r in lacking),
        bool(stage.rejections),
        tuple(doubt_words(s, titles) for s in stage.doubtful),
        stage.evidence_doubt,
    )


def doubt_words(sign_off: Signature, titles: Mapping[str, str]) -> str:
    """``U0QA000001 as QA (sign_off_altered)``: a sign-off that is there and does not count, in a sentence."""
    return f"{sign_off.user_id} as {titles.get(sign_off.place, sign_off.place)} ({sign_off.doubt})"


def retry_facts(standing: Standing, key: str, roles: Collection[str]) -> RetryFacts:
    """The facts for ``gates.may_retry``."""
    plan = standing.plan
    return RetryFacts(
        key,
        standing.stage(key).state,
        may(plan, plan.capabilities.start, roles),
        standing.paused,
        standing.paused_reason,
    )


def pin_failed_facts(standing: Standing, key: str, roles: Collection[str]) -> RetryFacts:
    """The facts for ``gates.may_pin_failed``: pinning puts back, so it takes the right to roll back."""
    plan = standing.plan
    return RetryFacts(key, standing.stage(key).state, may(plan, plan.capabilities.rollback, roles))


def sign_facts(standing: Standing, key: str, actor: str, roles: Collection[str], doing: str) -> SignFacts:
    """The facts for ``gates.may_approve`` and ``gates.may_reject``; ``doing`` says what the stage does now."""
    stage, required = standing.stage(key), standing.required(key)
    titles = standing.titles()
    held = tuple(p for p in required if teams.holds(roles, p))
    lacking = stage.lacking(required)
    held_up = {s.place for s in stage.rejections}
    mine = [s for s in stage.signatures if s.user_id == actor and _stands(stage, s)]
    approved = [s.team for s in mine if s.decision is Decision.GRANTED]
    rejected = [s.team for s in mine if s.decision is Decision.REJECTED]
    said = None
    if held and not _free(held, approved):
        said = Decision.GRANTED.value
    elif held and rejected and not [p for p in held if teams.team_of(p) not in rejected]:
        said = Decision.REJECTED.value
    return SignFacts(
        stage=key,
        state=stage.state,
        actor=actor,
        started_by=stage.started_by,
        held=held,
        open_roles=tuple(p for p in _free(held, approved) if p in lacking or p in held_up),
        required=_asked(standing, required),
        said=said,
        doing=doing,
        elsewhere=tuple(s.key for s in standing.stages if s.state is StageState.REVIEW and s.key != key),
        titles=titles,
        again=stage.state is StageState.PASSED and not standing.is_accepted(key),
        unmet=tuple(f"{u.title} ({u.sentence})" for u in conditions.criteria(standing, key)),
        overridable=conditions.covered(standing.plan, key, conditions.CRITERION) is not None,
        evidence_doubt=stage.evidence_doubt or ("" if stage.evidence_digest else "there is no frozen evidence"),
        issues_open=tuple(i.named for i in standing.issues_holding_review(key)),
    )


def issue_facts(standing: Standing, issue: Issue, actor: str, roles: Collection[str]) -> IssueFacts:
    """The facts for the gates of issues. To operate a rollout is to be able to start its stages."""
    allowed = may(standing.plan, standing.plan.capabilities.start, roles)
    return IssueFacts(issue.number, issue.open, issue.critical, actor, issue.owner, issue.reporter, allowed)


def _stands(stage: StageStanding, sign_off: Signature) -> bool:
    """Whether what the person said keeps them from saying it again."""
    if sign_off.decision is Decision.REJECTED:
        return True
    # Who approved before somebody in the same place rejected may approve again, which lifts the rejection.
    overruled = any(s.place == sign_off.place and s.id > sign_off.id for s in stage.rejections)
    return not stage.is_stale(sign_off) and not overruled and not sign_off.doubt


def _free(held: Collection[str], approved: Collection[str]) -> list[str]:
    """The places in which a person who approved for these teams (empty: for the stage) can still count."""
    if "" in approved:
        return []
    return [p for p in held if not approved or (teams.team_of(p) and teams.team_of(p) not in approved)]


def _asked(standing: Standing, required: Collection[str]) -> tuple[str, ...]:
    """Who signs, for a message: each role once, however many teams sign in it."""
    titles = standing.titles()
    found = {p: titles.get(p, p) for p in required if not teams.team_of(p)}
    for p in required:
        if teams.team_of(p):
            found[f"each {teams.role_of(p)}"] = f"{titles.get(teams.role_of(p), teams.role_of(p))} of each team"
    return tuple(found.values())


def roll_back_facts(
    standing: Standing, key: str, roles: Collection[str], together: Collection[str] = ()
) -> RollBackFacts:
    """The facts for ``gates.may_roll_back``; ``together`` are later stages that are rolled back in the same breath."""
    plan, stage = standing.plan, standing.stage(key)
    return RollBackFacts(
        stage=key,
        state=stage.state,
        may=may(plan, plan.capabilities.rollback, roles),
        later_started=tuple(s.key for s in standing.later_with_changes(key) if s.key not in together),
        bad_reverts=stage.tally(ActionKind.REVERT).bad,
        in_use=stage.in_use,
    )


def pause_facts(standing: Standing, roles: Collection[str]) -> PauseFacts:
    """The facts for ``gates.may_pause``."""
    plan = standing.plan
    return PauseFacts(may(plan, plan.capabilities.pause, roles), standing.paused, standing.paused_reason)


def resume_facts(standing: Standing, roles: Collection[str]) -> PauseFacts:
    """The facts for ``gates.may_resume``: the plan may name other roles for it than for the pause."""
    plan = standing.plan
    return PauseFacts(may(plan, plan.capabilities.may_resume, roles), standing.paused, standing.paused_reason)


def unlock_facts(standing: Standing, key: str, roles: Collection[str], reason: str) -> UnlockFacts:
    """The facts for ``gates.may_unlock``."""
    plan, stage = standing.plan, standing.stage(key)
    return UnlockFacts(key, stage.state, stage.locked, may(plan, plan.capabilities.start, roles), reason)
