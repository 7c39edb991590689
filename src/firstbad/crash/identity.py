"""Is this crash the bug we hunt?  A bug has several faces; a stranger has another function, kind and stack.

The answer is a probability, computed as log-odds: every likeness adds its coefficient to a base, the best of the
bug's faces counts.  The coefficients are fixed and written down here; they say how much a likeness tells about one
single crash.  What the number of crashing runs tells on top of that is for whoever counts the runs.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from firstbad.crash.formats import load, type_of
from firstbad.crash.frames import clean_function
from firstbad.crash.parse import Report

# Log-odds.  Title, function and type were set by hand after some 4,000 crashes of 500 public kernel bisections whose
# culprit is known: how much more often a crash of that likeness is seen on revisions that hold the bug than on those
# that do not (the excess is the bug).  Same type in another function came out at about 0.7, another type at 0.2.  Those
# logs show no stacks: the two stack figures are judgement.
_BASE = -0.6
_SAME_TITLE = 4.0
_SAME_LOST_TITLE = 1.8  # "... in corrupted": the same kind, and the report does not tell where
_SAME_FUNCTION = 4.0
_NEAR_FUNCTION = 2.5  # one's guilty function stands among the other's innermost three: inlining moves frames
_SAME_STACK = 4.0  # times the share of functions in common
_OTHER_STACK = -1.5  # both stacks are known and nothing is in common
_SAME_TYPE = 1.5
_KIN_TYPE = 1.2  # see _KIN
_OTHER_TYPE = -0.7
_HARNESS = -3.0  # the test machinery failed, unless that is the bug itself

_NEAR = 3  # innermost frames that count as near
_DEEP = 8  # innermost frames that are compared: further out, all system calls look alike

# Kinds of crash that one and the same bug takes turns to show: which one is luck, layout or configuration.
_KIN = (
    re.compile(r"KASAN|KFENCE|KMSAN|NULL-POINTER|MEMORY_SAFETY|DoS\Z|BUG\Z|REFCOUNT|LEAK"),
    re.compile(r"HANG|LOCKDEP|ATOMIC_SLEEP|NO_OUTPUT"),
    re.compile(r"WARNING|BUG\Z|REFCOUNT|UBSAN|MEMORY_SAFETY_UBSAN"),
)
_HARNESS_TYPES = frozenset({"SYZ_FAILURE", "LOST_CONNECTION", "NO_OUTPUT", "REBOOT"})
_SYSCALL = re.compile(r"(?:__(?:x64|ia32|arm64|se|do|riscv|s390x)_)?(?:compat_)?(?:sys|SyS)_(?=\w)")


@dataclass(frozen=True, slots=True)
class Match:
    """How probable it is that a crash is the bug, and why in words."""

    probability: float
    why: str


@dataclass(frozen=True, slots=True)
class _Face:
    """What one crash of the bug looked like."""

    title: str
    type: str
    function: str
    stack: tuple[str, ...]


class Bug:
    """The bug's known faces, learned as the search goes on."""

    def __init__(self, titles: Iterable[str], reports: Iterable[Report] = ()) -> None:
        # Dashboards number bugs of one title: "WARNING in foo (2)".
        names = [re.sub(r" \(\d{1,4}\)\Z", "", title) for title in titles]
        self._faces = [_Face(title, type_of(title), _core(_function_of(title)), ()) for title in names]
        for report in reports:
            self.learn(report)

    @property
    def titles(self) -> tuple[str, ...]:
        """Every title the bug has shown, in the order in which they were learned."""
        return tuple(dict.fromkeys(face.title for face in self._faces))

    def learn(self, report: Report) -> None:
        """Takes ``report`` for a face of the bug: one of the start commit, or of a revision known to be bad."""
        face = _face(report)
        if face not in self._faces:
            self._faces.append(face)

    def same(self, report: Report) -> Match:
        """How probable it is that ``report`` shows this bug; the face that fits best decides.

        A bug without any known face gives 0.5: then nothing can be said.
        """
        if not self._faces:
            return Match(0.5, "nothing is known about the bug yet")
        seen = _face(report)
        score, why = max((_compare(face, seen) for face in self._faces), key=lambda pair: pair[0])
        return Match(1.0 / (1.0 + math.exp(-score)), why)


def _face(report: Report) -> _Face:
    generic = load().generic
    stack = [_core(name) for name in report.frames if not generic.match(name)]
    function = report.frame or _function_of(report.title)
    return _Face(report.title, report.type, _core(function), tuple(stack[:_DEEP]))


def _compare(known: _Face, seen: _Face) -> tuple[float, str]:
    parts = [_title(known, seen), _function(known, seen), _stack(known, seen), _type(known, seen)]
    words = [word for _, word in parts if word]
    return _BASE + sum(value for value, _ in parts), ", ".join(words) or "nothing in common"


def _title(known: _Face, seen: _Face) -> tuple[float, str]:
    if known.title != seen.title:
        return 0.0, ""
    return (_SAME_TITLE, "same title") if seen.function else (_SAME_LOST_TITLE, "same title, function unknown")


def _function(known: _Face, seen: _Face) -> tuple[float, str]:
    if not known.function or not seen.function:
        return 0.0, ""
    if known.function == seen.function:
        return _SAME_FUNCTION, "same guilty function"
    if seen.function in known.stack[:_NEAR] or known.function in seen.stack[:_NEAR]:
        return _NEAR_FUNCTION, "guilty function is next to it"
    return 0.0, "different function"


def _stack(known: _Face, seen: _Face) -> tuple[float, str]:
    if not known.stack or not seen.stack:
        return 0.0, ""
    common = set(known.stack) & set(seen.stack)
    share = len(common) / min(len(set(known.stack)), len(set(seen.stack)))
    if not common:
        return _OTHER_STACK, "nothing of the stack shared"
    word = "most" if share > 0.5 else "some"
    return _SAME_STACK * share, f"{word} of the stack shared"


def _type(known: _Face, seen: _Face) -> tuple[float, str]:
    if seen.type in _HARNESS_TYPES and known.type not in _HARNESS_TYPES:
        return _HARNESS, "the test machinery failed"
    if "UNKNOWN" in (known.type, seen.type):
        return 0.0, ""
    if known.type == seen.type:
        return (_SAME_TYPE, "same type") if known.title != seen.title else (_SAME_TYPE, "")
    if any(kin.match(known.type) and kin.match(seen.type) for kin in _KIN):
        return _KIN_TYPE, "related type"
    return _OTHER_TYPE, "different type"


def _function_of(title: str) -> str:
    """The guilty function that a title ends with, or empty."""
    _, found, function = title.rpartition(" in ")
    if not found or function == "corrupted" or not re.fullmatch(r"[\w.$]+", function):
        return ""
    return clean_function(function)


def _core(function: str) -> str:
    """``__gfn_to_rmap`` and ``gfn_to_rmap``, ``__x64_sys_ioctl`` and ``__do_sys_ioctl``: one function to a reader."""
    return _SYSCALL.sub("sys_", function).strip("_").removesuffix("_noprof")
