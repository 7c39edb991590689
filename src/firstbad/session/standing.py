"""Where a job is."""

from collections.abc import Sequence

from firstbad.session.story import work_events
from firstbad.store import Event


def job_state(events: Sequence[Event], running: bool, cancelled: bool = False) -> str:
    """Where a job is, in words: running, finished, failed, cancelled, interrupted, new, out of time, or reopened
    (finished, before somebody overruled it)."""
    worked = work_events(events)
    last = worked[-1].kind if worked else ""
    if running:
        return "running"
    if last == "finished":
        return "finished"
    if last == "budget":
        return "out of time"
    if last == "failed":
        return "failed"
    if last == "opinion" and any(event.kind == "finished" for event in events):
        return "reopened"
    if cancelled or last == "cancelled":
        return "cancelled"
    return "interrupted" if events else "new"
