"""The pure decisions about issues that were found on the way. To report one is free to everybody who may look."""

from rollout.decisions import Decision, decide, either
from rollout.facts import IssueFacts
from rollout.reasons import Reason


def may_resolve_issue(facts: IssueFacts, cause: str = "cause", fix: str = "fix") -> Decision:
    """Whether the person may say that the issue is dealt with: its owner, or who may operate the rollout.

    Who reported one that is not critical may take it back, too. A critical one holds gates: that one has reported it
    gives no right to open them.
    """
    found = _theirs(facts, "resolve", reporter=not facts.critical)
    if not facts.open:
        found.append(
            Reason(
                "issue_resolved",
                f"Issue #{facts.number} is resolved already.",
                f"/rollout issues {facts.number}",
            )
        )
    if not (cause.strip() and fix.strip()):
        found.append(
            Reason("reason_required", "An issue is resolved with its cause and its fix.", "Fill in both in the form.")
        )
    return decide(found)


def may_reopen_issue(facts: IssueFacts) -> Decision:
    """Whether the issue may be opened again. Like reporting one, everybody may."""
    if facts.open:
        return decide([Reason("issue_not_resolved", f"Issue #{facts.number} is open already.", "/rollout issues")])
    return decide([])


def may_change_issue(facts: IssueFacts, critical: bool, owner: str) -> Decision:
    """Whether the person may make it critical or not, and give it to ``owner``.

    Everybody may make it critical. To take that back, or to name another owner (who may then resolve it), takes the
    same right as to resolve it.
    """
    found: list[Reason] = []
    if (facts.critical and not critical) or owner != facts.owner:
        found += _theirs(facts, "change" if critical else "make less critical", reporter=False)
    if not facts.open:
        found.append(
            Reason("issue_resolved", f"Issue #{facts.number} is resolved already.", "Re-open it first: /rollout issues")
        )
    return decide(found)


def _theirs(facts: IssueFacts, what: str, reporter: bool) -> list[Reason]:
    if facts.may.permitted or facts.actor == facts.owner or (reporter and facts.actor == facts.reporter):
        return []
    who = either(facts.may.roles) if facts.may.roles else "nobody else in this plan"
    kind = "critical issue" if facts.critical else "issue"
    return [
        Reason(
            "not_permitted",
            f"You may not {what} {kind} #{facts.number}: its owner may, and {who}.",
            "Ask one of them; /rollout contacts names them.",
        )
    ]
