"""Files that a command reads, ``-`` for stdin."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstbad.errors import NotFoundError, UserError


def read_input(name: str) -> bytes:
    """All of a file or of stdin. Raises NotFoundError, UserError."""
    with readable(name):
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What can't be read within raises NotFoundError or UserError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError(f"{name}: no such file") from None
    except OSError as error:
        raise UserError(f"{name}: can't be read: {error.strerror}") from None
