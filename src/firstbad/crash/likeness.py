"""What two crashes have in common: title, kind, guilty function, stack, files.

Facts only, as named terms; what a term is worth is in identity.toml, fitted by ``benchmarks/fit_identity.py``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from firstbad.crash.formats import load, type_of
from firstbad.crash.frames import clean_function
from firstbad.crash.parse import Report
from firstbad.packaged import read_toml

_NEAR = 3  # innermost frames that count as near
_DEEP = 8  # innermost frames that are compared: further out, all system calls look alike
_FRAMES, _NAME = 64, 256  # frames that are read, characters of a name
_FILES = 6  # innermost files whose paths tell the subsystem
_TEXT = 20_000  # characters of a report that are read: the crash's own stack is at its head
_SHORT = 6  # a function name shorter than this is not taken for the tail of a longer one
_SYSCALL = re.compile(r"(?:__(?:x64|ia32|arm64|se|do|riscv|s390x)_)?(?:compat_)?(?:sys|SyS)_(?=\w)")
_LOST = " in corrupted"  # how a title says that the report does not tell where
_NUMBERED = re.compile(r" \(\d{1,4}\)\Z")
_PLACE = re.compile(r" at ([\w.-]{1,64}(?:/[\w.-]{1,64}){1,12}\.[chS]):")
# A line of a symbolized stack: "func+0x1/0x2 file.c:7" or, inlined, "func file.h:7 [inline]".
_SOURCE = re.compile(
    r"([A-Za-z_$][\w$.]{0,255})(?:\+0x[0-9a-f]{1,16}/0x[0-9a-f]{1,16})? "
    r"((?:[\w.-]{1,64}/){1,12}[\w.-]{1,64}\.(?:c|h|S|rs)):\d{1,7}"
)
_SIZE = re.compile(r"\b(?:Read|Write|read|write) (?:of size |to 0x[0-9a-f]{1,16} of )(\d{1,6})\b")

# Terms of a likeness, from the strongest: the first that holds stands for where the two crashes happened.
WHERE = (
    "same_title",
    "same_function",
    "near_function",
    "same_file",
    "same_family",
    "same_lost_title",
    "same_watchdog",
    "same_kind",
)
# Terms that need more than titles.
STACKS = ("same_stack", "other_stack", "other_directory", "other_size")
_WORDS = {
    "same_title": "same title",
    "same_lost_title": "same title, function unknown",
    "same_function": "same guilty function",
    "near_function": "guilty function is next to it",
    "same_file": "same source file",
    "same_family": "same family of functions",
    "same_watchdog": "same watchdog, which barks wherever the stuck code stands",
    "same_kind": "same kind of crash, function unknown",
}


@dataclass(frozen=True, slots=True)
class _Facts:
    kin: tuple[re.Pattern[str], ...]
    harness: frozenset[str]
    watchdogs: tuple[str, ...]
    common: frozenset[str]
    paths: frozenset[str]
    generic_files: re.Pattern[str]


def read_facts() -> dict[str, Any]:
    """likeness.toml as it stands."""
    return read_toml(__package__, "likeness.toml")


@cache
def _facts() -> _Facts:
    """likeness.toml, compiled once a process."""
    data = read_facts()
    names: dict[str, Any] = data["names"]
    return _Facts(
        tuple(re.compile("|".join(row["types"])) for row in data["kin"]),
        frozenset(data["harness"]["types"]),
        tuple(data["watchdog"]["titles"]),
        frozenset(names["common"]),
        frozenset(names["paths"]),
        re.compile("|".join(names["generic_files"])),
    )


@dataclass(frozen=True, slots=True)
class Face:
    """What one crash looked like."""

    title: str
    type: str
    function: str
    """The guilty function's core name (see :func:`core`); empty if the crash does not tell."""
    stack: tuple[str, ...] = ()
    """Core names of the innermost functions, generic ones left out; empty where only a title is known."""
    file: str = ""
    """Source file of the guilty function, relative to the tree; empty if unknown."""
    files: frozenset[str] = frozenset()
    """Source files of the innermost frames, generic ones left out."""
    size: int = 0
    """Bytes of the faulty access; 0 if unknown."""
    also: tuple[str, ...] = ()
    """Other titles of the same crash."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How one crash resembles another: terms with their values (shares, or 1), and the same in words."""

    terms: Mapping[str, float]
    words: tuple[str, ...]


def face_of_title(title: str) -> Face:
    """The face of which only the title is known. A dashboard's number (``WARNING in foo (2)``) is left out."""
    name = _NUMBERED.sub("", title)
    place = _PLACE.search(name)
    return Face(name, type_of(name), core(function_of(name)), file=place[1] if place else "")


def face_of(report: Report) -> Face:
    """The face that a report shows."""
    facts, generic = _facts(), load().common
    frames = [name[:_NAME] for name in report.frames[:_FRAMES]]
    stack = tuple(core(name) for name in frames if not generic.match(name))[:_DEEP]
    function = core(report.frame or function_of(report.title))
    sources = _sources(report.report[:_TEXT])
    inner = [path for path in dict.fromkeys(sources.values()) if not facts.generic_files.match(path)][:_FILES]
    size = _SIZE.search(report.report[:_TEXT])
    return Face(
        report.title,
        report.type,
        function,
        stack,
        sources.get(function, ""),
        frozenset(inner),
        int(size[1]) if size else 0,
        report.alt_titles,
    )


def compare(known: Face, seen: Face) -> Likeness:
    """How ``seen`` resembles a face of the bug.

    Of the terms WHERE at most one is there: the strongest. ``same_stack`` is the share of functions in common,
    ``other_stack`` says that there are none; both need two stacks. ``other_directory`` (no directory in common) needs
    source files, which only symbolized reports and a few kinds of crash name.
    """
    terms: dict[str, float] = {}
    words: list[str] = []
    for part in (_where, _stack, _files, _type):
        part(known, seen, terms, words)
    return Likeness(terms, tuple(words))


def is_harness(kind: str) -> bool:
    """Is this the type of a failure of the test machinery?"""
    return kind in _facts().harness


def _where(known: Face, seen: Face, terms: dict[str, float], words: list[str]) -> None:
    """The strongest of the terms WHERE."""
    place = _place(known, seen)
    if place:
        terms[place] = 1.0
        words.append(_WORDS[place])
    elif not seen.function:
        terms["function_unknown"] = 1.0
        words.append("function unknown")
    elif known.function:
        words.append("different function")


def _place(known: Face, seen: Face) -> str:
    if known.title == seen.title:
        return "same_lost_title" if seen.title.endswith(_LOST) else "same_title"
    if seen.title in known.also or known.title in seen.also:
        return "same_title"
    if seen.function and seen.function == known.function:
        return "same_function"
    if (seen.function and seen.function in known.stack[:_NEAR]) or (
        known.function and known.function in seen.stack[:_NEAR]
    ):
        return "near_function"
    if seen.file and seen.file == known.file and not _facts().generic_files.match(seen.file):
        return "same_file"
    if _related(known, seen):
        return "same_family"
    if _head(seen.title) != _head(known.title):
        return ""
    if seen.title.startswith(_facts().watchdogs):
        return "same_watchdog"
    return "" if seen.function and known.function else "same_kind"


def _related(known: Face, seen: Face) -> bool:
    """Whether names tell that both are of one family: first word, tail of the name, directory, or word and path."""
    first = _family(seen.function)
    if first and (first == _family(known.function) or first in _path_words(known)):
        return True
    mine = _family(known.function)
    if mine and mine in _path_words(seen):
        return True
    if _path_words(seen) & _path_words(known):
        return True
    short, long = sorted((seen.function, known.function), key=len)
    return len(short) >= _SHORT and long.endswith("_" + short)


def _stack(known: Face, seen: Face, terms: dict[str, float], words: list[str]) -> None:
    if not known.stack or not seen.stack:
        return
    common = set(known.stack) & set(seen.stack)
    share = len(common) / min(len(set(known.stack)), len(set(seen.stack)))
    terms["same_stack" if common else "other_stack"] = share if common else 1.0
    words.append(
        f"{'most' if share > 0.5 else 'some'} of the stack shared" if common else "nothing of the stack shared"
    )


def _files(known: Face, seen: Face, terms: dict[str, float], words: list[str]) -> None:
    if not known.files or not seen.files:
        return
    if known.files & seen.files:
        words.append("a source file shared")
    elif not _directories(known.files) & _directories(seen.files):
        terms["other_directory"] = 1.0
        words.append("different subsystem")


def _type(known: Face, seen: Face, terms: dict[str, float], words: list[str]) -> None:
    if is_harness(seen.type) and not is_harness(known.type):
        terms["harness"] = 1.0
        words.append("the test machinery failed")
    elif "UNKNOWN" in (known.type, seen.type):
        return
    elif known.type == seen.type:
        terms["like_type"] = 1.0
        if known.title != seen.title:
            words.append("same type")
        if known.size and seen.size and known.size != seen.size:
            terms["other_size"] = 1.0
            words.append("different access size")
    elif any(kin.match(known.type) and kin.match(seen.type) for kin in _facts().kin):
        terms["like_type"] = 1.0
        words.append("related type")
    else:
        words.append("different type")


def _sources(text: str) -> dict[str, str]:
    """Core names of functions and the file each stands in, in the order of the report."""
    found: dict[str, str] = {}
    for name, path in _SOURCE.findall(text):
        found.setdefault(core(clean_function(name)), path)
    return found


def _family(function: str) -> str:
    """What a function's name begins with and tells whose it is: a word, two if the first is a common one, or empty."""
    words = [word for word in function.split("_") if len(word) > 1]
    if len(words) > 1 and words[0] not in _facts().common:
        return words[0]
    return "_".join(words[:2]) if len(words) > 2 else ""


def _head(title: str) -> str:
    """The kind of crash as the title words it: what stands before the function."""
    return title.rpartition(" in ")[0] or title


def _path_words(face: Face) -> set[str]:
    """Parts of the paths of its files that name a subsystem."""
    paths = face.files | {face.file} if face.file else face.files
    return _telling({word for path in paths for word in re.split(r"[/.]", path)[:-1]})


def subject_words(text: str) -> set[str]:
    """Words of a text (a commit's subject, paths, functions) that may name a subsystem: none that many share."""
    return _telling(set(re.findall(r"[a-z0-9]+", text.lower())))


def _telling(words: set[str]) -> set[str]:
    """Those that few subsystems share."""
    return {word for word in words if len(word) > 1} - _facts().paths - _facts().common


def _directories(paths: Iterable[str]) -> set[str]:
    return {path.rpartition("/")[0] for path in paths}


def function_of(title: str) -> str:
    """The guilty function that a title ends with, or empty."""
    _, found, function = title.rpartition(" in ")
    if not found or function == "corrupted" or not re.fullmatch(r"[\w.$]{1,256}", function):
        return ""
    return clean_function(function)


def core(function: str) -> str:
    """``__gfn_to_rmap`` and ``gfn_to_rmap``, ``__x64_sys_ioctl`` and ``__do_sys_ioctl``: one function to a reader."""
    return _SYSCALL.sub("sys_", function).strip("_").removesuffix("_noprof")
