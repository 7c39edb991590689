"""How much of a full run a shorter one is worth, learned from the times of the crashes."""

from collections.abc import Sequence

import numpy as np

from .dag import Floats

# What is believed before the first crash: two crashes after 60 s each. On record, boot to crash takes 75 s in the
# median (95% within 185 s), of which the boot itself some 20 s.
_CRASHES = 2.0
_SECONDS = 120.0
_SLACK = 1.0  # standard deviations by which the mean time is taken longer: all clean runs share an error in it
_STEPS = 64
SHARES = (0.35, 0.5, 0.63, 0.75, 0.85, 0.93)
"""Shares of a full run's crashes at which it is considered to end a clean run."""


class Exposure:
    """The law of the time from the reproducer's start to the crash, in runs that crash.

    Exponential with an unknown mean: with a Gamma prior on its rate the predictive law is Lomax,
    P(later than t) = (b / (b + t))^a, a = crashes seen + 2, b = the sum of their times + 120 s, stretched by one
    standard deviation. ``crash_seconds`` must come from batches that no crash cut short, else the quick ones are seen
    too often. A full run takes ``full_seconds``.
    """

    def __init__(self, crash_seconds: Sequence[float], full_seconds: float) -> None:
        self.shape = _CRASHES + len(crash_seconds)
        slack = 1.0 + _SLACK / float(np.sqrt(self.shape))
        self.scale = (_SECONDS + float(sum(crash_seconds))) * slack
        self.full_seconds = full_seconds

    def share(self, seconds: Floats | float) -> Floats:
        """Share, in [0, 1], of the crashes of a full run that come within ``seconds``."""
        times = np.minimum(np.asarray(seconds, dtype=float), self.full_seconds)
        whole = self._within(np.asarray(self.full_seconds))
        return np.asarray(np.where(times >= self.full_seconds, 1.0, self._within(times) / max(float(whole), 1e-12)))

    def shares(self, seconds: Sequence[float]) -> tuple[tuple[float, int], ...]:
        """Pairs of share and number of runs that were ended after these times, the share rounded down to 64ths."""
        steps = np.floor(self.share(np.array(seconds, dtype=float)) * _STEPS).astype(int)
        values, counts = np.unique(steps, return_counts=True)
        return tuple((float(value) / _STEPS, int(count)) for value, count in zip(values, counts, strict=True))

    def seconds(self, share: float) -> float:
        """The time within which that share of a full run's crashes comes."""
        if share >= 1:
            return self.full_seconds
        inside = share * float(self._within(np.asarray(self.full_seconds)))
        return float(self.scale * ((1.0 - inside) ** (-1.0 / self.shape) - 1.0))

    def _within(self, seconds: Floats) -> Floats:
        return np.asarray(1.0 - (self.scale / (self.scale + seconds)) ** self.shape)
