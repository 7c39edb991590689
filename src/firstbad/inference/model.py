"""The fixed parameters of the likelihood and the prior."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_OFTEN = {1.0: 16, 0.999: 12, 0.99: 12, 0.95: 8, 0.9: 6, 0.8: 6, 0.7: 4, 0.6: 4, 0.5: 4}
_SELDOM = {0.4: 4, 0.3: 5, 0.2: 5, 0.15: 3, 0.1: 4, 0.07: 2, 0.05: 2, 0.03: 1, 0.02: 1, 0.01: 1}
_GRID = _OFTEN | _SELDOM  # rate: prior weight

_SELDOM_RATE = 0.3  # below this rate a spread law gets less weight: there it can hardly be told from a bug that is not
# there, and each run to tell them apart takes one off the search
_SPREADABLE = 0.97  # above this a rate has no room to vary


@dataclass(frozen=True)
class Model:
    """What is believed about reproducers and histories before the first run.

    Raises ValueError where a value is out of its range. Figures "on record" are from 1,070 public bisections
    of kernel crashes whose true culprit became known later.
    """

    rates: tuple[float, ...] = tuple(_GRID)
    """Grid of crash rates per full-length run in (0, 1], decreasing or not; down to one crash in a hundred runs."""

    rate_weights: tuple[float, ...] = tuple(_GRID.values())
    """Prior weight of each rate, any scale. Much of it near 1: on record 242 of 295 reproducers whose
    bisection missed a bug that was there had crashed in every run on the start commit."""

    spreads: tuple[float, ...] = (12.0,)
    """Concentrations of a rate that is drawn anew at every revision, Beta(p s, (1 - p) s), beside the rate that is
    the same everywhere: this is how drift is allowed for, and it costs little until the data ask for it."""

    spread_weight: float = 0.3
    """Prior weight of all ``spreads`` together, in [0, 1), at rates of .3 and above; less at lower ones."""

    false_rate: float = 0.002
    """Chance per run of the bug's own title where the bug is absent, after attribution of strangers'
    crashes."""

    mask: float = 0.0005
    """Chance per revision that the bug is there but can't trigger, however many runs are made: no number of
    clean runs at one revision says more than this. Masks of different revisions are taken as independent."""

    older: float = 0.08
    """Prior weight of "no candidate": older than the range (cause; 86 of 1,070 on record) or not fixed (fix).
    A run at an end of the range decides it."""

    uniform_floor: float = 0.15
    """Share of the prior over candidates that stays uniform whatever the hints say: they may speed up, not
    decide."""

    def __post_init__(self) -> None:
        if not self.rates or len(self.rates) != len(self.rate_weights):
            raise ValueError("rates and rate_weights must be of one length, at least 1")
        if not all(0 < rate <= 1 for rate in self.rates):
            raise ValueError("each of rates must lie in (0, 1]")
        if min(self.rate_weights) < 0 or sum(self.rate_weights) <= 0:
            raise ValueError("rate_weights must be non-negative with a positive sum")
        if any(spread <= 0 for spread in self.spreads) or not 0 <= self.spread_weight < 1:
            raise ValueError("spreads must be positive and spread_weight in [0, 1)")
        if not 0 < self.false_rate < 1:
            raise ValueError("false_rate must lie in (0, 1): at 0 one false crash could never be revised")
        if not (0 <= self.mask < 1 and 0 <= self.older < 1):
            raise ValueError("mask and older must lie in [0, 1)")
        if not 0 < self.uniform_floor <= 1:
            raise ValueError("uniform_floor must lie in (0, 1]")

    @cached_property
    def laws(self) -> "Laws":
        """The hypotheses about how often the bug shows: every rate, once fixed and once for each spread."""
        rates = np.array(self.rates)
        weights = np.array(self.rate_weights, dtype=float) / sum(self.rate_weights)
        varying = rates <= _SPREADABLE
        share = self.spread_weight * np.minimum(1.0, (rates[varying] / _SELDOM_RATE) ** 2)
        fixed = weights.copy()
        fixed[varying] *= 1.0 - share * bool(self.spreads)
        columns = [(rates, np.full(len(rates), np.inf), fixed)]
        for spread in self.spreads if self.spread_weight else ():
            part = weights[varying] * share / len(self.spreads)
            columns.append((rates[varying], np.full(varying.sum(), spread), part))
        return Laws(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


@dataclass(frozen=True)
class Laws:
    """Laws of the bug's crashes, arrays of one length: mean rate, concentration (inf: fixed), prior weight."""

    rate: NDArray[np.float64]
    spread: NDArray[np.float64]
    weight: NDArray[np.float64]

    def only(self, use: NDArray[np.bool_]) -> "Laws":
        """Some of the laws."""
        return Laws(self.rate[use], self.spread[use], self.weight[use])

    @cached_property
    def fixed(self) -> NDArray[np.bool_]:
        """Whether the rate is the same at every revision."""
        return np.isinf(self.spread)
