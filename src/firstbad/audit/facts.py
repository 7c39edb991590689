"""What a bisection log tells that an auditor asks of: revisions with their runs and verdicts, and the named commit."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from firstbad.crash import Bug, Shown, parse
from firstbad.crash.guilty import generic_rank, places
from firstbad.crash.identity import Coefficients, Finding, place_of
from firstbad.crash.likeness import face_of_title, is_harness
from firstbad.crash.parse import Report
from firstbad.report.log import BisectionLog, Tested

Verdict = Literal["good", "bad", "skip"]
Phase = Literal["initial", "release", "bisect"]

RUNS = 10
"""Runs of a test of which the log says ``all runs``: syzbot's usual number."""
MAX_STACK = 12  # innermost source files of the crash that are looked at
_STAT = re.compile(r" (\S[^|\n]{0,4000}?) +\|")
_RENAMED = re.compile(r"\{([^{}]{0,1000}) => ([^{}]{0,1000})\}")
_RAW = re.compile(r":\d{6} \d{6} [0-9a-f.]{3,50} [0-9a-f.]{3,50} [A-Z]\d{0,3}\t([^\t]+)(?:\t([^\t]+))?")
_TOTALS = re.compile(r" \d{1,6} files? changed(?:, (\d{1,9}) insertions?\(\+\))?(?:, (\d{1,9}) deletions?\(-\))?")


@dataclass(frozen=True)
class Revision:
    """One tested revision. ``logged`` is what the log took it for, in words of the bug: bad, the crash is there."""

    hash: str
    phase: Phase
    release: str
    logged: Verdict
    crashes: tuple[tuple[str, int], ...]
    """Titles, and in how many runs each was seen."""
    clean: int
    failed: int
    """Runs that never came to the reproducer."""
    build_error: str
    compiler: str
    shown: Shown
    finding: Finding
    """What the runs say of the bug, each revision judged by itself."""
    like: str
    """What the crash that is most like the start's has in common with it (a term of ``crash.likeness.WHERE``)."""

    @property
    def crashed(self) -> int:
        """Runs that crashed, with whatever."""
        return sum(runs for _, runs in self.crashes)

    @property
    def rate(self) -> float:
        """Share of the runs that reached the reproducer and crashed."""
        return self.crashed / max(1, self.crashed + self.clean)


@dataclass(frozen=True)
class Named:
    """The commit that the log names, as git showed it there."""

    hash: str
    title: str
    message: str
    author: str
    files: tuple[str, ...]
    """Paths; a long one may begin with ``...``, as ``git show --stat`` cuts it."""
    directories: tuple[str, ...]
    """Top directories, where the log has no more (before 2019-12)."""
    insertions: int | None
    deletions: int | None
    merge: bool


@dataclass(frozen=True)
class Facts:
    """A log as the audit sees it."""

    log: BisectionLog
    bug: Bug
    start: Revision | None
    revisions: tuple[Revision, ...]
    """All tested ones in the log's order, the start first."""
    named: Named | None
    report: Report | None
    """The crash that the log ends with."""
    stack: tuple[str, ...]
    """Source files of that crash, innermost first, those that merely serve others left out."""

    @cached_property
    def walked(self) -> int:
        """Releases that were tested."""
        return sum(revision.phase == "release" for revision in self.revisions)

    @property
    def titles(self) -> tuple[str, ...]:
        """What the start showed, most frequent first."""
        if self.start is None:
            return ()
        return tuple(title for title, _ in sorted(self.start.crashes, key=lambda pair: -pair[1]))

    @property
    def noop(self) -> bool:
        """Whether the named commit built to its parent's kernel."""
        return bool(self.log.culprit_signature) and self.log.culprit_signature == self.log.parent_signature

    @property
    def harness(self) -> bool:
        """Whether the bug itself is a failure of the test machinery."""
        return bool(self.titles) and all(is_harness(face_of_title(title).type) for title in self.titles)

    def like(self, title: str) -> str:
        """What a crash has in common with the start's, by its title: a term of ``crash.likeness.WHERE``, or empty."""
        return place_of(self.bug.likeness(title)) if self.titles else ""


def facts_of(log: BisectionLog, given: Coefficients | None = None) -> Facts:
    """Reads the facts off a log. ``given`` stands in for the shipped coefficients of crash identity."""
    tests = [test for test in log.tests if test.phase != "parent"]
    first = tests[0] if tests else None
    bug = Bug([title for title, _ in _crashes(first)] if first else [], given=given)
    good = next((line["good"] for line in log.lines if line.kind == "start"), "")
    crashed = bool(first and _crashes(first))
    revisions = tuple(_revision(test, bug, crashed, good, log.kind == "fix") for test in tests)
    report = parse(log.report.encode("utf-8", "replace")) if log.report.strip() else None
    stack = _stack(report.report if report else log.report)
    start = revisions[0] if revisions and revisions[0].phase == "initial" else None
    return Facts(log, bug, start, revisions, _named(log), report, stack)


def _crashes(test: Tested) -> list[tuple[str, int]]:
    each = RUNS if test.uniform else 1
    titles = [outcome.removeprefix("crashed: ") for outcome in test.outcomes if outcome.startswith("crashed: ")]
    return [(title, each * runs) for title, runs in Counter(titles).items()]


def _revision(test: Tested, bug: Bug, known: bool, good: str, fix: bool) -> Revision:
    each = RUNS if test.uniform else 1
    crashes = _crashes(test)
    clean = each * sum(outcome == "OK" for outcome in test.outcomes)
    failed = each * len(test.outcomes) - clean - sum(runs for _, runs in crashes)
    shown = Shown(tuple(crashes), clean, failed, test.phase == "release")
    phase: Phase = (
        "initial" if test.phase == "initial" else "release" if test.phase in ("release", "head") else "bisect"
    )
    likes = [place_of(bug.likeness(title)) for title, _ in crashes] if known else []
    return Revision(
        test.hash,
        phase,
        test.release,
        _logged(test, good, fix),
        tuple(crashes),
        clean,
        failed,
        test.build_error,
        test.compiler,
        shown,
        bug.holds(shown),
        _best(likes),
    )


def _best(likes: Sequence[str]) -> str:
    return next((like for like in ("same_title", *likes) if like and like in likes), "")


def _logged(test: Tested, good: str, fix: bool) -> Verdict:
    """What the log took the revision for.

    Git is told of revisions under bisection only. Of others the log's own rule is known, which was the same until
    2023: any crash is bad; with none, good, unless more than two thirds of the runs failed otherwise.
    """
    if test.mark:
        crossed = {"good": "bad", "bad": "good"} if fix else {}
        return crossed.get(test.mark, test.mark)  # type: ignore[return-value]
    if test.phase == "release" and test.hash == good and not fix:
        return "good"
    if any(outcome.startswith("crashed: ") for outcome in test.outcomes):
        return "bad"
    clean = sum(outcome == "OK" for outcome in test.outcomes)
    return "good" if clean and 3 * (len(test.outcomes) - clean) <= 2 * len(test.outcomes) else "skip"


def _named(log: BisectionLog) -> Named | None:
    if log.status != "found" or not log.commits:
        return None
    files: list[str] = []
    directories: list[str] = []
    message: list[str] = []
    author, merge = "", False
    changed: tuple[str | None, str | None] = (None, None)
    for text in (line["text"] for line in log.lines if line.kind == "commit"):
        if text.startswith("    "):
            message.append(text[4:])
        elif text.startswith("Author: "):
            author = text.removeprefix("Author: ").strip()
        elif text.startswith("Merge: "):
            merge = True
        elif found := _TOTALS.match(text):
            changed = (found[1], found[2])
        elif found := _STAT.match(text):
            files.append(_renamed(found[1]))
        elif found := _RAW.match(text):
            (files if "/" in found[1] else directories).append(found[2] or found[1])
    title = next((line["title"] for line in log.lines if line.kind == "found"), message[0] if message else "")
    insertions, deletions = (int(number) if number else None for number in changed)
    return Named(
        log.commits[0],
        title,
        "\n".join(message),
        author,
        tuple(files),
        tuple(directories),
        insertions,
        deletions,
        merge,
    )


def _renamed(path: str) -> str:
    """The new name of ``a/{old => new}/b`` and of ``old => new``."""
    whole = _RENAMED.sub(lambda found: found[2], path)
    return whole.split(" => ")[-1].replace("//", "/").strip()


def _stack(report: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for line in report.split("\n")[:300]:
        for place in places(line[:1000]):
            if generic_rank(place.file, place.function) is None:
                found[place.file] = None
    return tuple(found)[:MAX_STACK]
