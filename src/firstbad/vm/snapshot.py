"""Boot once, run many times: a machine's state, right before the reproducer is sent, in a file.

Runs of one snapshot begin in the same state, down to timers and random numbers: they are not independent, and whoever
counts them has to know which belong together (``MachineRun.group``).
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from firstbad.errors import InfrastructureError
from firstbad.vm.limits import MachineRun, Snapshot
from firstbad.vm.monitor import Monitor

_SECONDS = 60.0


def save(monitor: Monitor, path: Path) -> None:
    """Write a running machine's state. Raises InfrastructureError where that fails or takes more than 60 s."""
    try:
        with path.open("wb") as file:
            monitor.execute("getfd", {"fdname": "snapshot"}, file.fileno())
            monitor.execute("migrate", {"uri": "fd:snapshot"})
            _wait(monitor)
    except OSError as error:
        raise InfrastructureError(f"{path}: can't write the machine's state: {error.strerror}") from error


def _wait(monitor: Monitor) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        state = monitor.execute("query-migrate")
        if state.get("status") == "completed":
            return
        if state.get("status") in ("failed", "cancelled"):
            raise InfrastructureError(f"QEMU can't save the machine: {state.get('error-desc', state['status'])}")
        time.sleep(0.02)
    raise InfrastructureError(f"saving the machine took more than {_SECONDS:.0f} s")


@dataclass
class _Entry:
    snapshot: Snapshot
    left: int
    users: int = 0


@dataclass
class Pool:
    """The snapshots of an engine: each serves so many runs and is then removed. Threads may share it."""

    directory: Path
    _entries: dict[object, list[_Entry]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lent(
        self, key: object, runs: int, take: Callable[[Path], Snapshot | MachineRun]
    ) -> Iterator[Snapshot | MachineRun]:
        """A snapshot of what ``key`` names, for one run; it serves ``runs`` of them. Where there is none ``take`` makes
        one at the given path, or returns how the machine ended instead."""
        entry = self._find(key)
        if entry is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / uuid.uuid4().hex
            try:
                made = take(path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            if isinstance(made, MachineRun):
                path.unlink(missing_ok=True)
                yield made
                return
            entry = _Entry(made, runs - 1, 1)
            with self._lock:
                self._entries.setdefault(key, []).append(entry)
        try:
            yield entry.snapshot
        finally:
            self._give_back(key, entry)

    def _find(self, key: object) -> _Entry | None:
        with self._lock:
            for entry in self._entries.get(key, ()):
                if entry.left > 0:
                    entry.left -= 1
                    entry.users += 1
                    return entry
        return None

    def _give_back(self, key: object, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.left == 0 and entry.users == 0:
                self._entries[key].remove(entry)
                entry.snapshot.path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all; nobody may use one any more."""
        with self._lock:
            for entries in self._entries.values():
                for entry in entries:
                    entry.snapshot.path.unlink(missing_ok=True)
            self._entries.clear()
