"""Webhooks, and what is to be delivered to them: written with the event that is told, so that none is forgotten."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from firstbad.errors import NotFoundError
from firstbad.store.database import Database
from firstbad.store.service import deliveries, webhooks
from firstbad.store.tables import jobs

TOLD = ("started", "finished", "budget", "failed", "cancelled", "opinion")
"""Kinds of events that are told."""
TRIES = 12
"""After this many a delivery is given up: with doubling pauses that is about five hours."""
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 7200.0
_CLAIMED = 120.0  # seconds until somebody else may try what was claimed
_KEPT = 30 * 86_400.0


@dataclass(frozen=True)
class Webhook:
    """Who is told; ``secret`` signs."""

    id: int
    project: str
    url: str
    secret: str
    created: float
    created_by: str


@dataclass(frozen=True)
class Delivery:
    """One event for one webhook. Times are seconds since the epoch; ``next`` 0: no more tries."""

    id: int
    webhook_id: int
    job_id: int
    seq: int
    kind: str
    created: float
    next: float
    attempts: int
    delivered: float
    error: str


def tell(connection: sa.Connection, job_id: int, seq: int, kind: str, now: float) -> None:
    """Have an event delivered to the webhooks of the job's project, in the transaction that writes it. Of private jobs
    nobody is told."""
    if kind not in TOLD:
        return
    facts = [sa.literal(value) for value in (seq, kind, now, now)]
    rows = (
        sa.select(webhooks.c.id, jobs.c.id, *facts)
        .join(jobs, jobs.c.project == webhooks.c.project)
        .where(jobs.c.id == job_id, jobs.c.private == 0)
    )
    names = ["webhook_id", "job_id", "seq", "kind", "created", "next"]
    connection.execute(sa.insert(deliveries).from_select(names, rows))


class Hooks:
    """The part of the store that has webhooks."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, project: str, url: str, who: str) -> Webhook:
        """A new webhook, with a new secret."""
        row = {"project": project, "url": url, "secret": secrets.token_urlsafe(32), "created": time.time()}
        insert = sa.insert(webhooks).values(created_by=who, **row).returning(*webhooks.c)
        return self.database.write(lambda connection, _: Webhook(*connection.execute(insert).one()))

    def of(self, projects: frozenset[str] | None) -> list[Webhook]:
        """Those of these projects; None: all."""
        query = sa.select(webhooks).order_by(webhooks.c.id)
        if projects is not None:
            query = query.where(webhooks.c.project.in_(projects))
        return self.database.read(lambda connection: [Webhook(*row) for row in connection.execute(query)])

    def get(self, number: int) -> Webhook:
        """One by number. Raises NotFoundError."""
        query = sa.select(webhooks).where(webhooks.c.id == (number if 0 < number < 1 << 31 else 0))
        row = self.database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFoundError(f"there is no webhook {number}")
        return Webhook(*row)

    def remove(self, number: int) -> None:
        """It is told nothing any more."""

        def write(connection: sa.Connection, _: bool) -> None:
            connection.execute(sa.delete(deliveries).where(deliveries.c.webhook_id == number))
            connection.execute(sa.delete(webhooks).where(webhooks.c.id == number))

        self.database.write(write)

    def deliveries(self, number: int, most: int = 100) -> list[Delivery]:
        """The last ones of a webhook, newest first."""
        query = sa.select(deliveries).where(deliveries.c.webhook_id == number).order_by(deliveries.c.id.desc())
        return self.database.read(lambda connection: [Delivery(*r) for r in connection.execute(query.limit(most))])

    def waiting(self) -> int:
        """How many deliveries are to be tried (again)."""
        query = sa.select(sa.func.count()).where(deliveries.c.next > 0)
        return int(self.database.read(lambda connection: connection.execute(query).scalar()) or 0)

    def claim(self) -> Delivery | None:
        """A delivery whose time has come; nobody else tries it for two minutes."""
        now = time.time()
        due = sa.select(deliveries).where(deliveries.c.next > 0, deliveries.c.next <= now).order_by(deliveries.c.next)
        first = due.limit(1).with_for_update(skip_locked=True)

        def write(connection: sa.Connection, _: bool) -> Any:
            row = connection.execute(first).one_or_none()
            if row is not None:
                change = {"next": now + _CLAIMED, "attempts": row.attempts + 1}
                connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(change))
            return row

        row = self.database.write(write)
        return Delivery(*row) if row is not None else None

    def done(self, delivery: Delivery, error: str = "") -> None:
        """A try has ended: well, or with an error, and then it is tried again after a while, or given up."""
        now, tries = time.time(), delivery.attempts + 1
        change: dict[str, Any] = {"next": 0.0, "delivered": now, "error": ""}
        if error:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**delivery.attempts)
            change = {"next": now + pause if tries < TRIES else 0.0, "error": error[:500]}

        def write(connection: sa.Connection, _: bool) -> None:
            connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery.id).values(change))
            connection.execute(sa.delete(deliveries).where(deliveries.c.next == 0, deliveries.c.created < now - _KEPT))

        self.database.write(write)
