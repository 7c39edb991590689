"""Labelled bisection logs, as questions about identity: what a revision's runs showed, and was the bug there?"""

import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from firstbad.crash.identity import Shown
from firstbad.crash.likeness import Face, face_of, face_of_title
from firstbad.crash.parse import Report, parse
from firstbad.report.log import BisectionLog, Tested, read_log

Place = Literal["release_first", "release_later", "commit"]
_RUNS = 10  # of a test that says "all runs"; 20 in some years, but only shares are used


@dataclass(frozen=True)
class Revision:
    """One labelled revision."""

    log: str
    bug: str
    """Culprit of the bug: reports of one bug under several names are one bug here."""
    place: Place
    """``release_first``: newest release below the start; ``release_later``: a newer release crashed."""
    present: bool
    shown: Shown


@dataclass(frozen=True, eq=False)
class Case:
    """One log: the bug's faces at the start, and the labelled revisions after it in order of test."""

    log: str
    bug: str
    title: str
    faces: Sequence[Face]
    revisions: Sequence[Revision]
    report: Report | None = None
    """A crash of the bug, whole."""
    stranger: Report | None = None
    """A crash that was seen, by its title, where the bug is not."""


def read_identity_cases(directory: Path) -> list[Case]:
    """All logs of the directory, in the order of truth.jsonl."""
    truths = [json.loads(line) for line in (directory / "truth.jsonl").read_text().splitlines()]
    labels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in (directory / "revisions.jsonl").read_text().splitlines():
        row = json.loads(line)
        labels[row["log"]].append(row)
    logs, reports = texts(directory / "logs.tar.xz"), texts(directory / "reports.tar.xz")
    return [
        _case(truth, read_log(logs[truth["log"]].decode("utf-8", "replace")), labels[truth["log"]], parse(report))
        for truth in truths
        for report in [reports[truth["bug_id"]]]
    ]


def texts(archive: Path) -> dict[str, bytes]:
    """The files of a tar archive by their names without suffix."""
    with tarfile.open(archive) as files:
        return {Path(member.name).stem: file.read() for member in files if (file := files.extractfile(member))}


def _case(truth: dict[str, Any], log: BisectionLog, labels: Iterable[dict[str, Any]], report: Report | None) -> Case:
    tests = {test.hash: test for test in reversed(log.tests) if test.phase != "parent"}
    start = next((test for test in log.tests if test.phase != "parent"), None)
    own = face_of_title(truth["title"])
    faces = [own, *([face_of(report)] if report else [])]
    faces += [face_of_title(title) for title in Counter(titles(start))] if start else []
    last = _last_crash(log)
    end = parse(log.report.encode("utf-8", "replace")) if log.report else None
    revisions: list[Revision] = []
    for label in (label for label in labels if label["i"]):
        test = tests[label["hash"]]
        bads = sum(revision.present for revision in revisions)
        place: Place = "commit" if label["phase"] != "release" else "release_later" if bads else "release_first"
        shown = shown_of(test, end if test is last else None, place != "commit")
        revisions.append(Revision(truth["log"], truth["ground_truth"], place, label["truth"] == "bad", shown))
    strange = {
        crash for row in revisions if not row.present for crash, _ in row.shown.crashes if isinstance(crash, str)
    }
    return Case(
        truth["log"],
        truth["ground_truth"],
        truth["title"],
        tuple(dict.fromkeys(faces)),
        revisions,
        report,
        end if end and end.title in strange else None,
    )


def titles(test: Tested) -> list[str]:
    """The titles of the runs that crashed, one each."""
    return [outcome.removeprefix("crashed: ") for outcome in test.outcomes if outcome.startswith("crashed: ")]


def shown_of(test: Tested, report: Report | None = None, release: bool = False) -> Shown:
    """What the test's runs showed; ``report`` stands for the crashes of its title."""
    each = _RUNS if test.uniform else 1
    crashes = Counter(titles(test))
    clean = each * sum(outcome == "OK" for outcome in test.outcomes)
    failed = each * len(test.outcomes) - clean - each * sum(crashes.values())
    faces = [(report if report and report.title == title else title, each * n) for title, n in crashes.items()]
    return Shown(tuple(faces), clean, failed, release)


def _last_crash(log: BisectionLog) -> Tested | None:
    """The test whose report the log ends with: the last one that showed its title."""
    shown = [test for test in log.tests if log.crash_title in titles(test)]
    return shown[-1] if shown and re.search(r"\S", log.report) else None
