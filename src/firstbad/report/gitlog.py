"""A ``git bisect log`` read: the ends it began with, and what was said of each revision. No repository is asked.

What git writes since 2005: a comment with hash and title, then the command. Revisions may be any names; the terms may
be anybody's own (``git bisect start --term-new=...``); lines that are neither are passed over.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Literal

Side = Literal["old", "new", "skip"]

_COMMAND = re.compile(r"^\s*git[ -]bisect[ \t]+(\S+)[ \t]*(.*)$")
_COMMENT = re.compile(r"^# (?:first )?(?:bad|good|skip|new|old|broken|fixed|\S{1,40})(?: commit)?: \[[0-9a-f]{7,64}\] ")
_FIX = re.compile(r"^# firstbad: search for a fix\b")
_TERM = re.compile(r"--term-(old|good|new|bad)(?:=(.*))?")
# Terms of people who search for a fix; any others are taken for a cause unless they say so.
FIX_TERMS = ({"fixed", "working", "gone", "absent", "unbroken"}, {"broken", "unfixed", "crashes", "present"})
_MOST = 10_000  # commands that are read


@dataclass(frozen=True)
class GitLog:
    """The last bisection of a log. ``old`` and ``new`` are the ends in git's order of time: good and bad of a cause."""

    new: str = ""
    old: tuple[str, ...] = ()
    said: tuple[tuple[str, Side], ...] = ()
    """(revision or range, side) in order, the ends included."""
    paths: tuple[str, ...] = ()
    terms: tuple[str, str] = ("good", "bad")
    """The words of old and new."""
    fix: bool = False
    """Whether its words say that the search is for a fix."""
    options: tuple[str, ...] = ()
    """What else ``start`` was told, as ``--first-parent``."""
    ends: tuple[str, ...] = ()
    """The revisions in its line, new first; ``said`` begins with them."""


def is_git_log(text: str) -> bool:
    """Whether any line is one that ``git bisect log`` writes."""
    return any(_COMMAND.match(line) or _COMMENT.match(line) for line in text.splitlines())


def read_git_log(text: str) -> GitLog:
    """Reads the last bisection of the log; never refuses."""
    reader = _Reader()
    for line in text.splitlines()[-_MOST:]:
        if _FIX.match(line):
            reader.fix = True
        found = _COMMAND.match(line)
        if found:
            reader.command(found[1], _words(found[2]))
    return reader.log()


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quote that was never closed
        return text.split()


class _Reader:
    def __init__(self) -> None:
        self.fix = False
        self._begin()

    def _begin(self) -> None:
        self.old_word, self.new_word = "good", "bad"
        self.said: list[tuple[str, Side]] = []
        self.paths: tuple[str, ...] = ()
        self.options: tuple[str, ...] = ()
        self.ends: tuple[str, ...] = ()

    def command(self, name: str, words: list[str]) -> None:
        if name == "start":
            self._start(words)
        elif name == "skip":
            self.said += [(word, "skip") for word in words]
        elif name in (self.new_word, "bad", "new"):
            self.said += [(word, "new") for word in words[:1]]
        elif name in (self.old_word, "good", "old"):
            self.said += [(word, "old") for word in words]

    def _start(self, words: list[str]) -> None:
        self._begin()
        if "--" in words:
            place = words.index("--")
            words, self.paths = words[:place], tuple(words[place + 1 :])
        revisions: list[str] = []
        rest = iter(words)
        for word in rest:
            term = _TERM.fullmatch(word)
            if term:
                value = term[2] if term[2] is not None else next(rest, "")
                if term[1] in ("old", "good"):
                    self.old_word = value
                else:
                    self.new_word = value
            elif word.startswith("-"):
                self.options += (word,)
            else:
                revisions.append(word)
        self.ends = tuple(revisions)
        self.said += [(word, "new" if not place else "old") for place, word in enumerate(revisions)]

    def log(self) -> GitLog:
        new = next((revision for revision, side in self.said if side == "new"), "")
        old = tuple(revision for revision, side in self.said if side == "old")
        fix = self.fix or self.new_word in FIX_TERMS[0] or self.old_word in FIX_TERMS[1]
        return GitLog(
            new, old, tuple(self.said), self.paths, (self.old_word, self.new_word), fix, self.options, self.ends
        )
