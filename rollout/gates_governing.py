"""The pure decisions about what stands above a stage: changes of the plan, overrides, taking back a sign-off."""

from dataclasses import dataclass

from rollout.decisions import Decision, decide, permission, some_of
from rollout.facts import May
from rollout.reasons import Reason


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
                f"Ask {some_of(facts.may.roles, 4)} to press Accept.",
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
