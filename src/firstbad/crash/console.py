"""Console bytes to lines: printk prefixes removed, carriage returns dropped, byte offsets kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEXT = 1024
"""Characters of a line that are looked at; bounds what a pattern can cost on a hostile console."""

# A login prompt or a note about lost messages may stand before the first message of a line, then syslog's
# level, the time stamp, and with CONFIG_PRINTK_CALLER the task or CPU that printed the line.
_PREFIX = re.compile(
    r"(?:\S{1,64} login: |\*\* \d{1,9} printk messages dropped \*\* )?"
    r"(?:<\d{1,3}>)?\[ {0,12}\d{1,8}\.\d{1,9}\](?:\[ {0,8}(?P<context>[TC]\d{1,9})\])? ?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the console: ``start`` and ``end`` are byte offsets (end after the newline)."""

    start: int
    end: int
    context: str
    """``T123`` or ``C0`` where the kernel prints its callers (CONFIG_PRINTK_CALLER), else empty."""
    stamped: bool
    """The line has a printk time stamp: the kernel wrote it."""
    text: str
    """Without printk prefix and line end, at most ``MAX_TEXT`` characters."""


def read_line(console: bytes, start: int) -> Line:
    """The line that begins at byte ``start``; bytes are taken as latin-1, so nothing is refused."""
    newline = console.find(b"\n", start)
    stop = len(console) if newline < 0 else newline
    raw = console[start : min(stop, start + 2 * MAX_TEXT)].decode("latin-1").replace("\r", "")
    prefix = _PREFIX.match(raw)
    context = (prefix["context"] or "") if prefix else ""
    text = raw[prefix.end() :] if prefix else raw
    return Line(start, len(console) if newline < 0 else newline + 1, context, prefix is not None, text[:MAX_TEXT])


def lines_from(console: bytes, start: int) -> Iterator[Line]:
    """All lines from byte ``start`` (the beginning of a line) on."""
    while start < len(console):
        line = read_line(console, start)
        yield line
        start = line.end


def lines_before(console: bytes, start: int, count: int) -> list[Line]:
    """Up to ``count`` lines before byte ``start``, in the console's order."""
    found: list[Line] = []
    while start > 0 and len(found) < count:
        start = console.rfind(b"\n", 0, start - 1) + 1
        found.append(read_line(console, start))
    return found[::-1]
