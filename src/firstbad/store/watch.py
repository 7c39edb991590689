"""What viewers of jobs are told without a look at any event: one query for all of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from firstbad.store.database import clock
from firstbad.store.jobs import STANDING
from firstbad.store.listing import visible
from firstbad.store.store import Store
from firstbad.store.tables import events, jobs
from firstbad.store.tables import workers as table

ALL = 0
"""In place of a job's number: all jobs."""


@dataclass(frozen=True)
class Glance:
    """Equal to an earlier one if nothing happened. Of ALL, ``seq`` changes with any job's event, and ``standing`` says
    how many are worked on."""

    seq: int = -1
    standing: str = ""
    activity: str = ""
    """What is done right now, in words; empty where nobody told."""
    since: float = 0.0
    """When that began, seconds since the epoch."""
    worker: str = ""
    """Host of whoever works on it."""
    title: str = ""
    """Of the crash, once that is known."""


def glances(store: Store, numbers: Collection[int]) -> Mapping[int, Glance]:
    """A glance at each of these jobs; those that don't exist are left out."""
    return store.database.read(lambda connection: _glances(connection, numbers))


def total(store: Store, projects: Collection[str] | None) -> int:
    """A number that changes whenever anything happens to a job that members of these projects see; None: any job."""
    query = sa.select(sa.func.coalesce(sa.func.sum(jobs.c.seq + 2), 0)).where(visible(projects))
    return int(store.database.read(lambda connection: connection.execute(query).scalar_one()))


def _glances(connection: sa.Connection, numbers: Collection[int]) -> dict[int, Glance]:
    found: dict[int, Glance] = {}
    if ALL in numbers:
        newest = connection.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0
        job = connection.execute(sa.select(sa.func.max(jobs.c.id))).scalar() or 0
        # The end of the work on a job is no event.
        leased = connection.execute(sa.select(sa.func.count()).where(sa.text("token <> ''")).select_from(jobs)).scalar()
        found[ALL] = Glance(int(newest) + int(job), f"{leased} worked on")
    wanted = [number for number in numbers if number != ALL]
    if wanted:
        working = sa.and_(table.c.owner == jobs.c.owner, table.c.job_id == jobs.c.id, jobs.c.leased_until > clock())
        query = sa.select(jobs.c.id, jobs.c.seq, STANDING.label("standing"), jobs.c.title, table.c.host, table.c.data)
        rows = connection.execute(query.select_from(jobs.outerjoin(table, working)).where(jobs.c.id.in_(wanted)))
        found |= {row.id: _glance(row) for row in rows}
    return found


def _glance(row: Any) -> Glance:
    told = row.data or {}
    return Glance(
        row.seq,
        row.standing,
        str(told.get("activity", ""))[:200],
        float(told.get("since", 0.0)),
        row.host or "",
        row.title,
    )


@dataclass(frozen=True)
class WorkerRow:
    """A worker as it told of itself. Times are seconds since the epoch; ``job`` None: it works on none."""

    owner: str
    host: str
    pid: int
    started: float
    seen: float
    state: str
    job: int | None
    data: Mapping[str, Any]


def workers(store: Store) -> list[WorkerRow]:
    """All workers that are known, those that were seen last first."""
    columns = (table.c.owner, table.c.host, table.c.pid, table.c.started, table.c.seen, table.c.state, table.c.job_id)
    query = sa.select(*columns, table.c.data).order_by(table.c.seen.desc()).limit(200)
    return store.database.read(lambda connection: [WorkerRow(*row) for row in connection.execute(query)])
