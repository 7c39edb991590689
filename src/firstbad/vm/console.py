"""What the kernel printed: kept within bounds, written down as it comes, watched for a crash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from firstbad.errors import InfrastructureError

HEAD_BYTES = 6 << 20
TAIL_BYTES = 2 << 20
_OVERLAP = 4096
PANIC = b"Kernel panic - not syncing"


class Console:
    """Collects console bytes; ``crash_at`` is the time of the first crash sign, ``last_at`` of the last byte.

    ``crash_sign`` is asked about whole lines: the new ones and up to 4 KiB before them (signs of several
    lines), until it says yes. A panic counts as a sign whatever ``crash_sign`` says. Of a console longer
    than 8 MiB the middle is left out, with a line that says so.
    """

    def __init__(self, crash_sign: Callable[[bytes], bool], path: Path | None = None) -> None:
        self._crash_sign = crash_sign
        self._path = path
        self._file: IO[bytes] | None = None
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
        self._window = bytearray()
        self.crash_at: float | None = None
        self.last_at = 0.0

    def __enter__(self) -> Self:
        """Opens the file, when there is one; raises InfrastructureError where that (or writing) fails."""
        if self._path is not None:
            with _disk(self._path):
                self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the file."""
        self._write(self._rest())
        if self._file is not None:
            self._file.close()
            self._file = None

    def feed(self, data: bytes, now: float) -> None:
        """Takes the next bytes, which came at ``now``."""
        self.last_at = now
        self._keep(data)
        if self.crash_at is None:
            self._watch(data, now)

    def finish(self, now: float) -> None:
        """No more bytes will come: a last line without an end is looked at too."""
        if self.crash_at is None:
            self._judge(bytes(self._window), now)

    def text(self) -> bytes:
        """Everything so far, within the bound."""
        return bytes(self._head) + self._rest()

    def line_with(self, *needles: bytes) -> bytes:
        """The first line that holds one of ``needles``; empty when there is none."""
        for line in self.text().splitlines():
            if any(needle in line for needle in needles):
                return line
        return b""

    def last_line(self) -> bytes:
        """The last line that is not blank; empty when nothing was printed."""
        return next((line for line in reversed(self.text()[-_OVERLAP:].splitlines()) if line.strip()), b"")

    def _rest(self) -> bytes:
        note = b"\n[%d bytes left out]\n" % self._left_out if self._left_out else b""
        return note + bytes(self._tail)

    def _keep(self, data: bytes) -> None:
        room = HEAD_BYTES - len(self._head)
        if room > 0:
            self._head += data[:room]
            self._write(data[:room])
        self._tail += data[max(room, 0) :]
        # Cut rarely, not at every byte: deleting from the front moves all the rest.
        if len(self._tail) > 2 * TAIL_BYTES:
            self._left_out += len(self._tail) - TAIL_BYTES
            del self._tail[:-TAIL_BYTES]

    def _write(self, data: bytes) -> None:
        if self._file is not None and self._path is not None:
            with _disk(self._path):
                self._file.write(data)
                self._file.flush()

    def _watch(self, data: bytes, now: float) -> None:
        seen = len(self._window)
        self._window += data
        end = self._window.rfind(b"\n", seen) + 1
        if not end:
            if len(self._window) > 64 * _OVERLAP:  # a line without end
                self._judge(bytes(self._window), now)
                del self._window[:-_OVERLAP]
            return
        self._judge(bytes(self._window[:end]), now)
        keep_from = max(0, end - _OVERLAP)
        if keep_from:
            keep_from = self._window.find(b"\n", keep_from) + 1
        del self._window[:keep_from]

    def _judge(self, lines: bytes, now: float) -> None:
        if lines and (PANIC in lines or self._crash_sign(lines)):
            self.crash_at = now


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(f"{path}: can't write the console: {error.strerror}") from error
