"""The record at a terminal: `python app.py audit verify`, and `python app.py rollout audit [STAGE] --csv | --jsonl`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from commands import auditfile
from settings import SettingsError
from storage import backups, chain, events
from storage.chain import Report
from storage.database import Database
from storage.secrets import KeyProblem, Vault


@dataclass(frozen=True, slots=True)
class Export:
    """The record as a file on standard output; of one stage where it is named."""

    form: str
    stage: str | None


def wanted(words: Sequence[str]) -> Export | None:
    """The export that the words after ``rollout`` ask for; None when they ask for something else."""
    forms = [form for form in auditfile.FORMATS if f"--{form}" in words]
    if not forms or words[0].lower() != "audit":
        return None
    others = [word for word in words[1:] if word not in {f"--{form}" for form in auditfile.FORMATS}]
    if len(forms) > 1 or len(others) > 1:
        raise SettingsError(["rollout audit [STAGE] --csv | --jsonl: one stage at most, and one of the two formats"])
    return Export(forms[0], others[0] if others else None)


def export(database: Database, asked: Export) -> int:
    """Write the file to standard output and what verification found to standard error; 1 when the record is broken."""
    reports = chain.verify_all(database)
    for line in _lines(reports):
        print(line, file=sys.stderr)
    with database.read() as session:
        for line in auditfile.lines(events.everything(session, asked.stage), asked.form):
            sys.stdout.write(line)
    sys.stdout.flush()
    return _code(reports)


def verify(database: Database, heads: Sequence[str], vault: Vault | None) -> int:
    """Say of every chain whether it is intact, open every backup, and compare with posted heads; the exit code is 1
    when anything is not as it should be.

    Raises SettingsError for a head that is none. Without keys (``vault`` None) no backup is opened.
    """
    try:
        missing = chain.unmatched(database, heads)
        reports = chain.verify_all(database)
        altered = _backups(database, vault) if vault is not None else []
    except ValueError as error:
        raise SettingsError([f"--head: {error}"]) from None
    finally:
        database.close()
    for line in (*_lines(reports), *altered):
        print(line)
    for head in heads:
        told = next((m for m in missing if m.startswith(f"{head.strip()}: ")), None)
        print(f"head {told}" if told else f"head {head.strip()}: it is a place of this record")
    return 1 if missing or altered else _code(reports)


def _backups(database: Database, vault: Vault) -> list[str]:
    """What is wrong with backups."""
    with database.read() as session:
        try:
            return list(backups.problems(session, vault))
        except KeyProblem as error:
            return [f"backups: {error}"]


def _code(reports: Sequence[Report]) -> int:
    return 0 if all(report.intact for report in reports) else 1


def _lines(reports: Sequence[Report]) -> list[str]:
    """What was found, in lines; chains of which there is nothing to say are left out."""
    lines = []
    for report in reports:
        if not report.plan_key and report.intact and not report.count and not report.unsealed:
            continue
        name = f"rollout {report.chain} ({report.plan_key})" if report.plan_key else "outside any rollout"
        head = f"; head {report.head}" if report.head is not None else ""
        lines.append(f"{name}: {report.said}{head}")
        if report.unsealed:
            lines.append(f"  not sealed yet: {report.unsealed:,} (the bot seals once a second while it runs)")
        if report.sign_offs or report.doubts:
            lines.append(f"  sign-offs that verify: {report.sign_offs:,}")
        lines += [f"  sign-off {d.sign_off} of {d.user_id} as {d.role} for {d.stage}: {d.why}" for d in report.doubts]
        if report.unsigned:
            lines.append(f"  sign-offs from before there were signatures, which do not count: {report.unsigned:,}")
        lines += [f"  {problem}" for problem in report.problems]
    return lines
