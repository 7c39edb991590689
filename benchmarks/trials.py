"""Simulated bisections in parallel processes, each reduced to a row of figures."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from firstbad.simulation import Result, Scenario, World, find_policy
from firstbad.simulation.product import bisect

T = TypeVar("T")
R = TypeVar("R")
Kind = Literal["right", "set", "missed", "wrong", "none"]

_CLAIMS = ("found", "older_than_oldest", "not_fixed", "environment")


@dataclass(frozen=True)
class Row:
    """One bisection by one policy. Times are simulated, but for ``real``."""

    cell: str
    policy: str
    number: int
    kind: Kind
    """``right``: the culprit, alone. ``set``: candidates that hold it. ``missed``: candidates that do not. ``wrong``:
    another commit, or that there is none. ``none``: no answer."""
    status: str
    confidence: float
    """Of the answer as a whole."""
    revisions: int
    builds: int
    runs: int
    search: float
    """Seconds of the search alone."""
    start: float
    """Seconds of the start check."""
    wall: float
    real: float
    """Seconds on this computer."""
    distance: int
    """Index of the commit named first minus the culprit's; 0 where none is named."""


def play(cell: str, number: int, policy: str, scenario: Scenario, priors: bool = False) -> Row:
    """One bisection. Our own policy, ``bayes``, goes without priors unless ``priors``."""
    started = time.perf_counter()
    world = World(scenario)
    result = bisect(scenario, world, priors=priors) if policy == "bayes" else find_policy(policy)(scenario, world)
    return _row(cell, number, policy, scenario, result, time.perf_counter() - started)


def _row(cell: str, number: int, policy: str, scenario: Scenario, result: Result, real: float) -> Row:
    start = result.start_seconds or 0.0
    index = scenario.history.index
    apart = index[result.commits[0]] - index[str(scenario.introduced)] if result.commits else 0
    return Row(
        cell,
        policy,
        number,
        kind_of(result, scenario.introduced),
        result.status,
        result.confidence,
        result.revisions_tested,
        result.builds,
        result.runs,
        # A policy that gives no search time has no confirmation: all after the start check is search.
        result.wall_seconds - start if result.search_seconds is None else result.search_seconds,
        start,
        result.wall_seconds,
        real,
        apart,
    )


def kind_of(result: Result, truth: str | None) -> Kind:
    """What an answer is worth, given the culprit (None: there is none in the range)."""
    if result.status == "candidates":
        return "set" if truth in result.commits else "missed"
    if result.status == "older_than_oldest" and truth is None:
        return "right"
    if result.status == "found" and result.commits == (truth,):
        return "right"
    return "wrong" if result.status in _CLAIMS else "none"


def each(work: Callable[[T], R], tasks: Iterable[T], jobs: int) -> Iterator[R]:
    """``work`` of every task, in processes that inherit what this one has made so far; results in the tasks' order."""
    if jobs <= 1:
        yield from map(work, tasks)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(work, tasks, chunksize=1)
