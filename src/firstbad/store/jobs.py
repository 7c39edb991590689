"""A job as it is stored, with what lists show of it."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from firstbad.job import Job
from firstbad.references import placed
from firstbad.store.database import clock
from firstbad.store.owner import is_dead
from firstbad.store.tables import jobs

OPEN_STATES = ("new", "interrupted", "reopened")
"""Somebody may go on with the job."""
UNANSWERED_STATES = ("failed", "cancelled", "out of time")
"""It ended without an answer, until somebody resumes it."""
ENDED_STATES = ("finished", *UNANSWERED_STATES)
"""Nothing more comes by itself."""


@dataclass(frozen=True)
class StoredJob:
    """A job, when it was submitted, by whom, and where it is. Times are seconds since the epoch (0: not yet).

    ``state``: new, interrupted (begun), reopened (finished, before somebody overruled it), finished, failed, cancelled,
    out of time; whether somebody works on it right now says ``running``, both together ``standing``. ``title`` is the
    crash's; ``status``, ``culprit``, ``culprit_title``, ``confidence`` are of the answer; ``cost`` seconds of builds
    and runs; ``seq`` the last event's number. ``queued``: for workers; else a command at a terminal works on it.
    """

    id: int
    created: float
    job: Job
    cancelled: bool
    project: str = "default"
    submitted_by: str = ""
    private: bool = False
    key: str = ""
    crash_key: str = ""
    queued: bool = False
    priority: int = 0
    attempts: int = 0
    not_before: float = 0.0
    paused: bool = False
    worked: float = 0.0
    most_seconds: float = 0.0
    owner: str = ""
    leased_until: float = 0.0
    kind: str = ""
    name: str = ""
    state: str = "new"
    title: str = ""
    status: str = ""
    culprit: str = ""
    culprit_title: str = ""
    confidence: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    builds: int = 0
    runs: int = 0
    cost: float = 0.0
    seq: int = -1
    running: bool = False

    @property
    def standing(self) -> str:
        """Where it is, in words: running, paused, cancelled, waiting (for a worker), or its state."""
        if self.running:
            return "running"
        if self.state not in OPEN_STATES:
            return self.state
        if self.cancelled:
            return "cancelled"
        return "paused" if self.paused else "waiting" if self.queued else self.state


STANDING = sa.case(
    (sa.and_(jobs.c.token != "", jobs.c.leased_until > clock()), "running"),
    (jobs.c.state.not_in(OPEN_STATES), jobs.c.state),
    (jobs.c.cancelled == 1, "cancelled"),
    (jobs.c.paused == 1, "paused"),
    (jobs.c.queued == 1, "waiting"),
    else_=jobs.c.state,
)
"""`StoredJob.standing` in SQL."""

_BOOLEAN = ("cancelled", "private", "queued", "paused")
_KEPT = [field.name for field in fields(StoredJob) if field.name != "running"]
COLUMNS = [*(jobs.c[name] for name in _KEPT), (jobs.c.leased_until > clock()).label("leased"), jobs.c.token]


def stored(row: Any, root: Path | None) -> StoredJob:
    """A row of :data:`COLUMNS` as a job, with the paths of a machine that has its data under ``root``."""
    values = {name: getattr(row, name) for name in _KEPT}
    values |= {name: bool(values[name]) for name in _BOOLEAN}
    values |= {"job": Job.model_validate(placed(row.job, root) if root else row.job), "key": row.key or ""}
    return StoredJob(**values, running=bool(row.token and row.leased and not is_dead(row.owner)))
