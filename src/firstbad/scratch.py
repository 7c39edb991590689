"""Directories and files under way, that leave nothing for ever although their owner may be killed at any moment."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "firstbad-scratch-"


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty directory in TMPDIR for as long as the ``with`` block lasts; those of owners that are no more are
    removed."""
    _sweep(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # ends with this process, in whatever container it runs
            inside = directory / "in"
            inside.mkdir()
            yield inside
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _sweep(place: Path) -> None:
    for lock in place.glob(f"{_PREFIX}*/lock"):
        with suppress(OSError), lock.open() as file:  # of another user: not ours to remove
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Make a file whose name says what is in it, whole or not at all; by several processes at a time, if need be."""
    new = path.with_name(f"{path.name}.new")
    with new.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # what a killed owner began is begun again
        if not path.exists():
            file.truncate(0)
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            new.rename(path)
        else:  # somebody else was done first
            with suppress(FileNotFoundError):
                if new.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    new.unlink()
