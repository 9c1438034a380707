"""Plan files from a terminal: read them, check them also against the world, and propose a first one."""

import contextlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rollout import placeholders
from rollout.plan import Plan
from rollout.planbase import Base, outline
from rollout.planfile import Examined, PlanError, examine
from rollout.planonline import Answered, Holders, online
from rollout.runtime import release
from rollout.selection import candidate
from rollout.yamlmarks import Node, Problem, read
from settings import SettingsError

if TYPE_CHECKING:
    from rollout.firstlook import Looked
    from workspace.client import Client

PLANS = Path(__file__).resolve().parent / "plans"
DEFAULT = "dbr-17.3"


# -- reading -----------------------------------------------------------------------------------------------------------


def examined(path: Path, checks: Collection[str]) -> Examined:
    """Look at a plan file; ``extends`` names one beside it or in plans/. Raises SettingsError if it cannot be read.

    The mistakes of a plan in plans/ begin with how it is extended: it cannot stand alone.
    """

    def resolve(name: str) -> tuple[str, str] | None:
        for directory in (path.parent, PLANS):
            candidate = directory / f"{name}.yml"
            if candidate.is_file() and candidate.resolve() != path.resolve():
                return str(candidate), candidate.read_text(encoding="utf-8")
        return None

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from None
    found = examine(text, str(path), resolve, checks)
    if found.problems and path.resolve().parent == PLANS:
        yours = (
            f"a file of your own with the two lines 'extends: {path.stem}' and 'key: mine', and below them what is open"
        )
        wrong = "this plan is a base, which names no people and no channel"
        return Examined(found.tree, found.plan, [Problem(str(path), 1, "", wrong, yours), *found.problems])
    return found


def load_plan(path: Path, checks: Collection[str]) -> Plan:
    """The plan of a file. Raises PlanError and SettingsError."""
    return _plan(examined(path, checks))


def _plan(found: Examined) -> Plan:
    if found.problems or found.plan is None:
        raise PlanError(found.problems)
    return found.plan


class PlanFiles:
    """The plan files that the settings name, each read once."""

    def __init__(self, paths: Sequence[Path], checks: Collection[str]) -> None:
        self._paths, self._checks = paths, checks
        self._read: dict[Path, Examined] = {}

    def plans(self) -> list[Plan]:
        """The plans. Raises SettingsError with the mistakes of all of them."""
        plans: list[Plan] = []
        problems: list[str] = []
        for path in self._paths:
            try:
                plans.append(_plan(self._examined(path)))
            except (PlanError, SettingsError) as error:
                problems += str(error).splitlines()
        keys = [p.key for p in plans]
        problems += [f"two plans have the key {k}" for k in sorted({k for k in keys if keys.count(k) > 1})]
        if problems:
            raise SettingsError(problems)
        return plans

    def unfilled(self) -> list[str]:
        """By file and line, what a proposed plan leaves open: nothing is started with it."""
        return [str(problem) for tree in self._trees() for problem in placeholders.marked(tree)]

    def workspaces(self) -> list[str]:
        """The keys of the workspaces that the files name, also where something else is wrong with them."""
        return list(dict.fromkeys(key for tree in self._trees() for key in tree.get("workspaces").texts))

    def _trees(self) -> list[Node]:
        """What can be read of the files; what cannot is said by ``plans``."""
        found: list[Node] = []
        for path in self._paths:
            with contextlib.suppress(SettingsError):
                tree = self._examined(path).tree
                found += [tree] if tree is not None else []
        return found

    def _examined(self, path: Path) -> Examined:
        if path not in self._read:
            self._read[path] = examined(path, self._checks)
        return self._read[path]


def default_outline() -> Base:
    """The outline of the default plan, which a proposed plan extends."""
    path = PLANS / f"{DEFAULT}.yml"
    tree, problems = read(path.read_text(encoding="utf-8"), str(path))
    if tree is None:
        raise PlanError(problems)
    return outline(tree)


# -- plan check --------------------------------------------------------------------------------------------------------


def check(
    path: Path,
    found: Examined,
    ask: Callable[[list[str]], Mapping[str, Answered]] | None = None,
    holders: Callable[[Node], Holders | None] | None = None,
) -> int:
    """Say that a plan is good; ``ask`` and ``holders`` ask the workspaces and Slack. Raises PlanError with everything.

    What was only left to be filled in is no mistake, and is named.
    """
    problems = list(found.problems)
    if found.tree is not None and ask is not None:
        answers = ask(found.tree.get("workspaces").texts)
        problems += online(found.tree, answers, holders(found.tree) if holders is not None else None)
    if problems or found.plan is None or found.tree is None:
        raise PlanError(problems)
    plan = found.plan
    print(f"{path}: plan {plan.key}, {len(plan.stages)} stages, {len(plan.checklist)} items: ok")
    if ask is None:
        print(f"not asked: whether the workspaces offer {plan.runtimes.target}; --online asks them")
    for problem in placeholders.marked(found.tree):
        print(f"before it can be used: {problem}")
    return 0


def ask_workspaces(
    keys: Sequence[str], clients: Mapping[str, "Client"], problems: Mapping[str, str]
) -> dict[str, Answered]:
    """What each workspace offers and holds; those without usable settings say so. All at once."""
    from workspace.discovery import discover
    from workspace.errors import WorkspaceError

    def one(key: str) -> Answered:
        if key not in clients:
            return Answered(error=problems.get(key, "there are no settings for it"))
        try:
            found = discover(clients[key])
        except WorkspaceError as error:
            return Answered(error=str(error))
        releases = frozenset(r for version in found.versions if (r := release(version)))
        return Answered(releases, tuple(candidate(key, f) for f in found.found))

    with ThreadPoolExecutor(max(len(keys), 1)) as pool:
        return dict(zip(keys, pool.map(one, keys), strict=True))


# -- plan new ----------------------------------------------------------------------------------------------------------


def new(clients: Mapping[str, "Client"], now: datetime, out: Path | None, force: bool) -> int:
    """Look at the workspaces and write a first plan to ``out``, or to standard output.

    The exit code is 1, and nothing is written, when a workspace does not answer or nothing would be changed. Raises
    SettingsError when the file is there and may not be overwritten, or cannot be written.
    """
    if out is not None and out.exists() and not force:
        raise SettingsError([f"{out}: is there already; --force overwrites it"])
    from rollout import plantext
    from rollout.propose import propose

    base = default_outline()
    looks = _surveyed(clients, base, now)
    if looks is None:
        return 1
    proposal = propose(looks)
    if not proposal.stages:
        _tell(f"Nothing on {base.source} was found that could be moved to {base.target}: there is nothing to plan.")
        return 1
    text = plantext.render(proposal, base, DEFAULT, now)
    if out is None:
        print(text, end="")
    else:
        _write(out, text, force)
        _tell(f"{out}: written. Fill in what says {placeholders.WORD}, then: python app.py plan check --online {out}")
    return 0


def _surveyed(clients: Mapping[str, "Client"], base: Base, now: datetime) -> "list[Looked] | None":
    from rollout.firstlook import Looked
    from workspace.errors import WorkspaceError
    from workspace.survey import survey

    def one(key: str) -> "Looked | str":
        try:
            return survey(clients[key], key, base.source, base.target, now, _tell)
        except WorkspaceError as error:
            return str(error)

    with ThreadPoolExecutor(len(clients)) as pool:
        found = dict(zip(clients, pool.map(one, clients), strict=True))
    looks = [look for look in found.values() if isinstance(look, Looked)]
    for key, said in found.items():
        if isinstance(said, str):
            _tell(f"{key}: {said}")
    if len(looks) < len(found):
        _tell("Nothing was written: a plan without them would leave them out. Mend them, or name the others only.")
        return None
    return looks


def _write(out: Path, text: str, force: bool) -> None:
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:  # made while we looked
        raise SettingsError([f"{out}: is there already; --force overwrites it"]) from None
    except OSError as error:
        raise SettingsError([f"{out}: cannot be written: {error.strerror}"]) from None


def _tell(line: str) -> None:
    """Progress is no part of the result."""
    from rollout import plantext

    print(plantext.plain(line, 500), file=sys.stderr, flush=True)
