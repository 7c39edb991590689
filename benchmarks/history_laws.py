"""The laws that are fitted to bisections of the past, and how what each buys is measured."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.history_cases import Case, Seen, without

Floats = NDArray[np.float64]
_OFTEN = {1.0: 16, 0.999: 12, 0.99: 12, 0.95: 8, 0.9: 6, 0.8: 6, 0.7: 4, 0.6: 4, 0.5: 4}
_SELDOM = {0.4: 4, 0.3: 5, 0.2: 5, 0.15: 3, 0.1: 4, 0.07: 2, 0.05: 2, 0.03: 1, 0.02: 1, 0.01: 1}
RATES = np.array(list(_OFTEN | _SELDOM))  # grid of crash rates
BEFORE = np.array(list((_OFTEN | _SELDOM).values())) / 100.0  # weights set by hand, before there was a fit
SHARES = np.array([0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 0.9, 1.0])  # grid of stray crashes per run
STRENGTH = 30.0  # bugs; keeps weight on low rates, which those bisections hardly ever took on
_FOLDS = 5


@dataclass(frozen=True)
class Gain:
    """Held-out log-likelihood against an alternative, in nats over all bugs, and its standard error."""

    nats: float
    error: float
    against: str

    def __str__(self) -> str:
        return f"{self.nats:+.1f} ± {self.error:.1f} nats held out against {self.against}"


Law = tuple[Callable[[Sequence[Any]], Floats], Callable[[Floats, Sequence[Any]], Floats]]
"""How to fit parameters to some bugs, and the log-likelihood of each bug under them."""


def held_out(cases: Sequence[Any], law: Law) -> Floats:
    """(bugs,) log-likelihood of each bug under the fit to the other folds. Folds are drawn with a fixed seed."""
    fold = np.random.default_rng(0).permutation(len(cases)) % _FOLDS
    result = np.zeros(len(cases))
    for number in range(_FOLDS):
        inside = np.flatnonzero(fold == number)
        fitted = law[0]([case for i, case in enumerate(cases) if fold[i] != number])
        result[inside] = law[1](fitted, [cases[int(i)] for i in inside])
    return result


def gain(cases: Sequence[Any], law: Law, plain: Law, against: str) -> Gain:
    """What ``law`` buys against ``plain``."""
    difference = held_out(cases, law) - held_out(cases, plain)
    return Gain(float(difference.sum()), float(difference.std() * math.sqrt(len(cases))), against)


def highest(score: Callable[[Floats], float], start: Sequence[float], rounds: int = 300) -> Floats:
    """The parameters of the highest score: the simplex method of Nelder and Mead (1965)."""
    best = np.array(start, dtype=float)
    points = [best, *(best + step for step in np.eye(len(best)))]
    pool = [_at(score, point) for point in points]
    for _ in range(rounds):
        pool.sort(key=lambda pair: -pair[0])
        if pool[0][0] - pool[-1][0] < 1e-3:
            break
        middle = np.mean([point for _, point in pool[:-1]], axis=0)
        away = middle - pool[-1][1]
        found = max((_at(score, middle + f * away) for f in (1.0, -0.5)), key=lambda pair: pair[0])
        if found[0] > pool[0][0]:
            found = max(found, _at(score, middle + 2 * away), key=lambda pair: pair[0])
        if found[0] > pool[-1][0]:
            pool[-1] = found
        else:
            pool = [pool[0], *(_at(score, (point + pool[0][1]) / 2) for _, point in pool[1:])]
    return max(pool, key=lambda pair: pair[0])[1]


def summed(owner: Any, each: Floats, bugs: int) -> Floats:
    """(bugs,) sums of ``each`` by its owner, the index of a bug."""
    return np.asarray(np.bincount(np.asarray(owner, dtype=int), weights=each, minlength=bugs), dtype=float)


def _at(score: Callable[[Floats], float], point: Floats) -> tuple[float, Floats]:
    return score(point), point


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x), kept off 0 and 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def chances(rows: Callable[[Any], list[tuple[list[float], bool]]]) -> Law:
    """Logistic regression. ``rows``: a bug's trials, each the terms (the first is 1) and whether it happened.

    A normal prior of deviation 3 on every coefficient keeps those of rare terms in bounds.
    """

    def table(cases: Sequence[Any]) -> tuple[Floats, Floats, NDArray[np.int64]]:
        trials = [(terms, hit, i) for i, case in enumerate(cases) for terms, hit in rows(case)]
        return (
            np.array([t for t, _, _ in trials]),
            np.array([h for _, h, _ in trials]),
            np.array([i for *_, i in trials]),
        )

    def each(fitted: Floats, x: Floats, y: Floats) -> Floats:
        p = sigmoid(x @ fitted)
        return np.asarray(np.log(np.where(y, p, 1 - p)))

    def fit(cases: Sequence[Any]) -> Floats:
        x, y, _ = table(cases)
        return highest(lambda b: float(each(b, x, y).sum() - (b @ b) / 18), [0.0] * x.shape[1])

    def score(fitted: Floats, cases: Sequence[Any]) -> Floats:
        x, y, owner = table(cases)
        return summed(owner, each(fitted, x, y), len(cases))

    return fit, score


_LGAMMA = np.vectorize(math.lgamma, otypes=[float])


def beta_binomial(hits: Floats, runs: Floats, mean: Floats, worth: float) -> Floats:
    """log-probability of each order of hits when the rate is Beta distributed: mean, and ``worth`` runs strong."""
    a, b = mean * worth, (1 - mean) * worth
    return np.asarray(
        _LGAMMA(a + hits) - _LGAMMA(a) + _LGAMMA(b + runs - hits) - _LGAMMA(b) - _LGAMMA(a + b + runs) + _LGAMMA(a + b)
    )


# ---------------------------------------------------------------- 1, 5: masks, rates, drift


def mixture(likely: Floats, before: Floats, strength: float) -> Floats:
    """Weights of the columns of ``likely`` by EM, a Dirichlet prior of ``strength`` cases around ``before``."""
    weights = before
    for _ in range(300):
        shares = likely * weights
        sums = (shares / shares.sum(axis=1, keepdims=True)).sum(axis=0) + strength * before
        weights = sums / sums.sum()
    return weights


def rate_law(strength: float) -> Law:
    """Weights over the rate grid, from the start's runs; pulled to the weights set by hand."""

    def table(cases: Sequence[Case]) -> Floats:
        return np.exp([_binomial(case.start) for case in cases])

    return (lambda cases: mixture(table(cases), BEFORE, strength)), lambda fitted, cases: np.log(table(cases) @ fitted)


def _binomial(seen: Seen) -> Floats:
    """(rates,) log-likelihood of the runs at each rate."""
    clean = np.where(RATES < 1, np.log1p(-np.minimum(RATES, 1 - 1e-12)), -1e5)
    return np.asarray(np.maximum(seen.crashes * np.log(RATES) + seen.clean * clean, -1e5))


Terms = Callable[[Case, Seen], list[float]]


class _Triggers:
    """Runs at revisions that truly have the bug, as arrays over these revisions and over the rate grid."""

    def __init__(self, cases: Sequence[Case], terms: Terms, weights: Floats) -> None:
        rows = [(i, s, terms(c, s)) for i, c in enumerate(cases) for s in c.known if s.bug and s.crashes + s.clean]
        owner = np.array([i for i, *_ in rows], dtype=int)
        self.owners, self.first = np.unique(owner, return_index=True)  # rows of one bug stand together
        self.terms = np.array([t for *_, t in rows])
        self.silent = np.array([[s.crashes == 0] for _, s, _ in rows])
        self.steady = np.array([np.exp(_binomial(s)) for _, s, _ in rows])
        self.start = np.log(weights) + np.array([_binomial(cases[i].start) for i in self.owners])
        counts = [(s.crashes, s.crashes + s.clean) for _, s, _ in rows]
        self.pairs, self.inverse = np.unique(np.array(counts, dtype=float), axis=0, return_inverse=True)

    def moved(self, worth: float) -> Floats:
        """(rows, rates) probability of the runs when the rate is Beta distributed around each rate."""
        hits, runs = (self.pairs[:, [column]] + 0 * RATES for column in (0, 1))
        mean = np.minimum(RATES, 0.995) + 0 * hits
        return np.asarray(np.exp(beta_binomial(hits, runs, mean, worth))[self.inverse.ravel()])

    def total(self, law: Floats, mask: Floats) -> Floats:
        """(bugs,) log-likelihood after the start's runs."""
        parts = np.log(np.maximum(mask * self.silent + (1 - mask) * law, 1e-300))
        return np.asarray(_log_sum(self.start + np.add.reduceat(parts, self.first)) - _log_sum(self.start))


def trigger_law(terms: Terms, weights: Floats, drift: bool) -> Law:
    """Runs at revisions that truly have the bug, after those of the start.

    A revision is masked with the chance sigmoid(terms x b) and then clean; else it crashes at the bug's rate, which
    is the start's at every revision, or with the chance w (``drift``) Beta distributed around it. Parameters: b,
    then with ``drift`` w as log-odds and the log of the Beta's worth.
    """

    def each(fitted: Floats, runs: _Triggers) -> Floats:
        width = runs.terms.shape[1]
        mask = sigmoid(runs.terms @ fitted[:width])[:, None]
        steady = runs.total(runs.steady, mask)
        if not drift:
            return steady
        share, worth = sigmoid(fitted[width : width + 1])[0], math.exp(float(np.clip(fitted[width + 1], -3, 6)))
        varied = runs.total(runs.moved(worth), mask)
        return np.asarray(np.logaddexp(np.log(1 - share) + steady, np.log(share) + varied))

    def fit(cases: Sequence[Case]) -> Floats:
        runs = _Triggers(cases, terms, weights)
        begin = [-3.0, *[0.0] * (runs.terms.shape[1] - 1), *([0.0, 1.0] if drift else [])]
        return highest(lambda b: float(each(b, runs).sum() - (b @ b) / 18), begin)

    def score(fitted: Floats, cases: Sequence[Case]) -> Floats:
        runs = _Triggers(cases, terms, weights)
        result = np.zeros(len(cases))
        result[runs.owners] = each(fitted, runs)
        return result

    return fit, score


def _log_sum(values: Floats) -> Floats:
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))


# ---------------------------------------------------------------- 2, 3: age and place of the culprit


def walk(case: Case, terms: Callable[[int], list[float]]) -> list[tuple[list[float], bool]]:
    """The release walk as trials: is the culprit between release k and k - 1 (0: the start), if not younger?

    Ends at the culprit or at the last release whose truth is known. Between two known releases those that could
    not be tested count as older than the culprit: the event is put at the release that showed it.
    """
    releases = [seen for seen in case.known if seen.k]
    return [(terms(seen.k), not seen.bug) for seen in releases]


def halves(case: Case) -> list[tuple[float, float, float, bool]]:
    """The bisection as trials: (newer end, middle, older end, is the culprit in the newer half?), in commits.

    Ends are counted in commits from the start, as git's numbers of commits left tell them; git tests the middle, and
    "newer" is what the middle does not contain. Only where the newest release below the start lacks the bug.
    """
    if max((seen.k for seen in case.known), default=0) != 1:
        return []
    low, result = 0.0, []
    steps = [seen for seen in case.known if seen.phase == "bisect" and seen.left]
    for seen, after in zip(steps, [*steps[1:], None], strict=False):
        high = low + 2 * seen.left + 1
        result.append((low, (low + high) / 2, high, not seen.bug))
        if after is not None and seen.bug:
            low = max(low, high - 2 * after.left - 1)
    return result


def place_law() -> Law:
    """weight(d) = (d + offset)^-power, d commits from the start. Parameters: log offset, power."""

    def mass(ends: Floats, fitted: Floats) -> Floats:
        offset, power = math.exp(float(np.clip(fitted[0], 0, 9))), float(fitted[1])
        if abs(power - 1) < 1e-6:
            return np.asarray(np.log(ends + offset))
        return np.asarray((ends + offset) ** (1 - power) / (1 - power))

    def score(fitted: Floats, cases: Sequence[Case]) -> Floats:
        rows = [(i, *row) for i, case in enumerate(cases) for row in halves(case)]
        owner, low, middle, high, newer = (np.array(column) for column in zip(*rows, strict=True))
        edges = [mass(end, fitted) for end in (low, middle, high)]
        share = np.clip((edges[1] - edges[0]) / (edges[2] - edges[0]), 1e-6, 1 - 1e-6)
        each = np.log(np.where(newer, share, 1 - share))
        return summed(owner, each, len(cases))

    return (lambda cases: highest(lambda b: float(score(b, cases).sum()), [3.0, 0.9])), score


# ---------------------------------------------------------------- 6, 7: crashes where the bug is not


def stray_law(count: Callable[[Seen], int]) -> Law:
    """Each revision without the bug has its own chance per run, one of SHARES. Parameters: their weights."""
    chance = np.clip(SHARES, 1e-9, 0.999)

    def table(cases: Sequence[Case]) -> tuple[Floats, Floats]:
        rows = [(i, count(s), s.own + s.other + s.clean) for i, c in enumerate(cases) for s in without(c)]
        owner, hits, runs = np.array(rows, dtype=float).T
        return owner, np.exp(hits[:, None] * np.log(chance) + (runs - hits)[:, None] * np.log1p(-chance))

    def score(fitted: Floats, cases: Sequence[Case]) -> Floats:
        owner, likely = table(cases)
        return summed(owner.astype(int), np.log(likely @ fitted), len(cases))

    even = np.full(len(chance), 1 / len(chance))
    return (lambda cases: mixture(table(cases)[1], even, 1.0)), score


def constant_law(count: Callable[[Seen], int]) -> Law:
    """The same chance in every run of every revision without the bug."""

    def fit(cases: Sequence[Case]) -> Floats:
        seen = [s for case in cases for s in without(case)]
        return np.array([(sum(map(count, seen)) + 0.5) / (sum(s.own + s.other + s.clean for s in seen) + 1)])

    def score(fitted: Floats, cases: Sequence[Case]) -> Floats:
        rows = [[(count(s), s.own + s.other + s.clean) for s in without(case)] for case in cases]
        hit, miss = np.log(fitted[0]), np.log1p(-fitted[0])
        return np.array([sum(h * hit + (n - h) * miss for h, n in row) for row in rows])

    return fit, score
