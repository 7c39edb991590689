"""Choice of the next test: most expected information about the culprit per expected second.

Y is "a crash within the batch", H the hypothesis (a candidate, or none). I(Y; H) = H(Y) - sum over h of P(h)
H(Y | h), where P(no crash in m runs | h) is (1-q)^m where h says absent, and d (1-q)^m + (1-d) E[(1-p)^m]
where it says present, with E over the crash rate given h. As that E is one number per class of candidates,
the sums over h become sums over ancestors, a column per class; all revisions and batch sizes are then
evaluated at once.
"""

from dataclasses import dataclass

import numpy as np

from .belief import Belief
from .breakage import broken_chance, kept_share
from .dag import Bools, Floats, Ints

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Batch sizes that are considered."""
LEAST_BITS = 1e-4
"""Expected information below which a test isn't worth making."""

_COLUMNS = 7  # classes that keep a rate distribution of their own; the others, of least mass, share one
_SURE = 1e-6  # revisions whose state is surer than this are not considered
_MACHINE_SHARE = 0.02  # a second of one machine in seconds of waiting: without it idle machines would be free
_TIE = 1e-9  # scores nearer than this (relative) are equal; then fewer runs, then the lower index


@dataclass(frozen=True)
class Costs:
    """What a test takes. Raises ValueError for negative or zero machines, or times that are negative."""

    build_seconds: Floats
    """(n,) build of each revision; 0 where a build exists."""
    run_seconds: float
    """Boot and run of one machine."""
    machines: int
    """Runs made at the same time; a batch ends after the first round with a crash."""

    def __post_init__(self) -> None:
        if self.machines < 1 or self.run_seconds < 0 or np.min(self.build_seconds, initial=0.0) < 0:
            raise ValueError("costs need at least one machine and times that are not negative")


@dataclass(frozen=True)
class Test:
    """One proposed test: up to ``runs`` runs of ``revision``, ended by the first crash."""

    revision: int
    runs: int
    information: float
    """Expected bits about the culprit."""
    seconds: float
    """Expected wall-clock of build and runs."""
    probability: float
    """Chance of a crash within the batch."""


def next_test(belief: Belief, costs: Costs, *, allowed: Bools | None = None, max_runs: int = 64) -> Test | None:
    """The test with the most expected information per second, or None where none gives ``LEAST_BITS``.

    ``allowed`` is bool (n,), all by default; unusable revisions are never proposed. The same observations
    give the same test, in whatever order they came. Raises ValueError where ``max_runs`` < 1 or an array
    isn't (n,).
    """
    if max_runs < 1 or len(costs.build_seconds) != belief.dag.n:
        raise ValueError("max_runs must be at least 1 and build_seconds have one entry per commit")
    rows = _worth_asking(belief, allowed)
    if not rows.size:
        return None
    sizes = np.array([size for size in SIZES if size <= max_runs])
    forecast = _Forecast.of(belief, rows, int(sizes[-1]))
    gained = forecast.information(sizes) * kept_share(belief)[rows, None]
    success = 1.0 - broken_chance(belief)[rows, None]
    waiting, machine = forecast.run_time(sizes, costs)
    build = costs.build_seconds[rows, None]
    score = success * gained / np.maximum(build + success * (waiting + _MACHINE_SHARE * machine), 1e-9)
    score[success * gained < LEAST_BITS] = 0.0
    best = score.max()
    if best <= 0:
        return None
    tied = np.argwhere(np.isclose(score.T, best, rtol=_TIE, atol=0.0))
    column, row = tied[0]
    return Test(
        revision=int(rows[row]),
        runs=int(sizes[column]),
        information=float(gained[row, column]),
        seconds=float(build[row, 0] + waiting[row, column]),
        probability=float(1.0 - forecast.quiet[row, sizes[column]]),
    )


def _worth_asking(belief: Belief, allowed: Bools | None) -> Ints:
    """Revisions that may be tested and whose state is in doubt."""
    if allowed is not None and allowed.shape != (belief.dag.n,):
        raise ValueError(f"allowed has the shape {allowed.shape}, not ({belief.dag.n},)")
    chance = belief.p_bug()
    usable = ~belief.unusable() & (chance > _SURE) & (chance < 1.0 - _SURE)
    return np.flatnonzero(usable if allowed is None else usable & allowed)


@dataclass(frozen=True)
class _Forecast:
    """Outcome laws at some revisions. r: revisions, c: columns of hypotheses, x: number of runs 0..max."""

    shares: Floats  # (r, c) P(column, bug present at the revision)
    doubt: Floats  # (r,)
    clean: Floats  # (c, x) P(x runs without a crash | column, present and not masked)
    absent: Floats  # (x,) the same where the bug is absent or masked
    retested: dict[int, Floats]  # row -> (c, x) P(x more runs without a crash | column, present), masks included
    quiet: Floats  # (r, x) P(x runs without a crash)

    @classmethod
    def of(cls, belief: Belief, rows: Ints, most: int) -> "_Forecast":
        """Evaluate the laws of up to ``most`` runs at the revisions ``rows``."""
        shares, rate_given = _columns(belief, rows)
        runs = np.arange(most + 1)
        survive = (1.0 - np.array(belief.model.rates, dtype=float))[:, None] ** runs
        absent: Floats = np.power(1.0 - belief.model.false_rate, runs, dtype=np.float64)
        clean = rate_given @ survive
        retested = {}
        for row in np.flatnonzero(np.isin(rows, belief.state.tested)).tolist():
            masked = _masked(belief, int(rows[row]))[:, None]
            retested[row] = rate_given @ (masked * absent + (1.0 - masked) * survive)
        doubt = belief.doubt[rows]
        trigger = shares * (1.0 - doubt)[:, None]
        quiet = trigger @ clean + (1.0 - trigger.sum(axis=1))[:, None] * absent
        for row, law in retested.items():
            quiet[row] = shares[row] @ law + (1.0 - shares[row].sum()) * absent
        return cls(shares, doubt, clean, absent, retested, quiet)

    def information(self, sizes: Ints) -> Floats:
        """(r, sizes) mutual information between a crash in the batch and the hypothesis, bits."""
        absent = self.absent[sizes]
        given = (1.0 - self.shares.sum(axis=1))[:, None] * _entropy(absent)
        for column, law in enumerate(self.clean[:, sizes]):
            mixed = law + self.doubt[:, None] * (absent - law)
            given += self.shares[:, column, None] * _entropy(mixed)
        for row, laws in self.retested.items():
            share = self.shares[row]
            given[row] = share @ _entropy(laws[:, sizes]) + (1.0 - share.sum()) * _entropy(absent)
        return np.asarray(np.maximum(_entropy(self.quiet[:, sizes]) - given, 0.0))

    def run_time(self, sizes: Ints, costs: Costs) -> tuple[Floats, Floats]:
        """(r, sizes) expected wall-clock and expected machine time of a batch, seconds.

        A round of ``machines`` runs is made where no earlier one crashed.
        """
        waiting = np.empty((len(self.quiet), len(sizes)))
        machine = np.empty_like(waiting)
        for column, size in enumerate(sizes):
            starts = np.arange(0, size, costs.machines)
            reached = self.quiet[:, starts]
            waiting[:, column] = costs.run_seconds * reached.sum(axis=1)
            machine[:, column] = costs.run_seconds * (reached @ np.minimum(costs.machines, size - starts))
        return waiting, machine


def _columns(belief: Belief, rows: Ints) -> tuple[Floats, Floats]:
    """(r, c) P(column and bug present at the revision) and (c, rates) P(rate | column).

    Columns: the heaviest classes, the other classes together, "no candidate".
    """
    state = belief.state
    mass = state.joint[:-1].sum(axis=1)
    heaviest = np.argsort(-mass, kind="stable")[:_COLUMNS]
    column = np.full(len(mass) + 1, len(heaviest))  # its last entry serves class -1, where the posterior is 0
    column[heaviest] = np.arange(len(heaviest))
    split = np.zeros((belief.dag.n, len(heaviest) + 1))
    split[np.arange(belief.dag.n), column[state.classes]] = state.posterior
    inside = np.maximum(belief.dag.ancestor_sums(split)[rows], 0.0)
    present = inside if belief.kind == "cause" else np.maximum(split.sum(axis=0) - inside, 0.0)
    shares = np.column_stack([present, np.full(len(rows), belief.older)])
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    joint = np.zeros((len(heaviest) + 2, state.joint.shape[1]))
    np.add.at(joint, column[:-1], state.joint[:-1])
    joint[-1] = state.joint[-1]
    totals = joint.sum(axis=1, keepdims=True)
    spread = state.joint.sum(axis=0)  # of a column without mass; it weighs nothing
    return shares, np.where(totals > 0, joint / np.where(totals > 0, totals, 1.0), spread)


def _masked(belief: Belief, revision: int) -> Floats:
    """(rates,) chance that the bug is masked at a tested revision, given its runs and that it is present."""
    crashes, clean, _ = belief.counts(revision)
    rates = np.array(belief.model.rates, dtype=float)
    quiet = belief.model.false_rate**crashes * (1.0 - belief.model.false_rate) ** clean * belief.doubt[revision]
    triggers = rates**crashes * (1.0 - rates) ** clean * (1.0 - belief.doubt[revision])
    total = quiet + triggers
    return np.where(total > 0, quiet / np.where(total > 0, total, 1.0), 0.0)


def _entropy(chance: Floats) -> Floats:
    """Entropy in bits of an event of that chance."""
    inside = np.clip(chance, 1e-300, 1.0)
    outside = np.clip(1.0 - chance, 1e-300, 1.0)
    return np.asarray(-(inside * np.log2(inside) + outside * np.log2(outside)))
