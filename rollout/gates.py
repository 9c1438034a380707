"""The pure decisions whether something may happen, each with all the reasons why not."""

from collections.abc import Sequence
from dataclasses import dataclass

from rollout.facts import (
    AttestFacts,
    May,
    PauseFacts,
    Predecessor,
    RetryFacts,
    RollBackFacts,
    SignFacts,
    StartFacts,
    TargetRollBackFacts,
    UnlockFacts,
)
from rollout.people import unfilled
from rollout.reasons import Reason
from rollout.states import ACTION_BAD, WORKING, ActionState, StageState


@dataclass(frozen=True, slots=True)
class Proceed:
    """It may happen."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not, and these are all the reasons; the first one names the refusal."""

    reasons: tuple[Reason, ...]


Decision = Proceed | Refuse


def may_start(facts: StartFacts) -> Decision:
    """Whether a stage may be started: order, lock, pause, checklist, fresh facts, something to do, and signers."""
    stage, found = facts.stage, list(_permission(facts.may, "start a stage"))
    if reason := _not_startable(facts):
        return _decide([*found, reason])
    for before in facts.not_passed:
        found.append(Reason("predecessor_not_passed", *_what_it_waits_for(before)))
    found += _held(facts.paused, facts.paused_reason)
    if facts.items_open:
        some = _listed(facts.items_open, 3)
        found.append(
            Reason(
                "items_open",
                f"{_count(len(facts.items_open), 'checklist item')} must be done before {stage}: {some}.",
                f"/rollout checklist {stage}",
            )
        )
    found += _looks(facts)
    if facts.targets == 0 and not facts.never_looked:
        found.append(
            Reason("no_targets", f"{stage} has nothing to change.", f"/rollout plan {stage} says why of each target.")
        )
    return _decide([*found, *_signers(facts)])


def may_retry(facts: RetryFacts) -> Decision:
    """Whether a blocked stage may go on, repeating what failed."""
    found = list(_permission(facts.may, "start a stage"))
    if facts.state is not StageState.BLOCKED:
        found.append(Reason("nothing_to_retry", f"{facts.stage} is not blocked.", f"/rollout status {facts.stage}"))
    return _decide([*found, *_held(facts.paused, facts.paused_reason)])


def may_approve(facts: SignFacts) -> Decision:
    """Whether the person may sign the stage: in review, holds an open role, did not start it, has not signed."""
    found = list(_signer(facts))
    if facts.said == "granted":
        found.append(
            Reason("already_signed", f"You approved {facts.stage} already; one person counts once.", "Nothing to do.")
        )
    elif facts.held and facts.started_by != facts.actor and not facts.open_roles:
        titles = " and ".join(facts.titles.get(r, r) for r in facts.held)
        found.append(
            Reason(
                "role_filled", f"{titles} has all its sign-offs for {facts.stage}.", f"/rollout status {facts.stage}"
            )
        )
    return _decide([*found, *_in_review(facts, "approve")])


def may_reject(facts: SignFacts) -> Decision:
    """Whether the person may reject the stage: whoever holds a required role and did not start it."""
    found = list(_signer(facts))
    if facts.said == "rejected":
        found.append(
            Reason(
                "already_signed",
                f"You rejected {facts.stage} already.",
                f"/rollout approve {facts.stage} takes it back.",
            )
        )
    return _decide([*found, *_in_review(facts, "reject")])


def may_roll_back(facts: RollBackFacts) -> Decision:
    """Whether a stage may be rolled back. Pause, lock, windows and failures hold no rollback."""
    found = list(_permission(facts.may, "roll back"))
    stage = facts.stage
    if facts.state is StageState.ROLLING_BACK:
        found.append(Reason("rollback_running", f"{stage} is being rolled back.", f"/rollout status {stage}"))
    elif facts.state is StageState.ROLLED_BACK and not facts.bad_reverts:
        found.append(
            Reason("nothing_to_roll_back", f"{stage} has been rolled back already.", f"/rollout status {stage}")
        )
    elif facts.state in {StageState.WAITING, StageState.READY}:
        found.append(
            Reason("nothing_to_roll_back", f"{stage} has not been started: nothing was changed.", "/rollout status")
        )
    if facts.later_started:
        later = ", ".join(facts.later_started)
        verb = "has" if len(facts.later_started) == 1 else "have"
        found.append(
            Reason(
                "later_stage_started",
                f"{later} came after {stage} and {verb} changes.",
                "Roll back all of them, latest first: press the button below.",
            )
        )
    return _decide(found)


def may_roll_back_target(facts: TargetRollBackFacts) -> Decision:
    """Whether one target may be put back and pinned."""
    found = list(_permission(facts.may, "roll back"))
    if facts.state is StageState.ROLLING_BACK:
        found.append(
            Reason(
                "rollback_running", f"{facts.stage} is being rolled back as a whole.", f"/rollout status {facts.stage}"
            )
        )
    elif facts.running:
        found.append(
            Reason(
                "actions_in_flight",
                f"Work on {facts.target} is under way.",
                "Wait until it has ended (a few minutes at most), then repeat this.",
            )
        )
    elif facts.state is None or facts.state not in {*WORKING, StageState.PASSED} or not facts.acted:
        found.append(Reason("nothing_to_roll_back", f"Nothing was changed on {facts.target}.", "/rollout status"))
    elif facts.pinned and not needs_revert(facts):
        found.append(Reason("nothing_to_roll_back", f"{facts.target} is back and pinned already.", "Nothing to do."))
    return _decide(found)


def needs_revert(facts: TargetRollBackFacts) -> bool:
    """Whether something may have been written to the target that has not been put back."""
    if facts.revert is not None:
        return facts.revert in ACTION_BAD
    return facts.change in {ActionState.DONE, *ACTION_BAD}


def may_pause(facts: PauseFacts) -> Decision:
    """Whether the rollout may be paused."""
    found = list(_permission(facts.may, "pause"))
    if facts.paused:
        found.append(
            Reason("already_paused", f"The rollout is paused already{_why(facts.paused_reason)}.", "/rollout resume")
        )
    return _decide(found)


def may_resume(facts: PauseFacts) -> Decision:
    """Whether the rollout may go on."""
    found = list(_permission(facts.may, "resume"))
    if not facts.paused:
        found.append(Reason("not_paused", "The rollout is not paused.", "/rollout status"))
    return _decide(found)


def may_unlock(facts: UnlockFacts, submitted: bool = True) -> Decision:
    """Whether a rolled-back stage may be made ready again; with a reason once the form is ``submitted``."""
    found = list(_permission(facts.may, "unlock a stage"))
    if not facts.locked:
        found.append(Reason("not_locked", f"{facts.stage} is not locked.", f"/rollout status {facts.stage}"))
    elif facts.state is not StageState.ROLLED_BACK:
        found.append(
            Reason(
                "rollback_running",
                f"{facts.stage} is still being rolled back.",
                f"/rollout status {facts.stage} shows how far it is.",
            )
        )
    if submitted and not facts.reason.strip():
        found.append(Reason("reason_required", "Unlocking needs a reason.", f"/rollout unlock {facts.stage} REASON"))
    return _decide(found)


def may_attest(facts: AttestFacts) -> Decision:
    """Whether the person may say where these checklist items stand."""
    found: list[Reason] = []
    if not facts.actor_roles:
        found.append(
            Reason(
                "not_a_role_holder",
                "Checklist items are ticked by people who hold a role in this plan.",
                "/rollout contacts names them.",
            )
        )
    for key in facts.unknown:
        found.append(Reason("unknown_item", f"There is no checklist item {key[:60]!r}.", "/rollout checklist"))
    for title in facts.by_the_bot:
        found.append(
            Reason("not_attestable", f"“{title}” is done by the bot, not ticked by hand.", "/rollout checklist")
        )
    if facts.actor_roles:
        for title, roles in facts.not_theirs:
            found.append(
                Reason("not_permitted", f"“{title}” is ticked by {_either(roles)}.", "/rollout contacts names them.")
            )
    if facts.nothing:
        found.append(Reason("missing_argument", "No item was chosen.", "Tick at least one item in the form."))
    if facts.reason_missing:
        found.append(
            Reason("reason_required", "To say that an item does not apply needs a reason.", "Fill in the comment.")
        )
    return _decide(found)


# -- parts of decisions ----------------------------------------------------------------------------------------------


def _decide(found: Sequence[Reason]) -> Decision:
    return Refuse(tuple(found)) if found else Proceed()


def _permission(may: May, what: str) -> tuple[Reason, ...]:
    if may.permitted:
        return ()
    who = _either(may.roles) if may.roles else "nobody in this plan"
    return (Reason("not_permitted", f"You may not {what}: {who} may.", "/rollout contacts names whom to ask."),)


def _held(paused: bool, reason: str) -> tuple[Reason, ...]:
    return (Reason("rollout_paused", f"The rollout is paused{_why(reason)}.", "/rollout resume"),) if paused else ()


def _not_startable(facts: StartFacts) -> Reason | None:
    stage = facts.stage
    if facts.state is StageState.PASSED:
        return Reason("stage_passed", f"{stage} has passed already.", "/rollout status")
    if facts.locked and facts.state is StageState.ROLLED_BACK:
        return Reason(
            "stage_locked",
            f"{stage} was rolled back and is locked{_why(facts.locked_reason)}.",
            f"/rollout unlock {stage} REASON",
        )
    if facts.state is StageState.REVIEW:
        return Reason("stage_busy", f"{stage} is done and waits for its sign-offs.", f"/rollout approve {stage}")
    if facts.state not in {StageState.WAITING, StageState.READY}:
        word = facts.state.value.replace("_", " ")
        return Reason("stage_busy", f"{stage} is under way already: {word}.", f"/rollout status {stage}")
    return None


def _what_it_waits_for(before: Predecessor) -> tuple[str, str]:
    key, state, lacking = before.key, before.state, before.lacking
    if before.rejected:
        return f"{key} comes first, and somebody rejected it.", f"/rollout status {key}"
    if state is StageState.REVIEW:
        return f"{key} comes first and lacks {_and(lacking)}.", f"/rollout approve {key}"
    if state is StageState.PASSED:
        return f"{key} counts as passed, but lacks {_and(lacking)}.", f"/rollout status {key}"
    if state is StageState.READY:
        return f"{key} comes first and has not been started.", f"/rollout start {key}"
    if state is StageState.ROLLED_BACK:
        return f"{key} comes first and was rolled back.", f"/rollout unlock {key} REASON"
    return f"{key} comes first and is {state.value.replace('_', ' ')}.", f"/rollout status {key}"


def _looks(facts: StartFacts) -> list[Reason]:
    found: list[Reason] = []
    if facts.never_looked:
        where = _and(facts.never_looked)
        found.append(
            Reason(
                "no_discovery",
                f"{where} has not been looked at yet; the first look is under way.",
                "Wait a moment, or press Look again.",
            )
        )
    if facts.stale:
        found.append(
            Reason(
                "discovery_stale",
                f"The last look at {_and(facts.stale)} is more than a day old.",
                "Press Look again (or /rollout refresh), then start.",
            )
        )
    for workspace, said in facts.unreachable:
        found.append(
            Reason(
                "workspace_unreachable",
                f"{workspace} did not answer the last look: {said[:150].rstrip('.')}.",
                "Check its address, token and rights, then /rollout refresh.",
            )
        )
    return found


def _signers(facts: StartFacts) -> list[Reason]:
    def titles(roles: Sequence[str]) -> str:
        return _and([facts.titles.get(r, r) for r in roles])

    if empty := unfilled(facts.required, facts.candidates):
        return [
            Reason(
                "roles_unfilled",
                f"Nobody available could sign {facts.stage} as {titles(empty)}.",
                "Name an available person for this role in the plan.",
            )
        ]
    if needed := unfilled(facts.required, facts.candidates, {facts.actor}):
        return [
            Reason(
                "starter_needed_as_signer",
                f"You are needed to sign {facts.stage} as {titles(needed)}, and who starts a stage does not sign it.",
                f"Ask somebody else who may start ({_either(facts.may.roles)}) to type /rollout start {facts.stage}",
            )
        ]
    return []


def _signer(facts: SignFacts) -> list[Reason]:
    stage = facts.stage
    if not facts.held:
        return [
            Reason(
                "not_a_role_holder",
                f"You hold none of the roles that sign {stage}: {_and(facts.required)}.",
                "/rollout contacts names whom to ask.",
            )
        ]
    if facts.started_by == facts.actor:
        return [
            Reason(
                "started_by_you",
                f"You started {stage}, and who starts a stage does not sign it.",
                f"Ask {_either(facts.required)} to type /rollout approve {stage}",
            )
        ]
    return []


def _in_review(facts: SignFacts, verb: str) -> list[Reason]:
    if facts.state is StageState.REVIEW:
        return []
    if facts.state is StageState.PASSED:
        return [Reason("nothing_to_approve", f"{facts.stage} has passed already.", "/rollout status")]
    where = f" In review now: {_and(facts.elsewhere)}." if facts.elsewhere else ""
    step = f"/rollout {verb} {facts.elsewhere[0]}" if facts.elsewhere else f"/rollout status {facts.stage}"
    return [Reason("nothing_to_approve", f"Nothing to {verb} yet: {facts.stage} {facts.doing}.{where}", step)]


# -- words -----------------------------------------------------------------------------------------------------------


def _why(reason: str) -> str:
    return f" ({reason.strip().rstrip('.')[:200]})" if reason.strip() else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _and(words: Sequence[str]) -> str:
    if len(words) > 6:
        return ", ".join(words[:5]) + f" and {len(words) - 5} more"
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def _either(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else "".join(words)


def _listed(words: Sequence[str], most: int) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return "; ".join(words[:most]) + more
