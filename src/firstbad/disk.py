"""How much directories take; files that go meanwhile count for nothing."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def bytes_of_files(directory: Path) -> int:
    """Length of all files below a directory, in bytes; 0 where there is no such directory."""
    return sum(found.st_size for found in _files(directory))


def bytes_on_disk(directory: Path) -> int:
    """What all files below a directory take of the disk, in bytes: whole blocks, holes not counted."""
    return sum(found.st_blocks * 512 for found in _files(directory))


def _files(directory: Path) -> Iterator[os.stat_result]:
    for base, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                yield (Path(base) / name).lstat()
