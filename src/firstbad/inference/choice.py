"""Choice of the next test: most expected information about the culprit per expected second.

Y is "a crash within the batch", H the hypothesis (a candidate, or none). I(Y; H) = H(Y) - sum over h of P(h)
H(Y | h), where P(no crash in m runs | h) is (1-q)^m where h says absent, and d (1-q)^m + (1-d) E[(1-p)^m]
where it says present, with E over the crash law given h. As that E is one number per class of candidates,
the sums over h become sums over ancestors, a column per class; all revisions and batches are then
evaluated at once.
"""

from dataclasses import dataclass

import numpy as np

from .belief import Belief
from .breakage import broken_chance, kept_share
from .dag import Bools, Floats
from .evidence import mask_chance
from .forecast import Costs, Option, batch_seconds, quiet_chance
from .model import Laws
from .shares import Shares, shares

__all__ = ["Costs", "Test", "next_test"]

LEAST_BITS = 2e-4
"""Expected information below which a test isn't worth making."""

_SURE = 1e-6  # revisions whose state is surer than this are not considered
_MACHINE_SHARE = 0.02  # a second of one machine in seconds of waiting: without it idle machines would be free
_BOOT_SHARE = 0.7  # a run's boot in seconds of waiting: a few longer runs are kinder to a lab than many short ones
_TIE = 1e-9  # scores nearer than this (relative) are equal; then fewer runs, then the lower index
_ROUNDS = 0.02  # a batch ends at its first crash anyway: fewer, longer ones are worth this much of the score
_EXCLUDED = 1e-4  # crash laws less probable than this are left out of forecasts
_FINALISTS = 24  # revisions per trial batch for which every batch is considered


@dataclass(frozen=True)
class Test:
    """One proposed test: up to ``runs`` runs of ``revision``, ended by the first crash."""

    revision: int
    runs: int
    run_seconds: float
    """When a clean run has said what it can."""
    information: float
    """Expected bits about the culprit."""
    seconds: float
    """Expected wall-clock of build and runs."""
    probability: float
    """Chance of a crash within the batch."""


def next_test(belief: Belief, costs: Costs, *, allowed: Bools | None = None, max_runs: int = 160) -> Test | None:
    """The test with the most expected information per second, or None where none gives ``LEAST_BITS``.

    ``allowed`` is bool (n,), all by default; unusable revisions are never proposed. The same observations
    give the same test, in whatever order they came. Raises ValueError where ``max_runs`` < 1 or an array
    isn't (n,).
    """
    if max_runs < 1 or len(costs.build_seconds) != belief.dag.n:
        raise ValueError("max_runs must be at least 1 and build_seconds have one entry per commit")
    if allowed is not None and allowed.shape != (belief.dag.n,):
        raise ValueError(f"allowed has the shape {allowed.shape}, not ({belief.dag.n},)")
    table = _worth_asking(belief, shares(belief, allowed))
    if not table.rows.size:
        return None
    options = costs.options(max_runs)
    field = _Field.of(belief, costs, options)
    table = Shares(table.rows, table.present, _renormalized(table.law_given[:, field.use]))
    everything = list(range(len(options)))
    if len(table.rows) > 3 * _FINALISTS:
        table = _finalists(field, table, everything)
    score, information, seconds, quiet = field.scores(table, everything)
    best = score.max()
    if best <= 0:
        return None
    column, row = np.argwhere(np.isclose(score.T, best, rtol=_TIE, atol=0.0))[0]
    if options[column].runs >= costs.machines:  # more rounds of the same, where they cost next to nothing
        longer = [i for i, one in enumerate(options) if one.share == options[column].share]
        column = max(i for i in longer if score[row, i] >= (1.0 - _ROUNDS) * score[row, column])
    return Test(
        revision=int(table.rows[row]),
        runs=options[column].runs,
        run_seconds=options[column].seconds,
        information=float(information[row, column]),
        seconds=float(seconds[row, column]),
        probability=float(1.0 - quiet[row, column]),
    )


def _worth_asking(belief: Belief, table: Shares) -> Shares:
    """Revisions whose state is in doubt and that can be tested."""
    chance = table.present.sum(axis=1)
    use = ~belief.unusable()[table.rows] & (chance > _SURE) & (chance < 1.0 - _SURE)
    return Shares(table.rows[use], table.present[use], table.law_given)


def _renormalized(law_given: Floats) -> Floats:
    return np.asarray(law_given / np.maximum(law_given.sum(axis=1, keepdims=True), 1e-300))


def _finalists(field: "_Field", table: Shares, options: list[int]) -> Shares:
    """The rows that score best with one of a few batches, and those that are built already."""
    few = sorted({0, len(options) // 3, 2 * len(options) // 3, len(options) - 1})
    score = field.scores(table, few)[0]
    best = np.argsort(-score, axis=0, kind="stable")[:_FINALISTS].ravel()
    built = np.flatnonzero(field.costs.build_seconds[table.rows] == 0)
    rows = np.unique(np.concatenate([best, built]))
    return Shares(table.rows[rows], table.present[rows], table.law_given)


@dataclass(frozen=True)
class _Field:
    """Everything that scores depend on beside the revisions."""

    belief: Belief
    costs: Costs
    options: list[Option]
    use: Bools  # (laws,) those that are not all but excluded; the arrays below have these alone
    laws: Laws
    broken: Floats
    kept: Floats
    quiet: Floats  # (options, laws)
    crash_seconds: Floats  # (options, laws)
    clean_seconds: Floats  # (options,)

    @classmethod
    def of(cls, belief: Belief, costs: Costs, options: list[Option]) -> "_Field":
        """The laws' forecasts, which all revisions share."""
        use = belief.state.joint.sum(axis=0) > _EXCLUDED
        laws = belief.model.laws.only(use)
        crash_seconds, clean_seconds = batch_seconds(laws, options, costs)
        quiet = quiet_chance(laws, options)
        broken, kept = broken_chance(belief), kept_share(belief)
        return cls(belief, costs, options, use, laws, broken, kept, quiet, crash_seconds, clean_seconds)

    def scores(self, table: Shares, which: list[int]) -> tuple[Floats, Floats, Floats, Floats]:
        """(r, options): bits per second, bits, seconds, chance of no crash."""
        rows = table.rows
        options = [self.options[i] for i in which]
        clean = table.law_given @ self.quiet[which].T  # (c, o)
        runs = np.array([option.runs for option in options])
        exposure = np.array([option.runs * option.share for option in options])
        absent = np.power(1.0 - self.belief.model.false_rate, exposure)
        doubt = self.belief.doubt[rows]
        trigger = table.present * (1.0 - doubt)[:, None]
        calm = 1.0 - trigger.sum(axis=1)
        quiet = trigger @ clean + calm[:, None] * absent
        given = self._entropy_given(table, clean, absent, doubt)
        for row, own in self._retested(table, options, absent):
            quiet[row], given[row] = own
        information = np.maximum(_entropy(quiet) - given, 0.0) * self.kept[rows, None]
        waiting = trigger @ (table.law_given @ self.crash_seconds[which].T)
        waiting = waiting + calm[:, None] * self.clean_seconds[which]
        # Machines are worth sparing where one run says most of it, and not where only many runs say anything.
        spare = self.belief.rate()[0]
        machine = _MACHINE_SHARE * waiting * np.minimum(runs, self.costs.machines)
        machine = spare * (machine + _BOOT_SHARE * self.costs.boot_seconds * runs)
        success = 1.0 - self.broken[rows, None]
        build = self.costs.build_seconds[rows, None]
        score = success * information / np.maximum(build + success * (waiting + machine), 1e-9)
        score[success * information < LEAST_BITS] = 0.0
        return score, information, build + waiting, quiet

    def _entropy_given(self, table: Shares, clean: Floats, absent: Floats, doubt: Floats) -> Floats:
        """(r, o) sum over h of P(h) H(Y | h) at revisions without runs of their own."""
        given = (1.0 - table.present.sum(axis=1))[:, None] * _entropy(absent)
        constant = bool(len(doubt)) and bool(np.all(doubt == doubt[0]))
        for column, law in enumerate(clean):
            mixed = law + (doubt[0] if constant else doubt[:, None]) * (absent - law)
            given += table.present[:, column, None] * _entropy(mixed)
        return np.asarray(given)

    def _retested(
        self, table: Shares, options: list[Option], absent: Floats
    ) -> list[tuple[int, tuple[Floats, Floats]]]:
        """For rows with runs of their own: (quiet, given), where mask and rate are what those runs left of them."""
        found = []
        model = self.belief.model
        for row in np.flatnonzero(np.isin(table.rows, self.belief.state.tested)).tolist():
            revision = int(table.rows[row])
            seen = self.belief.evidence(revision)
            masked = mask_chance(model, float(self.belief.doubt[revision]), seen)[self.use]
            law = masked * absent[:, None] + (1.0 - masked) * quiet_chance(self.laws, options, seen)
            clean = table.law_given @ law.T
            share = table.present[row]
            rest = 1.0 - share.sum()
            found.append((row, (share @ clean + rest * absent, share @ _entropy(clean) + rest * _entropy(absent))))
        return found


def _entropy(chance: Floats) -> Floats:
    """Entropy in bits of an event of that chance."""
    inside = np.clip(chance, 1e-300, 1.0)
    outside = np.clip(1.0 - chance, 1e-300, 1.0)
    return np.asarray(-(inside * np.log2(inside) + outside * np.log2(outside)))
