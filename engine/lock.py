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
