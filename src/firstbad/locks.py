"""Locks between the processes of one host: files that are held as long as they are open, so that each lock ends with
its owner, however that one ends. (What hosts share is locked in the store: a lease.)"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file for this process alone, until it is closed; False where another process holds it.

    Raises OSError where the file system can't lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be, for as long as the ``with`` block lasts; wait for it.

    Raises OSError where the file can't be made.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
