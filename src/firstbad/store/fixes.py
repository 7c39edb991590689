"""Crashes that have not been seen for a while: whose turn it is that a fix is searched for."""

from dataclasses import dataclass

import sqlalchemy as sa

from firstbad.store.database import Database, clock
from firstbad.store.jobs import OPEN_STATES
from firstbad.store.tables import bugs, jobs

LOOK = 600.0  # seconds between two looks at the same crash, by whatever worker
AGAIN = 86400.0  # seconds between two searches for the same fix, however often the head moves


@dataclass(frozen=True)
class Quiet:
    """A crash that was not seen lately. ``job`` found its cause; ``head`` (full hash) was tried last."""

    bug: int
    job: int
    head: str


def next_quiet(database: Database, days: float) -> Quiet | None:
    """A crash whose turn it is; nobody else gets it for a while. None: there is none.

    Its cause was searched to an end, its last search for a fix found none, and none is under way.
    """
    cause, fix = jobs.alias(), jobs.alias()
    fixed = sa.and_(fix.c.state == "finished", fix.c.status == "found")
    tried = sa.select(fix.c.id).where(
        fix.c.id == bugs.c.fix_job,
        sa.or_(fixed, fix.c.state.in_(OPEN_STATES), fix.c.created > clock() - AGAIN),
    )
    due = (
        sa.select(bugs.c.id)
        .join(cause, cause.c.id == bugs.c.job_id)
        .where(
            bugs.c.looked < clock() - LOOK,
            bugs.c.last_seen < clock() - days * 86400.0,
            cause.c.state == "finished",
            ~sa.exists(tried),
        )
        .order_by(bugs.c.looked)
        .limit(1)
        .with_for_update(skip_locked=True, of=bugs)
    )
    change = sa.update(bugs).where(bugs.c.id == due.scalar_subquery()).values(looked=clock()).returning(bugs)
    row = database.write(lambda connection, _: connection.execute(change).one_or_none())
    return Quiet(row.id, row.job_id, row.head) if row is not None else None


def searched(database: Database, bug: int, head: str, job: int) -> None:
    """A search for the fix was begun: up to ``head``, by ``job``."""
    change = sa.update(bugs).where(bugs.c.id == bug).values(head=head, fix_job=job)
    database.write(lambda connection, _: connection.execute(change))
