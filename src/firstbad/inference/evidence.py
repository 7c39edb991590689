"""What the runs of one revision say, and its likelihood where the bug is there, masked, or not there."""

from dataclasses import dataclass, replace

import numpy as np

from .dag import Floats
from .model import Laws, Model

IMPOSSIBLE = -1e5  # in place of log 0, so that 0 x log 0 is 0 in a matrix product; exp of it is 0

# What share of clean runs executes the functions of the crash's stack: a mixture of three Beta laws, "nearly all",
# "next to none" and "any". In real logs silent releases are no chance: 241 of 796 good releases were false, most with
# reproducers that always crashed. Six in ten of such are taken to never come near the code.
_HIGH, _LOW, _ANY = (20.0, 1.0), (1.0, 20.0), (1.0, 1.0)
# Where nothing masks the bug, runs that don't come there say nothing of it either way: the two laws are one.
_REACH = {"there": (0.85, 0.0, 0.15), "masked": (0.37, 0.58, 0.05), "gone": (0.85, 0.0, 0.15)}
# Chance that the source does not define the crash's functions yet, relative to where the bug is not there.
_ABSENT = {"there": 1e-4, "masked": 0.02, "gone": 1.0}


@dataclass(frozen=True)
class Evidence:
    """The runs of one revision. Raises ValueError for a negative count or a share outside [0, 1].

    ``cut`` are clean runs that were ended early: pairs of the share of a full run's crashes that would have come by
    then, and how many runs, in order. ``unreached`` clean runs are known not to have come near the crash's code: they
    are not among ``clean`` and ``cut``; ``reached`` of those are known to have come there. ``absent``: that code does
    not exist here.

    ``told``: runs that were made elsewhere, with the chance that they are wrong about this revision, whatever their
    number: another compiler, another machine, another crash taken for the bug. ``words``: what people say of the
    revision (the bug is here, or not), each with the chance that they err; no number of runs is behind that.
    """

    crashes: int = 0
    clean: int = 0
    lost: int = 0
    cut: tuple[tuple[float, int], ...] = ()
    reached: int = 0
    unreached: int = 0
    absent: bool = False
    told: tuple[tuple["Evidence", float], ...] = ()
    words: tuple[tuple[bool, float], ...] = ()

    def __post_init__(self) -> None:
        if min(self.crashes, self.clean, self.lost, self.reached, self.unreached) < 0:
            raise ValueError("negative count of runs")
        if any(not 0 <= share <= 1 or runs < 0 for share, runs in self.cut):
            raise ValueError("a cut run's share must lie in [0, 1], the number of such runs must not be negative")
        if any(not 0 < error <= 0.5 for _, error in (*self.told, *self.words)):
            raise ValueError("the chance that others err must lie in (0, 0.5]")

    def plus(self, other: "Evidence") -> "Evidence":
        """Both together; neither order nor grouping matters."""
        return Evidence(
            self.crashes + other.crashes,
            self.clean + other.clean,
            self.lost + other.lost,
            _merged(self.cut, other.cut),
            self.reached + other.reached,
            self.unreached + other.unreached,
            self.absent or other.absent,
            tuple(sorted(self.told + other.told, key=_told_order)),
            tuple(sorted(self.words + other.words)),
        )

    @property
    def counts(self) -> bool:
        """Whether any of it says something about the bug."""
        heard = self.words or any(runs.counts for runs, _ in self.told)
        return bool(self.crashes or self.clean or self.cut or self.unreached or heard)

    @property
    def exposure(self) -> float:
        """Clean runs, in full runs."""
        return self.clean + sum(share * runs for share, runs in self.cut)

    @property
    def clean_runs(self) -> int:
        """Clean runs of any length."""
        return self.clean + sum(runs for _, runs in self.cut)

    def without_reach(self) -> "Evidence":
        """The same runs, with nothing known of where they went."""
        return replace(self, reached=0, unreached=0, absent=False)


def _merged(one: tuple[tuple[float, int], ...], other: tuple[tuple[float, int], ...]) -> tuple[tuple[float, int], ...]:
    counts = dict(one)
    for share, runs in other:
        counts[share] = counts.get(share, 0) + runs
    return tuple(sorted(counts.items()))


def _told_order(told: tuple[Evidence, float]) -> tuple[float, ...]:
    runs, error = told
    return (runs.crashes, runs.exposure, runs.lost, error)


def trigger_law(laws: Laws, evidence: Evidence) -> Floats:
    """(laws,) log-likelihood where the bug is there and can trigger.

    Fixed rate p: p^k times the product of 1 - p f over clean runs of exposure f. Varying rate: the beta-binomial
    B(a + k, b + m) / B(a, b) with a = p s, b = (1 - p) s, where m is the number of full clean runs as unlikely as
    the shortened ones at the mean rate.
    """
    quiet = quiet_log(laws.rate, evidence)
    result = evidence.crashes * np.log(laws.rate) + quiet
    vary = ~laws.fixed
    if vary.any():
        rate, spread = laws.rate[vary], laws.spread[vary]
        runs = quiet[vary] / np.log1p(-rate)
        a, b = rate * spread, (1.0 - rate) * spread
        result[vary] = log_beta(a + evidence.crashes, b + runs) - log_beta(a, b)
    return np.asarray(result)


def quiet_log(rates: Floats, evidence: Evidence) -> Floats:
    """(rates,) log chance that the clean runs are clean."""
    result = evidence.clean * logs(1.0 - rates) if evidence.clean else np.zeros(len(rates))
    if evidence.cut:
        share, runs = np.array(evidence.cut).T
        result = result + logs(1.0 - rates[:, None] * share) @ runs
    return np.asarray(result)


def absent_law(model: Model, evidence: Evidence) -> float:
    """Log-likelihood where the bug is absent: q^k (1-q)^m, q the false rate; reach left out."""
    return float(evidence.crashes * np.log(model.false_rate) + evidence.exposure * np.log1p(-model.false_rate))


def present_law(model: Model, doubt: float, evidence: Evidence) -> Floats:
    """(laws,) log-likelihood where the bug is present: masked with the chance ``doubt``, else able to trigger."""
    triggers = trigger_law(model.laws, evidence) + _reach("there", evidence) + _told_there(model, evidence)
    log_doubt, log_rest = logs(np.array([doubt, 1.0 - doubt]))
    mixed = np.logaddexp(log_doubt + _masked_law(model, evidence), log_rest + triggers)
    return np.asarray(np.maximum(mixed + _said(evidence, True), IMPOSSIBLE))


def gone_law(model: Model, evidence: Evidence) -> float:
    """Log-likelihood where the bug is not there, with what is known of reach."""
    own = absent_law(model, evidence) + _reach("gone", evidence)
    return own + _told_gone(model, evidence) + _said(evidence, False)


def mask_chance(model: Model, doubt: float, evidence: Evidence) -> Floats:
    """(laws,) chance that the bug is masked at a revision, given its runs and that it is present."""
    present = present_law(model, doubt, evidence)
    masked = _masked_law(model, evidence) + _said(evidence, True) + logs(np.array([doubt]))[0]
    return np.asarray(np.exp(np.minimum(masked - present, 0.0)))


def _masked_law(model: Model, evidence: Evidence) -> float:
    return absent_law(model, evidence) + _reach("masked", evidence) + _told_gone(model, evidence)


def _told_there(model: Model, evidence: Evidence) -> Floats:
    """(laws,) log-likelihood of what was told where the bug can trigger: (1 - e) P(runs | there) + e P(runs | gone)."""
    result = np.zeros(len(model.laws.rate))
    for runs, error in evidence.told:
        right, wrong = trigger_law(model.laws, runs), absent_law(model, runs)
        result += np.logaddexp(np.log1p(-error) + right, np.log(error) + wrong)
    return result


def _told_gone(model: Model, evidence: Evidence) -> float:
    """The same where the bug is not there or can't trigger; runs that are wrong crash by any law."""
    result = 0.0
    for runs, error in evidence.told:
        crashing = np.logaddexp.reduce(trigger_law(model.laws, runs) + logs(model.laws.weight))
        result += float(np.logaddexp(np.log1p(-error) + absent_law(model, runs), np.log(error) + crashing))
    return result


def _said(evidence: Evidence, there: bool) -> float:
    """Log-likelihood of people's words where the bug is there (masked or not), or not."""
    return float(sum(np.log1p(-error) if said == there else np.log(error) for said, error in evidence.words))


def _reach(where: str, evidence: Evidence) -> float:
    """Log-likelihood of what is known of reach: a mixture of beta-binomials."""
    total = np.log(_ABSENT[where]) if evidence.absent else 0.0
    if evidence.absent or not evidence.reached + evidence.unreached:
        return float(total)  # what does not exist can't be reached
    parts = [
        np.log(weight) + log_beta(a + evidence.reached, b + evidence.unreached) - log_beta(a, b)
        for weight, (a, b) in zip(_REACH[where], (_HIGH, _LOW, _ANY), strict=True)
        if weight
    ]
    return float(total + np.logaddexp.reduce(parts))


def logs(values: Floats) -> Floats:
    """log, with a large negative number for log 0."""
    return np.log(values, out=np.full(values.shape, IMPOSSIBLE), where=values > 0)


def log_beta(a: Floats | float, b: Floats | float) -> Floats:
    """log of the Beta function."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


def log_gamma(x: Floats) -> Floats:
    """log of the Gamma function for x > 0: Stirling's series after a shift by 8; errors below 1e-10."""
    shift = np.zeros_like(x)
    for step in range(8):
        shift += np.log(x + step)
    y = x + 8.0
    series = 1.0 / (12.0 * y) - 1.0 / (360.0 * y**3) + 1.0 / (1260.0 * y**5) - 1.0 / (1680.0 * y**7)
    return np.asarray((y - 0.5) * np.log(y) - y + 0.5 * np.log(2.0 * np.pi) + series - shift)
