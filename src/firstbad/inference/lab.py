"""A simulated lab: draws what real builds and runs would show, and drives the search as the product does."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .answer import Answer, answer, needs_confirmation
from .belief import Belief, Counts
from .choice import Costs, next_test
from .dag import Dag, Floats
from .model import Model
from .shapes import Shape, linear, linux_shaped, shape

__all__ = ["Lab", "Outcome", "Shape", "linear", "linux_shaped", "shape", "simulate"]


@dataclass(frozen=True)
class Lab:
    """The facts of a lab, hidden from the search but for ``machines`` and the three times."""

    crash_rate: float = 1.0
    """Chance per run of the crash where the bug is present."""
    unrelated: float = 0.0
    """Chance per run of a crash of another bug, recognized as such: the run is lost."""
    false_rate: float = 0.0
    """Chance per run of a crash taken for the bug where it is absent or masked."""
    broken: Collection[int] = ()
    """Revisions that don't build or boot."""
    masked: Collection[int] = ()
    """Revisions where the bug is present and can't trigger."""
    machines: int = 10
    build_seconds: float = 420.0
    run_seconds: float = 300.0

    def run(self, present: bool, revision: int, runs: int, rng: np.random.Generator) -> Counts:
        """Crashes, clean and lost runs of a batch in rounds of ``machines``, ended by one with a crash."""
        rate = self.crash_rate if present and revision not in self.masked else self.false_rate
        crashes = clean = lost = 0
        while runs > 0 and not crashes:
            now = min(runs, self.machines)
            runs -= now
            spoilt = rng.random(now) < self.unrelated
            crashed = ~spoilt & (rng.random(now) < rate)
            lost += int(spoilt.sum())
            crashes += int(crashed.sum())
            clean += int((~spoilt & ~crashed).sum())
        return crashes, clean, lost


@dataclass(frozen=True)
class Outcome:
    """What a simulated bisection ended with; search and final confirmation counted apart."""

    answer: Answer
    right: bool
    """The answer names the truth: that one commit, a set that holds it, or that there is none."""
    revisions: int
    """Revisions built or tried during the search, the start included."""
    builds: int
    """Builds of search and confirmation, failed ones included."""
    runs: int
    confirmation_runs: int
    seconds: float
    """Simulated wall-clock: builds and rounds of runs, one after the other."""
    refuted: int
    """How often the confirmation contradicted the answer and the search went on."""


class _Bench:
    """One bisection under way: keeps belief, builds made and time spent together."""

    def __init__(self, belief: Belief, truth: int | None, lab: Lab, rng: np.random.Generator) -> None:
        self.belief, self.lab, self.rng = belief, lab, rng
        dag = belief.dag
        fixed = np.zeros(dag.n, dtype=bool) if truth is None else dag.descendants(truth)
        self.present = fixed if belief.kind == "cause" and truth is not None else ~fixed
        self.build_seconds: Floats = np.full(dag.n, lab.build_seconds)
        self.builds = self.runs = 0
        self.seconds = 0.0

    @property
    def costs(self) -> Costs:
        return Costs(self.build_seconds, self.lab.run_seconds, self.lab.machines)

    def test(self, revision: int, runs: int) -> None:
        """Build if need be, run, and tell the belief."""
        if self.build_seconds[revision]:
            self.builds += 1
            self.seconds += self.lab.build_seconds
            self.build_seconds[revision] = 0.0
        if revision in self.lab.broken:
            self.belief.untestable(revision)
            return
        crashes, clean, lost = self.lab.run(bool(self.present[revision]), revision, runs, self.rng)
        made = crashes + clean + lost
        self.runs += made
        self.seconds += self.lab.run_seconds * -(-made // self.lab.machines)
        self.belief.observe(revision, crashes=crashes, clean=clean, lost=lost)


def simulate(
    dag: Dag,
    truth: int | None,
    lab: Lab,
    *,
    seed: int,
    kind: Literal["cause", "fix"] = "cause",
    start: int | None = None,
    candidates: np.ndarray | None = None,
    prior: Floats | None = None,
    model: Model | None = None,
    target: float = 0.99,
    start_runs: int = 10,
    most_tests: int = 500,
) -> Outcome:
    """Bisect ``dag`` for ``truth`` (None: no candidate is the culprit) in ``lab``.

    ``start`` is by default the last commit (cause) or commit 0 (fix); candidates are by default all but
    commit 0. Every random draw derives from ``seed``. The loop is the product's: start check, then tests
    until an answer, then confirmation of a found commit, on with the search if that contradicts.
    """
    start = (dag.n - 1 if kind == "cause" else 0) if start is None else start
    if candidates is None:
        candidates = np.arange(dag.n) > 0
    belief = Belief(dag, kind=kind, candidates=candidates, start=start, prior=prior, model=model)
    bench = _Bench(belief, truth, lab, np.random.default_rng(seed))
    bench.test(start, start_runs)
    searched, confirming, refuted = 1, 0, 0
    seen = {start}
    result: Answer | None = None
    for _ in range(most_tests):
        result = answer(belief, target)
        if result is not None:
            lacking = needs_confirmation(belief, result.commits[0], target) if result.status == "found" else []
            if not lacking:
                break
            before = bench.runs
            bench.test(*lacking[0])
            confirming += bench.runs - before
            again = answer(belief, target)
            refuted += again is None or again.commits != result.commits
            continue
        proposed = next_test(belief, bench.costs)
        if proposed is None:
            break
        searched += proposed.revision not in seen
        seen.add(proposed.revision)
        bench.test(proposed.revision, proposed.runs)
    result = result or answer(belief, target, final=True)
    assert result is not None  # noqa: S101 - what `final` promises
    right = truth in result.commits if truth is not None else result.status == "older_than_oldest"
    return Outcome(result, right, searched, bench.builds, bench.runs, confirming, bench.seconds, refuted)
