"""The posterior over culprits, with the crash rate integrated out.

Hypotheses are the candidates and "no candidate". Under each of them the bug is present or absent at every
revision, so two candidates with the same presence at all tested revisions have the same likelihood.
Candidates are therefore kept in classes (tests + 1 of them on a line), and the likelihood is a table classes
x crash laws: its size grows with the tests, never with the commits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .dag import Bools, Dag, Floats, Ints
from .evidence import IMPOSSIBLE, Evidence, gone_law, logs, present_law
from .model import Model

__all__ = ["Belief", "Model", "State"]

_WORN = 24  # runs lost at one revision with (next to) none that counts, after which it is as good as broken
_WORN_RATIO = 8
_NONE = Evidence()


@dataclass(frozen=True)
class State:
    """The posterior as a table; what the choice of tests works on."""

    classes: Ints
    """(n,) class of each commit, -1 outside the candidates."""
    posterior: Floats
    """(n,) probability of each commit."""
    joint: Floats
    """(classes + 1, laws) joint probability of class and crash law; the last row is "no candidate". Sums to 1."""
    tested: Ints
    """(t,) revisions with a run that counts, in order of index."""


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
        self.doubt: Floats = np.empty(0)
        self.set_prior(prior)
        self.set_doubt(doubt)
        self._evidence: dict[int, Evidence] = {}
        self._broken: dict[int, str] = {}
        self._settled: frozenset[int] = frozenset()
        self._contains: dict[int, Bools] = {}  # ancestors of each revision with a run that counts
        self._classes = np.zeros(dag.n, dtype=np.int64)  # commits with the same presence at all of these share one

    def set_prior(self, prior: Floats | None) -> None:
        """Weights (n,) of any scale instead of the ones so far; None is uniform. Raises ValueError."""
        self.prior = _mixed_prior(self.candidates, prior, self.model)
        self._state: State | None = None

    def set_doubt(self, doubt: Floats | None) -> None:
        """Doubt (n,) per revision instead of the one so far; None is ``model.mask``. Raises ValueError."""
        made = _doubts(self.dag.n, doubt, self.model)
        made[self.start] = 0.0
        if not np.array_equal(made, self.doubt):
            self.doubt, self._state = made, None

    def observe(self, revision: int, *, crashes: int = 0, clean: int = 0, lost: int = 0) -> None:
        """Add runs of ``revision``: with the bug, clean, or lost to another bug or the machine (no data).

        Counts add up, so neither order nor grouping matters. Raises ValueError for an unknown revision or a
        negative count.
        """
        if min(crashes, clean, lost) < 0:
            raise ValueError(f"negative count of runs at revision {revision}")
        self.record(revision, self.evidence(revision).plus(Evidence(crashes, clean, lost)))

    def record(self, revision: int, evidence: Evidence) -> None:
        """``evidence`` is all that the runs of ``revision`` say, instead of what was known of it before."""
        if self.evidence(revision) == evidence:
            return
        self._evidence[revision] = evidence
        if evidence.counts and revision not in self._contains:
            self._contains[revision] = self.dag.ancestors(revision)
            doubled = 2 * self._classes + self._contains[revision]
            used = np.bincount(doubled) > 0
            self._classes = (np.cumsum(used) - 1)[doubled]
        self._state = None

    def untestable(self, revision: int, why: str = "") -> None:
        """Note that ``revision`` does not build or boot. It says nothing about the bug.

        ``why`` is any word; stretches of revisions that can't be tested have one reason throughout.
        """
        self.evidence(revision)
        self._broken[revision] = why

    def settle(self, revisions: Iterable[int]) -> None:
        """No runs are wanted of these revisions, whatever they would say: people vouch for them. Instead of the ones so
        far."""
        self._settled = frozenset(revisions)

    @property
    def broken(self) -> dict[int, str]:
        """The revisions noted as untestable, and why."""
        return dict(self._broken)

    @property
    def observed(self) -> tuple[int, ...]:
        """All revisions with runs of any outcome, in order of index."""
        return tuple(sorted(self._evidence))

    def evidence(self, revision: int) -> Evidence:
        """All that is known of the runs of ``revision``."""
        if not 0 <= revision < self.dag.n:
            raise ValueError(f"revision {revision} is not among 0..{self.dag.n - 1}")
        return self._evidence.get(revision, _NONE)

    def unusable(self) -> Bools:
        """(n,) revisions not worth another run: untestable, settled, or run so often with every run lost."""
        result = np.zeros(self.dag.n, dtype=bool)
        result[[*self._broken, *self._settled]] = True
        for revision, seen in self._evidence.items():
            wasted = seen.lost + seen.unreached
            result[revision] |= wasted >= _WORN and wasted >= _WORN_RATIO * (seen.crashes + seen.exposure)
        return result

    @property
    def posterior(self) -> Floats:
        """(n,) probability of each commit to be the culprit; 0 outside the candidates. Read-only."""
        return self.state.posterior

    @property
    def older(self) -> float:
        """Probability of "no candidate": older than all of them (cause), fixed by none of them (fix)."""
        return float(self.state.joint[-1].sum())

    def p_bug(self, revision: int) -> float:
        """Probability that a revision has the bug (triggering or masked)."""
        inside = self._contains.get(revision)
        within = float(self.posterior[self.dag.ancestors(revision) if inside is None else inside].sum())
        return float(np.clip(within + self.older if self.kind == "cause" else 1.0 - within, 0.0, 1.0))

    def rate(self) -> tuple[float, float, float]:
        """Mean crash rate per run and the ends of its central 90% interval (points of the grid)."""
        rates = self.model.laws.rate
        order = np.argsort(rates, kind="stable")
        weights = self.state.joint.sum(axis=0)[order]
        below = np.cumsum(weights)
        low, high = np.searchsorted(below, [0.05 + 1e-12, 0.95 - 1e-12])
        last = len(rates) - 1
        return float(rates[order] @ weights), float(rates[order][min(low, last)]), float(rates[order][min(high, last)])

    @property
    def state(self) -> State:
        """The posterior as a table, computed when the first question follows an observation."""
        if self._state is None:
            self._state = self._solve()
        return self._state

    def _solve(self) -> State:
        members = np.flatnonzero(self.candidates)
        classes = np.full(self.dag.n, -1, dtype=np.int64)
        classes[members], first = _by_first(self._classes[members])
        tested = sorted(self._contains)
        inside = np.array([self._contains[r][members[first]] for r in tested], dtype=bool)
        inside = inside.reshape(len(tested), len(first))
        present = np.vstack([(inside if self.kind == "cause" else ~inside).T, np.ones((1, len(tested)), dtype=bool)])
        mass = np.append(np.bincount(classes[members], weights=self.prior[members]), self.model.older)
        joint = self._joint(present, mass, tested)
        scale = joint.sum(axis=1)[:-1] / np.maximum(mass[:-1], 1e-300)
        posterior = np.zeros(self.dag.n)
        posterior[members] = self.prior[members] * scale[classes[members]]
        posterior.setflags(write=False)
        return State(classes, posterior, joint, np.array(tested, dtype=np.int64))

    def _joint(self, present: Bools, mass: Floats, tested: list[int]) -> Floats:
        """(classes + 1, laws): prior mass x prior of the law x likelihood, normalized."""
        laws = self.model.laws
        there = np.array([present_law(self.model, float(self.doubt[r]), self._evidence[r]) for r in tested])
        gone = np.array([gone_law(self.model, self._evidence[r]) for r in tested])
        flags = present.astype(float)
        log = flags @ there.reshape(len(tested), len(laws.rate)) + ((1.0 - flags) @ gone)[:, None]
        log += np.maximum(logs(mass), IMPOSSIBLE)[:, None] + logs(laws.weight)[None, :]
        joint = np.exp(log - log.max())
        return np.asarray(joint / joint.sum())


def _by_first(labels: Ints) -> tuple[Ints, Ints]:
    """Labels renumbered by where each occurs first, and those places: the same in whatever order tests came."""
    place = np.full(int(labels.max()) + 1, len(labels), dtype=np.int64)
    place[labels[::-1]] = np.arange(len(labels) - 1, -1, -1)
    used = np.flatnonzero(place < len(labels))
    order = used[np.argsort(place[used])]
    renamed = np.empty(len(place), dtype=np.int64)
    renamed[order] = np.arange(len(order))
    return renamed[labels], place[order]


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
