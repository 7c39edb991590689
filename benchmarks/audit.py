"""How well the audit of a bisection log does, on labelled bisections of bugs that the fit did not see.

Run: ``uv run python -m benchmarks.audit DIRECTORY [--svg docs/audit.svg]``. Cross-validated in ten folds by bug, crash
identity included. Prints Markdown: the area under the ROC of ``trust`` against the truth (intervals by bug), the wrong
answers flagged where 95% of the right ones are kept, how often ``suspect`` is the labelled first wrong revision,
verdicts on revisions against the log's own, the calibration of ``trust``, and the area in other divisions into folds.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit_cases import FOLDS, AuditCase, read_audit_cases
from benchmarks.calibration import SIGMAS, Bin, Said, bins
from benchmarks.charts import COLOURS, FAINT, INK, Canvas
from benchmarks.fit_audit import held_out, threshold
from firstbad.audit.judge import p_bug
from firstbad.audit.terms import weights

Place = Callable[[float, float], tuple[float, float]]
Floats = NDArray[np.float64]
EDGES = (0.0, 0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.85, 0.93, 1.0)
RESAMPLES = 2000


@dataclass(frozen=True)
class Figures:
    """What the task asks for. ``errors``: wrong verdicts on labelled revisions: ours, and the log's own."""

    area: float
    flagged: float
    suspects: float
    last_good: float
    """The same for the rule "the last release that was called good"."""
    errors: tuple[int, int]
    revisions: int


def area(right: Floats, wrong: Floats) -> float:
    """Area under the ROC: how often a right answer is trusted more than a wrong one."""
    return float((right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean())


def figures(cases: Sequence[AuditCase], chances: Mapping[str, Sequence[float]]) -> Figures:
    """By held-out probabilities of all ways."""
    right = np.array([chances[case.log][0] for case in cases if case.right])
    wrong = np.array([chances[case.log][0] for case in cases if not case.right])
    astray = [case for case in cases if not case.right]
    suspects = [_suspect(chances[case.log]) == case.went for case in astray]
    last = [_last_good(case) == case.went for case in astray]
    ours, own, total = _errors(cases, chances)
    flagged = float((wrong < threshold(chances, cases)).mean())
    return Figures(area(right, wrong), flagged, float(np.mean(suspects)), float(np.mean(last)), (ours, own), total)


def _suspect(chances: Sequence[float]) -> int:
    """The way that is named as the suspect; 0 where the log is trusted, and nobody is suspected."""
    return 0 if chances[0] >= weights().trust else 1 + int(np.argmax(chances[1:]))


def _last_good(case: AuditCase) -> int:
    revisions = case.facts.revisions
    found = [
        number
        for number, way in enumerate(case.found)
        if way.index is not None and way.why == "not-triggered" and revisions[way.index].phase == "release"
    ]
    return found[-1] if found else -1


def _errors(cases: Sequence[AuditCase], chances: Mapping[str, Sequence[float]]) -> tuple[int, int, int]:
    """Wrong verdicts on labelled revisions: by p_bug, by the log; and how many there are."""
    ours = own = total = 0
    for case in cases:
        for index, revision in enumerate(case.facts.revisions):
            truth = case.truth.get(revision.hash)
            if truth is None or revision is case.facts.start or revision.logged == "skip":
                continue
            total += 1
            own += revision.logged != truth
            ours += ("bad" if p_bug(case.facts, index, case.found, chances[case.log]) > 0.5 else "good") != truth
    return ours, own, total


def by_bug(cases: Sequence[AuditCase], chances: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """95% interval of the area: bugs drawn with replacement, all logs of each."""
    bugs = sorted({case.bug for case in cases})
    trust = np.array([chances[case.log][0] for case in cases])
    right = np.array([case.right for case in cases])
    whose = np.array([bugs.index(case.bug) for case in cases])
    chance, found = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        times = np.bincount(chance.integers(len(bugs), size=len(bugs)), minlength=len(bugs))[whose]
        again = np.repeat(np.arange(len(cases)), times)
        found.append(area(trust[again][right[again]], trust[again][~right[again]]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def calibration(cases: Sequence[AuditCase], chances: Mapping[str, Sequence[float]]) -> list[Bin]:
    """``trust`` in bins."""
    return bins([Said(chances[case.log][0], case.right, "found") for case in cases], EDGES)


def chart(cases: Sequence[AuditCase], chances: Mapping[str, Sequence[float]], rows: Sequence[Bin]) -> str:
    """The ROC, and stated against true probability."""
    canvas, size, top = Canvas(760, 380), 290.0, 40.0
    trust = sorted(((chances[case.log][0], case.right) for case in cases), reverse=True)
    goods = sum(right for _, right in trust)
    steps: Counter[bool] = Counter()
    line = [(0.0, 0.0)]
    for _, right in trust:
        steps[right] += 1
        line.append((steps[False] / (len(trust) - goods), steps[True] / goods))
    roc = _square(canvas, 60, top, size, "wrong answers trusted", "right answers trusted")
    canvas.line([roc(x, y) for x, y in line], COLOURS[0], 2.0)
    state = _square(canvas, 440, top, size, "stated probability", "share that was right")
    canvas.line([state(0, 0), state(1, 1)], FAINT, 1.0, "4 3")
    for row in rows:
        x = row.stated
        spread = [state(x, max(0.0, x - row.tolerance)), state(x, min(1.0, x + row.tolerance))]
        canvas.line(spread, FAINT, 6.0)
        canvas.dot(*state(x, row.right), COLOURS[0] if row.holds else COLOURS[1], 4.0)
    canvas.text(60, 20, "Is the named commit the culprit? Bugs not seen by the fit", 12)
    canvas.text(440, 20, f"grey: within {SIGMAS:g} standard deviations", 11)
    return canvas.svg()


def _square(canvas: Canvas, left: float, top: float, size: float, across: str, up: str) -> Place:
    for tick in range(0, 101, 20):
        at = size * tick / 100
        canvas.line([(left + at, top), (left + at, top + size)], FAINT, 0.5)
        canvas.line([(left, top + size - at), (left + size, top + size - at)], FAINT, 0.5)
        canvas.text(left + at, top + size + 14, f"{tick}%", 10, "middle")
        canvas.text(left - 5, top + size - at + 4, f"{tick}%", 10, "end")
    canvas.text(left + size / 2, top + size + 32, across, 11, "middle", INK)
    canvas.text(left, top - 6, up, 10)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + size * x, top + size * (1 - y)

    return place


def main() -> None:
    """Print the tables, draw the chart if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    cases = read_audit_cases(options.directory)
    chances = held_out(cases)
    found, rows = figures(cases, chances), calibration(cases, chances)
    low, high = by_bug(cases, chances)
    right = sum(case.right for case in cases)
    print(f"{len(cases)} logs that name a commit, {right} of them the culprit; {FOLDS} folds by bug\n")
    print("| figure | measured | asked |\n| --- | --- | --- |")
    print(f"| area under the ROC of `trust` | {found.area:.3f} [{low:.3f}, {high:.3f}] | .92 |")
    print(f"| wrong answers flagged where 95% of the right ones are kept | {found.flagged:.1%} | 75% |")
    print(f"| `suspect` is the first wrong revision | {found.suspects:.1%} | 55% |")
    print(f"| the last good release alone | {found.last_good:.1%} | |")
    print(f"| wrong verdicts on {found.revisions} labelled revisions (the log's own) | "
          f"{found.errors[0]} ({found.errors[1]}) | fewer |")  # fmt: skip
    print("\n| trust | logs | stated | right | may differ by | |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        holds = "" if row.holds else "out"
        print(f"| {row.low:g}–{row.high:g} | {row.answers} | {row.stated:.1%} | {row.right:.1%} | "
              f"{row.tolerance:.1%} | {holds} |")  # fmt: skip
    for seed in range(1, 5):
        again = read_audit_cases(options.directory, seed)
        other = figures(again, held_out(again))
        print(f"\nfolds {seed}: area {other.area:.3f}, flagged {other.flagged:.1%}, suspect {other.suspects:.1%}")
    if options.svg:
        options.svg.write_text(chart(cases, chances, rows), encoding="utf-8")


if __name__ == "__main__":
    main()
