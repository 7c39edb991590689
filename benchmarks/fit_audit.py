"""What labelled bisections say about how bisections go wrong: fits the coefficients of audit/audit.toml.

Run: ``uv run python -m benchmarks.fit_audit DIRECTORY [--write]``. DIRECTORY holds the labelled logs (truth.jsonl,
revisions.jsonl, logs.tar.xz, reports.tar.xz). One multinomial logit over the ways each log can have gone: the named
commit is right, or a revision's verdict was the first wrong one. Only coefficients are written. How well they do on
bugs that the fit did not see: ``benchmarks/audit.py``.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit_cases import AuditCase, read_audit_cases
from firstbad.audit.terms import weigh

Floats = NDArray[np.float64]
TARGET = Path(__file__).parents[1] / "src/firstbad/audit/audit.toml"
RIDGE = 1.0
TRUST = 0.75  # trusted from here on
KEPT = 0.95  # share of the right answers that are not rejected


def names_of(cases: Sequence[AuditCase]) -> list[str]:
    """All terms, in the order in which they are met."""
    return list(dict.fromkeys(name for case in cases for way in case.found for name in way.terms))


def fit(cases: Sequence[AuditCase], ridge: float = RIDGE) -> dict[str, float]:
    """Coefficients of the terms, most probable under a Gaussian prior of variance 1 / ridge. Newton's method."""
    names = names_of(cases)
    tables = [(_table(case, names), case.went) for case in cases]
    weights = np.zeros(len(names))
    height = _height(tables, weights, ridge)
    for _ in range(60):
        slope, curve = -ridge * weights, ridge * np.eye(len(names))
        for rows, went in tables:
            chance = _chances(rows @ weights)
            mean = chance @ rows
            slope += rows[went] - mean
            curve += (rows.T * chance) @ rows - np.outer(mean, mean)
        step = np.linalg.solve(curve, slope)
        while _height(tables, weights + step, ridge) < height - 1e-9:
            step /= 2
        weights = weights + step
        height = _height(tables, weights, ridge)
        if np.abs(step).max() < 1e-6:
            break
    return dict(zip(names, map(float, weights), strict=True))


def _table(case: AuditCase, names: Sequence[str]) -> Floats:
    return np.array([[way.terms.get(name, 0.0) for name in names] for way in case.found])


def _chances(scores: Floats) -> Floats:
    raw = np.exp(scores - scores.max())
    return np.asarray(raw / raw.sum())


def _height(tables: Sequence[tuple[Floats, int]], weights: Floats, ridge: float) -> float:
    total = -0.5 * ridge * float(weights @ weights)
    for rows, went in tables:
        scores = rows @ weights
        total += float(scores[went] - scores.max() - np.log(np.exp(scores - scores.max()).sum()))
    return total


def held_out(cases: Sequence[AuditCase], ridge: float = RIDGE) -> dict[str, list[float]]:
    """By log, how probable each way is by coefficients that were fitted to the other folds."""
    found: dict[str, list[float]] = {}
    for fold in sorted({case.fold for case in cases}):
        given = fit([case for case in cases if case.fold != fold], ridge)
        found |= {case.log: weigh(case.found, given) for case in cases if case.fold == fold}
    return found


def threshold(chances: Mapping[str, Sequence[float]], cases: Sequence[AuditCase]) -> float:
    """The probability below which 1 - KEPT of the right answers lie."""
    right = sorted(chances[case.log][0] for case in cases if case.right)
    return right[int((1 - KEPT) * len(right))]


def as_toml(given: Mapping[str, float], reject: float, cases: Sequence[AuditCase]) -> str:
    """audit.toml."""
    right = sum(case.right for case in cases)
    bugs = len({case.bug for case in cases})
    lines = [
        "# Written by `python -m benchmarks.fit_audit DIRECTORY --write`; what each term is: terms.py;",
        "# how well they do on bugs that the fit did not see: docs/audit.md.",
        "",
        f"# Nats, learned from {len(cases)} bisections of {bugs} bugs that named a commit, {right} of them rightly.",
        "[terms]",
        *(f"{name} = {value:.3f}" for name, value in given.items()),
        "",
        "[verdict]",
        f"trust = {TRUST}  # trusted from this probability on",
        f"reject = {reject:.2f}  # rejected below: {KEPT:.0%} of the right answers, of bugs not seen, lie above",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit, print, write audit.toml if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the package's audit.toml")
    options = parser.parse_args()
    cases = read_audit_cases(options.directory)
    text = as_toml(fit(cases), threshold(held_out(cases), cases), cases)
    print(text, end="")
    if options.write:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
