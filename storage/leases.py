"""Work that only one replica may do at a time: a row with an owner, an epoch and an end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from storage.database import Database
from storage.models import Lease


class Held:
    """A lease that is renewed in the background. Ask ``ours`` before storing what was done under it."""

    def __init__(self, database: Database, name: str, owner: str, seconds: float) -> None:
        self._database, self._name, self._owner, self._seconds = database, name, owner, seconds
        self._until = database.machine() + timedelta(seconds=seconds)
        self._lost = False
        self._ended = threading.Event()

    def ours(self) -> bool:
        """Whether nobody else can have taken it: it was renewed in time, up to now."""
        return not self._lost and self._database.machine() < self._until

    def renew(self) -> None:
        """Make it last as long again; once it ran out it is lost for good, also when nobody took it."""
        if not self.ours():
            self._lost = True
            return
        until = self._database.machine() + timedelta(seconds=self._seconds)
        if take(self._database, self._name, self._owner, self._seconds):
            self._until = until
        else:
            self._lost = True

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 3) and not self._lost:
            with suppress(SQLAlchemyError):  # the database is away: the next time may still be in time
                self.renew()


@contextmanager
def held(database: Database, name: str, owner: str, seconds: float) -> Iterator[Held | None]:
    """Hold the lease as long as the block lasts, with renewals; None when somebody else holds it.

    It is short, so that work of a process that was killed is soon taken over, however long the work takes.
    """
    if not take(database, name, owner, seconds):
        yield None
        return
    lease = Held(database, name, owner, seconds)
    threading.Thread(target=lease._keep, name=f"lease {name}", daemon=True).start()
    try:
        yield lease
    finally:
        lease._ended.set()
        with suppress(SQLAlchemyError):  # it ends by itself
            release(database, name, owner)


def take(database: Database, name: str, owner: str, seconds: float) -> bool:
    """Take or renew the lease ``name``; False when somebody else holds it."""
    try:
        with database.write() as session:
            now = database.machine_now(session)
            until = now + timedelta(seconds=seconds)
            taken = session.execute(
                update(Lease)
                .where(Lease.name == name, or_(Lease.owner == owner, Lease.until < now))
                .values(owner=owner, epoch=Lease.epoch + 1, until=until)
                .returning(Lease.name)
            ).scalar_one_or_none()
            if taken is None:
                if session.execute(select(Lease.name).where(Lease.name == name)).scalar_one_or_none() is not None:
                    return False
                session.add(Lease(name=name, owner=owner, epoch=1, until=until))
            return True
    except IntegrityError:
        return False  # another replica made the row first


def release(database: Database, name: str, owner: str) -> None:
    """Give the lease back; nothing happens when it is not ours any more."""
    with database.write() as session:
        now = database.machine_now(session)
        session.execute(update(Lease).where(Lease.name == name, Lease.owner == owner).values(until=now))
