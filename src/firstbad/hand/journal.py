"""What a person said, as JSON lines under the work tree's git directory; on disk before anybody uses it.

One file for each work tree, as git keeps its own bisection: ``.git/firstbad/events.jsonl``, in a linked work tree
``.git/worktrees/NAME/firstbad/events.jsonl``. A line is one event; what has no line end yet was killed while it was
written and never happened.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstbad.errors import InfrastructureError, UserError


@dataclass(frozen=True)
class Event:
    """One fact, as in the store of jobs, which takes long to import. ``time`` is seconds since the epoch."""

    seq: int
    time: float
    kind: str
    data: dict[str, Any]


_LARGEST = 64 << 20  # bytes that are read; an answer takes about 200, one skipped range up to some hundred thousand


class Journal:
    """The events of the bisection by hand in one work tree (or bare repository)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "events.jsonl"
        self.last = directory / "last.jsonl"
        """The bisection before, which was ended by ``reset`` or by another start."""

    @property
    def under_way(self) -> bool:
        """Whether a bisection was begun and not reset."""
        return self.path.exists()

    def events(self) -> list[Event]:
        """All events in order; none where no bisection is under way. Raises UserError, InfrastructureError."""
        try:
            with self.path.open("rb") as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InfrastructureError(f"{self.path}: {error.strerror}") from None
        if len(data) > _LARGEST:
            raise UserError(f"{self.path}: more than {_LARGEST >> 20} MiB; delete the file and start again")
        lines = data.split(b"\n")[:-1]
        return [self._event(number, line) for number, line in enumerate(lines)]

    def _event(self, number: int, line: bytes) -> Event:
        try:
            row = json.loads(line)
            return Event(number, float(row["time"]), str(row["kind"]), dict(row["data"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: line {number + 1} is no event of ours: {error}; delete the file") from None

    def begin(self, start: dict[str, Any], said: Sequence[dict[str, Any]] = ()) -> None:
        """Start anew, with the ends that were said, all or nothing; what was under way is kept as the last one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        fresh = self.directory / "events.new"
        fresh.unlink(missing_ok=True)
        self._write(fresh, "start", start)
        for data in said:
            self._write(fresh, "say", data)
        if self.under_way:
            self.last.unlink(missing_ok=True)
            self.last.hardlink_to(self.path)
        fresh.replace(self.path)
        self._sync_directory()

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Record an event; it is on disk when this returns."""
        self._write(self.path, kind, data)

    def end(self) -> None:
        """The bisection under way, if any, becomes the last one."""
        if self.under_way:
            self.path.rename(self.last)
            self._sync_directory()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time. Raises UserError while another one runs."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError("another firstbad command is at work in this work tree; wait for it") from None
            yield

    def _write(self, path: Path, kind: str, data: dict[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3), "kind": kind, "data": data}) + "\n"
        try:
            with path.open("ab+") as file:
                _cut_torn_line(file.fileno())
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InfrastructureError(f"{path}: {error.strerror}") from None

    def _sync_directory(self) -> None:
        handle = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _cut_torn_line(handle: int) -> None:
    """Drop what a killed process left of a line: its event was never used."""
    end = os.fstat(handle).st_size
    keep = end
    while keep and os.pread(handle, 1, keep - 1) != b"\n":
        keep -= 1
    if keep != end:
        os.ftruncate(handle, keep)
