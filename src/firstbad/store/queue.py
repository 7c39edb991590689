"""The queue over the jobs: who works on what, in which order, and for how long.

A lease is a token in the job's row. It ends by itself after :data:`LEASE` seconds without a heartbeat; then another
worker takes the job over, and whatever the old one still appends with its token is refused
(:meth:`firstbad.store.store.Store.append`). Nothing else is ever retried: a job that fails has failed.
"""

import math
import uuid
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from firstbad.errors import BusyError, NotFoundError
from firstbad.job import Job
from firstbad.references import reference_of
from firstbad.store import summary
from firstbad.store.database import clock, up_since
from firstbad.store.jobs import OPEN_STATES, UNANSWERED_STATES
from firstbad.store.owner import here, is_dead, owner, process_of
from firstbad.store.store import Store, insert_job, new_row
from firstbad.store.tables import WAITING, budgets, bugs, jobs, workers

LEASE = 60.0
"""Seconds without a sign of life after which a job may be taken over."""
BEATS = 4  # heartbeats in that time
PERSON, ROBOT = 0, 10
"""Priorities, the lower goes first: what a person waits for."""
MOST_ATTEMPTS = 5
"""Workers that may be lost over a job which gets no further meanwhile; it is what kills them, then."""
BUDGET_DAYS = 30  # a project's seconds of work are those of jobs that came in within so many days
_SUBMITTING = 8385  # key space of locks in PostgreSQL under which one request with one key is looked at


@dataclass(frozen=True)
class Submitted:
    """A job's number, and whether it is new: else ``why`` it is an earlier one: ``key`` or ``crash``."""

    number: int
    new: bool
    why: str = ""


@dataclass(frozen=True)
class Lease:
    """The right to work on a job. ``left``: seconds of work until its budget or its project's is used up. ``hung``: the
    worker whose lease ended without a sign of life, where that was one of this host."""

    job: int
    token: str
    attempts: int = 0
    left: float = math.inf
    hung: str = ""


@dataclass(frozen=True)
class Budget:
    """What a project may use: ``seconds`` of work on jobs of the last 30 days, jobs ``running`` at once; 0: no limit.
    ``used`` and ``now`` say what it does."""

    project: str
    seconds: float = 0.0
    running: int = 0
    used: float = 0.0
    now: int = 0


class Queue:
    """Jobs for workers. ``seconds`` is how long a lease lasts without a heartbeat."""

    def __init__(self, store: Store, seconds: float = LEASE) -> None:
        self.store, self.database, self.seconds = store, store.database, seconds

    # What comes in.

    def submit(
        self,
        job: Job,
        *,
        project: str = "default",
        submitted_by: str = "",
        key: str = "",
        priority: int = PERSON,
        not_before: float = 0.0,
        most_seconds: float = 0.0,
        deduplicate: bool = False,
    ) -> Submitted:
        """Put a job into the queue.

        ``key``: the client's name for this request; the same one again (in its project) gives the job that it made.
        ``deduplicate``: where the same crash in the same tree is being looked into, or was, that job is the answer.
        ``not_before``: seconds since the epoch; ``most_seconds`` of work, after which the best answer so far is it.
        """
        row = new_row(job, self.store.root) | {
            "project": project,
            "submitted_by": summary.text(submitted_by),
            "priority": priority,
            "not_before": not_before,
            "most_seconds": most_seconds,
            "crash_key": crash_key(job, self.store.root),
            "queued": 1,
        }
        row |= {"key": summary.text(key)} if key else {}
        return self.database.write(lambda connection, _: _submit(connection, row, deduplicate))

    # Who works.

    def claim(self, who: str = "") -> Lease | None:
        """The next job for a worker; None: there is nothing to do.

        A person's before a robot's, then the one with the fewest attempts, then the oldest; none that is paused,
        cancelled, not due yet, or over its project's budget.
        """
        who, token = who or owner(), uuid.uuid4().hex

        def write(connection: sa.Connection, again: bool) -> Lease | None:
            mine = sa.select(jobs).where(jobs.c.token == token)
            row, limited = connection.execute(mine).one_or_none() if again else None, True
            if row is None:
                limited = connection.execute(sa.select(budgets.c.project).with_for_update()).first() is not None
                held.update(_free_dead(connection))
                row = connection.execute(self._claim(who, token, limited)).one_or_none()
            if row is None:
                return None
            return replace(_lease(connection, row, limited), hung=_hung(connection, held.get(row.id)))

        held: dict[int, str] = {}
        return self.database.write(write)

    def _claim(self, who: str, token: str, limited: bool) -> sa.UpdateBase:
        next_one = (
            sa.select(jobs.c.id)
            .where(
                sa.text(WAITING), jobs.c.not_before <= clock(), self._free(), _affordable() if limited else sa.true()
            )
            .order_by(jobs.c.priority, jobs.c.attempts, jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        values = {"owner": who, "token": token, "leased_until": clock() + self.seconds, "attempts": jobs.c.attempts + 1}
        chosen = jobs.c.id == next_one.scalar_subquery()
        return sa.update(jobs).where(chosen).values(**values).returning(jobs)

    def _free(self) -> sa.ColumnElement[bool]:
        # While the server was down nobody could prolong a lease: they all last as long again from its start on.
        return sa.or_(jobs.c.token == "", sa.and_(jobs.c.leased_until < clock(), clock() > up_since() + self.seconds))

    def take(self, number: int, who: str = "") -> Lease:
        """The lease of one job, for a command at a terminal. Raises BusyError, NotFoundError."""
        who, token = who or owner(), uuid.uuid4().hex
        values = {"owner": who, "token": token, "leased_until": clock() + self.seconds}
        change = sa.update(jobs).where(jobs.c.id == number, sa.or_(self._free(), jobs.c.token == token))

        def write(connection: sa.Connection, _: bool) -> Lease:
            _free_dead(connection)
            row = connection.execute(change.values(**values).returning(jobs)).one_or_none()
            if row is not None:
                return _lease(connection, row)
            held = connection.execute(sa.select(jobs.c.owner).where(jobs.c.id == number)).scalar_one_or_none()
            if held is None:
                raise NotFoundError(f"there is no job {number}")
            where = "" if held.split("/")[0] == here() else " on another host"
            raise BusyError(f"job {number} is running (process {process_of(held)}{where})")

        return self.database.write(write)

    def heartbeat(self, lease: Lease) -> bool:
        """Prolong a lease; False: somebody else has the job by now."""
        change = _held(lease).values(leased_until=clock() + self.seconds, worked=self._worked())
        return self.database.write(lambda connection, _: connection.execute(change).rowcount) == 1

    def release(self, lease: Lease, not_before: float = 0.0, attempted: bool = False) -> None:
        """Give a lease back; without effect where it was lost. ``attempted``: it counts as an attempt that got
        nowhere."""
        values: dict[str, Any] = {"owner": "", "token": "", "leased_until": 0.0, "worked": self._worked()}
        if not_before:
            values["not_before"] = not_before
        if not attempted:
            values["attempts"] = sa.case((jobs.c.attempts > 0, jobs.c.attempts - 1), else_=0)
        change = _held(lease).values(**values)
        self.database.write(lambda connection, _: connection.execute(change))

    def _worked(self) -> sa.ColumnElement[float]:
        """Seconds of work on a job, with those since its lease was last prolonged."""
        since = jobs.c.leased_until - self.seconds
        return jobs.c.worked + sa.case((clock() > since, clock() - since), else_=0.0)

    # What people ask for.

    def cancel(self, number: int) -> None:
        """Have a job given up; who works on it notices within a second."""
        self.store.cancel(number)

    def pause(self, number: int) -> None:
        """Have a job wait until :meth:`resume`; what is under way is ended and repeated then."""
        self._change(number, paused=1)

    def resume(self, number: int) -> None:
        """Have workers go on with a job that was paused, cancelled, failed, ran out of its budget, or was begun at a
        terminal. Nothing that was recorded is repeated."""
        ended = jobs.c.state.in_(UNANSWERED_STATES)
        state = sa.case((ended, "interrupted"), else_=jobs.c.state)
        self._change(number, paused=0, cancelled=0, queued=1, not_before=0.0, attempts=0, state=state)

    def _change(self, number: int, **values: Any) -> None:
        change = sa.update(jobs).where(jobs.c.id == number).values(**values)
        if self.database.write(lambda connection, _: connection.execute(change).rowcount) != 1:
            raise NotFoundError(f"there is no job {number}")

    # Budgets.

    def set_budget(self, project: str, seconds: float = 0.0, running: int = 0) -> None:
        """Limit a project; 0: no limit."""

        def write(connection: sa.Connection, _: bool) -> None:
            connection.execute(sa.delete(budgets).where(budgets.c.project == project))
            if seconds or running:
                connection.execute(sa.insert(budgets).values(project=project, seconds=seconds, running=running))

        self.database.write(write)

    def budgets(self) -> list[Budget]:
        """All limits, with what is used of them."""
        query = sa.select(budgets, _used(budgets.c.project), _running(budgets.c.project)).order_by(budgets.c.project)
        return self.database.read(lambda connection: [Budget(*row) for row in connection.execute(query)])


def crash_key(job: Job, root: Path | None = None) -> str:
    """The same for the same crash in the same tree; empty where it has no title yet, or its cause is not asked for."""
    if job.kind != "cause" or not job.title.strip():
        return ""
    command = job.project.command if job.project is not None else []
    return sha256(
        "\0".join(
            (reference_of(job.repo, root) if root else str(job.repo), " ".join(job.title.split()), *command)
        ).encode(errors="replace")
    ).hexdigest()[:32]


def _submit(connection: sa.Connection, row: dict[str, Any], deduplicate: bool) -> Submitted:
    crash = row["crash_key"]
    if connection.dialect.name == "postgresql":
        for name in sorted({row["key"], crash} - {""}):
            lock = sa.func.pg_advisory_xact_lock(_SUBMITTING, sa.func.hashtext(name))
            connection.execute(sa.select(lock))
    same = sa.select(jobs.c.id).where(jobs.c.project == row["project"], jobs.c.key == row["key"])
    known = connection.execute(same).scalar()
    if known is not None:
        return Submitted(int(known), False, "key")
    if not crash:
        return Submitted(insert_job(connection, row, ()), True)
    where = sa.and_(bugs.c.project == row["project"], bugs.c.crash_key == crash)
    bug = connection.execute(sa.select(bugs.c.job_id).where(where)).scalar()
    if bug is None:
        number = insert_job(connection, row, ())
        times = {"first_seen": row["created"], "last_seen": row["created"]}
        connection.execute(sa.insert(bugs).values(project=row["project"], crash_key=crash, job_id=number, **times))
        return Submitted(number, True)
    connection.execute(sa.update(bugs).where(where).values(last_seen=row["created"], seen=bugs.c.seen + 1))
    if deduplicate and _is_looked_into(connection, bug):
        return Submitted(int(bug), False, "crash")
    number = insert_job(connection, row, ())
    connection.execute(sa.update(bugs).where(where).values(job_id=number))
    return Submitted(number, True)


def _held(lease: Lease) -> sa.Update:
    """A change of a lease's job that only who holds the lease makes."""
    return sa.update(jobs).where(jobs.c.id == lease.job, jobs.c.token == lease.token)


def _is_looked_into(connection: sa.Connection, number: int) -> bool:
    row = connection.execute(sa.select(jobs.c.state, jobs.c.cancelled).where(jobs.c.id == number)).one()
    return row.state == "finished" or (row.state in OPEN_STATES and not row.cancelled)


def _free_dead(connection: sa.Connection) -> dict[int, str]:
    """Take the leases of processes of this host that are no more: nobody waits for those. Who holds the others."""
    found = {}
    held = sa.select(jobs.c.id, jobs.c.owner, jobs.c.token).where(sa.text("token <> ''"))
    for row in connection.execute(held).all():
        if is_dead(row.owner):
            change = sa.update(jobs).where(jobs.c.id == row.id, jobs.c.token == row.token)
            connection.execute(change.values(owner="", token="", leased_until=0.0))
        else:
            found[row.id] = row.owner
    return found


def _hung(connection: sa.Connection, name: str | None) -> str:
    """The owner of a lease that ended by itself, if it is a worker of this host."""
    if not name or name.split("/")[0] != here():
        return ""
    known = sa.select(workers.c.owner).where(workers.c.owner == name)
    return name if connection.execute(known).first() is not None else ""


def _lease(connection: sa.Connection, row: Any, limited: bool = True) -> Lease:
    left = row.most_seconds - row.worked if row.most_seconds else math.inf
    query = sa.select(budgets.c.seconds).where(budgets.c.project == row.project)
    limit = connection.execute(query).scalar() if limited else None
    if limit:
        left = min(left, limit - float(connection.execute(sa.select(_used(sa.literal(row.project)))).scalar_one()))
    return Lease(row.id, row.token, row.attempts, max(0.0, left))


def _used(project: sa.ColumnElement[str]) -> sa.ScalarSelect[float]:
    other = jobs.alias()
    recent = other.c.created > clock() - BUDGET_DAYS * 86400.0
    total = sa.func.coalesce(sa.func.sum(other.c.worked), 0.0)
    return sa.select(total).where(other.c.project == project, recent).correlate_except(other).scalar_subquery()


def _running(project: sa.ColumnElement[str]) -> sa.ScalarSelect[int]:
    other = jobs.alias()
    alive = sa.and_(other.c.token != "", other.c.leased_until > clock())
    query = sa.select(sa.func.count()).select_from(other).where(other.c.project == project, alive)
    return query.correlate_except(other).scalar_subquery()


def _affordable() -> sa.ColumnElement[bool]:
    spent = sa.and_(budgets.c.seconds > 0, budgets.c.seconds <= _used(jobs.c.project))
    busy = sa.and_(budgets.c.running > 0, budgets.c.running <= _running(jobs.c.project))
    return ~sa.exists().where(budgets.c.project == jobs.c.project, sa.or_(spent, busy)).correlate(jobs)
