"""All checks at once, and none of them for longer than it may take."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from doctor.finding import Finding, fail


@dataclass(frozen=True, slots=True)
class Check:
    """One subject and what looks at it; it may raise, and may never come back."""

    subject: str
    look: Callable[[], Iterable[Finding]]


@dataclass(slots=True)
class _Under:
    check: Check
    found: list[Finding] = field(default_factory=list)
    thread: threading.Thread | None = None

    def run(self) -> None:
        try:
            for finding in self.check.look():
                self.found.append(finding)
        except Exception as error:
            # Only its name: the text of a strange error may hold anything, a secret too.
            said = f"looking at it failed ({type(error).__name__})"
            self.found.append(fail(self.check.subject, said, "Report this: it is an error of the doctor's own."))


def make(checks: Sequence[Check], seconds: float) -> list[Finding]:
    """Everything that the checks find within so many seconds, in their order; what was not found by then fails."""
    until = time.monotonic() + seconds
    patients = [_Under(check) for check in checks]
    for patient in patients:
        # Daemons: one that hangs in a call must not hold up the end of the process.
        patient.thread = threading.Thread(target=patient.run, name=f"doctor-{patient.check.subject}", daemon=True)
        patient.thread.start()
    found: list[Finding] = []
    for patient in patients:
        assert patient.thread is not None
        patient.thread.join(max(until - time.monotonic(), 0.0))
        found += list(patient.found)
        if patient.thread.is_alive():
            said = f"not done within {seconds:.0f} s"
            found.append(fail(patient.check.subject, said, "Look whether it can be reached from here: network, proxy."))
    return found
