"""How teams are spoken of: who of them signed, whom a stage waits for, and until when. Pure."""

from collections.abc import Iterable, Mapping

from commands.reply import At, Icon, Line, Part, Person, Strong, line
from commands.words import count, listed
from rollout import teams
from rollout.standing import StageStanding, Standing
from rollout.states import StageState

_NAMED = 6


def some(names: Iterable[str], most: int = _NAMED) -> str:
    """``Billing, Search and 9 more``: of many only the first ones."""
    found = list(names)
    return listed([*found[:most], *([f"{len(found) - most} more"] if len(found) > most else [])])


def named(standing: Standing, keys: Iterable[str]) -> list[str]:
    """The titles of teams; a team that the plan does not name any more by its key."""
    plan = standing.plan
    return [plan.teams[key].title if key in plan.teams else key for key in keys]


def missing(standing: Standing, lacking: Mapping[str, int]) -> list[str]:
    """Who is still wanted, each role once: ``QA``, ``Tech Lead ×2``, ``Developer of Billing, Search and 9 more``."""
    titles = standing.titles()
    found = [titles.get(p, p) + (f" ×{n}" if n > 1 else "") for p, n in lacking.items() if not teams.team_of(p)]
    for role, waiting in _by_role(lacking).items():
        found.append(f"{titles.get(role, role)} of {some(named(standing, waiting))}")
    return found


def _by_role(places: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for p in places:
        if teams.team_of(p):
            found.setdefault(teams.role_of(p), []).append(teams.team_of(p))
    return found


def lines(standing: Standing, stage: StageStanding) -> list[Line]:
    """For each role in which teams sign: how many of them did, and which do not yet."""
    required, planned, titles = standing.required(stage.key), standing.plan.stage(stage.key), standing.titles()
    lacking = stage.lacking(required)
    found: list[Line] = []
    for role, asked in _by_role(required).items():
        waiting = [key for key in asked if teams.place(role, key) in lacking]
        title = titles.get(role, role)
        parts: list[Part] = [f"{title}: ", Strong(f"teams {len(asked) - len(waiting)} of {len(asked)}")]
        if waiting:
            parts.append(f", waiting: {some(named(standing, waiting))}")
        rule = planned.each_team.get(role)
        until = teams.deadline(rule, stage.reviewed_at) if rule is not None else None
        if waiting and rule is not None and until is not None and stage.state is StageState.REVIEW:
            pins = rule.unsigned == "pin"
            parts += ["; due ", At(until), ", then their targets are put back and pinned" if pins else ""]
        found.append(tuple(parts))
    left = [part.key for part in stage.teams.values() if part.key and not part.targets]
    if left and found:
        found.append(line(f"Nothing to sign for, all of it is left behind: {some(named(standing, left))}"))
    return found


def division(standing: Standing, stage: StageStanding) -> list[Line]:
    """How the targets of a stage divide into teams, where teams sign; nothing elsewhere."""
    planned = standing.plan.stage(stage.key)
    if not planned.each_team:
        return []
    parts = [p for p in stage.teams.values() if p.key and p.targets]
    titles = standing.titles()
    roles = listed([titles.get(role, role) for role in planned.each_team])
    found: list[Line] = []
    if parts:
        words = [
            f"{name} {p.targets:,}" for name, p in zip(named(standing, [p.key for p in parts]), parts, strict=True)
        ]
        found.append(line(Strong("Teams"), f": each signs as {roles} for its own targets: {some(words, 12)}."))
    rest = stage.teams.get("")
    if rest is not None and rest.targets:
        who = listed([f"{titles.get(role, role)} ×{planned.sign_offs.get(role, 1)}" for role in planned.each_team])
        text = f" {count(rest.targets, 'target')} of no team: signed for by the role itself ({who})."
        found.append(line(Icon("info"), text))
    if stage.team_overlaps:
        names = some(stage.team_overlaps, 5)
        text = f" {count(len(stage.team_overlaps), 'target')} of more than one team (team_overlap): {names}."
        found.append(line(Icon("warning"), text + " The stage does not start before the plan says whose they are."))
    return found


def sign_off_line(standing: Standing, stage: StageStanding) -> Line:
    """Who signed in which role, who rejected, which roles are still missing. What teams sign stands apart."""
    titles = standing.titles()
    parts: list[Part] = [*((Icon("warning"), " ") if stage.rejections else ()), "Sign-offs: "]
    given = [s for s in stage.grants if not s.team]
    for index, s in enumerate(given[:10]):
        parts += [", " if index else "", Person(s.user_id), f" ({titles.get(s.place, s.place)})"]
    if len(given) > 10:
        parts.append(f" and {len(given) - 10} more")
    lacking = stage.lacking(standing.required(stage.key))
    wanted = missing(standing, {p: n for p, n in lacking.items() if not teams.team_of(p)})
    if wanted:
        parts.append(("; " if given else "") + f"{listed(wanted)} still missing")
    elif not given:
        parts.append("those of teams" if stage.teams else "none")
    for s in stage.doubtful[:3]:
        parts += ["; not counted: ", Person(s.user_id), f" ({titles.get(s.place, s.place)}): {s.doubt}"]
    for s in stage.rejections[:3]:
        parts += ["; rejected by ", Person(s.user_id), f" ({titles.get(s.place, s.place)}): {s.comment[:200]}"]
    return tuple(parts)
