"""The database: whether it is there, migrated and has room, who works on it, and whether its backups can be read."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from doctor.finding import Finding, fail, ok, warn
from rollout.planfile import differing_words
from storage import backups, sealing
from storage.database import Database, normalised
from storage.keyring import Keyring
from storage.migrate import pending
from storage.models import Backup, Rollout
from storage.plans import before_amendment
from storage.secrets import KeyProblem, Vault

_SUBJECT: Final = "database"
_LEAST, _FEW = 200e6, 1e9  # bytes of free disk


def look(url: str, keys: Sequence[str], holder: str | None) -> Iterator[Finding]:
    """Database, lock, disk and keys. ``holder`` is the process that runs the engine on a SQLite file, if any.

    Nothing is made: a SQLite file that is not there yet is not there afterwards.
    """
    try:
        parsed = normalised(url)
    except Exception:
        yield fail(_SUBJECT, "DATABASE_URL cannot be read", "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
        yield _key(keys)
        return
    where = parsed.set(drivername=parsed.get_backend_name()).render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or "")
        yield _disk(file)
        if not file.exists():
            if not os.access(file.resolve().parent, os.W_OK):
                found = f"{file} is not there, and cannot be made in its directory"
                yield fail(_SUBJECT, found, "Make the directory, and let the bot write to it.")
            else:
                yield ok(_SUBJECT, f"{where}: not there yet; the first start makes it")
            yield _key(keys)
            return
        if not os.access(file, os.W_OK):
            yield fail(_SUBJECT, f"{file} may not be written", "Give the bot the file, and its directory.")
        yield ok("engine", f"{holder} runs it on this file" if holder else "nobody runs it on this file")
    database = Database(url, pool_size=1, keyring=_keyring(keys))
    try:
        yield from _opened(database, where, keys)
    except SQLAlchemyError as error:
        todo = "Look whether it runs, can be reached from here, and takes this user and password."
        yield fail(_SUBJECT, f"{where}: {type(error).__name__}", todo)
        yield _key(keys)
    finally:
        database.close()


def _opened(database: Database, where: str, keys: Sequence[str]) -> Iterator[Finding]:
    if pending(database):
        found = f"{where}: its schema is not the newest"
        yield warn(_SUBJECT, found, "python app.py migrate (python app.py alone does it by itself)")
        yield _key(keys)
        return
    with database.read() as session:
        if not database.is_sqlite:
            version = session.execute(text("SHOW server_version")).scalar_one()
            where += f", PostgreSQL {version}"
        yield ok(_SUBJECT, f"{where}: reachable and migrated")
        yield from _files(session)
        yield _backups(session, keys)
    if database.keyring:  # without keys that line says enough
        yield _record(database)


def _files(session: Session) -> Iterator[Finding]:
    """The open rollouts whose plan file was another plan at the last start than the one in force."""
    for rollout in session.execute(select(Rollout).where(Rollout.open, Rollout.file_digest.is_not(None))).scalars():
        older = before_amendment(session, rollout)
        found, _, todo = differing_words(rollout.plan_key, older).partition(". ")
        yield warn("plan file", found, f"{todo} (this was so at the last start)")


def _keyring(keys: Sequence[str]) -> Keyring:
    try:
        return Keyring(keys)
    except KeyProblem:
        return Keyring()


def _record(database: Database) -> Finding:
    """Whether the record of who did what ends as its heads say, and all keys that sealed it are here."""
    if problems := sealing.at_start(database):
        return warn("record", "; ".join(problems), "python app.py audit verify says more; docs/audit.md what to do.")
    return ok("record", "the end of every chain verifies")


def _backups(session: Session, keys: Sequence[str]) -> Finding:
    number = session.execute(select(func.count()).select_from(Backup)).scalar_one()
    if not number:
        return _key(keys)
    try:
        altered = list(backups.problems(session, Vault(keys)))
    except KeyProblem as error:
        todo = "Put the key with which they were made back into ROLLOUT_SECRET_KEYS: nothing can be put back without."
        return fail("keys", f"not all of {number:,} backups can be read: {error}", todo)
    if altered:
        todo = "Nothing is put back from it: restore those rows from a copy of the database (docs/audit.md)."
        return fail("keys", f"{len(altered)} of {number:,} backups: {altered[0]}", todo)
    return ok("keys", f"all {number:,} backups can be read, each as one of its target")


def _key(keys: Sequence[str]) -> Finding:
    """Keys that no backup needs yet."""
    if not keys:
        todo = "python app.py key makes one for ROLLOUT_SECRET_KEYS; keep it where you keep passwords."
        return warn("keys", "none yet: backups cannot be made", todo)
    try:
        Vault(keys)
    except KeyProblem as error:
        return fail("keys", f"ROLLOUT_SECRET_KEYS: {error}", "python app.py key makes one of the right form.")
    return ok("keys", f"{len(keys)} of the right form; no backup to read yet")


def _disk(file: Path) -> Finding:
    here = file.resolve().parent
    while not here.exists() and here != here.parent:
        here = here.parent
    free = shutil.disk_usage(here).free
    found = f"{free / 1e9:.1f} GB free for {file}"
    if free < _FEW:
        todo = "Make room: a full disk stops the bot in the middle of its work."
        return (fail if free < _LEAST else warn)("disk", found, todo)
    return ok("disk", found)
