"""Parts of a console that people want beside a report: a failure that was injected, the ends of a long log."""

import re
from itertools import islice

from firstbad.crash.console import Line, lines_from, read_line

_INJECTED = re.compile(rb"FAULT_INJECTION: forcing a failure")
_LINES = 200  # looked at; a stack is not longer
_STACK = re.compile(r"Call [Tt]race:")
_FRAME = re.compile(r"\s+(?:\? )?[\w.$]{1,256}\+0x")
_LEFT_OUT = ("CPU: ", "Hardware name: ")


def injected_fault(console: bytes) -> str:
    """The first injected failure that the console tells: what was made to fail, and the stack; empty if none.

    Only lines of its own context count where the kernel prints its callers.
    """
    hit = _INJECTED.search(console)
    if hit is None:
        return ""
    first = read_line(console, console.rfind(b"\n", 0, hit.start()) + 1)
    told, in_stack = [first.text], False
    for line in islice(lines_from(console, first.end), _LINES):
        if line.context != first.context:
            continue
        if in_stack and not _FRAME.match(line.text):
            break
        in_stack = in_stack or bool(_STACK.match(line.text))
        if not in_stack and _begins_another(line):
            break
        if not line.text.startswith(_LEFT_OUT):
            told.append(line.text)
    return "\n".join(told)


def _begins_another(line: Line) -> bool:
    return _INJECTED.search(line.text.encode("latin-1")) is not None


def truncate(log: bytes, begin: int, end: int) -> bytes:
    """The first ``begin`` and the last ``end`` bytes of a log that is longer than both, and how much was cut.

    Raises ValueError for a negative count.
    """
    if begin < 0 or end < 0:
        raise ValueError("counts of bytes must not be negative")
    if begin + end >= len(log):
        return log
    note = f"<<cut {len(log) - begin - end} bytes out>>".encode()
    parts = [log[:begin], note, log[len(log) - end :]]
    return b"\n\n".join(part for part in parts if part)
