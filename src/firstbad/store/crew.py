"""What workers tell of themselves, for the system page: one row a process."""

import os
import socket
import time
from typing import Any

import sqlalchemy as sa

from firstbad.store.owner import here, is_dead, owner
from firstbad.store.store import Store
from firstbad.store.tables import workers

_REMEMBERED = 86400.0  # seconds after its last sign of life for which a worker is listed


class Sign:
    """One worker's row. ``data``: what stays as it is, and ``activity``, ``since``, ``free`` (bytes of disk)."""

    def __init__(self, store: Store, data: dict[str, Any]) -> None:
        self.database, self.data = store.database, data
        self.owner, self.began = owner(), time.time()

    def tell(self, state: str, job: int | None = None, **more: Any) -> None:
        """Say what this worker does: idle, working, full (no disk left), ending."""
        self.data |= more
        row = {"seen": time.time(), "state": state, "job_id": job, "data": self.data}
        change = sa.update(workers).where(workers.c.owner == self.owner).values(**row)
        fixed = {"owner": self.owner, "host": socket.gethostname(), "pid": os.getpid(), "started": self.began}

        def write(connection: sa.Connection, _: bool) -> None:
            if connection.execute(change).rowcount == 0:
                connection.execute(sa.insert(workers).values(**fixed, **row))
                _forget(connection)

        self.database.write(write)

    def gone(self) -> None:
        """This worker ends."""
        change = sa.delete(workers).where(workers.c.owner == self.owner)
        self.database.write(lambda connection, _: connection.execute(change))


def _forget(connection: sa.Connection) -> None:
    """Remove rows of workers that were killed: of this host at once, of others after a day."""
    connection.execute(sa.delete(workers).where(workers.c.seen < time.time() - _REMEMBERED))
    mine = sa.select(workers.c.owner).where(workers.c.owner.startswith(here(), autoescape=True))
    for name in connection.execute(mine).scalars().all():
        if is_dead(name):
            connection.execute(sa.delete(workers).where(workers.c.owner == name))
