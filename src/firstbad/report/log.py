"""Bisection logs: read into a model, and written back byte for byte.

The format is that of syzbot's bisection logs since 2018; ``report.writer`` writes ours in it.  Lines of our own begin
with ``# firstbad: ``, so that readers of the old format pass over them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from firstbad.report.lines import Line, match_line, section_of, write_line
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
        yield line


_NEXT = {"test": "build-error", "runs": "message", "commit": "commit", "last": "message", "rest": "report"}


class _Reader:
    """Walks the lines once and collects what they say."""

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self._lines = lines
        self._tests: list[Tested] = []
        self._phase: Phase = "initial"
        self._release = ""
        self._log = BisectionLog(lines)

    def log(self) -> BisectionLog:
        for line in self._lines:
            handler = getattr(self, "_on_" + re.sub(r"-\d{4}$", "", line.kind).replace("-", "_"), None)
            if handler is not None:
                handler(line)
        return replace(self._log, tests=tuple(self._tests), report=self._free("report"))

    def _set(self, **changes: object) -> None:
        self._log = replace(self._log, **changes)  # type: ignore[arg-type]

    def _test(self, **changes: object) -> None:
        if self._tests:
            self._tests[-1] = replace(self._tests[-1], **changes)  # type: ignore[arg-type]

    def _free(self, kind: str) -> str:
        return "\n".join(line["text"] for line in self._lines if line.kind == kind)

    # ------------------------------------------------------------ header

    def _on_begin(self, line: Line) -> None:
        fix = line.fields.get("what") == "fixing"
        self._set(kind="fix" if fix else "cause", start_commit=line["hash"])

    def _on_begin_fix(self, line: Line) -> None:
        self._set(kind="fix", start_commit=line["hash"])

    def _on_note(self, line: Line) -> None:
        self._set(notes=(*self._log.notes, line["text"]))

    # ------------------------------------------------------------ tests

    def _on_release(self, line: Line) -> None:
        self._phase, self._release = "release", line["tag"]

    def _on_head(self, line: Line) -> None:
        self._phase, self._release = "head", ""

    def _on_start(self, line: Line) -> None:
        self._phase, self._release = "bisect", ""

    def _on_parent(self, line: Line) -> None:
        self._phase, self._release = "parent", ""

    def _on_test(self, line: Line) -> None:
        self._tests.append(Tested(line["hash"], self._phase, self._release))

    _on_test_family = _on_test

    def _on_test_with(self, line: Line) -> None:
        self._on_test(line)
        self._test(compiler=line["compiler"])

    def _on_compiler(self, line: Line) -> None:
        self._test(compiler=line["compiler"])

    def _on_signature(self, line: Line) -> None:
        self._test(signature=line["signature"])

    def _on_build_error(self, line: Line) -> None:
        if self._tests:
            before = self._tests[-1].build_error
            self._test(build_error=f"{before}\n{line['text']}" if before else line["text"])

    def _on_all_runs(self, line: Line) -> None:
        self._test(outcomes=(line["outcome"],), uniform=True)

    def _on_run(self, line: Line) -> None:
        if self._tests:
            self._test(outcomes=(*self._tests[-1].outcomes, line["outcome"]))

    def _on_flaky(self, line: Line) -> None:
        self._set(flaky=True)

    _on_flagged_flaky = _on_flaky_chance = _on_flaky

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
        self._set(revisions=int(line["revisions"]), build_seconds=build, test_seconds=test)

    def _on_found(self, line: Line) -> None:
        self._set(status="found", commits=(line["hash"],))

    def _on_inconclusive(self, line: Line) -> None:
        self._set(status="candidates", commits=())

    def _on_candidate(self, line: Line) -> None:
        if self._log.status == "candidates":
            self._set(commits=(*self._log.commits, line["hash"]))

    def _on_oldest(self, line: Line) -> None:
        self._set(status="older_than_oldest")

    def _on_still(self, line: Line) -> None:
        self._set(status="not_fixed" if self._log.kind == "fix" else "older_than_oldest")

    def _on_not_fixed(self, line: Line) -> None:
        self._set(status="not_fixed")

    def _on_error(self, line: Line) -> None:
        lost = line["error"].startswith("the crash wasn't reproduced")
        self._set(status="not_reproduced" if lost else "error", error=line["error"])

    def _on_to(self, line: Line) -> None:
        self._set(to=tuple(unquote_list(line["list"])))

    def _on_cc(self, line: Line) -> None:
        self._set(cc=tuple(unquote_list(line["list"])))

    def _on_crash(self, line: Line) -> None:
        self._set(crash_title=line["title"])
