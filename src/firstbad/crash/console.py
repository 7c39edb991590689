"""Console bytes to lines: prefixes of printk and of what brought the lines removed, carriage returns dropped, byte
offsets kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEXT = 1024
"""Characters of a line that are looked at; bounds what a pattern can cost on a hostile console."""

# What brought a line here may have written before it: journald or syslog, the records of /dev/kmsg and of netconsole,
# the clock of a terminal program or of a CI, a mail that quotes it. Bounded each: a hostile line costs little.
_ZONE = r"(?:Z| ?[+-]\d\d:?\d\d| (?:UTC|GMT|[A-Z]{1,4}T)(?= ))"
_ISO = rf"(?:[A-Z][a-z]{{2}} )?\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?{_ZONE}?"
_CLOCK = r"[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?"
_CARRIER = re.compile(
    rf"(?P<log>(?:{_ISO}|{_CLOCK}|\d{{9,10}}\.\d{{1,9}}|\[ {{0,12}}\d{{1,8}}\.\d{{1,9}}\]) \S{{1,255}} kernel: )"
    r"|(?P<kmsg>(?:[\w.+~-]{1,64},)?\d{1,4},\d{1,20},\d{1,20},[-c+](?:,[\w=,/]{1,200})?;)"
    r"|[^\s\[][^\[]{0,118}?[\s:>|](?=\[ {0,12}\d{1,8}\.\d{6}\])"
    rf"|\[{_ISO}\] |{_ISO} "
)
_CALLER = re.compile(r"caller=([TC]\d{1,9})\b")
# dmesg's: facility and level (-x), the time of day (-T).
_DMESG = re.compile(
    r"(?:(?:kern|user|daemon|syslog|local\d) {0,5}:(?:emerg|alert|crit|err|warn|notice|info|debug) {0,3}: )?"
    r"(?P<clock>\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] (?:\[ {0,8}(?P<context>[TC]\d{1,9})\] )?)?"
)
_COLOUR = re.compile(r"\x1b\[[\d;]{0,32}[mK]")

# A login prompt or a note about lost messages may stand before the first message of a line, then syslog's
# level, the time stamp, and with CONFIG_PRINTK_CALLER the task or CPU that printed the line.
_PREFIX = re.compile(
    r"(?:\S{1,64} login: |\*\* \d{1,9} printk messages dropped \*\* )?"
    r"(?:<\d{1,3}>)?\[ {0,12}\d{1,8}\.\d{1,9}\](?: ?\[ {0,8}(?P<context>[TC]\d{1,9})\])? ?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the console: ``start`` and ``end`` are byte offsets (end after the newline)."""

    start: int
    end: int
    context: str
    """``T123`` or ``C0`` where the kernel prints its callers (CONFIG_PRINTK_CALLER), else empty."""
    stamped: bool
    """The line has a time stamp of printk's, or its log says that it is the kernel's: the kernel wrote it."""
    text: str
    """Without prefixes and line end, at most ``MAX_TEXT`` characters."""


def read_line(console: bytes, start: int) -> Line:
    """The line that begins at byte ``start``; bytes are taken as latin-1, so nothing is refused."""
    newline = console.find(b"\n", start)
    stop = len(console) if newline < 0 else newline
    raw = console[start : min(stop, start + 2 * MAX_TEXT)].decode("latin-1").replace("\r", "")
    if "\x1b" in raw:
        raw = _COLOUR.sub("", raw)
    at, context, stamped = _prefix(raw)
    return Line(start, len(console) if newline < 0 else newline + 1, context, stamped, raw[at : at + MAX_TEXT])


def _prefix(raw: str) -> tuple[int, str, bool]:
    """How long what stands before a line's text is, whose line it is, and whether the kernel wrote it."""
    at, context, stamped = 0, "", False
    carrier = _CARRIER.match(raw)
    if carrier:
        at, stamped = carrier.end(), bool(carrier["log"] or carrier["kmsg"])
        caller = _CALLER.search(carrier["kmsg"] or "")
        context = caller[1] if caller else ""
    dmesg = _DMESG.match(raw, at)
    if dmesg:
        at, context, stamped = dmesg.end(), dmesg["context"] or context, stamped or bool(dmesg["clock"])
    prefix = _PREFIX.match(raw, at)
    if prefix:
        at, context, stamped = prefix.end(), prefix["context"] or context, True
    return at, context, stamped


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
