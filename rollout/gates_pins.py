"""The pure decisions about pins: a target stays on the old runtime with a reason and a person who answers for it."""

from rollout.decisions import Decision, decide, permission
from rollout.facts import PinFacts
from rollout.reasons import Reason


def may_pin(facts: PinFacts, submitted: bool = True) -> Decision:
    """Whether a target may be pinned; once the form is ``submitted`` with a reason and an owner."""
    found = [*permission(facts.may, "pin a target"), *_busy(facts)]
    if facts.support:
        sentence = f"{facts.target} is shared by targets: it is changed with the first stage that needs it."
        found.append(Reason("support_in_use", sentence, "Pin the targets that must stay, and it stays as well."))
    if facts.pinned:
        found.append(Reason("pinned", f"{facts.target} is pinned already.", "Un-pin it first to pin it anew."))
    if submitted and not facts.reason.strip():
        found.append(Reason("reason_required", "A pin needs a reason.", "Say why it stays on the old runtime."))
    if submitted and not facts.owner:
        found.append(Reason("owner_required", "A pin needs an owner.", "Choose the person who answers for it."))
    return decide(found)


def may_unpin(facts: PinFacts) -> Decision:
    """Whether the pin of a target may be lifted."""
    found = [*permission(facts.may, "lift a pin"), *_busy(facts)]
    if not facts.pinned:
        found.append(Reason("not_pinned", f"{facts.target} is not pinned.", "/rollout plan lists the pins."))
    return decide(found)


def _busy(facts: PinFacts) -> list[Reason]:
    if facts.rolling_back:
        return [Reason("rollback_running", f"The stage of {facts.target} is being rolled back.", "/rollout status")]
    if facts.running:
        step = "Wait until it has ended (a few minutes at most), then repeat this."
        return [Reason("actions_in_flight", f"Work on {facts.target} has not ended.", step)]
    return []
