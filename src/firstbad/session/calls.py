"""Do the reproducer's system calls work as they did where the crash was seen? From runs made to see that alone."""

import errno
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from firstbad.packaged import read_toml

Calls = frozenset[tuple[int, str, int]]
"""System calls: the number, what it was about (``-``: the number says enough) and its error (0: it worked)."""

TRACE = "firstbad.trace=1"
"""Kernel parameter by which our init follows the reproducer."""
PROBE_SECONDS = 5.0
"""Length of a run that is made to see what is reached, where the crash takes no longer: most reproducers repeat."""
PROBES = 3
"""So many such runs must all have come nowhere near the crash's code before that is said of a revision."""

_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


def turned_away(start: Calls, here: Calls) -> list[str]:
    """What worked at the start and can't work here, in words for people: calls of which all fail with an error that
    says that the kernel has no such thing (``reach.toml``). Other errors come and go with the order of events, or are
    the answer of a check whose loss may be the bug.
    """
    worked = {(number, about) for number, about, error in start if not error}
    works = {(number, about) for number, about, error in here if not error}
    lacking, prefixes = _data()
    found = []
    for number, about, error in sorted(here):
        if (number, about) not in worked - works or error not in lacking:
            continue
        if error == errno.ENOENT and not about.startswith(prefixes):
            continue
        what = "" if about == "-" else f"({about})"
        found.append(f"{name(number)}{what} fails with {errno.errorcode[error]}")
    return found


def to_event(calls: Calls) -> list[list[Any]]:
    """As event data, in a fixed order."""
    return [list(call) for call in sorted(calls)]


def from_event(data: Iterable[Iterable[Any]]) -> Calls:
    """Inverse of ``to_event``."""
    return frozenset((int(number), str(about), int(error)) for number, about, error in data)


def name(number: int) -> str:
    """A system call's name on x86-64, where the C library's headers say it."""
    return _names().get(number, f"system call {number}")


@cache
def _names() -> dict[int, str]:
    text = _HEADER.read_text() if _HEADER.exists() else ""
    return {int(found[2]): found[1] for found in re.finditer(r"#define __NR_(\w+) (\d+)$", text, re.MULTILINE)}


@cache
def _data() -> tuple[frozenset[int], tuple[str, ...]]:
    data = read_toml(__package__, "reach.toml")
    return frozenset(getattr(errno, one) for one in data["lacking"]), tuple(data["kernel_paths"])
