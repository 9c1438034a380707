"""One engine per SQLite file: a lock on a file of its own, held as long as the process lives."""

import fcntl
import os
from pathlib import Path
from typing import IO


class EngineRunning(Exception):
    """Another process runs the engine on this database."""


class EngineLock:
    """Held from construction until ``release``; the kernel frees it when the process dies. Raises EngineRunning."""

    def __init__(self, database_file: Path) -> None:
        database_file = database_file.resolve()  # one file may have several names
        path = database_file.with_name(database_file.name + ".engine")
        self._file: IO[str] = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise EngineRunning(f"another process (pid {holder}) runs the engine on {database_file}") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def holder(database_file: Path) -> str | None:
    """The process that runs the engine on a SQLite file, such as ``pid 4711``; None when nobody does.

    Only a look: the lock of nobody alive is tried for an instant, that of a living process is left alone.
    """
    path = database_file.resolve()
    try:
        with path.with_name(path.name + ".engine").open() as file:
            pid = file.read().strip()
            if not pid.isdigit() or not _alive(int(pid)):
                return None
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return f"pid {pid}"
            return None  # another process has that number now; closing the file gives the lock back
    except OSError:
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
