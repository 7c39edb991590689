"""What bisections of the past say: coefficients fitted by benchmarks/fit_history.py, read once from history.toml."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = [
    "Age",
    "Drift",
    "Facts",
    "Mask",
    "Place",
    "Rates",
    "StackFiles",
    "Strays",
    "Untestable",
    "facts",
    "read_facts",
]


@dataclass(frozen=True)
class Mask:
    """Chance that a revision that has the bug shows clean runs only, whatever their number."""

    release_first: float
    """At the newest release below the start, where the start crashed."""
    release_later: float
    """At any older release, where the release before it (the next newer one) crashed."""
    bisect: float
    """At a commit between a release found good and a newer revision that crashed."""

    def release(self, k: int, crashed: int = 0) -> float:
        """Floor of doubt at release k (1: the newest below the start) when release ``crashed`` crashed (0: the start).

        1 - product of (1 - chance) over the releases crashed + 1 .. k: what masks a bug at one release is taken to mask
        it at all older ones. Raises ValueError unless 0 <= crashed < k.
        """
        if not 0 <= crashed < k:
            raise ValueError(f"release {k} is not older than release {crashed}")
        first = 1.0 - self.release_first if crashed == 0 else 1.0
        return 1.0 - first * (1.0 - self.release_later) ** (k - max(crashed, 1))


@dataclass(frozen=True)
class Age:
    """Where the culprit lies, in releases back; gap k lies between release k and release k - 1 (0: the start)."""

    base: float
    """Log-odds of gap k among gap k and older, at k = 1 but for ``first``."""
    first: float
    """Added to the log-odds for k = 1."""
    slope: float
    """Change of the log-odds with log k."""

    def hazard(self, k: int) -> float:
        """P(culprit in gap k | not in a younger one): logistic in log k. Raises ValueError for k < 1."""
        if k < 1:
            raise ValueError(f"gaps are counted from 1, not {k}")
        return _logistic(self.base + (self.first if k == 1 else 0.0) + self.slope * math.log(k))

    def weight(self, k: int) -> float:
        """P(culprit in gap k): prior weight of all of its commits together. Raises ValueError for k < 1."""
        return self.older(k - 1) * self.hazard(k)

    def older(self, releases: int) -> float:
        """P(culprit older than the oldest of so many releases back)."""
        return math.prod(1.0 - self.hazard(k) for k in range(1, releases + 1))


@dataclass(frozen=True)
class Place:
    """Where in the youngest gap the culprit lies; in older gaps nothing beats uniform."""

    offset: float
    """Commits."""
    power: float

    def weight(self, distance: float) -> float:
        """Relative prior weight of one commit, ``distance`` commits younger than it: (distance + offset)^-power.

        Only to be compared within the range between the start and the newest release below it.
        """
        return float((distance + self.offset) ** -self.power)


@dataclass(frozen=True)
class Untestable:
    """Chance that a revision can't be tested: it does not build, or hardly any run gets to the reproducer."""

    release_base: float
    """Log-odds at k = 1 if nothing is known of the releases before it."""
    release_slope: float
    """Change of the log-odds with log k."""
    release_after_tested: float
    """Of the next older release, after one that could be tested."""
    release_after_skipped: float
    """Of the next older release, after one that could not."""
    commit: float
    """Of a commit that git chose in the bisection, if nothing is known."""
    commit_after_tested: float
    commit_after_skipped: float

    def release(self, k: int) -> float:
        """Chance at the k-th release back. Raises ValueError for k < 1."""
        if k < 1:
            raise ValueError(f"releases are counted from 1, not {k}")
        return _logistic(self.release_base + self.release_slope * math.log(k))


@dataclass(frozen=True)
class Rates:
    """Crash rates per run at the start commit."""

    rates: tuple[float, ...]
    """Grid, in (0, 1]."""
    weights: tuple[float, ...]
    """Prior weight of each, among reproducers that crash at all; sums to 1."""
    silent: float
    """Share of reproducers that never crashed in the first test."""


@dataclass(frozen=True)
class Drift:
    """How the crash rate varies between revisions that have the bug and are not masked."""

    share: float
    """Share of bugs whose rate varies; that of the others is the start's everywhere."""
    worth: float
    """Where it varies, each revision's rate is Beta(p worth, (1 - p) worth) with the start's rate p (at most
    0.995 here) as its mean. Below 1: such a revision crashes nearly always or hardly ever."""


@dataclass(frozen=True)
class Strays:
    """Crashes at revisions that lack the bug: chance per run, which differs from revision to revision."""

    shares: tuple[float, ...]
    """Grid of chances per run; 0 is "none"."""
    weights: tuple[float, ...]
    """Share of revisions with each; sums to 1."""

    @property
    def mean(self) -> float:
        """Chance per run over all revisions."""
        return sum(share * weight for share, weight in zip(self.shares, self.weights, strict=True))


@dataclass(frozen=True)
class StackFiles:
    """Share of culprits that touch a file of the crash's stack, generic files left out."""

    touch: float
    """Any file of the stack."""
    top_three: float
    """One of the three innermost."""
    directory: float
    """A file in the directory of one of them."""
    background: float
    """Share of all commits that touch a file of a given stack."""


@dataclass(frozen=True)
class Facts:
    """All coefficients; history.toml says for each what it rests on."""

    mask: Mask
    age: Age
    place: Place
    untestable: Untestable
    rates: Rates
    drift: Drift
    unrelated: Strays
    """Crashes with another bug's title."""
    same_title: Strays
    """Crashes with the bug's own title, though the bug is not there."""
    stack_files: StackFiles


_TABLES = {
    "mask": Mask,
    "age": Age,
    "place": Place,
    "untestable": Untestable,
    "rates": Rates,
    "drift": Drift,
    "unrelated": Strays,
    "same_title": Strays,
    "stack_files": StackFiles,
}
_LOG_ODDS = {("age", "base"), ("age", "first"), ("age", "slope")} | {
    ("untestable", "release_base"),
    ("untestable", "release_slope"),
}
_POSITIVE = {("place", "offset"), ("place", "power"), ("drift", "worth")}


@cache
def facts() -> Facts:
    """The coefficients that ship with the package, read once a process."""
    return read_facts(files(__package__).joinpath("history.toml").read_text(encoding="utf-8"))


def read_facts(text: str) -> Facts:
    """Reads coefficients in the form of history.toml.

    Raises ValueError, with the coefficient's name, where one is missing, unknown or out of its range.
    """
    data = tomllib.loads(text)
    if set(data) != set(_TABLES):
        raise ValueError(f"tables {sorted(data)} instead of {sorted(_TABLES)}")
    return Facts(**{name: _table(name, kind, data[name]) for name, kind in _TABLES.items()})


def _table(name: str, kind: type[Any], values: Mapping[str, Any]) -> Any:
    wanted = {field.name for field in fields(kind)}
    if set(values) != wanted:
        raise ValueError(f"[{name}] has {sorted(values)} instead of {sorted(wanted)}")
    grid = values.get("rates", values.get("shares"))
    if grid is not None and len(grid) != len(values["weights"]):
        raise ValueError(f"[{name}] grid and weights are not of one length")
    return kind(**{key: _checked(name, key, value) for key, value in values.items()})


def _checked(table: str, key: str, value: Any) -> float | tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        raise ValueError(f"[{table}] {key} is not made of numbers")
    if (table, key) in _POSITIVE:
        fine = min(numbers) > 0
    else:
        fine = (table, key) in _LOG_ODDS or all(0 <= n <= 1 for n in numbers)
    if not fine:
        raise ValueError(f"[{table}] {key} is out of its range")
    if key == "weights" and abs(sum(numbers) - 1) > 0.01:
        raise ValueError(f"[{table}] weights do not sum to 1")
    return tuple(map(float, numbers)) if isinstance(value, list) else float(value)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
