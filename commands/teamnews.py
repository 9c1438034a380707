"""What is posted about one team of a stage: it is asked, warned, waited for or left behind, or a sign-off is stale."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from commands import teampart
from commands.reply import At, Block, Button, Buttons, Icon, Line, Paragraph, Part, Person, Reply, Strong, line
from commands.teamwords import named
from commands.words import count, short
from rollout import teams
from rollout.standing import StageStanding, Standing
from rollout.states import StageState

_PEOPLE = 5
KINDS: Final = frozenset({"team_wanted", "team_warned", "team_overdue", "team_pinned", "sign_off_stale"})


def document(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], kind: str
) -> Reply | None:
    """The message; None once it is beside the point: the team has signed, or the stage is not in review any more."""
    place = str(ids.get("place") or "")
    team = named(standing, [teams.team_of(place)])[0]
    if kind == "team_pinned":
        return _pinned(standing, stage, ids, team)
    if stage.state is not StageState.REVIEW:
        return None
    if kind == "sign_off_stale":
        return _stale(standing, stage, ids, team)
    if place not in stage.lacking(standing.required(stage.key)):
        return None
    return _asked(session, standing, stage, ids, team, kind)


def _asked(
    session: Session, standing: Standing, stage: StageStanding, ids: Mapping[str, Any], team: str, kind: str
) -> Reply:
    place = str(ids["place"])
    rule = standing.plan.stage(stage.key).each_team.get(teams.role_of(place))
    role = standing.titles().get(teams.role_of(place), teams.role_of(place))
    icon = "info" if kind == "team_wanted" else "warning"
    said = {
        "team_wanted": f"{team}: {stage.key} waits for your sign-off as {role}, for your own targets",
        "team_warned": f"{team} has not signed {stage.key} yet",
    }.get(kind, f"{team} did not sign {stage.key} by its deadline, and the stage waits on")
    lines: list[Line] = [line(Icon(icon), " ", Strong(said), ".")]
    if kind != "team_overdue" and ids.get("until") and rule is not None:
        then = "the stage waits on"
        if rule.unsigned == "pin":
            then = "what belongs to the team is put back to the old runtime and pinned"
        lines.append(line("Until ", At(datetime.fromisoformat(str(ids["until"]))), f"; after that {then}."))
    people = sorted(standing.candidates().get(place, frozenset()) - {stage.started_by or ""})[:_PEOPLE]
    parts: list[Part] = ["Wanted: "]
    for index, user in enumerate(people):
        parts += [" or " if index else "", Person(user)]
    if people:
        lines.append(tuple(parts))
    blocks: list[Block] = [Paragraph(tuple(lines)), *teampart.part(session, standing, stage, teams.team_of(place))]
    return Reply(
        f"{said}.", (*blocks, Paragraph((line(f"/rollout approve {stage.key}, or:"),)), _buttons(standing, stage))
    )


def _pinned(standing: Standing, stage: StageStanding, ids: Mapping[str, Any], team: str) -> Reply:
    names = [short(str(name), 60) for name in ids.get("names") or ()]
    number = int(ids.get("number") or len(names))
    said = (
        f"{count(number, 'target')} of {team} in {stage.key} {'goes' if number == 1 else 'go'} back to the old runtime"
    )
    more = f" and {number - len(names)} more" if number > len(names) else ""
    owner: Line = ("Owner of the pins: ", Person(str(ids["owner"])), ". ") if ids.get("owner") else ()
    lines = (
        line(Icon("locked"), " ", Strong(said), f", pinned: {short(str(ids.get('reason') or ''), 300)}"),
        line(f"{', '.join(names)}{more}"),
        line(*owner, "The others go on. /rollout unpin TARGET lets one move again, with a later stage."),
    )
    return Reply(f"{said}.", (Paragraph(lines),))


def _stale(standing: Standing, stage: StageStanding, ids: Mapping[str, Any], team: str) -> Reply | None:
    if str(ids.get("place")) not in stage.lacking(standing.required(stage.key)):
        return None
    said = f"Your sign-off of {stage.key} for {team} no longer counts"
    by: Line = (Person(str(ids["by"])), ": ") if ids.get("by") else ()
    lines = (
        line(
            Icon("warning"),
            " ",
            *by,
            Strong(said),
            f": {short(str(ids.get('changed') or 'its evidence changed'), 400)}.",
        ),
        line(f"/rollout approve {stage.key} shows what there is to sign now."),
    )
    return Reply(f"{said}.", (Paragraph(lines), _buttons(standing, stage)))


def _buttons(standing: Standing, stage: StageStanding) -> Buttons:
    at = {"rollout": standing.id, "stage": stage.key, "version": stage.version, "generation": stage.generation}
    return Buttons(
        (
            Button(f"Approve {stage.key}", "approve", at, "primary"),
            Button(f"Reject {stage.key}", "reject", at),
            Button("Details", "status", {"rollout": standing.id, "stage": stage.key}),
        )
    )
