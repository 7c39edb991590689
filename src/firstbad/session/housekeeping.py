"""What finished jobs leave on this machine, and when it goes: consoles, copies of uploads; never events or logs."""

import logging
import os
import shutil
import threading
import time
from pathlib import Path

from firstbad.disk import bytes_of_files
from firstbad.errors import FirstbadError, UserError
from firstbad.home import GIB, Home
from firstbad.locks import try_lock
from firstbad.references import FILES
from firstbad.store import Store
from firstbad.store.jobs import OPEN_STATES

_EVERY = 3600.0  # seconds between two looks
_LEAST = 3600.0  # seconds for which nothing of a job that just ended goes
_log = logging.getLogger("firstbad.housekeeping")


def keep_days() -> float:
    """``$FIRSTBAD_KEEP_DAYS``: days for which consoles are kept after their job; 0: for ever. Raises UserError."""
    return _number("FIRSTBAD_KEEP_DAYS", 90.0)


def console_limit() -> int:
    """``$FIRSTBAD_CONSOLES_GIB``: what all consoles may take, in bytes. Raises UserError."""
    return int(_number("FIRSTBAD_CONSOLES_GIB", 5.0) * GIB)


def _number(name: str, default: float) -> float:
    try:
        found = float(os.environ.get(name) or default)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise UserError(f"{name}: write a number, 0 or more")
    return found


def tidy(store: Store, home: Home, days: float, limit: int) -> int:
    """Remove consoles of jobs that ended more than ``days`` ago (0: of none for their age), then those of the jobs that
    ended first until all take no more than ``limit`` bytes, and copies of uploads that were not read for as long.
    Returns the bytes freed. Jobs that are not done keep all. One process at a time; another one does nothing.
    """
    directory = home.root / "jobs"
    if not directory.is_dir():
        return 0
    with (directory / ".tidy.lock").open("w") as lock:
        return _tidy(store, home, directory, days, limit) if try_lock(lock) else 0


def _tidy(store: Store, home: Home, directory: Path, days: float, limit: int) -> int:
    freed, now = 0, time.time()
    kept: list[tuple[float, Path, int]] = []
    for consoles in directory.glob("*/consoles"):
        ended = _ended(store, consoles.parent.name)
        size = bytes_of_files(consoles)
        if ended is not None and days and now - ended > days * 86_400:
            freed += _remove(consoles, size)
        else:
            kept.append((ended if ended is not None else now, consoles, size))
    total = sum(size for *_, size in kept)
    for ended, consoles, size in sorted(kept):
        if total <= limit or now - ended < _LEAST:
            break
        freed += _remove(consoles, size)
        total -= size
    for copies in (home.root / FILES).glob("*"):
        if days and now - copies.stat().st_mtime > days * 86_400:
            freed += _remove(copies, bytes_of_files(copies))  # whoever needs it again gets it from the store
    return freed


def _ended(store: Store, name: str) -> float | None:
    """When a job ended; None where it may go on, or is not in this store."""
    try:
        stored = store.job(int(name))
    except (ValueError, FirstbadError):
        return None
    if stored.running or (stored.state in OPEN_STATES and not stored.cancelled):
        return None
    events = store.events(stored.id, after=stored.seq - 1)
    return events[-1].time if events else stored.created


def _remove(path: Path, size: int) -> int:
    shutil.rmtree(path, ignore_errors=True)
    return size


class Housekeeper:
    """A thread that tidies up every hour, as a context."""

    def __init__(self, store: Store, home: Home) -> None:
        """Raises UserError where the environment's limits are none."""
        self.store, self.home, self.days, self.limit = store, home, keep_days(), console_limit()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> "Housekeeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY if self._ran else 60.0):
            self._ran = True
            try:
                freed = tidy(self.store, self.home, self.days, self.limit)
            except (FirstbadError, OSError) as error:
                _log.warning("tidying up failed: %s", error)
                continue
            if freed:
                _log.info("tidied up", extra={"bytes": freed})

    _ran = False
