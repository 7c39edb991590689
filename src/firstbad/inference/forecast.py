"""What a batch of runs would show, and how long it would take, under every law of the crash rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .dag import Floats
from .evidence import Evidence, log_beta
from .exposure import SHARES, Exposure
from .model import Laws

_POINTS = 16  # of the integral over the time to the first crash of a round


@dataclass(frozen=True)
class Option:
    """A batch: ``runs`` runs, each ended after ``seconds`` if clean, with ``share`` of a full run's crashes by then."""

    runs: int
    share: float
    seconds: float


@dataclass(frozen=True)
class Costs:
    """What a test takes. Raises ValueError for less than one machine, or times that are negative."""

    build_seconds: Floats
    """(n,) build of each revision; 0 where a build exists."""
    run_seconds: float
    """A full run of one machine, without its boot."""
    machines: int
    """Runs made at the same time; a batch ends after the first round with a crash."""
    boot_seconds: float = 0.0
    exposure: Exposure | None = None
    """The law of the time to the crash, where clean runs can be ended early and a crash ends a batch at once."""

    def __post_init__(self) -> None:
        if self.machines < 1 or min(self.run_seconds, self.boot_seconds, np.min(self.build_seconds, initial=0.0)) < 0:
            raise ValueError("costs need at least one machine and times that are not negative")

    def options(self, most: int) -> list[Option]:
        """The batches that are considered, of at most ``most`` runs."""
        small = [size for size in (1, 2, 3, 4, 6, 8) if size < self.machines]
        rounds = [self.machines * size for size in (1, 2, 3, 4, 6, 8, 12, 16)]
        sizes = [size for size in small + rounds if size <= most] or [1]
        if self.exposure is None:
            return [Option(size, 1.0, self.run_seconds) for size in sizes]
        # Several rounds of shortened runs too: most crashes come early, so a new boot can beat a longer run.
        lengths = [(share, self.exposure.seconds(share)) for share in (*SHARES, 1.0)]
        return [Option(size, *length) for size in sizes for length in lengths]


def quiet_chance(laws: Laws, options: Sequence[Option], seen: Evidence | None = None) -> Floats:
    """(options, laws) chance that all runs are clean where the bug can trigger, after ``seen`` at that revision."""
    runs = np.array([option.runs for option in options], dtype=float)[:, None]
    share = np.array([option.share for option in options])[:, None]
    result = (1.0 - laws.rate * share) ** runs
    vary = ~laws.fixed
    if vary.any():
        rate, spread = laws.rate[vary], laws.spread[vary]
        per_run = np.log1p(-rate * share) / np.log1p(-rate)
        a = rate * spread + (seen.crashes if seen else 0)
        b = (1.0 - rate) * spread
        if seen is not None:
            b = b + seen.clean + sum(runs * np.log1p(-rate * cut) / np.log1p(-rate) for cut, runs in seen.cut)
        result[:, vary] = np.exp(log_beta(a, b + runs * per_run) - log_beta(a, b))
    return np.asarray(result)


def batch_seconds(laws: Laws, options: Sequence[Option], costs: Costs) -> tuple[Floats, Floats]:
    """Expected wall-clock of each batch: (options, laws) where the bug can trigger, (options,) where all is clean.

    A round of ``machines`` runs (all runs, if fewer) is made where no earlier one crashed; within a round the first
    crash ends it, where the time to the crash is known: E min(first crash, t) = integral over 0..t of
    (1 - p F(u))^runs du.
    """
    seconds = np.array([option.seconds for option in options])
    at_once = np.array([min(option.runs, costs.machines) for option in options], dtype=float)
    rounds = np.array([-(-option.runs // costs.machines) for option in options], dtype=float)
    share = np.array([option.share for option in options])
    clean = rounds * (costs.boot_seconds + seconds)
    calm = (1.0 - share[:, None] * laws.rate) ** at_once[:, None]  # chance that a round is clean
    reached = np.where(calm < 1, (1.0 - calm ** rounds[:, None]) / np.maximum(1.0 - calm, 1e-12), rounds[:, None])
    lasting = np.broadcast_to(seconds[:, None], calm.shape)
    if costs.exposure is not None:
        within = costs.exposure.share((np.arange(_POINTS) + 0.5) / _POINTS * seconds[:, None])  # (options, points)
        alive = (1.0 - within[:, :, None] * laws.rate) ** at_once[:, None, None]
        lasting = alive.mean(axis=1) * seconds[:, None]
    return np.asarray(reached * (costs.boot_seconds + lasting)), clean
