"""How well the verdict on a revision with crashes does, on labelled bisections whose bug the fit did not see.

Run: ``uv run python -m benchmarks.identity DIRECTORY [--svg docs/identity.svg]``. Cross-validated in ten folds by bug:
logs whose culprit is the same commit are one bug, and stand in one fold. Prints a Markdown table of verdict rules, the
whole curve, and the intervals by bug; draws the ROC.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.charts import COLOURS, FAINT, Canvas
from benchmarks.fit_identity import bug_of, fit
from benchmarks.identity_cases import Case, Revision, read_identity_cases
from firstbad.crash.identity import Shown, Verdict
from firstbad.crash.likeness import face_of_title
from firstbad.crash.parse import Report

Rule = Callable[[Case, Shown], Verdict]
FOLDS = 10
RESAMPLES = 2000


@dataclass(frozen=True)
class Judged:
    """A labelled revision with what the model says of it; ``probability`` is that of folds without its bug."""

    case: Case
    revision: Revision
    probability: float
    verdict: Verdict
    evidence: float


def judge_all(cases: Sequence[Case], seed: int = 0) -> list[Judged]:
    """Every labelled revision, judged by coefficients that were fitted to the other folds."""
    bugs = sorted({case.bug for case in cases})
    places = dict(zip(bugs, np.random.default_rng(seed).permutation(len(bugs)) % FOLDS, strict=True))
    found: list[Judged] = []
    for fold in range(FOLDS):
        given = fit([case for case in cases if places[case.bug] != fold])
        for case in (case for case in cases if places[case.bug] == fold):
            bug = bug_of(case, given)
            for revision in case.revisions:
                said = bug.holds(revision.shown)
                found.append(Judged(case, revision, said.probability, said.verdict, said.evidence))
    return found


# ---------------------------------------------------------------- rules to compare with


def any_crash(_: Case, shown: Shown) -> Verdict:
    """Any crash is the bug."""
    return "bad" if shown.crashes else "good"


def thresholds(_: Case, shown: Shown) -> Verdict:
    """Two crashes of any kind, and half of the runs must tell something."""
    crashes, runs = _count(shown)
    if crashes + shown.clean < runs / 2 or crashes == 1:
        return "skip"
    return "bad" if crashes else "good"


def title_or_function(case: Case, shown: Shown) -> Verdict:
    """A crash counts if it has a title or a function that the start commit showed; others are lost runs."""
    return _of_matching(case, shown, 2.0)


def match_or_half(case: Case, shown: Shown) -> Verdict:
    """The same, or half of the runs crashed otherwise."""
    return _of_matching(case, shown, 0.5)


def _of_matching(case: Case, shown: Shown, share: float) -> Verdict:
    names, functions = {face.title for face in case.faces}, {face.function for face in case.faces} - {""}
    seen = [(face_of_title(crash.title if isinstance(crash, Report) else crash), n) for crash, n in shown.crashes]
    if any(face.title in names or face.function in functions for face, _ in seen):
        return "bad"
    crashes, runs = _count(shown)
    if crashes and crashes >= share * runs:
        return "bad"
    return "good" if shown.clean >= runs / 2 or not crashes else "skip"


def _count(shown: Shown) -> tuple[int, int]:
    crashes = sum(runs for _, runs in shown.crashes)
    return crashes, crashes + shown.clean + shown.failed


RULES: dict[str, Rule] = {
    "any crash": any_crash,
    "two crashes, half of the runs tell": thresholds,
    "same title or function only": title_or_function,
    "match, or half of the runs with another title": match_or_half,
}

# ---------------------------------------------------------------- figures


@dataclass(frozen=True)
class Count:
    """Verdicts on truly bad and on truly good revisions, and those on bad ones that showed a crash."""

    bad: Counter[str]
    good: Counter[str]
    beyond: int
    """Truly bad revisions with a crash that are not called bad."""

    @property
    def lost(self) -> float:
        """Share of the truly bad ones lost or skipped beyond the any-crash rule."""
        return self.beyond / self.bad.total()

    @property
    def wrong(self) -> float:
        """Share of the truly good ones called bad."""
        return self.good["bad"] / self.good.total()

    def row(self, name: str) -> str:
        """A line of the table."""
        bad, good = (" / ".join(str(count[v]) for v in order) for count, order in self._orders())
        return f"| {name} | {bad} | {self.lost:.2%} | {good} | {self.wrong:.2%} |"

    def _orders(self) -> list[tuple[Counter[str], tuple[str, str, str]]]:
        return [(self.bad, ("bad", "skip", "good")), (self.good, ("good", "skip", "bad"))]


def count(judged: Sequence[Judged], verdicts: Sequence[Verdict]) -> Count:
    """The verdicts against the truth."""
    bad, good, beyond = Counter[str](), Counter[str](), 0
    for one, verdict in zip(judged, verdicts, strict=True):
        (bad if one.revision.present else good)[verdict] += 1
        beyond += one.revision.present and bool(one.revision.shown.crashes) and verdict != "bad"
    return Count(bad, good, beyond)


def by_bug(judged: Sequence[Judged], verdicts: Sequence[Verdict]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% intervals of the shares lost and wrong (each (2,)): bugs drawn with replacement, all revisions of each."""
    bugs = {bug: i for i, bug in enumerate(sorted({one.case.bug for one in judged}))}
    table = np.zeros((len(bugs), 4))
    for one, verdict in zip(judged, verdicts, strict=True):
        crash, row = bool(one.revision.shown.crashes), table[bugs[one.case.bug]]
        if one.revision.present:
            row += (1, crash and verdict != "bad", 0, 0)
        else:
            row += (0, 0, 1, verdict == "bad")
    drawn = np.random.default_rng(0).multinomial(len(bugs), np.full(len(bugs), 1 / len(bugs)), size=RESAMPLES) @ table
    lost, wrong = drawn[:, 1] / drawn[:, 0], drawn[:, 3] / drawn[:, 2]
    return np.percentile(lost, [2.5, 97.5]), np.percentile(wrong, [2.5, 97.5])


def curve(judged: Sequence[Judged]) -> list[tuple[float, int, int]]:
    """(threshold, wrongly bad, truly bad not called bad), for every threshold that matters, highest first."""
    crashed = [one for one in judged if one.revision.shown.crashes]
    points, wrong, missed = [(1.0, 0, sum(one.revision.present for one in crashed))], 0, 0
    missed = points[0][2]
    for one in sorted(crashed, key=lambda one: -one.probability):
        wrong += not one.revision.present
        missed -= one.revision.present
        points.append((one.probability, wrong, missed))
    last = {point[0]: point for point in points}  # equal probabilities fall together
    return list(last.values())


def area(judged: Sequence[Judged]) -> float:
    """Area under the ROC over the revisions with a crash."""
    bad = np.array([o.probability for o in judged if o.revision.present and o.revision.shown.crashes])
    good = np.array([o.probability for o in judged if not o.revision.present and o.revision.shown.crashes])
    return float((bad[:, None] > good).mean() + 0.5 * (bad[:, None] == good).mean())


def reliability(judged: Sequence[Judged]) -> list[str]:
    """Of the revisions with a crash, by probability: how many, how many had the bug."""
    lines = ["| P(bug) | revisions | had the bug | mean P |", "| --- | --- | --- | --- |"]
    edges = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0)
    crashed = [one for one in judged if one.revision.shown.crashes]
    for low, high in pairwise(edges):
        some = [one for one in crashed if low <= one.probability < high]
        if some:
            hits, mean = sum(one.revision.present for one in some), np.mean([one.probability for one in some])
            lines.append(f"| {low:g}–{high:g} | {len(some)} | {hits} ({hits / len(some):.0%}) | {mean:.2f} |")
    return lines


# ---------------------------------------------------------------- chart


def chart(judged: Sequence[Judged], points: dict[str, tuple[float, float]]) -> str:
    """The ROC: share of truly good revisions called bad, against truly bad ones lost or skipped beyond any crash.

    ``points``: the rules, as (wrong, lost) in percent of all truly good, all truly bad revisions.
    """
    canvas = Canvas(720, 430)
    left, top, width, height, right, up = 60.0, 40.0, 400.0, 330.0, 5.5, 14.0

    def at(wrong: float, lost: float) -> tuple[float, float]:
        return left + width * min(wrong, right) / right, top + height * min(lost, up) / up

    canvas.text(left, 22, "Is it the bug? Verdicts on revisions, bugs the fit did not see", 13)
    for tick in range(6):
        canvas.line([at(tick, 0), at(tick, up)], FAINT, 0.6)
        canvas.text(at(tick, up)[0], top + height + 14, f"{tick}%", 10, "middle")
    for tick in range(0, 15, 2):
        canvas.line([at(0, tick), at(right, tick)], FAINT, 0.6)
        canvas.text(left - 5, at(0, tick)[1] + 4, f"{100 - tick}%", 10, "end")
    canvas.text(left + width / 2, top + height + 32, "truly good revisions called bad", 11, "middle")
    canvas.text(left, top - 6, "truly bad revisions with a crash called bad (rest: lost or skipped)", 10)
    canvas.box(*at(0, 0), width * 1.6 / right, height * 2 / up, "#e3f1e6")
    goods = sum(not one.revision.present for one in judged)
    bads = sum(one.revision.present for one in judged)
    line = [at(100 * wrong / goods, 100 * missed / bads) for _, wrong, missed in curve(judged)]
    canvas.line(line, COLOURS[0], 2.0)
    for number, (name, (wrong, lost)) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        canvas.dot(*at(wrong, lost), colour, 4.5)
        canvas.dot(left + width + 22, top + 16 + 20 * number, colour, 4.5)
        canvas.text(left + width + 32, top + 20 + 20 * number, name, 10)
    canvas.line([(left + width + 15, top + 128), (left + width + 29, top + 128)], COLOURS[0], 2.0)
    canvas.text(left + width + 34, top + 132, "all thresholds of the model", 10)
    canvas.box(left + width + 15, top + 143, 14, 12, "#e3f1e6")
    canvas.text(left + width + 34, top + 153, "target: 1.6% and 2%", 10)
    return canvas.svg()


def main() -> None:
    """Print the tables, draw the chart if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    cases = read_identity_cases(options.directory)
    judged = judge_all(cases)
    print("| rule for bad | truly bad: bad / skip / good | lost | truly good: good / skip / bad | wrong |")
    print("| --- | --- | --- | --- | --- |")
    points: dict[str, tuple[float, float]] = {}
    ours: list[Verdict] = [one.verdict for one in judged]
    shown = {name: [rule(one.case, one.revision.shown) for one in judged] for name, rule in RULES.items()}
    for name, verdicts in {"this model": ours, **shown}.items():
        counted = count(judged, verdicts)
        points[name] = (100 * counted.wrong, 100 * counted.lost)
        print(counted.row(name))
    points_of = curve(judged)
    for name, verdicts in shown.items():
        allowed = count(judged, verdicts).beyond
        fewest = min(wrong for _, wrong, missed in points_of if missed <= allowed)
        print(f"at no more lost than by '{name}' ({allowed}): {fewest} good ones called bad")
    lost, wrong = by_bug(judged, ours)
    print(f"\n95% by bug: lost {lost[0]:.2%} to {lost[1]:.2%}, wrong {wrong[0]:.2%} to {wrong[1]:.2%}")
    print(f"area under the ROC (revisions with a crash): {area(judged):.4f}")
    for seed in range(1, 5):
        other = judge_all(cases, seed)
        counted = count(other, [one.verdict for one in other])
        print(f"other folds, seed {seed}: lost {counted.lost:.2%}, wrong {counted.wrong:.2%}, area {area(other):.4f}")
    goods, bads = sum(not o.revision.present for o in judged), sum(o.revision.present for o in judged)
    print("\n| threshold | wrongly bad | lost or skipped |\n| --- | --- | --- |")
    for threshold in (0.99, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1):
        some = [one for one in judged if one.revision.shown.crashes]
        bad = sum(not o.revision.present and o.probability >= threshold for o in some)
        miss = sum(o.revision.present and o.probability < threshold for o in some)
        print(f"| {threshold} | {bad} ({bad / goods:.2%}) | {miss} ({miss / bads:.2%}) |")
    print("\n" + "\n".join(reliability(judged)))
    if options.svg:
        options.svg.write_text(chart(judged, points), encoding="utf-8")


if __name__ == "__main__":
    main()
