"""The least time in which any search can find a culprit: the limits of DESIGN, computed.

A culprit among N commits, at an error of at most delta, takes ((1 - delta) log2 N - H(delta)) bits (Fano). What a
second of wall-clock can bring at most is rho*: one builder, build and test in turn, V machines, p the chance that a
full run crashes where the bug is, no false crash. The limit is bits / rho*. It knows p and is told nothing wrong, so
it holds for every condition of the benchmark and is out of reach in most of them.

Three readings, by how a batch may end:

- ``fixed``: rounds of full runs, a crash is noticed when its round is over;
- ``interval``: the same with rounds of the best length y, in which p F(y) of the runs crash, F the law of the time to
  the crash of a run that crashes (exponential, cut at the longest run);
- ``continuous``: a crash ends the batch at once, rounds of the best length. This is what the simulated lab allows, so
  it is the one that the benchmarks measure against.
"""

import argparse
import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reading = Literal["fixed", "interval", "continuous"]
Floats = NDArray[np.float64]

_SHARES = np.linspace(0.02, 0.7, 137)  # pi, the chance before the test that the bug is there
_ROUNDS = 64  # most rounds of a batch
_LENGTHS = 60  # lengths of a round that are tried
_POINTS = 200  # of the integral over a round


@dataclass(frozen=True)
class Lab:
    """What tests take, in seconds."""

    build: float = 432.0
    boot: float = 30.0
    run: float = 300.0
    """Longest run, after its boot."""
    machines: int = 10
    time_to_crash: float = 60.0
    """Mean of the exponential law, cut at ``run``; 0: crashes come at once."""

    def within(self, seconds: Floats) -> Floats:
        """F: share of a full run's crashes that come within so many seconds after the boot."""
        if self.time_to_crash <= 0:
            return np.ones_like(seconds)
        return np.asarray(np.expm1(-seconds / self.time_to_crash) / np.expm1(-self.run / self.time_to_crash))


def bits(commits: int, delta: float) -> float:
    """Bits that name one of ``commits`` with an error of at most ``delta`` (Fano's inequality)."""
    return (1.0 - delta) * math.log2(commits) - float(_entropy(np.array(delta)))


@functools.cache
def rate_of_bits(p: float, lab: Lab, reading: Reading = "continuous") -> float:
    """rho*: most bits per second of wall-clock, over the share pi, the rounds m and, but for ``fixed``, their length.

    rho* = max [H(Y) - pi H(S^m)] / [B + sum over j < m of ((1 - pi) r + pi S^j T)], where S = (1 - p F(y))^V, r is
    boot + y, and T the mean time of a round in which the bug can show: r, or, where a crash ends it at once,
    boot + integral over 0..y of (1 - p F(u))^V du.
    """
    lengths = np.array([lab.run]) if reading == "fixed" else np.linspace(lab.run / _LENGTHS, lab.run, _LENGTHS)
    best = 0.0
    pi: Floats = _SHARES[:, None]
    rounds: Floats = np.arange(1.0, _ROUNDS + 1)[None, :]
    for length in lengths:
        quiet = float((1.0 - p * lab.within(np.array([length]))[0]) ** lab.machines)
        whole = lab.boot + float(length)
        shown = lab.boot + _until_crash(p, float(length), lab) if reading == "continuous" else whole
        all_quiet: Floats = np.power(quiet, rounds)
        tried = (1.0 - all_quiet) / (1.0 - quiet)  # sum of S^j: rounds begun where the bug is
        gained = np.subtract(_entropy(pi * (1.0 - all_quiet)), np.multiply(pi, _entropy(all_quiet)))
        seconds = lab.build + (1.0 - pi) * rounds * whole + pi * tried * shown
        best = max(best, float((gained / seconds).max()))
    return best


def pipelined(commits: int, p: float, builders: int, lab: Lab, delta: float = 0.01, run: float | None = None) -> float:
    """Least minutes of search with several builders whose work overlaps the tests' (DESIGN): bits over the most of
    x C(1 - (1 - p F(y))^(V / (r x))), x <= G / B revisions a second, r = boot + y. ``run``: y where it is fixed.

    No search comes near it with many builders: it takes each test for one that was chosen knowing all that came before.
    """
    lengths = np.array([lab.run if run is None else run]) if run else np.linspace(lab.run / _LENGTHS, lab.run, _LENGTHS)
    best = 0.0
    for length in lengths:
        rate = p * float(lab.within(np.array([length]))[0])
        for share in np.linspace(0.05, 1.0, 96):
            x = builders / lab.build * share
            shown = 1.0 - (1.0 - rate) ** (lab.machines / ((lab.boot + length) * x))
            best = max(best, x * _capacity(shown))
    return bits(commits, delta) / best / 60.0


def in_order(commits: int, builders: int, lab: Lab, delta: float = 0.01) -> float:
    """Least minutes of search in a linear history that hold whatever the crash rate, because results come late.

    What is built at the end of a span B + boot was chosen by what was known at its beginning, and so was all that can
    be known of it. These are at most G revisions, which cut a line into G + 1 pieces: log2(G + 1) bits a span.
    """
    return bits(commits, delta) / math.log2(builders + 1) * (lab.build + lab.boot) / 60.0


def _capacity(shown: float) -> float:
    """Bits of a test that crashes with that chance where the bug is and never elsewhere: the Z-channel's capacity."""
    quiet = 1.0 - shown
    return math.log2(1.0 + shown * quiet ** (quiet / shown)) if 0.0 < shown < 1.0 else float(shown > 0.0)


def minutes(
    commits: int, p: float, lab: Lab | None = None, delta: float = 0.01, reading: Reading = "continuous"
) -> float:
    """Least minutes of search among ``commits`` candidates at crash rate ``p`` with an error of ``delta``."""
    return bits(commits, delta) / rate_of_bits(p, lab or Lab(), reading) / 60.0


def _until_crash(p: float, length: float, lab: Lab) -> float:
    """Mean seconds after the boot until the first of all machines' runs crashes, at most ``length``."""
    at = (np.arange(_POINTS) + 0.5) / _POINTS * length
    return float(((1.0 - p * lab.within(at)) ** lab.machines).mean() * length)


def _entropy(chance: Floats) -> Floats:
    inside = np.clip(chance, 1e-300, 1.0)
    outside = np.clip(1.0 - chance, 1e-300, 1.0)
    return np.asarray(-(inside * np.log2(inside) + outside * np.log2(outside)))


def main() -> None:
    """Print the limits for both histories of the benchmark, and the figures that DESIGN states."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rates = (1.0, 0.5, 0.2, 0.1, 0.05)
    stated = Lab(build=420.0, boot=0.0, run=300.0, time_to_crash=0.0)
    row = [minutes(15_000, p, stated, 0.05, "fixed") for p in rates]
    print("B = 7, r = 5 min, V = 10, delta = .05, N = 15,000:", *(f"{value:.0f}" for value in row))
    readings: tuple[Reading, ...] = ("fixed", "interval", "continuous")
    for commits in (1_000, 15_000):
        for delta in (0.05, 0.01):
            for reading in readings:
                row = [minutes(commits - 1, p, Lab(), delta, reading) for p in rates]
                print(f"{commits:6d} delta {delta:.2f} {reading:10s}", *(f"{value:6.1f}" for value in row))


if __name__ == "__main__":
    main()
