"""Labelled bisection logs of the past, read into what each test showed and what was true."""

import json
import tarfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from firstbad.crash import Bug
from firstbad.crash.identity import place_of
from firstbad.report.log import BisectionLog, Tested, read_log

_RELEASES = [f"v4.{i}" for i in range(21)] + [f"v5.{i}" for i in range(20)] + [f"v6.{i}" for i in range(20)]
_TWENTY_RUNS = "2020-11"  # from this month on the first test made 20 runs, before and elsewhere 10


@dataclass(frozen=True)
class Seen:
    """One tested revision: what its runs showed, and the truth where it is known."""

    phase: str
    k: int
    """Releases back from the start (1: the newest below it); 0 in the other phases."""
    bug: bool | None
    own: int
    other: int
    clean: int
    skipped: bool
    left: int
    """Commits left to test when it was chosen (phase bisect), else 0."""

    @property
    def crashes(self) -> int:
        """Crashes of the bug where it is known to be there: another title counts if half of the runs show it."""
        return self.own + (self.other if 2 * self.other >= self.own + self.other + self.clean else 0)


@dataclass(frozen=True)
class Case:
    """One bug's bisection: the first test, then the others in order."""

    start: Seen
    tests: list[Seen] = field(default_factory=list)

    @property
    def known(self) -> list[Seen]:
        """The tests whose truth is known: up to and including the first wrong verdict."""
        return [seen for seen in self.tests if seen.bug is not None]


def read_cases(directory: Path) -> list[Case]:
    """All logs of the directory, in the order of truth.jsonl."""
    bugs = [json.loads(line) for line in (directory / "truth.jsonl").read_text().splitlines()]
    truths: dict[tuple[str, str], bool] = {}
    for line in (directory / "revisions.jsonl").read_text().splitlines():
        row = json.loads(line)
        truths[row["log"], row["hash"]] = row["truth"] == "bad"
    with tarfile.open(directory / "logs.tar.xz") as archive:
        texts = {Path(m.name).stem: f.read() for m in archive if (f := archive.extractfile(m)) is not None}
    return [_case(bug, read_log(texts[bug["log"]].decode("utf-8", "replace")), truths) for bug in bugs]


def _case(bug: dict[str, Any], log: BisectionLog, truths: dict[tuple[str, str], bool]) -> Case:
    faces = [bug["title"], *(title for test in log.tests[:1] for title in _titles(test))]
    same, left = Bug(faces), _left(log)
    first = 20 if bug["report_time"] >= _TWENTY_RUNS else 10
    newest = next((_RELEASES.index(test.release) for test in log.tests if test.phase == "release"), 0)
    seen = [
        _seen(test, same, 10 if i else first, newest, truths.get((bug["log"], test.hash)), left.get(test.hash, 0))
        for i, test in enumerate(log.tests)
        if test.phase != "parent"
    ]
    return Case(seen[0], seen[1:]) if seen else Case(Seen("initial", 0, None, 0, 0, 0, True, 0))


def _titles(test: Tested) -> list[str]:
    return [outcome.removeprefix("crashed: ") for outcome in test.outcomes if outcome.startswith("crashed: ")]


def _seen(test: Tested, same: Bug, runs: int, newest: int, bug: bool | None, left: int) -> Seen:
    each = runs if test.uniform else 1
    titles = _titles(test)
    own = each * sum(_is_own(same, title) for title in titles)
    other = each * len(titles) - own
    clean = each * sum(outcome == "OK" for outcome in test.outcomes)
    lost = each * len(test.outcomes) - own - other - clean
    k = newest - _RELEASES.index(test.release) + 1 if test.phase == "release" else 0
    # The rule of those logs: no crash, and more than two thirds of the runs failed in another way.
    skipped = test.mark == "skip" or not test.outcomes or (not titles and 3 * lost > 2 * (lost + clean))
    return Seen(test.phase, k, bug, own, other, clean, skipped, left)


def _is_own(same: Bug, title: str) -> bool:
    return place_of(same.likeness(title)) in ("same_title", "same_function", "near_function", "same_lost_title")


def _left(log: BisectionLog) -> dict[str, int]:
    """The number that git gave before each revision that it chose."""
    lines = [line for line in log.lines if line.kind in ("remaining", "next")]
    pairs = [(a, b) for a, b in pairwise(lines) if a.kind == "remaining" and b.kind == "next"]
    return {b["hash"]: int(a["revisions"]) for a, b in pairs}


def without(case: Case) -> list[Seen]:
    """The tested revisions that truly lack the bug and have runs."""
    return [seen for seen in case.known if seen.bug is False and seen.own + seen.other + seen.clean]
