"""Fixes are searched for by themselves: when a crash was not seen for days, and again when the branch has moved."""

import logging
import time

from firstbad.errors import FirstbadError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Job
from firstbad.session.materials import provide, refresh
from firstbad.store import Queue, StoredJob
from firstbad.store.fixes import next_quiet, searched
from firstbad.store.queue import ROBOT

_log = logging.getLogger("firstbad.worker")
_PAUSE = 60.0  # seconds between two looks of one worker


class FixSearch:
    """Looks for crashes that may be fixed. ``days`` without the crash are enough."""

    def __init__(self, queue: Queue, home: Home, days: float) -> None:
        self.queue, self.home, self.days = queue, home, days
        self._next = 0.0

    def look(self) -> bool:
        """Look now and then; whether a job was made."""
        if time.monotonic() < self._next:
            return False
        quiet = next_quiet(self.queue.database, self.days)
        if quiet is None:
            self._next = time.monotonic() + _PAUSE
            return False
        stored = self.queue.store.job(quiet.job)
        try:
            head = self._head(stored)
            if head == quiet.head:
                return False
            made = self.queue.submit(
                fix_job(stored, self._start(stored), head),
                project=stored.project,
                submitted_by="schedule",
                key=f"fix of bug {quiet.bug} at {head}",
                priority=ROBOT,
                most_seconds=stored.most_seconds,
            )
        except FirstbadError as error:
            _log.warning("no search for the fix of job %s: %s", stored.id, error)
            return False
        searched(self.queue.database, quiet.bug, head, made.number)
        _log.info("a fix is searched for", extra={"job": made.number, "of": stored.id, "head": head[:12]})
        return True

    def _head(self, stored: StoredJob) -> str:
        provide(self.queue.store, self.home, stored)
        refresh(self.queue.store, self.home, stored)
        return Repo(stored.job.repo).resolve("HEAD")

    def _start(self, stored: StoredJob) -> str:
        started = next(event.data for event in self.queue.store.events(stored.id) if event.kind == "started")
        return str(started["start"])


def fix_job(cause: StoredJob, start: str, head: str) -> Job:
    """The search for the fix of what another job looked into the cause of: from where it crashed to ``head``."""
    data = cause.job.model_dump(mode="json")
    data |= {"kind": "fix", "commit": start, "commit_title": "", "head": head, "good": [], "title": cause.title}
    return Job.model_validate(data)
