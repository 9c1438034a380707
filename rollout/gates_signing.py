"""The pure decisions whether a person may approve or reject a stage."""

from rollout.decisions import Decision, count, decide, either, held_by_issues, listed, some_of
from rollout.facts import SignFacts
from rollout.reasons import Reason
from rollout.states import StageState


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
    return decide([*found, *_in_review(facts, "approve"), *_evidence(facts), *_criteria(facts), *_issues(facts)])


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
    return decide([*found, *_in_review(facts, "reject")])


def _signer(facts: SignFacts) -> list[Reason]:
    stage = facts.stage
    if not facts.held:
        return [
            Reason(
                "not_a_role_holder",
                f"You hold none of the roles that sign {stage}: {listed(facts.required)}.",
                "/rollout contacts names whom to ask.",
            )
        ]
    if facts.started_by == facts.actor:
        return [
            Reason(
                "started_by_you",
                f"You started {stage}, and who starts a stage does not sign it.",
                f"Ask {either(facts.required)} to type /rollout approve {stage}",
            )
        ]
    return []


def _evidence(facts: SignFacts) -> list[Reason]:
    """Nobody signs on evidence that is not as it was frozen."""
    if not facts.evidence_doubt or not (facts.state is StageState.REVIEW or facts.again):
        return []
    sentence = f"{facts.stage} cannot be approved: {facts.evidence_doubt}."
    return [Reason("evidence_altered", sentence, f"/rollout audit {facts.stage}, then /rollout rollback {facts.stage}")]


def _criteria(facts: SignFacts) -> list[Reason]:
    """A stage is not accepted over a check that failed, or that could not say."""
    if not facts.unmet or facts.state is not StageState.REVIEW:
        return []
    number = len(facts.unmet)
    said = f"{count(number, 'check')} of {facts.stage} {'does' if number == 1 else 'do'} not hold: "
    steps = f"mend it and /rollout recheck {facts.stage}, or /rollout rollback {facts.stage}"
    override = f"; or /rollout override {facts.stage}, with a second person" if facts.overridable else ""
    return [Reason("criteria_unmet", f"{said}{some_of(facts.unmet, 5)}", f"Look at it: {steps}{override}.")]


def _issues(facts: SignFacts) -> list[Reason]:
    """Nobody accepts a stage while issues that hold it are open. To reject it is possible all the same."""
    if not facts.issues_open or not (facts.state is StageState.REVIEW or facts.again):
        return []
    return [held_by_issues(facts.stage, facts.issues_open)]


def _in_review(facts: SignFacts, verb: str) -> list[Reason]:
    if facts.state is StageState.REVIEW or (facts.again and verb == "approve"):
        return []
    if facts.state is StageState.PASSED:
        return [Reason("nothing_to_approve", f"{facts.stage} has passed already.", "/rollout status")]
    where = f" In review now: {listed(facts.elsewhere)}." if facts.elsewhere else ""
    step = f"/rollout {verb} {facts.elsewhere[0]}" if facts.elsewhere else f"/rollout status {facts.stage}"
    return [Reason("nothing_to_approve", f"Nothing to {verb} yet: {facts.stage} {facts.doing}.{where}", step)]
