"""Work that only one replica may do at a time: a row with an owner, an epoch and an end."""

from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.models import Lease


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
