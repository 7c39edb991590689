"""A file that somebody else is writing to, read as it grows: ``tail -F``."""

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from firstbad.cli.inputs import readable

_CHUNK = 1 << 20
_PAUSE = 0.2  # seconds between two looks


def follow(name: str) -> Iterator[bytes | None]:
    """What is in the file, then what is added, for ever; stdin (``-``) until its end.

    An empty piece says that nothing came for a moment.  None says that the file was cut or replaced by a new one:
    what follows has nothing to do with what was before.  Raises NotFoundError and UserError if it can't be read
    to begin with.
    """
    if name == "-":
        yield from _follow_pipe(sys.stdin.fileno())
        return
    with readable(name):
        file: BinaryIO = Path(name).open("rb")  # noqa: SIM115 - replaced while it is followed
    try:
        while True:
            chunk = file.read(_CHUNK)
            if chunk:
                yield chunk
                continue
            yield b""
            time.sleep(_PAUSE)
            newer = _replacement(Path(name), file)
            if newer is not None:
                file.close()
                file = newer
                yield None
            elif os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)
                yield None
    finally:
        file.close()


def _follow_pipe(descriptor: int) -> Iterator[bytes]:
    while True:
        ready, _, _ = select.select([descriptor], [], [], _PAUSE)
        if not ready:
            yield b""
            continue
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            return
        yield chunk


def _replacement(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that has taken this one's place under its name, None if it is the same (or there is none now)."""
    try:
        there, ours = path.stat(), os.fstat(file.fileno())
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            return path.open("rb")
    except OSError:
        pass
    return None
