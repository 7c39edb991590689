"""What viewers of jobs are told without a look at any event: one query for all of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from firstbad.store.database import clock
from firstbad.store.jobs import STANDING
from firstbad.store.store import Store
from firstbad.store.tables import events, jobs, workers

ALL = 0
"""In place of a job's number: all jobs."""


@dataclass(frozen=True)
class Glance:
    """Equal to an earlier one if nothing happened. Of ALL only ``seq`` is told, which any job's event changes."""

    seq: int = -1
    standing: str = ""
    activity: str = ""
    """What is done right now, in words; empty where nobody told."""
    since: float = 0.0
    """When that began, seconds since the epoch."""
    worker: str = ""
    """Host of whoever works on it."""


def glances(store: Store, numbers: Collection[int]) -> Mapping[int, Glance]:
    """A glance at each of these jobs; those that don't exist are left out."""
    return store.database.read(lambda connection: _glances(connection, numbers))


def _glances(connection: sa.Connection, numbers: Collection[int]) -> dict[int, Glance]:
    found: dict[int, Glance] = {}
    if ALL in numbers:
        newest = connection.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0
        job = connection.execute(sa.select(sa.func.max(jobs.c.id))).scalar() or 0
        found[ALL] = Glance(int(newest) + int(job))
    wanted = [number for number in numbers if number != ALL]
    if wanted:
        working = sa.and_(workers.c.owner == jobs.c.owner, workers.c.job_id == jobs.c.id, jobs.c.leased_until > clock())
        query = sa.select(jobs.c.id, jobs.c.seq, STANDING.label("standing"), workers.c.host, workers.c.data)
        rows = connection.execute(query.select_from(jobs.outerjoin(workers, working)).where(jobs.c.id.in_(wanted)))
        found |= {row.id: _glance(row) for row in rows}
    return found


def _glance(row: Any) -> Glance:
    told = row.data or {}
    return Glance(
        row.seq, row.standing, str(told.get("activity", ""))[:200], float(told.get("since", 0.0)), row.host or ""
    )
