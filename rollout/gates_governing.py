"""The pure decisions about what stands above a stage: changes of the plan, overrides, taking back a sign-off."""

from dataclasses import dataclass

from rollout.decisions import Decision, decide, either, permission, some_of
from rollout.facts import May
from rollout.reasons import Reason
from rollout.states import StageState


@dataclass(frozen=True, slots=True)
class AmendFacts:
    """May this person decide on a change of the plan?

    ``state`` is that of the change (proposed, accepted, declined, replaced); ``shown``: the digest on the button is
    that of the change; ``base``: the plan in force is still the one that it was compared with.
    """

    may: May
    actor: str
    proposed_by: str
    state: str
    shown: bool
    base: bool
    problems: tuple[str, ...] = ()


_STATES = {"accepted": "was accepted already", "declined": "was declined", "replaced": "was replaced by a newer one"}


def may_accept_amendment(facts: AmendFacts) -> Decision:
    """Whether the person may put the changed plan in force: a second person, on exactly what was shown."""
    if stands := _stands(facts):
        return decide(stands)
    found = list(permission(facts.may, "accept a change of the plan"))
    if facts.actor == facts.proposed_by:
        found.append(
            Reason(
                "proposed_by_you",
                "You proposed this change of the plan, and it takes a second person to accept it.",
                f"Ask {either(facts.may.roles)} to press Accept.",
            )
        )
    if facts.problems:
        found.append(
            Reason(
                "amendment_impossible",
                f"The plan cannot be changed so any more: {some_of(facts.problems, 5)}.",
                "Change the file, then python app.py plan amend FILE",
            )
        )
    return decide(found)


def may_decline_amendment(facts: AmendFacts) -> Decision:
    """Whether the person may decline the change; who proposed it may take it back."""
    if stands := _stands(facts):
        return decide(stands)
    return decide(() if facts.actor == facts.proposed_by else permission(facts.may, "decline a change of the plan"))


def _stands(facts: AmendFacts) -> list[Reason]:
    if facts.state != "proposed":
        said = f"This change of the plan {_STATES.get(facts.state, 'is over')}; nothing was done."
        return [Reason("amendment_over", said, "/rollout plan names the changes of the plan.")]
    if not facts.shown or not facts.base:
        what = "The change of the plan" if not facts.shown else "The plan in force"
        return [
            Reason(
                "amendment_over",
                f"{what} is not the one that was shown; nothing was done.",
                "Propose it again: python app.py plan amend FILE",
            )
        ]
    return []


@dataclass(frozen=True, slots=True)
class OverrideFacts:
    """May this person ask for an override of ``condition``, or confirm one? ``rule``: the plan names who may.

    ``unmet``: the condition does not hold now. ``whole``: record and evidence are as they were sealed. ``state`` is
    that of the override (asked, confirmed, declined, replaced); ``same``: it was asked of today's evidence.
    """

    stage: str
    condition: str
    rule: bool
    may: May
    actor: str
    started_by: str | None
    unmet: bool
    whole: str = ""  # why not, as a sentence; empty: they are
    reason: str = "-"
    asked_by: str = ""
    state: str = "asked"
    same: bool = True


def may_ask_override(facts: OverrideFacts) -> Decision:
    """Whether the person may ask for one unmet condition to be passed over."""
    found = _overridable(facts, "ask for an override")
    if not facts.unmet:
        found.append(
            Reason(
                "condition_met",
                f"{facts.condition[:80]} is no condition of {facts.stage} that is unmet now.",
                f"/rollout override {facts.stage} lists those that are.",
            )
        )
    if not facts.reason.strip():
        found.append(Reason("reason_required", "An override needs a reason.", "Fill in why it may be passed over."))
    return decide(found)


def may_confirm_override(facts: OverrideFacts) -> Decision:
    """Whether the person may confirm it: a second one, in the role that the plan names, on today's evidence."""
    if stands := _open_override(facts):
        return decide(stands)
    found = _overridable(facts, "confirm an override")
    if facts.actor == facts.asked_by:
        found.append(
            Reason(
                "asked_by_you",
                "You asked for this override, and it takes a second person to confirm it.",
                f"Ask {either(facts.may.roles)} to press Confirm.",
            )
        )
    return decide(found)


def may_decline_override(facts: OverrideFacts) -> Decision:
    """Whether the person may decline it; who asked may take it back."""
    if stands := _open_override(facts):
        return decide(stands)
    return decide(() if facts.actor == facts.asked_by else permission(facts.may, "decline an override"))


def _open_override(facts: OverrideFacts) -> list[Reason]:
    states = {"confirmed": "was confirmed already", "declined": "was declined", "replaced": "was asked for anew"}
    if facts.state == "asked" and facts.same and facts.unmet:
        return []
    said = states.get(facts.state, "is over") if facts.state != "asked" else "was asked of another evidence"
    sentence = f"This override of {facts.stage} {said}; nothing was done."
    return [Reason("override_over", sentence, f"/rollout status {facts.stage} shows it as it is now.")]


def _overridable(facts: OverrideFacts, what: str) -> list[Reason]:
    found: list[Reason] = []
    if facts.whole:
        step = f"/rollout audit {facts.stage}, then /rollout rollback {facts.stage}"
        found.append(Reason("evidence_altered", f"Nothing is passed over: {facts.whole}.", step))
    if not facts.rule:
        found.append(
            Reason(
                "not_overridable",
                f"The plan lets nobody pass over {facts.condition[:80] or 'this'} in {facts.stage}.",
                f"Meet the condition, or /rollout rollback {facts.stage}",
            )
        )
        return found
    found += permission(facts.may, what)
    if facts.started_by == facts.actor:
        found.append(
            Reason(
                "started_by_you",
                f"You started {facts.stage}, and who starts a stage passes over none of its conditions.",
                "Ask somebody else whom the plan names for overrides.",
            )
        )
    return found


def may_recheck(stage: str, may: May, state: StageState) -> Decision:
    """Whether the checks of a stage may look once more: while it is in review."""
    found = list(permission(may, "have the checks look again"))
    if state is not StageState.REVIEW:
        said = f"{stage} is not in review, and only then its checks look again."
        found.append(Reason("nothing_to_approve", said, f"/rollout status {stage}"))
    return decide(found)


@dataclass(frozen=True, slots=True)
class RevokeFacts:
    """May this person take back what they said of a stage? ``said``: granted, rejected or nothing."""

    stage: str
    said: str | None
    state: StageState


def may_revoke(facts: RevokeFacts) -> Decision:
    """Whether the person may take back their own sign-off or rejection: before the stage has passed."""
    if facts.state is StageState.PASSED:
        said = f"{facts.stage} has passed; what was signed stands."
        return decide([Reason("stage_passed", said, f"/rollout rollback {facts.stage} puts it back.")])
    if facts.said is None:
        said = f"You have said nothing of {facts.stage} that could be taken back."
        return decide([Reason("nothing_to_revoke", said, f"/rollout status {facts.stage} names who signed.")])
    if facts.state is not StageState.REVIEW:  # a rejection that goes must be able to let the stage pass, there and then
        said = f"{facts.stage} is not in review now; its checks may be looking once more."
        return decide([Reason("stage_busy", said, f"/rollout revoke {facts.stage}, in a moment")])
    return decide(())
