"""The fixed parameters of the likelihood and the prior."""

from dataclasses import dataclass

_OFTEN = {1.0: 16, 0.999: 12, 0.99: 12, 0.95: 8, 0.9: 6, 0.8: 6, 0.7: 4, 0.6: 4, 0.5: 4}
_SELDOM = {0.4: 4, 0.3: 5, 0.2: 5, 0.15: 3, 0.1: 4, 0.07: 2, 0.05: 2, 0.03: 1, 0.02: 1, 0.01: 1}
_GRID = _OFTEN | _SELDOM  # rate: prior weight


@dataclass(frozen=True)
class Model:
    """What is believed about reproducers and histories before the first run.

    Raises ValueError where a value is out of its range. Figures "on record" are from 1,070 public bisections
    of kernel crashes whose true culprit became known later.
    """

    rates: tuple[float, ...] = tuple(_GRID)
    """Grid of crash rates per run in (0, 1], decreasing or not; down to one crash in a hundred runs."""

    rate_weights: tuple[float, ...] = tuple(_GRID.values())
    """Prior weight of each rate, any scale. Much of it near 1: on record 242 of 295 reproducers whose
    bisection missed a bug that was there had crashed in every run on the start commit."""

    false_rate: float = 0.002
    """Chance per run of the bug's own title where the bug is absent, after attribution of strangers'
    crashes."""

    mask: float = 0.002
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
        if not 0 < self.false_rate < 1:
            raise ValueError("false_rate must lie in (0, 1): at 0 one false crash could never be revised")
        if not (0 <= self.mask < 1 and 0 <= self.older < 1):
            raise ValueError("mask and older must lie in [0, 1)")
        if not 0 < self.uniform_floor <= 1:
            raise ValueError("uniform_floor must lie in (0, 1]")
