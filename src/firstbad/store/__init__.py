"""Jobs and their append-only events, in SQLite."""

from firstbad.store.store import Event, Store, StoredJob

__all__ = ["Event", "Store", "StoredJob"]
