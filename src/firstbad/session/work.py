"""Work on a job, whatever is built and run: its events, who watches, how it is given up, when its time is over."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from firstbad.errors import BusyError, LostLeaseError
from firstbad.home import Home
from firstbad.session.lease import Hold
from firstbad.session.materials import provide
from firstbad.session.state import State, apply, fold
from firstbad.store import Event, Queue, Result, Store

_Done = TypeVar("_Done")
# What people and commands tell of a job, whoever works on it.
_ANYBODYS = ("opinion", "mail", "told")


class Cancelled(Exception):
    """The job was given up by ``firstbad cancel``."""


class Paused(Cancelled):
    """The job waits until somebody resumes it."""


class Stopped(Exception):
    """Whoever runs the session ends it; another session goes on."""


class OutOfTime(Exception):
    """The session's deadline has passed."""


class Observer(Protocol):
    """Who watches: a live view, plain lines, a test."""

    def event(self, event: Event, state: State) -> None:
        """An event was recorded; ``state`` already holds it."""

    def activity(self, text: str) -> None:
        """What is being done right now."""


class Work:
    """One job's events and the state that they make; every fact is on disk before anything is done with it."""

    def __init__(
        self,
        store: Store,
        number: int,
        home: Home,
        observer: Observer,
        deadline: float | None,
        hold: Hold | None = None,
    ) -> None:
        """``deadline``: seconds since the epoch, when this session ends with the best answer so far. ``hold``: the
        lease of a worker; without one the session takes its own."""
        self.hold = hold
        self.store, self.number, self.home, self.observer = store, number, home, observer
        self.deadline = deadline
        stored = store.job(number)
        provide(store, home, stored)
        self.job = stored.job
        self.events = store.events(number)
        self.state: State = fold(self.events, self.job.title)
        self._heard = self.recorded = self.events[-1].seq if self.events else -1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process works on the job meanwhile. Raises BusyError."""
        self.home.job(self.number).mkdir(parents=True, exist_ok=True)
        if self.hold is not None:
            yield
            return
        queue = Queue(self.store)
        with Hold(queue, queue.take(self.number)) as self.hold:
            try:
                if any(event.kind not in _ANYBODYS for event in self.store.events(self.number, self._heard)):
                    raise BusyError(f"job {self.number} went on in another process just now; run this again")
                yield
            finally:
                self.hold = None

    def hear(self) -> bool:
        """Take in what people said meanwhile, from other processes; whether they said anything."""
        since = [event for event in self.store.events(self.number, self._heard) if event.kind == "opinion"]
        for event in since:
            apply(self.state, event, self.job.title)
            self._heard = self.recorded = event.seq
            self.observer.event(event, self.state)
        return bool(since)

    def record(self, kind: str, data: dict[str, Any], result: Result | None = None) -> Event:
        """Put an event on disk, with a result that others may use, then into the state. Raises LostLeaseError."""
        event = self.store.append(self.number, kind, data, self.hold.token if self.hold else "", result)
        if event.seq == self._heard + 1:  # else somebody said something in between, which is yet to be heard
            self._heard = event.seq
        apply(self.state, event, self.job.title)
        self.recorded = event.seq
        self.observer.event(event, self.state)
        return event

    def begin(self, data: dict[str, Any]) -> None:
        """A session begins, with ``data`` as its first event. Raises Cancelled and OutOfTime."""
        self.record("started", data)
        if self.deadline is not None:
            self.record("deadline", {"at": round(self.deadline, 3)})
            self.check_end()  # the measurement that a test needs may have used all of the time

    def check_end(self) -> None:
        """Raises Cancelled where the job was given up, Paused, Stopped and LostLeaseError as they say, OutOfTime where
        the deadline has passed."""
        if self.hold is not None and self.hold.lost:
            raise LostLeaseError(f"job {self.number} was taken over by another process")
        if self.hold is not None and self.hold.stopping.is_set():
            raise Stopped
        asked = self.store.asked_to_stop(self.number)
        if asked == "pause":
            raise Paused(f"job {self.number} is paused")
        if asked:
            self.record("cancelled", {})
            raise Cancelled
        if self.deadline is not None and time.time() >= self.deadline:
            raise OutOfTime

    def wait(self, future: Future[_Done]) -> _Done:
        """What a build or a run comes to. Raises what `check_end` raises, at most a second late."""
        while not wait([future], timeout=1).done:
            self.check_end()
        return future.result()
