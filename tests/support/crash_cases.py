"""A peer's table of consoles and what it reads in them, and its rules for judging a reader.

The table is not part of the project: see tests/support/peer.py.
"""

import functools
import json
from collections import Counter
from typing import Any

from firstbad.crash import Report, parse
from tests.support.peer import shared

Case = dict[str, Any]


@functools.cache
def cases(name: str) -> tuple[Case, ...]:
    """The rows of a file of JSON lines; skips the test where it is not here."""
    text = (shared() / "peer" / name).read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


@functools.cache
def table(name: str) -> Case:
    """A file of one JSON object; skips the test where it is not here."""
    found: Case = json.loads((shared() / "peer" / name).read_text(encoding="utf-8"))
    return found


def judge(case: Case) -> dict[str, bool]:
    """Which fields of a case are read right; ``frame`` and ``report`` only where the table tells them."""
    console = case["log"].encode("latin-1")
    report = parse(console)
    found = {
        "crash": (report is not None) == bool(case["title"]),
        "title": (report.title if report else "") == case["title"],
        "alternative titles": sorted(report.alt_titles if report else ()) == sorted(case["alt_titles"]),
        "type": (report.type.replace("UNKNOWN", "") if report else "") == case["type"],
        "corrupted": (report is not None and report.corrupted) == case["corrupted"],
        "suppressed": (report is not None and report.suppressed) == case["suppressed"],
        "panicked": (report is not None and report.panicked) == case["panicked"],
        "executor": (report.executor if report else "") == case["executor"],
    }
    if case["frame"]:
        found["frame"] = report is not None and report.frame == case["frame"]
    if case["has_report"]:
        found["report"] = (report.report if report else "") == case["report"]
    if report is not None:
        found["position"] = _in_place(case, console, report)
    return found


def _in_place(case: Case, console: bytes, report: Report) -> bool:
    right = bool(report.report) and report.start < report.skip <= report.end <= len(console)
    if case["start_line"]:
        last = (case["end_line"] or case["start_line"]).encode("latin-1")
        right = right and report.start == console.index(case["start_line"].encode("latin-1"))
        right = right and report.end == console.index(last) + len(last)
    again, rest = parse(console[report.start :]), parse(console[report.end :])
    right = right and again is not None and (again.title, again.start) == (report.title, 0)
    return right and (rest is None or rest.title != report.title)


def shares(judged: list[dict[str, bool]]) -> dict[str, float]:
    """Share of cases that are right, by field."""
    asked, right = Counter[str](), Counter[str]()
    for fields in judged:
        asked.update(fields.keys())
        right.update(name for name, holds in fields.items() if holds)
    return {name: right[name] / count for name, count in asked.items()}
