"""Seeded generators of commit graphs: a line, and the shape of Linux's history."""

from bisect import bisect_left
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from .dag import Dag

_MEDIAN, _MEAN = (
    5.0,
    13.0,
)  # commits of a topic branch, lognormal; measured on Linux, as is the share of merges
_LONGEST = 400
_MERGED = 0.95  # share of topics that a maintainer merges; the others sit on his branch. Gives 7% merges in all
_TOPICS = 4.0  # topics per pull of a maintainer's branch, on average


@dataclass(frozen=True)
class Shape:
    """Figures of a graph."""

    commits: int
    merges: float
    """Share of commits with more than one parent."""
    mainline: int
    """Commits on the first-parent line of the last commit."""


def linear(n: int) -> Dag:
    """A line of n commits."""
    return Dag([[i - 1] if i else [] for i in range(n)])


def linux_shaped(n: int, seed: int, release: int = 14_000) -> Dag:
    """A graph of at least n commits (a pull is not cut short), one root, its last commit contains all others.

    The first-parent line consists of pulls. A maintainer's branch starts up to two releases (of ``release``
    commits each) back on that line and takes topics: series of commits on the branch, or topic branches that
    started on the line too and are merged into it; then it is merged into the line.
    """
    rng = np.random.default_rng(seed)
    parents: list[list[int]] = [[]]
    line = [0]

    def grow(tip: int, length: int) -> int:
        for _ in range(length):
            parents.append([tip])
            tip = len(parents) - 1
        return tip

    def base() -> int:
        oldest = max(0, len(parents) - 2 * release)
        youngest = len(line) - 1
        return line[int(rng.integers(min(bisect_left(line, oldest), youngest), youngest + 1))]

    def merge(into: int, tip: int) -> int:
        parents.append([into, tip])
        return len(parents) - 1

    while len(parents) < n:
        branch = grow(base(), _topic(rng))
        for _ in range(int(rng.poisson(_TOPICS - 1))):
            merged = rng.random() < _MERGED
            tip = grow(base() if merged else branch, _topic(rng))
            branch = merge(branch, tip) if merged else tip
        line.append(merge(line[-1], branch))
    return Dag(parents)


def shape(dag: Dag) -> Shape:
    """Figures of a graph, for the record beside any result on it."""
    merges = sum(len(row) > 1 for row in dag.parents) / dag.n
    mainline, tip = 1, dag.n - 1
    while dag.parents[tip]:
        tip = dag.parents[tip][0]
        mainline += 1
    return Shape(dag.n, merges, mainline)


def _topic(rng: np.random.Generator) -> int:
    sigma = sqrt(2 * log(_MEAN / _MEDIAN))
    return int(np.clip(round(rng.lognormal(log(_MEDIAN), sigma)), 1, _LONGEST))
