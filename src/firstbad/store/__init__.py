"""Jobs and their append-only events, in SQLite."""
