"""Bisection logs: read into a model, and written back byte for byte.

The format is that of syzbot's bisection logs since 2018; ``report.writer`` writes ours in it.  Lines of our own begin
with ``# firstbad: ``, so that readers of the old format pass over them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from firstbad.report.lines import Line, match_line, section_of, topic_of, write_line
from firstbad.report.writer import LogWriter as LogWriter
from firstbad.report.writer import duration_seconds, unquote_list

Phase = Literal["initial", "release", "head", "bisect", "parent"]
Status = Literal["found", "candidates", "older_than_oldest", "not_fixed", "not_reproduced", "error", "unfinished"]


@dataclass(frozen=True)
class Tested:
    """One revision's test, as the log tells it."""

    hash: str
    phase: Phase
    release: str = ""
    """The tag, in the phase ``release``."""
    compiler: str = ""
    signature: str = ""
    """Hash of the built kernel; empty if it did not build, or before November 2019."""
    outcomes: tuple[str, ...] = ()
    """``OK``, ``crashed: TITLE``, ``boot failed: ...``; a single one if ``uniform``."""
    uniform: bool = False
    """The log says ``all runs``: how many there were is not told."""
    build_error: str = ""
    mark: str = ""
    """``good``, ``bad`` or ``skip`` where git bisect was told; fix bisections tell it the other way round."""
    family: str = ""
    """``gcc`` or ``clang``, where the log says only which it is before the compiler's own line (since July 2022)."""
    messages: tuple[str, ...] = ()
    """Further lines of a run that failed: what ssh, scp or make said."""
    representative: str = ""
    """The crash that the log takes for all of this revision's (since June 2023)."""
    types: tuple[str, ...] = ()
    """And the types of its crashes."""
    false_negative: float | None = None
    """Chance that a good verdict is wrong, as the log has it (since July 2023)."""
    undetermined: str = ""
    """Why the runs gave no verdict."""
    failure: str = ""
    """Why the runs could not be made at all."""
    merge_base: bool = False
    """It was tested to learn whether a side of the history had the bug at all."""


@dataclass(frozen=True)
class BisectionLog:
    """A whole log: its lines, and what they say."""

    lines: tuple[Line, ...]
    kind: Literal["cause", "fix"] = "cause"
    start_commit: str = ""
    tests: tuple[Tested, ...] = ()
    status: Status = "unfinished"
    commits: tuple[str, ...] = ()
    """The commit that was found, or all the candidates."""
    error: str = ""
    culprit_signature: str = ""
    parent_signature: str = ""
    flaky: bool = False
    revisions: int = 0
    build_seconds: float = 0.0
    test_seconds: float = 0.0
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    crash_title: str = ""
    report: str = ""
    host: str = ""
    """Who bisected, and from when (since July 2022)."""
    began: str = ""
    tool: str = ""
    """Revision of the reproducer's tools."""
    rewritten: str = ""
    """Title by which a rewritten start commit was found again."""
    bounds: tuple[str, str] = ("", "")
    """What ``git bisect start`` was told, bad end first: hashes, or tags before October 2019."""
    boundary: str = ""
    """Title of the commit of ``older_than_oldest`` and ``not_fixed``."""
    total_seconds: float = 0.0
    error_probability: float | None = None
    """Chance that any verdict was wrong, as the log has it (since July 2023)."""
    repro_chance: float | None = None
    """Share of the reproducer's runs that crash, as the log has it."""
    config: tuple[str, ...] = ()
    """Lines about a smaller configuration, in order."""
    decisions: tuple[str, ...] = ()
    """Lines about merge bases and about revisions that can't have the bug, in order."""
    undetected: tuple[str, ...] = ()
    """What could not be found out of the culprit: whether it changes the kernel, whether it is a release."""
    too_long: bool = False
    """It was given up for its time."""
    notes: tuple[str, ...] = field(default=())
    """Our own lines (``# firstbad: ``), without that prefix."""


def read_log(text: str) -> BisectionLog:
    """Reads a log of any age; never refuses: lines nobody knows become lines of kind ``unknown``."""
    lines = tuple(_classify(text.split("\n")))
    return _Reader(lines).log()


def write(log: BisectionLog) -> str:
    """The log's text; ``write(read_log(text)) == text`` for every text."""
    return "\n".join(write_line(line) for line in log.lines)


def _classify(texts: Sequence[str]) -> Iterable[Line]:
    """Gives each line its kind: by its wording, else by its place."""
    place = "unknown"
    for text in texts:
        line = None if place == "report" else match_line(text)
        # A commit's message and a compiler's words may look like anything, so only what can follow them ends them.
        if line is not None and place == "commit" and section_of(line.kind) not in ("tail", "last", "rest"):
            line = None
        if line is None:
            yield Line("blank" if not text and place not in ("commit", "report") else place, {"text": text})
            continue
        place = _NEXT.get(section_of(line.kind), "unknown")
        if place == "message" and line.fields.get("outcome", "").startswith(_ONE_LINE):
            place = "unknown"
        yield line


_NEXT = {"test": "build-error", "runs": "message", "commit": "commit", "last": "message", "rest": "report"}
_ONE_LINE = ("OK", "crashed: ")  # outcomes; what failed otherwise may bring lines of its own


class _Reader:
    """Walks the lines once and collects what they say."""

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self._lines = lines
        self._tests: list[Tested] = []
        self._phase: Phase = "initial"
        self._release = ""
        self._base = False
        self._log = BisectionLog(lines)
        # What grows line by line is gathered in lists: a hostile log may have a million of a kind.
        self._lists: dict[str, list[str]] = {}
        self._test_lists: list[dict[str, list[str]]] = []

    def log(self) -> BisectionLog:
        for line in self._lines:
            handler = getattr(self, "_on_" + re.sub(r"-\d{4}$", "", line.kind).replace("-", "_"), None)
            if handler is not None:
                handler(line)
            if topic := topic_of(line.kind):
                self._grow(topic, write_line(line))
        tests = tuple(_with(test, lists) for test, lists in zip(self._tests, self._test_lists, strict=True))
        return replace(_with(self._log, self._lists), tests=tests, report=self._free("report"))

    def _set(self, **changes: object) -> None:
        self._log = replace(self._log, **changes)  # type: ignore[arg-type]

    def _test(self, **changes: object) -> None:
        if self._tests:
            self._tests[-1] = replace(self._tests[-1], **changes)  # type: ignore[arg-type]

    def _grow(self, name: str, text: str) -> None:
        self._lists.setdefault(name, []).append(text)

    def _grow_test(self, name: str, text: str) -> None:
        if self._tests:
            self._test_lists[-1].setdefault(name, []).append(text)

    def _free(self, kind: str) -> str:
        return "\n".join(line["text"] for line in self._lines if line.kind == kind)

    # ------------------------------------------------------------ header

    def _on_begin(self, line: Line) -> None:
        fix = line.fields.get("what") == "fixing"
        self._set(kind="fix" if fix else "cause", start_commit=line["hash"])

    def _on_begin_fix(self, line: Line) -> None:
        self._set(kind="fix", start_commit=line["hash"])

    def _on_note(self, line: Line) -> None:
        self._grow("notes", line["text"])

    def _on_host(self, line: Line) -> None:
        self._set(host=line["host"], began=line["when"])

    def _on_tool(self, line: Line) -> None:
        self._set(tool=line["hash"])

    def _on_rewritten(self, line: Line) -> None:
        self._set(rewritten=line["title"])

    # ------------------------------------------------------------ tests

    def _on_release(self, line: Line) -> None:
        self._phase, self._release = "release", line["tag"]

    def _on_head(self, line: Line) -> None:
        self._phase, self._release = "head", ""

    def _on_start(self, line: Line) -> None:
        self._phase, self._release = "bisect", ""
        self._set(bounds=(line["bad"], line["good"]))

    def _on_parent(self, line: Line) -> None:
        self._phase, self._release = "parent", ""

    def _on_test(self, line: Line) -> None:
        self._tests.append(Tested(line["hash"], self._phase, self._release, merge_base=self._base))
        self._test_lists.append({})
        self._base = False

    def _on_test_family(self, line: Line) -> None:
        self._on_test(line)
        self._test(family=line["family"])

    def _on_base(self, line: Line) -> None:
        self._base = True

    _on_merge_base = _on_merge_base_check = _on_base

    def _on_test_with(self, line: Line) -> None:
        self._on_test(line)
        self._test(compiler=line["compiler"])

    def _on_compiler(self, line: Line) -> None:
        self._test(compiler=line["compiler"])

    def _on_signature(self, line: Line) -> None:
        self._test(signature=line["signature"])

    def _on_build_error(self, line: Line) -> None:
        self._grow_test("build_error", line["text"])

    def _on_all_runs(self, line: Line) -> None:
        self._grow_test("outcomes", line["outcome"])
        self._test(uniform=True)

    def _on_run(self, line: Line) -> None:
        self._grow_test("outcomes", line["outcome"])

    def _on_message(self, line: Line) -> None:
        if self._log.status == "unfinished":
            self._grow_test("messages", line["text"])

    def _on_representative(self, line: Line) -> None:
        self._test(representative=line["title"], types=tuple(line["types"].split()))

    def _on_false_negative(self, line: Line) -> None:
        self._test(false_negative=float(line["chance"]))

    def _on_undetermined(self, line: Line) -> None:
        self._test(undetermined=line["why"])

    def _on_too_many(self, line: Line) -> None:
        self._test(undetermined=write_line(line))

    def _on_test_failure(self, line: Line) -> None:
        self._test(failure=line["error"])

    def _on_flaky(self, line: Line) -> None:
        self._set(flaky=True)

    _on_flagged_flaky = _on_flaky

    def _on_flaky_chance(self, line: Line) -> None:
        self._set(flaky=True, repro_chance=float(line["chance"]))

    def _on_mark(self, line: Line) -> None:
        if self._tests and self._tests[-1].hash == line["hash"]:
            self._test(mark=line["verdict"])

    # ------------------------------------------------------------ result

    def _on_culprit_signature(self, line: Line) -> None:
        self._set(culprit_signature=line["signature"])

    def _on_parent_signature(self, line: Line) -> None:
        self._set(parent_signature=line["signature"])

    def _on_totals(self, line: Line) -> None:
        build, test = duration_seconds(line["build"]), duration_seconds(line["test"])
        total = duration_seconds(line["total"])
        self._set(revisions=int(line["revisions"]), total_seconds=total, build_seconds=build, test_seconds=test)

    def _on_error_probability(self, line: Line) -> None:
        self._set(error_probability=float(line["chance"]))

    def _on_boundary(self, line: Line) -> None:
        self._set(boundary=line["title"])

    def _on_too_long(self, line: Line) -> None:
        self._set(too_long=True)

    def _on_found(self, line: Line) -> None:
        self._lists.pop("commits", None)
        self._set(status="found", commits=(line["hash"],))

    def _on_inconclusive(self, line: Line) -> None:
        self._set(status="candidates", commits=())
        self._lists.pop("commits", None)

    def _on_candidate(self, line: Line) -> None:
        if self._log.status == "candidates":
            self._grow("commits", line["hash"])

    def _on_oldest(self, line: Line) -> None:
        self._set(status="older_than_oldest")

    def _on_still(self, line: Line) -> None:
        self._set(status="not_fixed" if self._log.kind == "fix" else "older_than_oldest")

    def _on_not_fixed(self, line: Line) -> None:
        self._set(status="not_fixed")

    def _on_error(self, line: Line) -> None:
        lost = line["error"].startswith("the crash wasn't reproduced")
        if line["error"].startswith("bisection is taking too long"):
            self._set(too_long=True)
        self._set(status="not_reproduced" if lost else "error", error=line["error"])

    def _on_to(self, line: Line) -> None:
        self._set(to=tuple(unquote_list(line["list"])))

    def _on_cc(self, line: Line) -> None:
        self._set(cc=tuple(unquote_list(line["list"])))

    def _on_crash(self, line: Line) -> None:
        self._set(crash_title=line["title"])


_Part = TypeVar("_Part", Tested, BisectionLog)


def _with(part: _Part, lists: dict[str, list[str]]) -> _Part:
    """``part`` with what was gathered of it; the compiler's words are one text, all else is tuples."""
    found = {name: "\n".join(texts) if name == "build_error" else tuple(texts) for name, texts in lists.items()}
    return replace(part, **found)  # type: ignore[arg-type]
