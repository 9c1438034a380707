"""The pure decisions whether something may happen, each with all the reasons why not."""

from collections.abc import Sequence

from rollout.decisions import (
    Decision,
    Proceed,
    Refuse,
    because,
    count,
    decide,
    either,
    held_by_issues,
    held_by_pause,
    listed,
    permission,
    some_of,
)
from rollout.facts import (
    AssignFacts,
    AttestFacts,
    PauseFacts,
    Predecessor,
    RetryFacts,
    StartFacts,
)
from rollout.gates_back import may_roll_back, may_roll_back_target, may_unlock, needs_revert
from rollout.gates_issues import may_change_issue, may_reopen_issue, may_resolve_issue
from rollout.gates_signing import may_approve, may_reject
from rollout.people import unfilled
from rollout.reasons import Reason
from rollout.states import StageState


def may_start(facts: StartFacts) -> Decision:
    """Whether a stage may be started: order, lock, pause, checklist, fresh facts, something to do, and signers."""
    stage, found = facts.stage, list(permission(facts.may, "start a stage"))
    if reason := _not_startable(facts):
        return decide([*found, reason])
    for before in facts.not_passed:
        found.append(Reason("predecessor_not_passed", *_what_it_waits_for(before)))
    found += held_by_pause(facts.paused, facts.paused_reason)
    if facts.items_open:
        some = some_of(facts.items_open, 3)
        found.append(
            Reason(
                "items_open",
                f"{count(len(facts.items_open), 'checklist item')} must be done before {stage}: {some}.",
                f"/rollout checklist {stage}",
            )
        )
    if facts.issues_open:
        found.append(held_by_issues(stage, facts.issues_open))
    found += _looks(facts)
    if facts.targets == 0 and not facts.never_looked:
        found.append(
            Reason("no_targets", f"{stage} has nothing to change.", f"/rollout plan {stage} says why of each target.")
        )
    if facts.overlaps:
        number = len(facts.overlaps)
        found.append(
            Reason(
                "selection_overlap",
                f"{count(number, 'target')} of {stage} {'is' if number == 1 else 'are'} selected by another stage as "
                f"well: {some_of(facts.overlaps, 3)}.",
                "Exclude them from one of the stages in the plan: one target belongs to one stage.",
            )
        )
    if facts.overrode:
        found.append(
            Reason(
                "starter_overrode",
                f"You passed over a condition of {stage} ({some_of(facts.overrode, 2)}), and who does so does not "
                "start it.",
                f"Ask somebody else who may start ({either(facts.may.roles)}) to type /rollout start {stage}",
            )
        )
    if facts.team_overlaps:
        number = len(facts.team_overlaps)
        found.append(
            Reason(
                "team_overlap",
                f"{count(number, 'target')} of {stage} {'belongs' if number == 1 else 'belong'} to more than one team, "
                f"so that nobody can say who signs: {some_of(facts.team_overlaps, 3)}.",
                "Narrow the selection of one of these teams in the plan.",
            )
        )
    return decide([*found, *_signers(facts)])


def may_cancel_start(facts: StartFacts, scheduled: bool) -> Decision:
    """Whether a start that waits for its time may be taken back."""
    found = list(permission(facts.may, "start a stage, or cancel a start"))
    if not scheduled:
        sentence = f"No start of {facts.stage} waits for its time."
        found.append(Reason("nothing_scheduled", sentence, f"/rollout status {facts.stage}"))
    return decide(found)


def may_retry(facts: RetryFacts) -> Decision:
    """Whether a blocked stage may go on, repeating what failed."""
    found = list(permission(facts.may, "start a stage"))
    if facts.state is not StageState.BLOCKED:
        found.append(Reason("nothing_to_retry", f"{facts.stage} is not blocked.", f"/rollout status {facts.stage}"))
    return decide([*found, *held_by_pause(facts.paused, facts.paused_reason)])


def may_pin_failed(facts: RetryFacts) -> Decision:
    """Whether what failed in a blocked stage may be put back and pinned. A pause does not hold what goes back."""
    found = list(permission(facts.may, "roll back or pin"))
    if facts.state is not StageState.BLOCKED:
        found.append(Reason("nothing_to_retry", f"{facts.stage} is not blocked.", f"/rollout status {facts.stage}"))
    return decide(found)


def may_pause(facts: PauseFacts) -> Decision:
    """Whether the rollout may be paused."""
    found = list(permission(facts.may, "pause"))
    if facts.paused:
        found.append(
            Reason("already_paused", f"The rollout is paused already{because(facts.paused_reason)}.", "/rollout resume")
        )
    return decide(found)


def may_resume(facts: PauseFacts) -> Decision:
    """Whether the rollout may go on."""
    found = list(permission(facts.may, "resume"))
    if not facts.paused:
        found.append(Reason("not_paused", "The rollout is not paused.", "/rollout status"))
    return decide(found)


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
                Reason("not_permitted", f"“{title}” is ticked by {either(roles)}.", "/rollout contacts names them.")
            )
    if facts.nothing:
        found.append(Reason("missing_argument", "No item was chosen.", "Tick at least one item in the form."))
    if facts.reason_missing:
        found.append(
            Reason("reason_required", "To say that an item does not apply needs a reason.", "Fill in the comment.")
        )
    return decide(found)


def may_assign(facts: AssignFacts) -> Decision:
    """Whether the person may say whose these checklist items are: whoever holds a role may, but only to somebody who
    could tick them."""
    found: list[Reason] = []
    if not facts.actor_roles:
        found.append(
            Reason(
                "not_a_role_holder",
                "Checklist items are assigned by people who hold a role in this plan.",
                "/rollout contacts names them.",
            )
        )
    for key in facts.unknown:
        found.append(Reason("unknown_item", f"There is no checklist item {key[:60]!r}.", "/rollout checklist"))
    for title in facts.by_the_bot:
        found.append(Reason("not_attestable", f"“{title}” is done by the bot, and nobody's.", "/rollout checklist"))
    for title, roles in facts.unfit:
        found.append(
            Reason("owner_unfit", f"“{title}” is ticked by {either(roles)}; that person is not.", "Choose one of them.")
        )
    if facts.nothing:
        found.append(Reason("missing_argument", "No item was chosen.", "Tick at least one item in the form."))
    if facts.day_passed:
        found.append(Reason("time_passed", "The day until which it is due has passed.", "Choose today or a later day."))
    return decide(found)


def _not_startable(facts: StartFacts) -> Reason | None:
    stage = facts.stage
    if facts.state is StageState.PASSED:
        return Reason("stage_passed", f"{stage} has passed already.", "/rollout status")
    if facts.locked and facts.state is StageState.ROLLED_BACK:
        return Reason(
            "stage_locked",
            f"{stage} was rolled back and is locked{because(facts.locked_reason)}.",
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
        return f"{key} comes first and lacks {listed(lacking)}.", f"/rollout approve {key}"
    if state is StageState.PASSED:
        return _passed_in_name_only(before)
    if state is StageState.READY:
        return f"{key} comes first and has not been started.", f"/rollout start {key}"
    if state is StageState.ROLLED_BACK:
        return f"{key} comes first and was rolled back.", f"/rollout unlock {key} REASON"
    return f"{key} comes first and is {state.value.replace('_', ' ')}.", f"/rollout status {key}"


def _passed_in_name_only(before: Predecessor) -> tuple[str, str]:
    """The state says that it has passed, and what people signed does not carry it."""
    key = before.key
    if before.evidence_doubt:
        said = f"{key} counts as passed, but {before.evidence_doubt}."
        return said, f"/rollout audit {key}, then /rollout rollback {key}"
    lacks = f"lacks {listed(before.lacking)}" if before.lacking else "nobody signed it"
    not_counted = f" Not counted: {listed(before.doubts[:5])}." if before.doubts else ""
    return f"{key} counts as passed, but {lacks}.{not_counted}", f"/rollout approve {key}, and /rollout audit {key}"


def _looks(facts: StartFacts) -> list[Reason]:
    found: list[Reason] = []
    if facts.never_looked:
        where = listed(facts.never_looked)
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
                f"The last look at {listed(facts.stale)} is more than a day old.",
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
        return listed([facts.titles.get(r, r) for r in roles])

    if empty := unfilled(facts.required, facts.candidates):
        # Those who could are needed elsewhere: one person fills one place.
        taken = all(facts.candidates.get(place) for place in empty)
        who = "Nobody who is available is left to" if taken else "Nobody available could"
        return [
            Reason(
                "roles_unfilled",
                f"{who} sign {facts.stage} as {titles(empty)}.",
                "Name an available person for this role, or in this team, in the plan: one person fills one place.",
            )
        ]
    if needed := unfilled(facts.required, facts.candidates, {facts.actor}):
        return [
            Reason(
                "starter_needed_as_signer",
                f"You are needed to sign {facts.stage} as {titles(needed)}, and who starts a stage does not sign it.",
                f"Ask somebody else who may start ({either(facts.may.roles)}) to type /rollout start {facts.stage}",
            )
        ]
    return []


__all__ = [
    "Decision",
    "Proceed",
    "Refuse",
    "may_approve",
    "may_assign",
    "may_attest",
    "may_cancel_start",
    "may_change_issue",
    "may_pause",
    "may_pin_failed",
    "may_reject",
    "may_reopen_issue",
    "may_resolve_issue",
    "may_resume",
    "may_retry",
    "may_roll_back",
    "may_roll_back_target",
    "may_start",
    "may_unlock",
    "needs_revert",
]
