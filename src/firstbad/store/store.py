"""Jobs and events in one database; an event is on disk before anybody uses it."""

import os
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from firstbad import references
from firstbad.errors import LostLeaseError, NotFoundError
from firstbad.home import Home
from firstbad.job import Job
from firstbad.store import hooks, listing, summary
from firstbad.store.database import HEAD, PATIENCE, Database
from firstbad.store.jobs import COLUMNS, StoredJob, stored
from firstbad.store.listing import Filter, Page
from firstbad.store.tables import events, jobs, results

__all__ = ["HEAD", "Event", "Result", "Store", "open_store"]


@dataclass(frozen=True)
class Event:
    """One fact about a job. ``time`` is seconds since the epoch, ``seq`` counts from 0 within the job."""

    seq: int
    time: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A result that is there: the event that told it (job, number, data), and what was kept with it."""

    job_id: int
    seq: int
    event: dict[str, Any]
    data: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """A build or a run to be used again by whoever asks for the same; ``key`` is made of all that it depends on."""

    kind: str
    key: str
    data: dict[str, Any]


def open_store(place: Home, where: str = "", patience: float = PATIENCE) -> "Store":
    """The store of this machine: ``where`` (a file or an URL), else ``$FIRSTBAD_DATABASE``, else the data directory's.

    Raises InfrastructureError, UserError.
    """
    return Store(where or os.environ.get("FIRSTBAD_DATABASE") or place.database, patience, place.root)


class Store:
    """The database of one machine, or of a service. Safe for several processes; each call is one transaction."""

    def __init__(self, where: Path | str, patience: float = PATIENCE, root: Path | None = None) -> None:
        """``where``: a file (SQLite) or an URL (``postgresql://…``); ``patience``: seconds in which a database that is
        away has to come back; ``root``: this machine's data directory, where repositories and uploads lie that jobs
        name (``firstbad/references.py``). Raises InfrastructureError, UserError."""
        self.root = root
        self.database = Database(where, patience)
        self.path = self.database.path
        self.database.migrate()
        self._sum_up()

    def submit(self, job: Job, evidence: Sequence[tuple[str, dict[str, Any]]] = (), **columns: Any) -> int:
        """Keep a new job, with what is known of it beforehand as its first events (kind and data), all or nothing;
        returns its number. ``columns``: more of the table's, see :meth:`firstbad.store.queue.Queue.submit`."""
        row = new_row(job, self.root) | columns

        def write(connection: sa.Connection, again: bool) -> int:
            if again:
                known = connection.execute(sa.select(jobs.c.id).where(jobs.c.key == row["key"])).scalar()
                if known is not None:
                    return int(known)
            return insert_job(connection, row, evidence)

        return self.database.write(write)

    def job(self, number: int | None = None) -> StoredJob:
        """A job by number, the last one by default. Raises NotFoundError."""
        query = sa.select(*COLUMNS).order_by(jobs.c.id.desc()).limit(1)
        if number is not None:
            if not 0 < number < 1 << 31:
                raise NotFoundError(f"there is no job {number}")
            query = sa.select(*COLUMNS).where(jobs.c.id == number)
        row = self.database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFoundError("there is no job yet" if number is None else f"there is no job {number}")
        return stored(row, self.root)

    def jobs(self) -> list[StoredJob]:
        """All jobs, newest first."""
        query = sa.select(*COLUMNS).order_by(jobs.c.id.desc())
        return self.database.read(lambda connection: [stored(row, self.root) for row in connection.execute(query)])

    def each(self) -> Iterator[StoredJob]:
        """All jobs, newest first, read as they are asked for."""
        page = self.page(limit=listing.MOST)
        while True:
            yield from page.jobs
            if page.older is None:
                return
            page = self.page(before=page.older, limit=listing.MOST)

    def page(self, wanted: Filter | None = None, before: int | None = None, limit: int = 50) -> Page:
        """Jobs, newest first, at most ``limit`` (200): from ``before`` (excluded) on."""
        return self.database.read(
            lambda connection: listing.page(connection, self.root, wanted or Filter(), before, limit)
        )

    def counts(self, projects: Collection[str] | None = None) -> dict[str, int]:
        """How many jobs are where (`StoredJob.standing`), of those that members of ``projects`` may see (None: all)."""
        return self.database.read(lambda connection: listing.counts(connection, projects))

    def append(
        self, job_id: int, kind: str, data: dict[str, Any], token: str = "", result: Result | None = None
    ) -> Event:
        """Append an event and return it once it is on disk, ``result`` with it.

        ``token``: of the lease that the job is worked on with; where another process has the lease by now, nothing is
        written and LostLeaseError is raised. Raises NotFoundError.
        """
        now, uid = time.time(), uuid.uuid4().hex
        found = summary.changes(kind, data, now)

        def write(connection: sa.Connection, again: bool) -> int:
            known = _known(connection, job_id, uid) if again else None
            if known is not None:
                return known
            # One row's lock makes the numbers; whoever lost the lease finds no row.
            mine = jobs.c.id == job_id if not token else sa.and_(jobs.c.id == job_id, jobs.c.token == token)
            change = sa.update(jobs).where(mine).values(seq=jobs.c.seq + 1, **found).returning(jobs.c.seq)
            seq = connection.execute(change).scalar()
            if seq is None:
                raise (
                    LostLeaseError(f"job {job_id} is worked on by another process")
                    if token
                    else NotFoundError(f"there is no job {job_id}")
                )
            row = {"job_id": job_id, "seq": seq, "time": now, "kind": kind, "data": data, "uid": uid}
            connection.execute(sa.insert(events).values(row))
            hooks.tell(connection, job_id, int(seq), kind, now)
            if result is not None:
                more = {"kind": result.kind, "key": result.key, "data": result.data}
                connection.execute(sa.insert(results).values(job_id=job_id, seq=seq, **more))
            return int(seq)

        return Event(self.database.write(write), now, kind, data)

    def events_of_kind(self, kind: str) -> list[tuple[int, Event]]:
        """The events of one kind of all jobs, each with its job's number, in the order in which they were recorded."""
        # The word itself, not a parameter: only so an index on one kind is used.
        same = events.c.kind == (sa.literal_column("'mail'") if kind == "mail" else kind)
        query = sa.select(events).where(same).order_by(events.c.id)
        return self.database.read(
            lambda connection: [(row.job_id, _event(row)) for row in connection.execute(query)],
        )

    def events(self, job_id: int, after: int = -1, most: int | None = None) -> list[Event]:
        """A job's events in order, from ``after`` (excluded) on, at most ``most``."""
        query = sa.select(events).where(events.c.job_id == job_id, events.c.seq > after).order_by(events.c.seq)
        query = query.limit(most) if most is not None else query
        return self.database.read(lambda connection: [_event(row) for row in connection.execute(query)])

    def results(self, kind: str, key: str, project: str, most: int = 1000) -> list[Known]:
        """Results of that key, oldest first; none of other projects' private jobs."""
        query = (
            sa.select(results.c.job_id, results.c.seq, events.c.data.label("event"), results.c.data)
            .join(jobs, jobs.c.id == results.c.job_id)
            .join(events, sa.and_(events.c.job_id == results.c.job_id, events.c.seq == results.c.seq))
            .where(results.c.kind == kind, results.c.key == key, listing.visible([project]))
            .order_by(results.c.id)
            .limit(most)
        )
        return self.database.read(lambda connection: [Known(*row) for row in connection.execute(query)])

    def asked_to_stop(self, job_id: int) -> str:
        """``cancel`` or ``pause`` where somebody asked for that, else empty."""
        query = sa.select(jobs.c.cancelled, jobs.c.paused).where(jobs.c.id == job_id)
        row = self.database.read(lambda connection: connection.execute(query).one_or_none())
        return "" if row is None else "cancel" if row.cancelled else "pause" if row.paused else ""

    def cancel(self, job_id: int, value: bool = True) -> None:
        """Ask for the job to be given up (or take that back); its session notices within a second."""
        change = sa.update(jobs).where(jobs.c.id == job_id).values(cancelled=int(value))
        self.database.write(lambda connection, _: connection.execute(change))

    def _sum_up(self) -> None:
        """The summaries of jobs that were stored before there were any."""
        old = sa.select(jobs.c.id).where(jobs.c.seq == -2)
        if self.database.read(lambda connection: connection.execute(old.limit(1)).first()) is None:
            return

        def write(connection: sa.Connection, _: bool) -> None:
            for row in connection.execute(old).all():
                _resum(connection, row.id)

        self.database.write(write)


def new_row(job: Job, root: Path | None = None) -> dict[str, Any]:
    """The columns of a job that was not stored yet; see :func:`firstbad.references.stored`."""
    data = job.model_dump(mode="json")
    return {
        "created": time.time(),
        "job": references.stored(data, root) if root else data,
        "kind": job.kind,
        "name": summary.text(job.name),
        "title": summary.text(job.title),
        "private": int(job.private),
        "key": f"~{uuid.uuid4().hex}",
    }


def insert_job(connection: sa.Connection, row: dict[str, Any], evidence: Sequence[tuple[str, dict[str, Any]]]) -> int:
    """Put a job and its first events into the tables; returns its number."""
    number = int(
        connection.execute(sa.insert(jobs).values(seq=len(evidence) - 1, **row).returning(jobs.c.id)).scalar_one()
    )
    facts = [
        {"job_id": number, "seq": i, "time": row["created"], "kind": kind, "data": data}
        for i, (kind, data) in enumerate(evidence)
    ]
    if facts:
        connection.execute(sa.insert(events), facts)
    for fact in facts:
        _take_in(connection, number, fact["kind"], fact["data"], fact["time"])
    return number


def _take_in(connection: sa.Connection, number: int, kind: str, data: dict[str, Any], when: float) -> None:
    found = summary.changes(kind, data, when)
    if found:
        connection.execute(sa.update(jobs).where(jobs.c.id == number).values(**found))


def _resum(connection: sa.Connection, number: int) -> None:
    job = Job.model_validate(connection.execute(sa.select(jobs.c.job).where(jobs.c.id == number)).scalar_one())
    facts = new_row(job)
    kept = {name: facts[name] for name in ("kind", "name", "title", "private", "key")}
    connection.execute(sa.update(jobs).where(jobs.c.id == number).values(seq=-1, **kept))
    for row in connection.execute(sa.select(events).where(events.c.job_id == number).order_by(events.c.seq)).all():
        _take_in(connection, number, row.kind, row.data, row.time)
        connection.execute(sa.update(jobs).where(jobs.c.id == number).values(seq=row.seq))


def _known(connection: sa.Connection, job_id: int, uid: str) -> int | None:
    """The number under which an event was kept by a try whose answer was lost; one that is under way is waited for."""
    connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    query = sa.select(events.c.seq).where(events.c.job_id == job_id, events.c.uid == uid)
    return connection.execute(query).scalar()


def _event(row: Any) -> Event:
    return Event(row.seq, row.time, row.kind, row.data)
