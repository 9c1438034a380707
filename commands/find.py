"""Which rollout, stage or target a request means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from commands.call import Refused, refused
from commands.grammar import first_word, nearest
from commands.reply import Button, Request, line
from commands.words import listed, pieces, short
from rollout.location import find_id, normal_host
from rollout.reasons import Reason
from rollout.standing import Standing
from storage import facts
from storage.models import Rollout, Target, Workspace

_PICK = 20  # buttons to pick from
_NEAR = 5  # names to choose from where none fits
_REASON = 500  # of a reason that a button carries


@dataclass(frozen=True, slots=True)
class Meant:
    """What the words after the verb mean."""

    stage: str | None = None
    target_id: int | None = None
    reason: str = ""
    word: str = ""
    guess: str = ""  # how a target was found that was not named whole


def rollout(session: Session, request: Request) -> Rollout:
    """The rollout that is meant: named by a button, by the channel, or the only open one. Raises Refused."""
    found = list(facts.open_rollouts(session))
    within = request.arguments.get("arguments")  # of a look that is to be shared
    named = request.arguments.get("rollout") or (within.get("rollout") if isinstance(within, dict) else None)
    if isinstance(named, int):
        for row in found:
            if row.id == named:
                return row
        raise refused("no_open_rollout", "The rollout of this button is no longer open.", "/rollout status")
    if not found:
        raise refused(
            "no_open_rollout",
            "No rollout is open.",
            "Start the bot with a plan file (settings: ROLLOUT_PLANS); it opens a rollout for it.",
        )
    here = [row for row in found if row.channel == request.channel]
    if len(here) == 1 or len(found) == 1:
        return (here or found)[0]
    several = here or found
    arguments = {k: v for k, v in request.arguments.items() if k not in {"rollout", "comment"}}
    long = request.arguments.get("comment")  # more than a button carries
    lines = [line("The buttons keep the first line. The rest, to copy:"), *map(line, pieces(str(long)))] if long else []
    buttons = [Button(row.plan_key[:70], request.verb, {**arguments, "rollout": row.id}) for row in several[:_PICK]]
    raise Refused(
        (Reason("several_rollouts", f"{len(several)} rollouts are open.", "Choose the one you mean."),),
        buttons=buttons,
        lines=lines,
    )


def word(request: Request) -> str:
    """The first word after the verb, for verbs that take one."""
    return str(request.arguments.get("verb") or first_word(str(request.arguments.get("words") or ""))[0])


def stage(standing: Standing, word: str, verb: str) -> str:
    """The stage of that name. Raises Refused with the nearest one."""
    keys = [s.key for s in standing.stages]
    for key in keys:
        if word.casefold() in {key.casefold(), standing.plan.stage(key).title.casefold()}:
            return key
    raise _no_such_stage(standing, word, verb, keys)


def _no_such_stage(standing: Standing, word: str, verb: str, keys: Sequence[str]) -> Refused:
    near = nearest(word, keys)
    buttons = (Button(f"{verb.capitalize()} {near}", verb, {"rollout": standing.id, "stage": near}),) if near else ()
    reason = Reason(
        "unknown_stage",
        f"There is no stage “{word[:60]}”. The stages are {', '.join(keys)}.",
        f"/rollout {verb} {near or keys[0]}",
    )
    return Refused((reason,), buttons=buttons)


def meant(session: Session, standing: Standing, request: Request, takes: str) -> Meant:
    """The stage, target, reason or word of a request, as its verb ``takes`` them. Raises Refused."""
    arguments = request.arguments
    words = str(arguments.get("words") or "")
    reason = str(arguments.get("reason") or "").strip()
    if isinstance(arguments.get("target_id"), int):
        return Meant(target_id=_known(session, standing, arguments["target_id"]), reason=reason)
    if isinstance(arguments.get("stage"), str) and arguments["stage"]:
        return Meant(stage=stage(standing, arguments["stage"], request.verb), reason=reason or words)
    if isinstance(arguments.get("target"), str) and arguments["target"]:
        words = f"{arguments['target']}"
    if takes == "reason":
        return Meant(reason=reason or words)
    if takes == "word":
        return Meant(word=word(request))
    if not words or takes == "nothing":
        return Meant(reason=reason)
    head, rest = first_word(words)
    keys = {s.key for s in standing.stages}
    if takes == "stage_or_target" and (named := _exactly_named(session, standing, words)):
        # A name of several words says more than the stage that it may begin with.
        target_id, rest = _one(*named, standing, request)
        return Meant(target_id=target_id, reason=reason or rest)
    if head.casefold() in keys or takes == "stage":
        return Meant(stage=stage(standing, head, request.verb), reason=reason or rest)
    target_id, rest, guess = _target(session, standing, words, request)
    return Meant(target_id=target_id, reason=reason or rest, guess=guess)


def _known(session: Session, standing: Standing, target_id: int) -> int:
    found = session.execute(
        select(Target.id).where(Target.id == target_id, Target.rollout_id == standing.id)
    ).scalar_one_or_none()
    if found is None:
        raise refused("unknown_target", "This target is no longer known.", "/rollout plan")
    return found


def _target(session: Session, standing: Standing, words: str, request: Request) -> tuple[int, str, str]:
    """The target that the words begin with, the rest, and how it was guessed. Raises Refused unless one fits."""
    head, rest = first_word(words)
    if (location := find_id(head)) is not None:
        hosts = _hosts(session, standing)
        workspaces = {key for key, host in hosts.items() if host == location.host}
        found = _rows(session, standing, Target.kind == location.kind, Target.object_id == location.object_id)
        return (*_one([t for t in found if t[1] in workspaces], head, rest, standing, request), "")
    rows = _rows(session, standing)
    found, how = _fitting(rows, head, request.verb == "status")
    near = [] if found else _near(rows, head)
    target_id, rest = _one(found, head, rest, standing, request, near)
    return target_id, rest, f"{found[0][4]}, the only target whose name {how} “{head[:80]}”" if how else ""


def _exactly_named(session: Session, standing: Standing, words: str) -> tuple[list["_Row"], str, str] | None:
    """The targets whose whole name (of several words) the words begin with, that name, and the rest."""
    parts = words.split(" ")
    if len(parts) < 2 or words[0] in "\"'`":
        return None
    names: dict[str, list[_Row]] = {}
    for row in _rows(session, standing):
        names.setdefault(" ".join(row[4].split()).casefold(), []).append(row)
    longest = max((name.count(" ") + 1 for name in names), default=0)
    for length in range(min(len(parts), longest), 1, -1):
        name = " ".join(parts[:length])
        if exact := names.get(name.casefold()):
            return exact, name, " ".join(parts[length:])
    return None


_Row = tuple[int, str, str, str, str]  # id, workspace, kind, object id, name


def _rows(session: Session, standing: Standing, *where: Any) -> list[_Row]:
    rows = session.execute(
        select(Target.id, Target.workspace, Target.kind, Target.object_id, Target.name)
        .where(Target.rollout_id == standing.id, *where)
        .order_by(Target.workspace, Target.name, Target.id)
    )
    return [(i, w, k, o, n) for i, w, k, o, n in rows]


def _fitting(rows: Sequence[_Row], word: str, looking: bool) -> tuple[list[_Row], str]:
    """Exact before prefix before substring, and how they fit where it is not exact.

    An act takes no substring, so that no word of a reason names a target.
    """
    wanted = word.casefold()
    tests: list[tuple[str, Callable[[str], bool]]] = [("", lambda name: name == wanted)]
    if len(wanted) > 2:
        tests.append(("begins with", lambda name: name.startswith(wanted)))
    if looking:
        tests.append(("contains", lambda name: wanted in name))
    for how, test in tests:
        if found := [t for t in rows if test(t[4].casefold()) or (t[3] == word)]:
            return found, how
    return [], ""


def _near(rows: Sequence[_Row], word: str) -> list[_Row]:
    """The targets that may be meant by a word that names none: it is in their name, or is like it."""
    wanted = word.casefold()
    inside = [t for t in rows if len(wanted) > 2 and wanted in t[4].casefold()]
    if inside:
        return inside[:_NEAR]
    like = get_close_matches(wanted, {t[4].casefold() for t in rows}, n=_NEAR, cutoff=0.6)
    return [t for name in like for t in rows if t[4].casefold() == name][:_NEAR]


def _one(
    found: Sequence[_Row], word: str, rest: str, standing: Standing, request: Request, near: Sequence[_Row] = ()
) -> tuple[int, str]:
    if len(found) == 1:
        return found[0][0], rest
    shown = word[:80]
    if not found:
        hint = "" if request.verb != "rollback" else " Without a name, /rollout rollback means the newest stage."
        stage = nearest(word, [s.key for s in standing.stages]) if len(word) > 2 and not near else None
        names = [*([stage] if stage else []), *dict.fromkeys(short(t[4], 60) for t in near)]
        meant = f" Did you mean {listed(names, 'or')}?" if names else ""
        at = {"rollout": standing.id, "reason": rest[:_REASON]}
        offered = (
            [Button(f"{request.verb.capitalize()} {stage}", request.verb, {**at, "stage": stage})] if stage else []
        )
        raise refused(
            "unknown_target",
            f"There is no stage or target “{shown}”.{meant}{hint}",
            "/rollout plan lists the targets, /rollout status the stages.",
            *offered,
            *_choices(near, rest, standing, request),
        )
    buttons = _choices(found[:_PICK], rest, standing, request)
    more = f" The first {_PICK} are here; write more of the name for the others." if len(found) > _PICK else ""
    raise Refused(
        (Reason("ambiguous_target", f"{len(found)} targets fit “{shown}”.{more}", "Choose the one you mean."),),
        buttons=buttons,
    )


def _choices(rows: Sequence[_Row], rest: str, standing: Standing, request: Request) -> list[Button]:
    return [
        Button(
            f"{name[:34]} · {kind} {object_id[:22]} · {workspace[:12]}",
            request.verb,
            {"rollout": standing.id, "target_id": target_id, "reason": rest[:_REASON]},
        )
        for target_id, workspace, kind, object_id, name in rows
    ]


def _hosts(session: Session, standing: Standing) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for key, host in session.execute(
        select(Workspace.key, Workspace.host).where(Workspace.key.in_(standing.plan.workspaces))
    ):
        try:
            found[key] = normal_host(host)
        except ValueError:
            continue
    return found
