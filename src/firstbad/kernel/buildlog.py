"""Why a build failed, read off its log by ``build_errors.toml``; and what the build recorded of its compiler."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from firstbad.kernel import data

_LONGEST = 500  # of a line
_MOST = 50  # lines of a cause
_READ = 64 << 20  # bytes of a log; the first errors count, so the rest is left
_QUOTES = str.maketrans("‘’“”", "''\"\"")
# A file of the tree in front of a colon, as compilers and linkers name where an error is; no absolute path.
_FILE = re.compile(
    r"(?<![\w/.+-])(?:\./)?((?:[\w+-][\w+.-]*/)+[\w+.-]+\.(?:[chSo]|rs)|(?:[\w+-][\w+.-]*/)*Kconfig[\w.-]*):"
)
_COMPILER = re.compile(r'^#define[ \t]+LINUX_COMPILER[ \t]+"(.*)"[ \t]*$', re.MULTILINE)


@dataclass(frozen=True)
class Cause:
    """Why a build failed.

    ``reason`` is the lines that say so, empty if none does; ``file`` the file of the tree that the first of them names,
    or empty; ``infrastructure``: this machine is at fault, not the revision; ``explained``: a line tells why.
    """

    reason: str = ""
    file: str = ""
    infrastructure: bool = False
    explained: bool = True


@dataclass(frozen=True)
class _Group:
    patterns: re.Pattern[str]
    but: re.Pattern[str] | None
    explains: bool

    def lines(self, lines: Sequence[str]) -> list[str]:
        found = (line for line in lines if self.patterns.search(line))
        return [line for line in found if self.but is None or not self.but.search(line)]


@cache
def _groups() -> tuple[_Group, ...]:
    def either(patterns: list[str]) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))

    tables = data.load("build_errors.toml")["group"]
    return tuple(
        _Group(either(t["patterns"]), either(t["except"]) if "except" in t else None, t.get("explains", True))
        for t in tables
    )


def root_cause(log: str, trees: Sequence[str] = (), status: int = 0) -> Cause:
    """The cause that a build log tells.

    ``trees`` are names of the source directory, which are cut off paths; ``status`` is make's exit status.
    """
    rules = data.load("build_errors.toml")
    lines = [_plain(line, trees) for line in log.splitlines()]
    for line in lines:
        if any(text in line for text in rules["infrastructure"]):
            return Cause(line, "", True)
    for group in _groups():
        found = list(dict.fromkeys(group.lines(lines)))[:_MOST]
        if found:
            places = (match for line in found if (match := _FILE.search(line)))
            file = _source(next(places, None))
            return Cause("\n".join(found), file, _was_killed(found, lines, status), group.explains)
    return Cause(explained=False)


def _was_killed(found: list[str], lines: Sequence[str], status: int) -> bool:
    rule = data.load("build_errors.toml")["killed"]
    told = status == rule["status"] or any(line.endswith(f"Error {rule['status']}") for line in lines)
    return found == [rule["line"]] and told


def _plain(line: str, trees: Sequence[str]) -> str:
    line = line.strip().translate(_QUOTES)
    for tree in trees:
        if tree:
            line = line.replace(tree.rstrip("/") + "/", "")
    return line[:_LONGEST]


def _source(place: re.Match[str] | None) -> str:
    return re.sub(r"\.o$", ".c", place[1]) if place else ""


def cause_of(log: Path, trees: Sequence[str] = (), status: int = 0) -> Cause:
    """The cause that a log file tells; where no line says why, its last one."""
    if status < 0:  # of make itself: whatever it said before, it did not come to its end
        return Cause(f"make was ended by signal {-status} (no memory left?)", "", True)
    with log.open(errors="replace") as file:
        text = file.read(_READ)
    found = root_cause(text, trees, status)
    if found.reason:
        return found
    said = text.splitlines()
    return Cause(said[-1].strip()[:_LONGEST] if said else "make failed and said nothing", explained=False)


def recorded_compiler(out: Path) -> str:
    """What the build wrote down of its compiler and linker; empty where it wrote nothing.

    As ``gcc (GCC) 10.2.1 20210217, GNU ld (GNU Binutils) 2.36.1``, without a version in the command's name.
    """
    path = out / "include" / "generated" / "compile.h"
    found = _COMPILER.search(path.read_text(errors="replace")) if path.exists() else None
    return plain_compiler(found[1]) if found else ""


def plain_compiler(line: str) -> str:
    """A compiler's own line without what it was called by: ``gcc-12 (Debian ...)`` is ``gcc (Debian ...)``."""
    return re.sub(r"^((?:[\w.]+-)*?)(gcc|g\+\+|clang)-[\d.]+ \(", r"\1\2 (", line)
