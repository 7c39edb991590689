"""Writes a bisection log, step by step, in the wording of lines.toml.

The builder is pure: it holds lines and gives text; the whole log can be written again from the events at any time.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, Self

from firstbad.report.hostile import STEERING
from firstbad.report.lines import Line, make_line, match_line, write_line

Side = Literal["good", "bad"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def duration(seconds: float) -> str:
    """Seconds in Go's notation of time.Duration: ``5h48m23.622009038s``, ``7.5s``, ``0s``, ``12ms``."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds < 0:
        raise ValueError("a duration can't be negative")
    if 0 < nanoseconds < 1_000_000_000:
        scale, unit = (
            (1, "ns") if nanoseconds < 1000 else (1000, "µs") if nanoseconds < 1_000_000 else (1_000_000, "ms")
        )
        return _decimal(nanoseconds, scale) + unit
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = _decimal(rest, 1_000_000_000) + "s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _decimal(value: int, scale: int) -> str:
    whole, part = divmod(value, scale)
    digits = str(part).rjust(len(str(scale)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def duration_seconds(text: str) -> float:
    """The seconds that Go's notation says; what does not fit it counts as nothing."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def quote_list(addresses: Iterable[str]) -> str:
    """Addresses as Go prints a list of quoted strings: ``["a@b.c" "d@e.f"]``, ``[]``."""
    quoted = ('"' + address.replace("\\", "\\\\").replace('"', '\\"') + '"' for address in addresses)
    return "[" + " ".join(quoted) + "]"


def unquote_list(text: str) -> list[str]:
    """The inverse of ``quote_list``."""
    return [re.sub(r"\\(.)", r"\1", quoted) for quoted in _QUOTED.findall(text)]


def one_line(text: str) -> str:
    """``text`` with all line ends and control characters turned into blanks: fit for a line of a log."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def _visible(text: str) -> str:
    """Lines of a kernel or a commit without what could steer the terminal that somebody reads the log in."""
    return STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


class LogWriter:
    """Builds a log by appending; every method returns the writer, so that calls can be chained."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    @property
    def lines(self) -> tuple[Line, ...]:
        """What has been written so far."""
        return tuple(self._lines)

    def text(self) -> str:
        """The log so far; every line ends with a newline."""
        return "".join(write_line(line) + "\n" for line in self._lines)

    def _add(self, kind: str, **fields: str) -> Self:
        self._lines.append(make_line(kind, **fields))
        return self

    def _free(self, kind: str, text: str) -> Self:
        for line in text.removesuffix("\n").split("\n"):
            self._add(kind, text=line)
        return self

    # ------------------------------------------------------------ header

    def begin(self, kind: Literal["cause", "fix"], start_hash: str) -> Self:
        """The first line: what is searched for, and the commit of the crash."""
        if kind == "fix":
            return self._add("begin-fix", hash=start_hash)
        return self._add("begin", what="cause", hash=start_hash)

    def tool(self, commit: str) -> Self:
        """The revision of the reproducer's tools (``building syzkaller on``), where one is built."""
        return self._add("tool", hash=commit)

    def note(self, text: str) -> Self:
        """Lines of our own (why a verdict, what the belief was before and after); other readers pass over them."""
        for line in text.splitlines() or [""]:
            self._add("note", text=one_line(line))
        return self

    # ------------------------------------------------------------ tests

    def testing_release(self, tag: str) -> Self:
        """Says that the next test is of a release."""
        return self._add("release", tag=tag)

    def testing_head(self, commit: str) -> Self:
        """Says that the next test is of the branch's head (fix bisection)."""
        return self._add("head", hash=commit)

    def test(
        self,
        commit: str,
        compiler_line: str,
        signature: str | None,
        outcomes: Sequence[str],
        build_error: str | None = None,
    ) -> Self:
        """One revision's test: what was built, and one outcome a run, in order (``OK``, ``crashed: TITLE``, ...).

        A revision that does not build has a ``build_error`` and no outcomes; one that is only built has neither.
        """
        if compiler_line:
            self._add("test-with", hash=commit, compiler=one_line(compiler_line))
        else:
            self._add("test", hash=commit)
        if signature:
            self._add("signature", signature=signature)
        if build_error:
            self._build_error(build_error)
        return self.outcomes(outcomes)

    def _build_error(self, text: str) -> None:
        for line in text.splitlines():
            # Indented, a compiler's words can't be taken for a line of the log.
            cleaned = one_line(line)
            self._add("build-error", text=cleaned if match_line(cleaned) is None else f" {cleaned}")

    def outcomes(self, outcomes: Sequence[str]) -> Self:
        """The runs of a test; one line if all are alike."""
        texts = [one_line(outcome) for outcome in outcomes]
        if len(set(texts)) == 1:
            return self._add("all-runs", outcome=texts[0])
        for index, outcome in enumerate(texts):
            self._add("run", index=str(index), outcome=outcome)
        return self

    def seems_flaky(self) -> Self:
        """Printed once, at the first bad revision that crashed in fewer runs than not."""
        return self._add("flaky")

    # ------------------------------------------------------------ bisection

    def bisect_start(self, bad: str, good: str) -> Self:
        """The two ends; in a fix bisection ``bad`` is the one where the crash is gone."""
        return self._add("start", bad=bad, good=good)

    def remaining(self, revisions: int, steps: int, commit: str, title: str) -> Self:
        """How many revisions are left, and the one that is tested next."""
        self._add(
            "remaining",
            revisions=str(revisions),
            s="" if revisions == 1 else "s",
            steps=str(steps),
            t="" if steps == 1 else "s",
        )
        self._add("next", hash=commit, title=one_line(title))
        return self._add("blank", text="")

    def mark(self, verdict: Literal["good", "bad", "skip"], commit: str) -> Self:
        """What git bisect is told of a revision."""
        return self._add("mark", verdict=verdict, hash=commit)

    def culprit(self, commit_show_text: str, side: Side = "bad") -> Self:
        """The commit that was found: the output of ``git show --stat`` (``commit HASH``, author, message, files)."""
        found = re.match(r"commit ([0-9a-f]{40})\n", commit_show_text)
        if found is None:
            raise ValueError("a commit's text begins with 'commit' and its hash")
        self._add("culprit", hash=found[1], side=side)
        self._free("commit", _visible(commit_show_text.rstrip("\n")))
        return self._add("commit", text="")

    def only_skipped(self, candidates: Sequence[str], side: Side = "bad") -> Self:
        """Nothing is left that could be tested."""
        self._add("only-skipped")._add("any-of", side=side)
        for commit in candidates:
            self._add("candidate", hash=commit)
        return self._add("give-up")

    # ------------------------------------------------------------ result

    def parent_not_tested(self, commit: str) -> Self:
        """The culprit's parent was never tested; its build follows."""
        return self._add("parent", hash=commit)

    def signatures(self, culprit: str, parent: str) -> Self:
        """Equal signatures: the culprit changes nothing in this configuration."""
        self._add("culprit-signature", signature=culprit)
        return self._add("parent-signature", signature=parent)

    def flaky(self, chance: float | None = None) -> Self:
        """The reproducer did not always crash; ``chance`` is the estimated share of its runs that do."""
        if chance is None:
            return self._add("flagged-flaky")
        return self._add("flaky-chance", chance=f"{chance:.2f}")

    def totals(
        self, revisions: int, build_seconds: float, test_seconds: float, total_seconds: float | None = None
    ) -> Self:
        """What it took; ``total_seconds`` is the sum and the rest (checkouts, restarts) where it is known."""
        total = build_seconds + test_seconds if total_seconds is None else total_seconds
        times = {"total": duration(total), "build": duration(build_seconds), "test": duration(test_seconds)}
        return self._add("totals", revisions=str(revisions), **times)

    def found(self, commit: str, title: str, side: Side = "bad") -> Self:
        """Result: one commit."""
        return self._add("found", side=side, hash=commit, title=one_line(title))

    def candidates(self, commits: Sequence[str], side: Side = "bad") -> Self:
        """Result: one of several commits."""
        self._add("inconclusive", side=side)
        for commit in commits:
            self._add("candidate", hash=commit)
        return self

    def still_happens(self) -> Self:
        """Every release (cause) or the head (fix) still crashes; printed before the totals."""
        return self._add("still")

    def older(self, title: str) -> Self:
        """Result: the oldest tested release (``title`` is its commit's) has the bug already."""
        return self._add("oldest")._add("boundary", title=one_line(title))

    def not_fixed(self, title: str) -> Self:
        """Result: the head (``title`` is its commit's) still crashes, or could not be tested."""
        return self._add("not-fixed")._add("boundary", title=one_line(title))

    def error(self, text: str) -> Self:
        """Result: none, and why."""
        return self._add("error", error=one_line(text))

    def not_reproduced(self) -> Self:
        """Result: none, the crash did not happen on the start commit."""
        return self.error("the crash wasn't reproduced on the original commit")

    def recipients(self, to: Sequence[str], cc: Sequence[str]) -> Self:
        """Who is told."""
        self._add("to", list=quote_list([one_line(one) for one in to]))
        return self._add("cc", list=quote_list([one_line(one) for one in cc]))

    def crash(self, title: str, report_text: str) -> Self:
        """The crash itself; nothing can follow it."""
        self._add("crash", title=one_line(title))
        return self._free("report", _visible(report_text))
