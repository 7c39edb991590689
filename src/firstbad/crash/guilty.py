"""The source file that a crash report blames: the innermost file of its stack that does not merely serve others.

What serves others (allocators, locks, sanitizers, library and entry code, ...) is said in guilty.toml, with reasons.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from firstbad.crash.parse import parse
from firstbad.packaged import read_toml

_MAX_LINES = 6000
_MAX_LINE = 1000  # characters
_MAX_PATH = 256
_NEVER = 0
_LAST = 99
# A report without source lines in its stack names a file or two all the same: where the check is that failed.
_SYMBOLIZED = 3

# "net/core/dev.c:123": found by its end, then read backwards, which is linear on any line.
_PLACE = re.compile(r"\.(?:c|h|S|rs|cc|cpp)(?=:[0-9])")
_PATH_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+,")
_FUNCTION = re.compile(r"[A-Za-z_$][\w$.]{0,255}")


@dataclass(frozen=True, slots=True)
class Place:
    """A source file that a line of a report names, and the function before it (empty if none)."""

    file: str
    function: str


_Ranked = tuple[tuple[re.Pattern[str], int], ...]
"""Patterns and what they stand for, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class _Begin:
    titles: tuple[str, ...]
    after: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Rules:
    top: frozenset[str]
    files: _Ranked
    functions: _Ranked
    limited: tuple[tuple[tuple[str, ...], re.Pattern[str], int], ...]
    """Files that are generic in crashes with some titles only."""
    begins: tuple[_Begin, ...]
    nobody: tuple[str, ...]
    aside: re.Pattern[str]


def guilty_file(title: str, report: str) -> str:
    """The source file to blame for a crash, relative to the kernel tree: ``net/core/dev.c``; empty if none.

    ``report`` is a symbolized report (``func+0x1/0x2 file:line``), of which the lines are taken in their order: that is
    the oops line, the instruction pointer, the crash's own stack, then those of other times and CPUs.  The first file
    that is not generic is blamed; if all are, the first of the lowest rank (guilty.toml), provided that the report is
    symbolized at all.  Any text is accepted; time is linear in its length, of which at most 6,000 lines of 1,000
    characters are read.
    """
    rules = _rules()
    if title.startswith(rules.nobody):
        return ""
    lines = _lines(report)
    for begin in rules.begins:
        if title.startswith(begin.titles):
            blamed = _blamed(_behind(lines, begin.after), title)
            if blamed:
                return blamed
    return _blamed(lines, title)


def _lines(report: str) -> list[str]:
    """The report from its oops line on: before it stand the last words of whatever ran there."""
    found = parse(report.encode("latin-1", "replace"))
    text = report[found.start :] if found else report
    return [line[:_MAX_LINE] for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]]


def generic_rank(file: str, function: str = "", title: str = "") -> int | None:
    """How generic a file (or a function of it) is: None: not at all; 0: never; 1 is blamed before 2 before 3."""
    rules = _rules()
    found = next((rank for pattern, rank in rules.files if pattern.match(file)), None)
    if found is None and function:
        found = next((rank for pattern, rank in rules.functions if pattern.match(function)), None)
    if found is None:
        limited = (rank for titles, pattern, rank in rules.limited if title.startswith(titles) and pattern.match(file))
        found = next(limited, None)
    return found


def places(line: str) -> Iterator[Place]:
    """The files of the kernel tree that a line of a report names, in their order."""
    top, function = _rules().top, ""
    for found in _PLACE.finditer(line):
        begin = found.start()
        while begin > 0 and line[begin - 1] in _PATH_CHARS and found.end() - begin < _MAX_PATH:
            begin -= 1
        file = _in_tree(line[begin : found.end()], top)
        function = _function_before(line[:begin], function)
        if file:
            yield Place(file, function)


def _in_tree(path: str, top: frozenset[str]) -> str:
    """The path within the tree: ``../`` resolved, what lies before the tree cut off; empty if it is not in the tree."""
    parts = posixpath.normpath(path).lstrip("/").split("/")
    if not path.startswith("/"):
        return "/".join(parts) if parts[0] in top and len(parts) > 1 else ""
    # An absolute path: where the tree lies is unknown; /usr and a checkout called "kernel" look like parts of it.
    for index, part in enumerate(parts[:-1]):
        if part not in top or part == "usr" or (part == "kernel" and parts[index + 1] in top - {"kernel"}):
            continue
        return "/".join(parts[index:])
    return ""


def _function_before(text: str, last: str) -> str:
    """The last word as a function; ``last`` if that is another place (some symbolizers name a frame's place twice)."""
    words = text[-_MAX_PATH:].split()
    if words and _PLACE.search(words[-1]):
        return last
    found = _FUNCTION.match(words[-1].lstrip("(")) if words else None
    return found[0].split(".", 1)[0] if found else ""


def _behind(lines: list[str], after: re.Pattern[str]) -> list[str]:
    """The lines after the first that has a frame of ``after``; none if there is no such line."""
    for index, line in enumerate(lines):
        if after.search(line):
            return lines[index + 1 :]
    return []


def _blamed(lines: Iterable[str], title: str) -> str:
    best, best_rank, seen = "", _LAST, 0
    aside = _rules().aside
    for line in lines:
        if aside.search(line):
            continue
        for place in places(line):
            seen += 1
            rank = generic_rank(place.file, place.function, title)
            if rank is None:
                return place.file
            if rank != _NEVER and rank < best_rank:
                best, best_rank = place.file, rank
    return best if seen >= _SYMBOLIZED else ""


def _glob(pattern: str) -> str:
    """A file pattern of guilty.toml as a regular expression for the whole path."""
    text = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    if "/" not in pattern:
        return "(?:.*/)?" + text
    return text + (".*" if pattern.endswith("/") else "")


def _name(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", r"\w{0,64}")


def _frames_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Any of these functions as a frame: followed by its offset, by its file, or by the end of the line."""
    names = "|".join(map(_name, patterns))
    return re.compile(rf"(?<![\w.])(?:{names})(?:\.\w{{1,32}}){{0,3}}(?:\+0x| [\w./-]{{1,{_MAX_PATH}}}:\d|\Z)")


def _by_rank(entries: list[dict[str, Any]], key: str, translate: Callable[[str], str]) -> _Ranked:
    """One pattern for each rank, never blamed first: a file of a sanitizer is that before it is library code."""
    made = []
    for rank in sorted({entry["rank"] for entry in entries}):
        patterns = [translate(each) for entry in entries if entry["rank"] == rank for each in entry.get(key, ())]
        if patterns:
            made.append((re.compile(rf"(?:{'|'.join(patterns)})\Z"), rank))
    return tuple(made)


@cache
def _rules() -> _Rules:
    data = load_data()
    generic = [entry for entry in data["generic"] if "titles" not in entry]
    limited = [entry for entry in data["generic"] if "titles" in entry]
    return _Rules(
        top=frozenset(data["top"]),
        files=_by_rank(generic, "files", _glob),
        functions=_by_rank(generic, "functions", _name),
        limited=tuple((tuple(each["titles"]), *_by_rank([each], "files", _glob)[0]) for each in limited),
        begins=tuple(_Begin(tuple(each["titles"]), _frames_of(each["after"])) for each in data["begin"]),
        nobody=tuple(title for each in data["nobody"] for title in each["titles"]),
        aside=re.compile("|".join(f"(?:{each['line']})" for each in data["aside"])),
    )


def load_data() -> dict[str, Any]:
    """guilty.toml as it is."""
    return read_toml(__package__, "guilty.toml")
