"""The posterior over culprits, with the crash rate integrated out.

Hypotheses are the candidates and "no candidate". Under each of them the bug is present or absent at every
revision, so two candidates with the same presence at all tested revisions have the same likelihood.
Candidates are therefore kept in classes (tests + 1 of them on a line), and the likelihood is a table classes
x crash rates: its size grows with the tests, never with the commits.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .dag import Bools, Dag, Floats, Ints
from .model import Model

__all__ = ["Belief", "Counts", "Model", "State"]

_IMPOSSIBLE = -1e5  # in place of log 0, so that 0 x log 0 is 0 in the matrix product; exp of it is 0
_WORN = 24  # runs lost at one revision with (next to) none that counts, after which it is as good as broken
_WORN_RATIO = 20

Counts = tuple[int, int, int]  # crashes, clean runs, lost runs


@dataclass(frozen=True)
class State:
    """The posterior as a table; what the choice of tests works on."""

    classes: Ints
    """(n,) class of each commit, -1 outside the candidates."""
    posterior: Floats
    """(n,) probability of each commit."""
    joint: Floats
    """(classes + 1, rates) joint probability of class and crash rate; the last row is "no candidate". Sums to
    1."""
    tested: Ints
    """(t,) revisions with a run that counts, in order of index."""
    present: Bools
    """(classes + 1, t) whether the bug is there under each class at each of them."""


class Belief:
    """What the runs so far say about which commit is the culprit.

    ``kind`` "cause": the culprit h brought the bug, present at r iff h is r or an ancestor of r. "fix": the
    culprit removed it, present at r iff h is not r or an ancestor of r. Under "no candidate" (``older``) it
    is present everywhere. ``candidates`` is bool (n,); ``start`` is the revision where the crash was seen, so
    commits it contradicts are dropped (cause: what start doesn't contain; fix: what it contains), and no mask
    is possible there. ``prior`` (n,) are weights of any scale, mixed with ``model.uniform_floor`` of uniform.
    ``doubt`` (n,) is a chance per revision that the bug can't trigger there though the hypothesis says
    present (for a fix: side branches that may never have had the bug), instead of ``model.mask``. Raises
    ValueError for wrong shapes or values and when no candidate is left.
    """

    def __init__(
        self,
        dag: Dag,
        *,
        kind: Literal["cause", "fix"],
        candidates: Bools,
        start: int,
        prior: Floats | None = None,
        doubt: Floats | None = None,
        model: Model | None = None,
    ) -> None:
        if kind not in ("cause", "fix"):
            raise ValueError(f"kind {kind!r} is neither 'cause' nor 'fix'")
        self.dag = dag
        self.kind: Literal["cause", "fix"] = kind
        self.start = start
        self.model = model or Model()
        contained = dag.ancestors(start)
        self.candidates: Bools = _vector(candidates, dag.n, "candidates").astype(bool)
        self.candidates = self.candidates & (contained if kind == "cause" else ~contained)
        if not self.candidates.any():
            raise ValueError("no commit is a candidate")
        self.prior = _mixed_prior(self.candidates, prior, self.model)
        self.doubt = _doubts(dag.n, doubt, self.model)
        self.doubt[start] = 0.0
        self._counts: dict[int, Counts] = {}
        self._broken: set[int] = set()
        self._contains: dict[int, Bools] = {}  # ancestors of each revision with a run that counts
        self._keys = np.zeros(dag.n, dtype=np.uint64)  # one key per presence pattern
        self._state: State | None = None

    def observe(self, revision: int, *, crashes: int = 0, clean: int = 0, lost: int = 0) -> None:
        """Add runs of ``revision``: with the bug, clean, or lost to another bug or the machine (no data).

        Counts add up, so neither order nor grouping matters. Raises ValueError for an unknown revision or a
        negative count.
        """
        if min(crashes, clean, lost) < 0:
            raise ValueError(f"negative count of runs at revision {revision}")
        before = self.counts(revision)
        self._counts[revision] = before[0] + crashes, before[1] + clean, before[2] + lost
        if crashes + clean and revision not in self._contains:
            self._contains[revision] = self.dag.ancestors(revision)
            self._keys[self._contains[revision]] ^= _hash(revision)
        self._state = None

    def untestable(self, revision: int) -> None:
        """Note that ``revision`` does not build or boot. It says nothing about the bug."""
        self.counts(revision)
        self._broken.add(revision)

    @property
    def broken(self) -> frozenset[int]:
        """The revisions noted as untestable."""
        return frozenset(self._broken)

    @property
    def observed(self) -> tuple[int, ...]:
        """All revisions with runs of any outcome, in order of index."""
        return tuple(sorted(self._counts))

    def counts(self, revision: int) -> Counts:
        """Crashes, clean and lost runs at ``revision`` so far."""
        if not 0 <= revision < self.dag.n:
            raise ValueError(f"revision {revision} is not among 0..{self.dag.n - 1}")
        return self._counts.get(revision, (0, 0, 0))

    def unusable(self) -> Bools:
        """(n,) revisions not worth another run: untestable, or run so often with every run lost."""
        result = np.zeros(self.dag.n, dtype=bool)
        result[list(self._broken)] = True
        for revision, (crashes, clean, lost) in self._counts.items():
            result[revision] |= lost >= _WORN and lost >= _WORN_RATIO * (crashes + clean)
        return result

    @property
    def posterior(self) -> Floats:
        """(n,) probability of each commit to be the culprit; 0 outside the candidates. Read-only."""
        return self.state.posterior

    @property
    def older(self) -> float:
        """Probability of "no candidate": older than all of them (cause), fixed by none of them (fix)."""
        return float(self.state.joint[-1].sum())

    def p_bug(self) -> Floats:
        """(n,) probability that each revision has the bug (triggering or masked)."""
        within = self.dag.ancestor_sums(self.posterior)
        return np.clip(within + self.older if self.kind == "cause" else 1.0 - within, 0.0, 1.0)

    def rate(self) -> tuple[float, float, float]:
        """Mean crash rate per run and the ends of its central 90% interval (points of the grid)."""
        order = np.argsort(self.model.rates)
        rates = np.array(self.model.rates, dtype=float)[order]
        weights = self.state.joint.sum(axis=0)[order]
        below = np.cumsum(weights)
        low, high = np.searchsorted(below, [0.05 + 1e-12, 0.95 - 1e-12])
        last = len(rates) - 1
        return float(rates @ weights), float(rates[min(low, last)]), float(rates[min(high, last)])

    @property
    def state(self) -> State:
        """The posterior as a table, computed when the first question follows an observation."""
        if self._state is None:
            self._state = self._solve()
        return self._state

    def _solve(self) -> State:
        members = np.flatnonzero(self.candidates)
        _, first, inverse = np.unique(self._keys[members], return_index=True, return_inverse=True)
        tested = sorted(self._contains)
        inside = np.array([self._contains[r][members[first]] for r in tested], dtype=bool)
        inside = inside.reshape(len(tested), len(first))
        present = np.vstack([(inside if self.kind == "cause" else ~inside).T, np.ones((1, len(tested)), dtype=bool)])
        mass = np.append(np.bincount(inverse, weights=self.prior[members]), self.model.older)
        joint = self._joint(present, mass, tested)
        classes = np.full(self.dag.n, -1, dtype=np.int64)
        classes[members] = inverse
        posterior = np.zeros(self.dag.n)
        posterior[members] = self.prior[members] * (joint.sum(axis=1)[:-1] / mass[:-1])[inverse]
        posterior.setflags(write=False)
        return State(classes, posterior, joint, np.array(tested, dtype=np.int64), present)

    def _joint(self, present: Bools, mass: Floats, tested: list[int]) -> Floats:
        """(classes + 1, rates): prior mass x rate prior x likelihood, normalized."""
        counts = np.array([self._counts[r] for r in tested], dtype=float).reshape(-1, 3)
        there = present_law(self.model, self.doubt[tested], counts[:, 0], counts[:, 1])
        gone = absent_law(self.model, counts[:, 0], counts[:, 1])
        flags = present.astype(float)
        log = flags @ there + ((1.0 - flags) @ gone)[:, None]
        log += _logs(mass)[:, None] + _logs(np.array(self.model.rate_weights, dtype=float))[None, :]
        joint = np.exp(log - log.max())
        return np.asarray(joint / joint.sum())


def absent_law(model: Model, crashes: Floats, clean: Floats) -> Floats:
    """(t,) log-likelihood of the counts where the bug is absent: q^k (1-q)^m, q the false rate."""
    return np.asarray(crashes * np.log(model.false_rate) + clean * np.log1p(-model.false_rate))


def present_law(model: Model, doubt: Floats, crashes: Floats, clean: Floats) -> Floats:
    """(t, rates) log-likelihood where it is present: d q^k (1-q)^m + (1-d) p^k (1-p)^m, d the doubt."""
    rates = np.array(model.rates, dtype=float)
    triggers = crashes[:, None] * np.log(rates) + clean[:, None] * _logs(1.0 - rates)
    masked = absent_law(model, crashes, clean)[:, None]
    law = np.logaddexp(_logs(doubt)[:, None] + masked, _logs(1.0 - doubt)[:, None] + triggers)
    return np.asarray(np.maximum(law, _IMPOSSIBLE))


def _logs(values: Floats) -> Floats:
    """log, with a large negative number for log 0."""
    return np.log(values, out=np.full(values.shape, _IMPOSSIBLE), where=values > 0)


def _hash(revision: int) -> np.uint64:
    """A fixed 64-bit key of a revision (splitmix64); the XOR over a set names the set, in any order."""
    z = (revision + 1) * 0x9E3779B97F4A7C15 % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return np.uint64(z ^ (z >> 31))


def _vector(values: Floats | Bools, n: int, name: str) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.shape != (n,):
        raise ValueError(f"{name} has the shape {array.shape}, not ({n},)")
    return array


def _mixed_prior(candidates: Bools, prior: Floats | None, model: Model) -> Floats:
    """(n,) prior of each commit, summing to 1 - older."""
    uniform = candidates / candidates.sum()
    mixed = uniform
    if prior is not None:
        weights = np.where(candidates, _vector(prior, len(candidates), "prior"), 0.0)
        if not np.isfinite(weights).all() or weights.min() < 0:
            raise ValueError("prior weights must be finite and not negative")
        if weights.sum() > 0:
            mixed = model.uniform_floor * uniform + (1 - model.uniform_floor) * weights / weights.sum()
    return np.asarray(mixed * (1.0 - model.older))


def _doubts(n: int, doubt: Floats | None, model: Model) -> Floats:
    """(n,) chance per revision that a bug which is present can't trigger there."""
    if doubt is None:
        return np.full(n, model.mask)
    values = _vector(doubt, n, "doubt").copy()
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("doubt must lie in [0, 1]")
    return values
