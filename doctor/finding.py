"""What the doctor found: one line per subject, with what to do where it is not well. Pure."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

#: A shorter secret is none: hiding it would make the text unreadable.
_SHORTEST: Final = 6


class Level(StrEnum):
    """``warn``: it works, or is not there yet. ``FAIL``: the bot cannot do its work so."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``todo`` says what to do; it is there unless the level is ok."""

    level: Level
    subject: str
    found: str
    todo: str = ""

    def __post_init__(self) -> None:
        if self.level is not Level.OK and not self.todo:
            raise ValueError(f"{self.subject}: what is not ok says what to do")


def ok(subject: str, found: str) -> Finding:
    return Finding(Level.OK, subject, found)


def warn(subject: str, found: str, todo: str) -> Finding:
    return Finding(Level.WARN, subject, found, todo)


def fail(subject: str, found: str, todo: str) -> Finding:
    return Finding(Level.FAIL, subject, found, todo)


def redacted(findings: Sequence[Finding], secrets: Collection[str]) -> list[Finding]:
    """The same without any of the secrets, wherever they came from."""
    hidden = sorted((s for s in secrets if len(s) >= _SHORTEST), key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "[redacted]")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())

    return [replace(f, subject=clean(f.subject), found=clean(f.found), todo=clean(f.todo)) for f in findings]


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing fails."""
    return all(f.level is not Level.FAIL for f in findings)


def as_text(findings: Sequence[Finding]) -> str:
    """For people: a line each, and a last one that counts."""
    width = max((len(f.subject) for f in findings), default=0)
    lines = [
        f"{f.level:<4}  {f.subject:<{width}}  {f.found}" + (f"  Next: {f.todo}" if f.todo else "") for f in findings
    ]
    counts = {level: sum(f.level is level for f in findings) for level in Level}
    return "\n".join([*lines, ", ".join(f"{number} {level}" for level, number in counts.items())])


def as_json(findings: Sequence[Finding]) -> str:
    """For programs."""
    shown = [{"level": str(f.level), "subject": f.subject, "found": f.found, "next": f.todo} for f in findings]
    return json.dumps({"ok": healthy(findings), "findings": shown}, indent=2, ensure_ascii=False)
