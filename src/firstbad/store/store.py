"""Jobs and events in one SQLite database; an event is on disk before anybody uses it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from firstbad.errors import InfrastructureError, NotFoundError
from firstbad.job import Job
from firstbad.store.tables import events, jobs

HEAD = "0001"  # the newest migration; a database at it needs no alembic at all


@dataclass(frozen=True)
class Event:
    """One fact about a job. ``time`` is seconds since the epoch, ``seq`` counts from 0 within the job."""

    seq: int
    time: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class StoredJob:
    """A job and when it was submitted."""

    id: int
    created: float
    job: Job
    cancelled: bool


class Store:
    """The database of one machine. Safe for several processes; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        sa.event.listen(self._engine, "connect", _durable)
        self._migrate()

    def _migrate(self) -> None:
        with self._call() as connection:
            if sa.inspect(connection).has_table("alembic_version") and (
                connection.execute(sa.text("select version_num from alembic_version")).scalar() == HEAD
            ):
                return
        # Imported here: alembic takes longer to import than most commands take to run.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._call() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _call(self) -> "_Transaction":
        return _Transaction(self._engine, self.path)

    def submit(self, job: Job, evidence: Sequence[tuple[str, dict[str, Any]]] = ()) -> int:
        """Keep a new job, with what is known of it beforehand as its first events (kind and data), all or nothing;
        returns its number."""
        with self._call() as connection:
            now = time.time()
            row = connection.execute(sa.insert(jobs).values(created=now, job=job.model_dump(mode="json")))
            (number,) = row.inserted_primary_key or (0,)
            if evidence:
                facts = enumerate(evidence)
                rows = [{"job_id": number, "seq": i, "time": now, "kind": k, "data": data} for i, (k, data) in facts]
                connection.execute(sa.insert(events), rows)
            return int(number)

    def job(self, number: int | None = None) -> StoredJob:
        """A job by number, the last one by default. Raises NotFoundError."""
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(1)
        if number is not None:
            query = sa.select(jobs).where(jobs.c.id == number)
        with self._call() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError("there is no job yet" if number is None else f"there is no job {number}")
        return _stored(row)

    def jobs(self) -> list[StoredJob]:
        """All jobs, newest first."""
        with self._call() as connection:
            return [_stored(row) for row in connection.execute(sa.select(jobs).order_by(jobs.c.id.desc()))]

    def append(self, job_id: int, kind: str, data: dict[str, Any]) -> Event:
        """Append an event and return it once it is on disk."""
        now = time.time()
        with self._call() as connection:
            # One statement, so that two processes can't take the same number.
            following = sa.select(sa.func.coalesce(sa.func.max(events.c.seq), -1) + 1).where(events.c.job_id == job_id)
            row = {"job_id": job_id, "seq": following.scalar_subquery(), "time": now, "kind": kind, "data": data}
            seq = int(connection.execute(sa.insert(events).values(row).returning(events.c.seq)).scalar_one())
        return Event(seq, now, kind, data)

    def events_of_kind(self, kind: str) -> list[tuple[int, Event]]:
        """The events of one kind of all jobs, each with its job's number, in the order in which they were recorded."""
        query = sa.select(events).where(events.c.kind == kind).order_by(events.c.id)
        with self._call() as connection:
            return [(row.job_id, Event(row.seq, row.time, row.kind, row.data)) for row in connection.execute(query)]

    def events(self, job_id: int, after: int = -1) -> list[Event]:
        """A job's events in order, from ``after`` (excluded) on."""
        query = sa.select(events).where(events.c.job_id == job_id, events.c.seq > after).order_by(events.c.seq)
        with self._call() as connection:
            return [Event(row.seq, row.time, row.kind, row.data) for row in connection.execute(query)]

    def cancel(self, job_id: int, value: bool = True) -> None:
        """Ask for the job to be given up (or take that back); its session notices within a second."""
        with self._call() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(cancelled=int(value)))


class _Transaction:
    """``engine.begin()`` with the database's errors told as ours."""

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self._context = engine.begin()
        self._path = path

    def __enter__(self) -> sa.Connection:
        try:
            return self._context.__enter__()
        except sa.exc.DatabaseError as error:
            raise self._told(error) from error

    def _told(self, error: sa.exc.DatabaseError) -> InfrastructureError:
        text = str(error.orig)
        return InfrastructureError(f"{self._path}: {text}{' (is the disk full?)' if 'disk' in text else ''}")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._context.__exit__(kind, error, trace)
        except sa.exc.DatabaseError as problem:
            raise self._told(problem) from problem
        if isinstance(error, sa.exc.DatabaseError):
            raise self._told(error) from error


def _durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # WAL lets `status` read while a session writes; FULL waits for the disk, because an event is used at once.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _stored(row: Any) -> StoredJob:
    return StoredJob(row.id, row.created, Job.model_validate(row.job), bool(row.cancelled))
