"""Intervals: of a share (Wilson), of a mean of paired differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959964  # two-sided 95%


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def wilson(hits: int, trials: int) -> Interval:
    """A share with Wilson's score interval; (0, 1) where nothing was tried."""
    if not trials:
        return Interval(math.nan, 0.0, 1.0)
    share, square = hits / trials, Z * Z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def paired(one: Sequence[float], other: Sequence[float]) -> Interval:
    """Mean of ``one`` - ``other``, scenario by scenario, with its normal 95% interval. NaN ones are left out."""
    apart = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    apart = apart[~np.isnan(apart)]
    if len(apart) < 2:
        return Interval(float(apart[0]) if len(apart) else math.nan, -math.inf, math.inf)
    mean, half = float(apart.mean()), Z * float(apart.std(ddof=1)) / math.sqrt(len(apart))
    return Interval(mean, mean - half, mean + half)


def mean(values: Sequence[float]) -> Interval:
    """Mean with its normal 95% interval. NaN ones are left out."""
    return paired(values, [0.0] * len(values))
