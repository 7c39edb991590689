"""What labelled bisections say about "is it the same bug?": fits the coefficients of crash/identity.toml.

Run: ``uv run python -m benchmarks.fit_identity DIRECTORY [--write]``. DIRECTORY holds the labelled logs (truth.jsonl,
revisions.jsonl, logs.tar.xz, reports.tar.xz). Logistic regressions with a ridge; the label is "the bug is there":

1. ``runs``: revisions with a crash; the crash most like the bug, and the shares of the runs;
2. ``crash``: single crashes, each weighed by its share of its revision's runs, so that the odds are those of crashes
   per run; the strangers of one bug weigh as one revision's, for they repeat each other;
3. what titles do not tell (stacks, files): whole reports, the second fit held fast. Crashes where the bug is, against
   reports of strangers in the same log and of other bugs.

Only coefficients are written. How well they do on bugs that the fit did not see: ``benchmarks/identity.py``.
"""

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.identity_cases import Case, Revision, read_identity_cases
from firstbad.crash.identity import Bug, Coefficients, Shown, place_of
from firstbad.crash.likeness import STACKS, WHERE, Face, Likeness, compare, face_of
from firstbad.crash.parse import Report

Floats = NDArray[np.float64]
TARGET = Path(__file__).parents[1] / "src/firstbad/crash/identity.toml"
CRASH = ("base", *WHERE, "function_unknown", "like_type", "harness")
RUNS = (*CRASH, "clean", "clean_weak", "all", "all_near", "failed")
RIDGE, RIDGE_STACKS = 0.3, 1.0  # of coefficients; the base is free
OTHERS = 2  # reports of other bugs that each bug is compared with
OTHERS_WEIGHT = 0.2  # of such a pair: chosen by chance, they are less alike than what a reproducer meets
BAD, GOOD = 0.7, 0.5  # see docs/crashes.md: the curve is flat from .65 to .8
HARNESS = -2.0  # set by hand, where more is learned: the few logs that show such failures fail in all runs


def logistic(rows: Floats, labels: Floats, offset: Floats, weights: Floats, ridge: float, free: int) -> Floats:
    """Coefficients of a logistic regression, penalty ridge / 2 x sum of squares, the first ``free`` ones left out.

    ``rows`` (n, m), ``labels`` (n,) 0 or 1, ``offset`` and ``weights`` (n,). Newton's method.
    """
    fitted = np.zeros(rows.shape[1])
    penalty = np.diag([1e-4] * free + [ridge] * (rows.shape[1] - free))
    for _ in range(60):
        chance = 1 / (1 + np.exp(-(rows @ fitted + offset)))
        curve = (rows.T * (weights * chance * (1 - chance) + 1e-10)) @ rows + penalty
        step = np.linalg.solve(curve, rows.T @ (weights * (labels - chance)) - penalty @ fitted)
        fitted = fitted + step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(fitted)


def bug_of(case: Case, given: Coefficients | None = None) -> Bug:
    """The case's bug with the faces of its start."""
    bug = Bug([], given=given)
    for face in case.faces:
        bug.add(face)
    return bug


def fit(cases: Sequence[Case]) -> Coefficients:
    """The coefficients that the cases teach."""
    tested = [revision for case in cases for revision in case.revisions]
    present = sum(revision.present for revision in tested)
    prior = present / len(tested)
    silent = Counter(revision.present for revision in tested if not revision.shown.crashes)
    clean = math.log((silent[True] + 0.5) / (present + 1)) - math.log(
        (silent[False] + 0.5) / (len(tested) - present + 1)
    )
    crash = _fit_crash(cases, tested)
    return Coefficients(crash | _fit_stacks(cases, crash), _fit_runs(cases, prior), clean, prior, BAD, GOOD)


def _fit_runs(cases: Sequence[Case], prior: float) -> dict[str, float]:
    """Revisions with a crash; what is learned is evidence: the share of all tested revisions with the bug is offset."""
    seen = [row for case in cases for row in _runs_of(case)]
    rows, labels = _table([terms for terms, _ in seen], RUNS), np.array([float(label) for _, label in seen])
    even = np.ones(len(rows))
    fitted = logistic(rows, labels, even * math.log(prior / (1 - prior)), even, RIDGE, 1)
    return dict(zip(RUNS, map(float, fitted), strict=True))


def _fit_crash(cases: Sequence[Case], tested: Sequence[Revision]) -> dict[str, float]:
    """Single crashes, by share of their revision's runs; the offset makes the odds those of crashes per revision."""
    seen = [(*row, case.bug) for case in cases for row in _crashes_of(case)]
    # What one bug's strangers are at one revision they are at the next: all of them together weigh as one revision.
    strange: dict[tuple[str, bool], float] = defaultdict(float)
    for likeness, share, present, culprit in seen:
        strange[culprit, present] += 0.0 if place_of(likeness) else share
    weights = [
        share if place_of(likeness) else share / max(1.0, strange[culprit, present])
        for likeness, share, present, culprit in seen
    ]
    bad = sum(revision.present for revision in tested)
    fitted = logistic(
        _table([likeness.terms for likeness, *_ in seen], CRASH),
        np.array([float(label) for _, _, label, _ in seen]),
        np.full(len(seen), math.log(bad / (len(tested) - bad))),
        np.array(weights),
        RIDGE,
        1,
    )
    terms = dict(zip(CRASH, map(float, fitted), strict=True))
    return terms | {"harness": min(terms["harness"], HARNESS)}


@cache
def _runs_of(case: Case) -> list[tuple[Mapping[str, float], bool]]:
    """Each revision with a crash: terms, and whether the bug is there."""
    bug = bug_of(case)
    return [(bug.terms(row.shown)[0], row.present) for row in case.revisions if row.shown.crashes]


@cache
def _crashes_of(case: Case) -> list[tuple[Likeness, float, bool]]:
    """Each crash of each revision: likeness, share of the started runs, whether the bug is there."""
    bug = bug_of(case)
    return [
        (bug.likeness(crash), runs / _started(row.shown), row.present)
        for row in case.revisions
        for crash, runs in row.shown.crashes
    ]


def _started(shown: Shown) -> int:
    return shown.clean + sum(runs for _, runs in shown.crashes)


def _table(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    return np.array([[1.0 if name == "base" else row.get(name, 0.0) for name in names] for row in rows])


Pair = tuple[Mapping[str, float], bool, float]
"""Terms of two reports, are they of one bug, weight."""


def pairs(cases: Sequence[Case]) -> list[Pair]:
    """Whole reports against the start's: crashes where the bug is, strangers' reports, and other bugs' by chance."""
    found = [pair for case in cases for pair in _own_pairs(case)]
    known = [(case, face) for case in cases for face in [_start(case)] if face is not None]
    chance = np.random.default_rng(0)
    for case, face in known:
        for number in chance.integers(len(known), size=OTHERS):
            other, theirs = known[int(number)]
            if other.bug != case.bug:
                found.append((compare(face, theirs).terms, False, OTHERS_WEIGHT))
    return found


@cache
def _start(case: Case) -> Face | None:
    return face_of(case.report) if case.report else None


@cache
def _own_pairs(case: Case) -> list[Pair]:
    bug = bug_of(case)
    seen = [(crash, row.present) for row in case.revisions for crash, _ in row.shown.crashes]
    strange = [(case.stranger, False)] if case.stranger else []
    return [(bug.likeness(crash).terms, same, 1.0) for crash, same in [*seen, *strange] if isinstance(crash, Report)]


def _fit_stacks(cases: Sequence[Case], crash: Mapping[str, float]) -> dict[str, float]:
    """The third fit: the second is the offset; the base, which the choice of the pairs decides, is thrown away."""
    found = pairs(cases)
    terms = [row for row, *_ in found]
    offset = _table(terms, CRASH) @ np.array([crash[name] for name in CRASH])
    rows = np.column_stack([np.ones(len(found)), _table(terms, STACKS)])
    labels, weights = np.array([float(same) for _, same, _ in found]), np.array([weight for *_, weight in found])
    fitted = logistic(rows, labels, offset, weights, RIDGE_STACKS, 1)
    return dict(zip(STACKS, map(float, fitted[1:]), strict=True))


_HEAD = """Written by `python -m benchmarks.fit_identity DIRECTORY --write`; what each term is: likeness.py and
Bug.terms in identity.py; how well they do on bugs the fit did not see: docs/crashes.md."""
_SAYS = {
    "base": "of a crash that is nothing like the bug",
    "function_unknown": "the crash does not tell where it happened, and is not like the bug",
    "like_type": "the same type or a related one",
    "harness": "the test machinery failed, and the bug is no such failure",
    "clean": "share of clean runs, where some crash is like the bug",
    "clean_weak": "the same, where that likeness is less than the same title",
    "all": "no clean run, most runs crashed",
    "all_near": "the same, strangers only, at a commit that is no release",
    "failed": "strangers only: share of the runs that never came to the reproducer",
    "same_stack": "share of functions in common",
    "other_stack": "two stacks with nothing in common",
    "other_directory": "two lists of source files, no directory in common",
    "other_size": "accesses of different size",
}


def as_toml(given: Coefficients, cases: Sequence[Case]) -> str:
    """identity.toml: every coefficient with what it is."""
    tested = [revision for case in cases for revision in case.revisions]
    crashed = sum(bool(revision.shown.crashes) for revision in tested)
    bugs = len({case.bug for case in cases})
    lines = [f"# {line}" for line in _HEAD.split("\n")]
    lines += ["", f"# Log-odds (nats), learned from {crashed} revisions with a crash of {bugs} bugs."]
    for table, values in (("crash", given.crash), ("runs", given.runs)):
        lines += ["", f"[{table}]"]
        lines += [f"{k} = {v:.3f}" + (f"  # {_SAYS[k]}" if k in _SAYS else "") for k, v in values.items()]
    lines += ["", f"# {len(tested)} revisions, with a crash or without.", "[revision]"]
    lines.append(f"clean = {given.clean:.3f}  # log-odds of a revision none of whose runs crashed")
    lines.append(f"prior = {given.prior:.3f}  # share of the tested revisions that had the bug")
    lines.append(f"bad = {given.bad}  # called bad from this probability on")
    lines.append(f"good = {given.good}  # called good up to this one; skip between")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit, print, write identity.toml if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the package's identity.toml")
    options = parser.parse_args()
    cases = read_identity_cases(options.directory)
    text = as_toml(fit(cases), cases)
    print(text, end="")
    if options.write:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
