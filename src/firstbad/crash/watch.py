"""Every crash of a console, and the crashes of a console that is still growing."""

from collections.abc import Iterator
from dataclasses import replace

from firstbad.crash.console import read_line
from firstbad.crash.parse import Report, first_sign, parse

_WINDOW = 1 << 20  # bytes that one report is read from; the longest reports have some hundred kilobytes
_KEEP = 1 << 16  # bytes of a quiet console that are kept: the lines before a crash
_BEGINNINGS = 10_000  # of crashes that are looked at in one console: a kernel may print nothing else
_MOST = 8 << 20  # bytes after which a crash that doesn't end is taken as it is


def parse_all(console: bytes) -> Iterator[Report]:
    """Every crash of a console in its order; offsets are those of the whole console.

    What belongs to an earlier crash's report (the panic after a warning) is none of its own.  ``panicked`` and
    ``suppressed`` are about the whole console.  Time is linear in its length; after 10,000 lines that may begin a crash
    the rest is left.
    """
    first = parse(console)
    if first is None:
        return
    yield first
    known, end, position, beginnings = _lines(first), first.end, first.skip, 1
    while position < len(console) and beginnings < _BEGINNINGS:
        found = parse(console[position : position + _WINDOW])
        if found is None:
            # The last line of the window may be half of one.
            cut = console.rfind(b"\n", position + 1, position + _WINDOW) + 1
            position = cut if cut > position else position + _WINDOW
            continue
        beginnings += 1
        start = position + found.start
        position, base = position + max(found.skip, 1), position
        if start < end and read_line(console, start).text in known:
            continue
        yield replace(
            found,
            start=start,
            skip=base + found.skip,
            end=base + found.end,
            panicked=first.panicked,
            suppressed=first.suppressed,
        )
        known, end = _lines(found), base + found.end


def _lines(report: Report) -> frozenset[str]:
    return frozenset(report.report.split("\n"))


class Watch:
    """A console as it grows: :meth:`feed` it, ask :meth:`finished` now and then for the crashes that are complete.

    A crash is complete when it has not grown for ``quiet`` seconds, or when another has begun after it.  Memory is
    bounded; times are seconds on any clock that never goes back.  ``start``, ``skip`` and ``end`` of the reports
    count from the first byte that was fed.
    """

    def __init__(self, quiet: float = 3.0) -> None:
        self._quiet = quiet
        self._console = bytearray()
        self._dropped = 0
        self._checked = 0  # up to here no crash has begun
        self._crashing = False
        self._end = 0
        self._grown = 0.0

    def feed(self, chunk: bytes) -> None:
        """Add what the console has printed since."""
        self._console += chunk
        if not self._crashing:
            self._crashing = first_sign(bytes(self._console[self._checked :]))
            if not self._crashing:
                # No oops is in the middle of a line that long.
                self._checked = max(self._console.rfind(b"\n") + 1, len(self._console) - _KEEP)
                self._drop(min(self._checked, len(self._console) - _KEEP))

    def finished(self, now: float, last: bool = False) -> list[Report]:
        """The crashes that are complete by now; with ``last`` also the one that may not be."""
        if not self._crashing:
            return []
        found = list(parse_all(bytes(self._console)))
        if not found:
            # Its first line turned out harmless when it was whole.
            self._crashing = False
            self._checked = self._console.rfind(b"\n") + 1
            return []
        if found[-1].end != self._end:
            self._end, self._grown = found[-1].end, now
        whole = last or now - self._grown >= self._quiet or len(self._console) > _MOST
        done = found if whole else found[:-1]
        shown = [self._moved(report) for report in done]
        if done:
            self._crashing, self._end = not whole, 0
            self._drop(max(report.end for report in done) if whole else found[-1].start)
        return shown

    def _moved(self, report: Report) -> Report:
        by = self._dropped
        return replace(report, start=report.start + by, skip=report.skip + by, end=report.end + by)

    def _drop(self, count: int) -> None:
        """Forget the first ``count`` bytes."""
        if count > 0:
            del self._console[:count]
            self._dropped += count
            self._checked = max(0, self._checked - count)
