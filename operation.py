"""The door from a terminal, for the day when Slack is not there: `python app.py rollout VERB ...`."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from commands.door import Door
from commands.grammar import parse
from commands.plaintext import render
from commands.reply import Actor, Choice, FieldErrors, Form, PersonInput, Reply, Request, Surface
from engine.lock import EngineLock, EngineRunning
from rollout.states import WORK_OF
from settings import SettingsError
from storage.database import Database
from storage.models import GroupMember, KnownPerson, Rollout, Stage

if TYPE_CHECKING:
    from engine.loop import Engine


@dataclass(frozen=True, slots=True)
class Operator:
    """Who types: a Slack user id, so that roles are the same as in Slack. ``yes`` confirms without asking."""

    user_id: str
    yes: bool
    out: Path | None = None  # where a file that comes with the answer is written


def operate(
    database: Database, door: Door, operator: Operator, words: str, build_engine: "Callable[[], Engine] | None"
) -> int:
    """Answer one command on standard output. The exit code is 0, also for a refusal, and 2 without an operator.

    ``build_engine`` is None where this process may only look: then no work is carried out here.
    """
    actor = actor_of(database, operator.user_id)
    verb, arguments = parse(words)
    reply = door.handle(Request(actor, verb, arguments, Surface.TERMINAL))
    if reply.form is not None:
        print(render(reply))
        values = _confirmed(reply.form, operator)
        if values is None:
            print("Nothing was done.")
            return 0
        form = reply.form
        submitted = {**form.arguments, **values, "submitted": True}
        try:
            reply = door.handle(Request(actor, form.verb, submitted, Surface.TERMINAL))
        except FieldErrors as error:
            print(error, file=sys.stderr)
            return 2
    if operator.out is not None and not reply.refused:
        return _write(reply, operator.out)
    print(render(reply))
    if not reply.refused and build_engine is not None:
        _work_off(database, build_engine)
    return 0


def _write(reply: Reply, out: Path) -> int:
    """Write the file of an answer; 2 when there is none, or something stands there already."""
    if reply.file is None:
        print("--out: this answer has no file; rollout download has one", file=sys.stderr)
        return 2
    try:
        with out.open("x", encoding="utf-8") as opened:
            opened.write(reply.file.text)
    except FileExistsError:
        print(f"--out: {out} exists already; name another file, or move it away", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"--out: {out}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{reply.file.title}: written to {out}")
    return 0


def actor_of(database: Database, user_id: str) -> Actor:
    """Who types, by what Slack said of that user id. Raises SettingsError without one."""
    if not user_id:
        raise SettingsError(["--as: name yourself by your Slack user id (or set ROLLOUT_OPERATOR)"])
    with database.read() as session:
        known = session.get(KnownPerson, user_id)
        groups = session.execute(select(GroupMember.group_id).where(GroupMember.user_id == user_id)).scalars()
        # Who can run this can also write to the database: the name is for the record, its roles are those of the plan.
        return Actor(known.team_id if known is not None else "terminal", user_id, frozenset(groups))


def _confirmed(form: Form, operator: Operator) -> dict[str, object] | None:
    """The values of a form: asked one by one, or its initial values under ``--yes``; None when not confirmed."""
    values: dict[str, object] = {}
    for wanted in form.inputs:
        initial: object
        if isinstance(wanted, PersonInput):
            initial = wanted.initial
        elif isinstance(wanted, Choice):
            many = list(wanted.initial)
            initial = many if wanted.many else (many[0] if many else "")
        else:
            initial = wanted.initial
        if not operator.yes and sys.stdin.isatty():
            shown = f" ({', '.join(v for v, _ in wanted.options)})" if isinstance(wanted, Choice) else ""
            typed = input(f"{wanted.label}{shown}: ").strip()
            if typed:
                initial = typed.split(",") if isinstance(wanted, Choice) and wanted.many else typed
        values[wanted.key] = initial
    if operator.yes:
        return values
    if not sys.stdin.isatty():
        print(f"Not confirmed: add --yes before the verb to {form.submit.lower()}.")
        return None
    return values if input(f"{form.submit}? [y/N] ").strip().lower() in {"y", "yes"} else None


def _work_off(database: Database, build_engine: "Callable[[], Engine]") -> None:
    """Carry out what was asked for, when this is SQLite and no bot runs that would do it."""
    if not database.is_sqlite or not _open_work(database):
        return
    try:
        lock = EngineLock(Path(database.url.database or ""))
    except EngineRunning:
        print("The bot carries it out.")
        return
    try:
        engine = build_engine()
    except SettingsError as error:
        print(f"It is stored, and is carried out when the bot runs. This process cannot do it:\n{error}")
        return
    try:
        engine.start()
        shown: dict[str, str] = {}
        while work := _open_work(database):
            if work != shown:
                print(", ".join(f"{key}: {state}" for key, state in work.items()), flush=True)
                shown = work
            time.sleep(0.5)
        print("Done.")
    except KeyboardInterrupt:
        print("Stopped; what is left is carried out when the bot runs.")
    finally:
        engine.stop()
        lock.release()


def _open_work(database: Database) -> dict[str, str]:
    """Stages that the engine is moving by itself now."""
    with database.read() as session:
        rows = session.execute(
            select(Stage.key, Stage.state).join(Rollout).where(Rollout.open, Stage.state.in_(list(WORK_OF)))
        ).all()
    return {key: str(state) for key, state in rows}
