"""The cells of the accuracy benchmark: histories, conditions, and the scenarios drawn from them by seed.

A scenario depends on its cell and its number alone, so every policy gets the same ones. All histories have a root that
everybody takes for good; culprits are uniform over all other commits. Stretches of history are stretches of the order
in which commits came in; they never hold the start, where the crash was seen.
"""

import functools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from firstbad.inference.shapes import linear, linux_shaped, shape
from firstbad.simulation import Lab, Scenario, SimHistory, Task, Unrelated

Bools = NDArray[np.bool_]

SEED = 20_260
SIZES = (1_000, 15_000)
SHAPES = ("linear", "linux")
RATES = (1.0, 0.5, 0.2, 0.1, 0.05)
BUG = "KASAN: use-after-free Read in victim_read"
STRANGER = "WARNING in stranger_work"
FALSE_RATE = 0.001  # chance per run of the bug's own title without the bug
BROKEN = 0.04  # of the history, each of four stretches
MASKED = 0.05  # of the history, from the culprit on
COMES, STAYS_AWAY = 0.95, 0.05  # reach where the bug's code is executed, and where it is masked

_NOISE = Unrelated(STRANGER, 0.01)
_FEW = 1  # commits of a history without a single one that can hold a stretch


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    shape: str
    commits: int
    condition: str
    rate: float

    @property
    def name(self) -> str:
        """As ``--cells`` matches it."""
        return f"{self.shape}-{self.commits}/{self.condition}/{self.rate:g}"

    @property
    def candidates(self) -> int:
        """N: commits that may be the culprit."""
        return history(self.shape, self.commits).dag.n - 1


@dataclass(frozen=True)
class Draw:
    """What a condition is made from: the culprit's index, the history's size, the cell's rate, a generator."""

    culprit: int
    commits: int
    rng: np.random.Generator

    def stretch(self, share: float) -> Bools:
        """(n,) a stretch of that share of the history, anywhere but at the start."""
        length = max(_FEW, round(share * self.commits))
        first = int(self.rng.integers(0, self.commits - length))
        return self.between(first, first + length)

    def between(self, first: int, end: int) -> Bools:
        """(n,) the commits from ``first`` to before ``end``, the start left out."""
        found = np.zeros(self.commits, dtype=bool)
        found[first : min(end, self.commits - 1)] = True
        return found


def _clean(lab: Lab, draw: Draw) -> Lab:
    """No other bug, no false crash."""
    return lab


def _noisy(lab: Lab, draw: Draw) -> Lab:
    """1% of the runs anywhere crash with another title, 0.1% of those without the bug with its title."""
    return replace(lab, unrelated=(_NOISE,), false_rate=FALSE_RATE)


def _unrelated(rate: float, share: float) -> "Condition":
    def make(lab: Lab, draw: Draw) -> Lab:
        other = Unrelated("WARNING in neighbour_poll", rate, where=draw.stretch(share))
        return replace(lab, unrelated=(_NOISE, other), false_rate=FALSE_RATE)

    return make


def _drift(lab: Lab, draw: Draw) -> Lab:
    """Noisy, and the crash rate falls from the start's to half of it at the root, evenly in its logarithm."""
    age = 1.0 - np.arange(draw.commits) / (draw.commits - 1)
    return replace(_noisy(lab, draw), rates=lab.crash_rate * 0.5**age)


def _patchy(lab: Lab, draw: Draw) -> Lab:
    """Noisy, and the crash rate changes ten times over history, to anything between half of the start's and all."""
    level = 1.0 - 0.5 * draw.rng.random(10)
    level[-1] = 1.0
    return replace(_noisy(lab, draw), rates=lab.crash_rate * level[np.arange(draw.commits) * 10 // draw.commits])


def _broken(lab: Lab, draw: Draw) -> Lab:
    """Noisy, and four stretches of 4% of the history each that do not build."""
    broken = np.zeros(draw.commits, dtype=bool)
    for _ in range(4):
        broken |= draw.stretch(BROKEN)
    return replace(_noisy(lab, draw), broken_build=broken)


def _masked(lab: Lab, draw: Draw) -> Lab:
    """Noisy, and the bug can't trigger in the 5% of history that begin with the culprit; reach can't be told."""
    end = draw.culprit + max(_FEW, round(MASKED * draw.commits))
    return replace(_noisy(lab, draw), masked=draw.between(draw.culprit, end))


def _masked_reach(lab: Lab, draw: Draw) -> Lab:
    """The same, and it is seen that few clean runs of the masked stretch come near the code."""
    hidden = _masked(lab, draw)
    assert hidden.masked is not None
    return replace(hidden, reach=np.where(hidden.masked, STAYS_AWAY, COMES))


Condition = Callable[[Lab, Draw], Lab]
CONDITIONS: Mapping[str, Condition] = {
    "clean": _clean,
    "noisy": _noisy,
    "unrelated-30": _unrelated(0.3, 1 / 3),
    "unrelated-90": _unrelated(0.9, 0.1),
    "drift": _drift,
    "patchy": _patchy,
    "broken": _broken,
    "masked": _masked,
    "masked-reach": _masked_reach,
}


@functools.cache
def history(kind: str, commits: int) -> SimHistory:
    """The history of that shape and size; made once a process and shared by all scenarios."""
    dag = linear(commits) if kind == "linear" else linux_shaped(commits, seed=SEED)
    return SimHistory([f"c{i}" for i in range(dag.n)], dag)


def describe(kind: str, commits: int) -> str:
    """The figures of a history, for the record."""
    found = shape(history(kind, commits).dag)
    line = f"{found.mainline} on the first-parent line"
    return f"{kind}-{commits}: {found.commits} commits, {found.merges:.1%} merges, {line}"


@functools.cache
def _task(kind: str, commits: int) -> Task:
    known = history(kind, commits)
    return Task("", known, start=known.names[-1], head=known.names[-1], good=(known.names[0],))


def scenario(cell: Cell, number: int) -> Scenario:
    """The scenario of that number in a cell."""
    names = history(cell.shape, cell.commits).names
    # The culprit and the runs at each commit are the same in all conditions and at all rates of a history.
    seed = [SEED, zlib.crc32(f"{cell.shape}-{cell.commits}".encode()), number]
    rng = np.random.default_rng(seed)
    culprit = int(rng.integers(1, len(names)))
    lab = Lab(titles={BUG: 1.0}, crash_rate=cell.rate)
    lab = CONDITIONS[cell.condition](lab, Draw(culprit, len(names), rng))
    task = replace(_task(cell.shape, cell.commits), name=f"{cell.name}#{number}")
    return Scenario(task, introduced=names[culprit], lab=lab, seed=int(rng.integers(2**31)))


def cells(full: bool) -> list[Cell]:
    """The default table, or with ``full`` every combination."""
    if full:
        return [Cell(s, n, c, p) for s in SHAPES for n in SIZES for c in CONDITIONS for p in RATES]
    found = [
        Cell(s, n, c, p) for s, n in (("linear", 1_000), ("linux", 15_000)) for c in ("clean", "noisy") for p in RATES
    ]
    found += [Cell(s, n, "noisy", p) for s, n in (("linear", 15_000), ("linux", 1_000)) for p in (1.0, 0.2, 0.05)]
    hard = [name for name in CONDITIONS if name not in ("clean", "noisy")]
    return found + [Cell("linux", 15_000, c, p) for c in hard for p in (0.5, 0.1)]


def quick_cells() -> list[Cell]:
    """A smoke test's rows."""
    return [Cell("linear", 1_000, "clean", 1.0), *(Cell("linux", 1_000, c, 0.2) for c in ("noisy", "broken"))]
