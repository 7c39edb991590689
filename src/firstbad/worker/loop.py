"""A worker: one process that takes jobs off the queue, one after the other, and works on each to its end."""

import logging
import math
import shutil
import threading
import time
from pathlib import Path

from firstbad import __version__
from firstbad.errors import (
    BisectionError,
    FirstbadError,
    InfrastructureError,
    LostLeaseError,
    LostMachineError,
    kind_of_error,
    machine_failures,
)
from firstbad.home import Home
from firstbad.session import Bisection, Cancelled, Hold, Paused, ProjectSession, State, Stopped
from firstbad.store import Event, Queue, Store, StoredJob
from firstbad.store.crew import Sign
from firstbad.store.owner import end, process_of
from firstbad.store.queue import LEASE, MOST_ATTEMPTS, Lease
from firstbad.worker.fixes import FixSearch

_log = logging.getLogger("firstbad.worker")
POLL = 1.0  # seconds between looks at an empty queue
SIGN = 15.0  # between signs of life while nothing changes
LEAST_FREE = 1 << 30  # bytes of disk below which no job is begun: its builds would fail for want of room
_AGAIN = 60.0  # seconds until a job is tried again whose machine was lost
_TOLD = 1.0  # seconds between two changes of what is told of a job


class Worker:
    """Works until :meth:`stop`. ``seconds``: how long its leases last; ``fix_after``: days without a crash after which
    its fix is searched for, 0: never."""

    def __init__(self, store: Store, home: Home, seconds: float = LEASE, fix_after: float = 0.0) -> None:
        self.store, self.home = store, home
        self.queue = Queue(store, seconds)
        self.stopping = threading.Event()
        self.sign = Sign(store, {"version": __version__, "home": str(home.root), "free": _free(home.root)})
        self.fixes = FixSearch(self.queue, home, fix_after) if fix_after else None
        self._hold: Hold | None = None

    def stop(self) -> None:
        """End: what is under way is ended and its lease given back, within seconds. From any thread or a signal."""
        self.stopping.set()
        self.store.database.give_up.set()
        if self._hold is not None:
            self._hold.stopping.set()

    def run(self, until_empty: bool = False) -> None:
        """Work until :meth:`stop`, or until there is nothing to do. Raises InfrastructureError where the database is
        away for longer than the store waits."""
        told = -math.inf
        while not self.stopping.is_set():
            free = _free(self.home.root)
            lease = self.queue.claim() if free >= LEAST_FREE else None
            if lease is not None:
                self.work(lease)
                told = -math.inf
                continue
            if time.monotonic() - told > SIGN:
                self.sign.tell("idle" if free >= LEAST_FREE else "full", None, activity="", since=0, free=free)
                told = time.monotonic()
            if self.fixes is not None and self.fixes.look():
                continue
            if until_empty:
                break
            self.stopping.wait(POLL)
        self.sign.gone()

    def work(self, lease: Lease) -> None:
        """One job, as far as it goes."""
        with Hold(self.queue, lease) as self._hold:
            if self.stopping.is_set():
                self._hold.stopping.set()
            stored = self.store.job(lease.job)
            _log.info("begins", extra={"job": stored.id, "attempt": lease.attempts})
            if lease.hung and end(lease.hung):
                # It may hold locks of builds that this job needs, and its machines take memory.
                _log.warning(
                    "process %s hung over this job, and was killed", process_of(lease.hung), extra={"job": stored.id}
                )
            try:
                with machine_failures():
                    self._session(stored, self._hold)
            except (LostLeaseError, Stopped, Cancelled) as error:
                _log.info(_why(error), extra={"job": stored.id})
            except LostMachineError as error:
                _log.warning("%s; it is tried again", error, extra={"job": stored.id})
                self._hold.attempted, self._hold.not_before = True, time.time() + _AGAIN
            except FirstbadError as error:
                if self.stopping.is_set():  # what was ended for us is no failure of the job
                    _log.info("ends", extra={"job": stored.id})
                else:
                    self._failed(stored, str(error), kind_of_error(error))
            except Exception as error:
                _log.exception("a defect of firstbad", extra={"job": stored.id})
                self._failed(stored, f"a defect of firstbad: {type(error).__name__}: {error}", "infra_failure")
        self._hold = None

    def _session(self, stored: StoredJob, hold: Hold) -> None:
        if hold.lease.attempts > MOST_ATTEMPTS:
            raise InfrastructureError(
                f"{MOST_ATTEMPTS} workers in a row were lost over this job without getting further"
            )
        if self._has_to_wait(stored, hold):
            return
        deadline = time.time() + hold.lease.left if hold.lease.left < math.inf else None
        kind = ProjectSession if stored.job.project is not None else Bisection
        told = _Told(self.sign, stored.id)
        answer = kind(self.store, stored.id, self.home, told, deadline=deadline, hold=hold).run()
        _log.info("ended: %s", answer.get("status"), extra={"job": stored.id})

    def _has_to_wait(self, stored: StoredJob, hold: Hold) -> bool:
        """For the job that measures what this one is judged by."""
        first = stored.job.test.reference
        if not first or not (measure := self.store.job(first)).job.test.measure or measure.state == "finished":
            return False
        if measure.state not in ("new", "interrupted", "reopened") or measure.cancelled:
            raise BisectionError(f"job {first}, which measures the crash rate, gave no answer")
        if not measure.queued:
            self.queue.resume(first)
        hold.not_before = time.time() + 5 * POLL
        return True

    def _failed(self, stored: StoredJob, why: str, status: str) -> None:
        _log.warning("failed: %s", why, extra={"job": stored.id})
        try:
            token = self._hold.token if self._hold else ""
            self.store.append(stored.id, "failed", {"error": why, "status": status}, token)
        except LostLeaseError:
            pass  # whoever has the job by now finds out for itself


class _Told:
    """Watches a session: its log lines, and what it does right now for who looks at the job."""

    def __init__(self, sign: Sign, number: int) -> None:
        self.sign, self.number = sign, number
        self._text, self._since, self._next = "", 0.0, 0.0

    def event(self, event: Event, state: State) -> None:
        """Log it."""
        about = str(event.data.get("commit", ""))[:12]
        _log.info(event.kind, extra={"job": self.number, **({"commit": about} if about else {})})
        if event.kind == "machines":
            self.sign.data |= {"machines": event.data["at_a_time"], "acceleration": event.data["acceleration"]}

    def activity(self, text: str) -> None:
        """Tell it: something else at once, how far it is now and then."""
        now, other = time.monotonic(), text.split(" ")[:1] != self._text.split(" ")[:1]
        if other or (now >= self._next and (text != self._text or now > self._next + SIGN)):
            self._since = time.time() if text != self._text else self._since
            self._text, self._next = text, now + _TOLD
            self.sign.tell("working", self.number, activity=text[:200], since=self._since)


def _free(root: Path) -> int:
    root.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(root).free


def _why(error: Exception) -> str:
    if isinstance(error, LostLeaseError):
        return f"given up: {error}"
    return "paused" if isinstance(error, Paused) else "cancelled" if isinstance(error, Cancelled) else "given back"
