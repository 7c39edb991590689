"""How probable clean runs are if the bug is there: what a test of a patch rests on."""

import numpy as np

from .evidence import Evidence, trigger_law
from .model import Laws, Model

_MOST_RUNS = 1_000_000


def learned_laws(laws: Laws, seen: Evidence) -> Laws:
    """The laws with their weights after the runs of a revision where the bug is known to be; weights sum to 1."""
    logs = np.log(laws.weight / laws.weight.sum()) + trigger_law(laws, seen)
    weight = np.exp(logs - logs.max())
    return Laws(laws.rate, laws.spread, weight / weight.sum())


def assumed_law(rate: float) -> Laws:
    """One crash rate in (0, 1], the same everywhere. Raises ValueError outside."""
    if not 0 < rate <= 1:
        raise ValueError(f"a crash rate lies in (0, 1], not {rate}")
    return Laws(np.array([rate]), np.array([np.inf]), np.array([1.0]))


def usual_rate(model: Model, share: float = 0.9) -> float:
    """The rate that at least ``share`` of the bugs on record reach: what may be assumed where nothing is known."""
    order = np.argsort(model.laws.rate)[::-1]
    reached = np.cumsum(model.laws.weight[order]) / model.laws.weight.sum()
    return float(model.laws.rate[order][int(np.searchsorted(reached, share - 1e-12))])


def chance_unseen(laws: Laws, here: Evidence) -> float:
    """P(no crash in the clean runs of ``here`` | the bug is there and nothing masks it), averaged over the laws."""
    clean = Evidence(clean=here.clean, cut=here.cut)
    return float(np.sum(laws.weight / laws.weight.sum() * np.exp(trigger_law(laws, clean))))


def runs_until(laws: Laws, here: Evidence, chance: float, share: float = 1.0) -> int:
    """How many more clean runs make `chance_unseen` at most ``chance``; each is worth ``share`` of a full one.

    At most a million: where the rate may be as good as nothing, no number is enough.
    """

    def unseen(runs: int) -> float:
        more = Evidence(clean=runs) if share >= 1 else Evidence(cut=((share, runs),))
        return chance_unseen(laws, here.plus(more))

    if unseen(0) <= chance:
        return 0
    low, high = 0, 1
    while unseen(high) > chance and high < _MOST_RUNS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if unseen(middle) <= chance else (middle, high)
    return min(high, _MOST_RUNS)


def rate_interval(laws: Laws) -> tuple[float, float, float]:
    """Mean of the crash rate, and an interval that holds it with 90%."""
    order = np.argsort(laws.rate)
    rates, weights = laws.rate[order], laws.weight[order] / laws.weight.sum()
    below = np.cumsum(weights)
    low, high = (float(rates[min(int(np.searchsorted(below, q)), len(rates) - 1)]) for q in (0.05, 0.95))
    return float(rates @ weights), low, high
