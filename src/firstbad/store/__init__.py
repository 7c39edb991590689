"""Jobs and their append-only events, in SQLite or PostgreSQL; the queue over them."""

from firstbad.store.jobs import StoredJob
from firstbad.store.listing import Filter, Page
from firstbad.store.queue import Budget, Lease, Queue, Submitted
from firstbad.store.store import Event, Known, Result, Store, open_store

__all__ = [
    "Budget",
    "Event",
    "Filter",
    "Known",
    "Lease",
    "Page",
    "Queue",
    "Result",
    "Store",
    "StoredJob",
    "Submitted",
    "open_store",
]
