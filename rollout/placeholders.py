"""What a proposed plan leaves to be filled in: values of the right form that belong to nobody. Pure."""

from collections.abc import Iterator
from typing import Final

from rollout.plan import Plan
from rollout.yamlmarks import Node, Problem

#: Part of every value that is to be replaced: no id of Slack holds it.
WORD: Final = "FILLMEIN"
CHANNEL: Final = f"C0{WORD}"


def person(number: int) -> str:
    """The stand-in for the person of one role: a different one each time, so that they count as different people."""
    return f"U0{WORD}{number:02}"


def group(number: int) -> str:
    """The stand-in for the user group of one team."""
    return f"S0{WORD}{number:02}"


def left(plan: Plan) -> list[str]:
    """Where a plan still has stand-ins: ``channel``, ``roles.qa``."""
    found = ["channel"] if WORD in plan.channel else []
    found += [
        f"roles.{key}" for key, role in plan.roles.items() if any(WORD in one for one in (*role.members, *role.groups))
    ]
    if any(stage.each_team for stage in plan.stages):  # else nobody asks who they are
        found += [f"teams.{key}" for key, team in plan.teams.items() if WORD in (team.group or "")]
    return found


def marked(plan: Node) -> Iterator[Problem]:
    """The same of a marked tree, by file and line."""
    channel = plan.get("channel")
    if WORD in channel.text:
        yield channel.problem("this is still to be filled in", "the Slack channel of the rollout, such as C0123ABCDEF")
    for role in plan.get("roles").entries.values():
        for holder in (*role.get("members").items, *role.get("groups").items):
            if WORD in holder.text:
                yield holder.problem("this is still to be filled in", "the Slack user id of a person of this role")
    if any(stage.get("each_team").entries for stage in plan.get("stages").items):
        for team in plan.get("teams").entries.values():
            if WORD in team.get("group").text:
                yield team.get("group").problem("this is still to be filled in", "the Slack user group of this team")
