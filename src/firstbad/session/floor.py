"""A session's builders and machines, where several revisions are worked on at once (``session/several.py``)."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from firstbad.kernel.artifacts import Built
from firstbad.session.outcome import SAYS_NOTHING, Run
from firstbad.session.pool import Batch, Pool
from firstbad.session.several import Said
from firstbad.session.steps import Step
from firstbad.session.testing import Runs

if TYPE_CHECKING:
    from firstbad.session.bisection import Bisection

_NEARLY = 0.1  # of a build is taken to be left where it takes longer than usual


@dataclass
class _Order:
    """A build that was asked for."""

    future: Future[Built]
    chance: float
    since: float
    told: bool = False
    """Whether its end was taken note of."""

    def made(self) -> bool:
        """Whether there is something to test, or a build error."""
        return self.future.done() and not self.future.cancelled() and self.future.exception() is None


class Floor:
    """See `several.Lab`; every fact is recorded when it comes."""

    def __init__(self, session: "Bisection") -> None:
        self.session = session
        self.builders = session.engine.builders
        self.pool = Pool(session)
        self._orders: dict[str, _Order] = {}
        self._failed: set[str] = set()
        self._runs: dict[str, Runs] = {}
        """The latest of each test that is open."""
        self._of: dict[Batch, Runs] = {}

    def idle_machines(self) -> int:
        """Machines with nothing to do."""
        return self.pool.idle()

    def built(self, commit: str) -> bool:
        """Whether a revision can be tested now, or is known not to build."""
        return commit in self.session.state.builds or (commit in self._orders and self._orders[commit].made())

    def learned(self) -> int:
        """Changes with every event."""
        return self.session.recorded

    def under_way(self) -> dict[str, float]:
        """Builds that no test asked for yet, and in how many seconds each is probably done."""
        usual = median(self.session.state.build_times() or [float("inf")])
        now = time.monotonic()
        return {
            commit: 0.0 if order.made() else max(_NEARLY * usual, usual - (now - order.since))
            for commit, order in self._orders.items()
        }

    def want(self, builds: Sequence[tuple[str, float]]) -> None:
        """Have these built, and give up others that are under way. What failed is tried again where it is needed."""
        builds = [(commit, chance) for commit, chance in builds if chance >= 1.0 or commit not in self._failed]
        futures = self.session.engine.ahead([(self.session.build_of(commit), chance) for commit, chance in builds])
        orders = {commit: order for commit, order in self._orders.items() if order.made()}
        for (commit, chance), future in zip(builds, futures, strict=True):
            before = self._orders.get(commit)
            since = before.since if before and not before.future.done() else time.monotonic()
            orders[commit] = _Order(future, chance, since)
        self._orders = orders

    def open(self, step: Step) -> int:
        """Record test and build, and the runs that others made of it; how many are left to be made."""
        session = self.session
        built = self._kernel(step.commit)
        session.testing.begin(step)
        if session.testing.built(step, built):
            runs = Runs(session.testing, step, built)
            self._keep(runs)
            left = runs.take_over()
            if left:
                return left
        self.close(step)
        return 0

    def begin(self, step: Step) -> None:
        """One run of an open test."""
        runs = self._runs[step.commit]
        if runs.step is not step:
            runs = Runs(self.session.testing, step, runs.built)
            self._keep(runs)
        under_way = sum(self._of[batch].step.commit == step.commit for batch, _ in self.pool.pending.values())
        self.pool.begin(runs.batch, runs.made() + under_way)

    def wait(self) -> list[tuple[str, Said]]:
        """Wait until a run or a build ends. Raises what `Work.check_end` and `Pool.take` raise, and what a build that
        is needed raises."""
        while True:
            waiting = {commit: order for commit, order in self._orders.items() if not order.told}
            if not self.pool.pending and not waiting:
                return []
            self._tell(waiting)
            ended = self.pool.take([order.future for order in waiting.values()])
            self.session.check_end()
            arrived = [order for order in waiting.values() if order.future.done()]
            for order in arrived:
                order.told = True
                if order.chance >= 1.0:
                    order.future.result()
            self._failed |= {commit for commit, order in waiting.items() if order.told and not order.made()}
            if ended or arrived:
                return [self._said(batch, run) for batch, run in ended]

    def close(self, step: Step) -> None:
        """Record what a test says."""
        runs = self._runs.pop(step.commit, None)
        if runs is not None:
            self._of = {batch: one for batch, one in self._of.items() if one.step.commit != step.commit}
            self.session.learn_bug(step.commit, runs.built)
        self.session.testing.end(step)

    def _keep(self, runs: Runs) -> None:
        self._runs[runs.step.commit] = self._of[runs.batch] = runs

    def _said(self, batch: Batch, run: Run) -> tuple[str, Said]:
        runs = self._of[batch]
        nothing = run.outcome in SAYS_NOTHING
        return runs.step.commit, "enough" if runs.enough(run) else "nothing" if nothing else "something"

    def _kernel(self, commit: str) -> Built:
        """The build of a revision that has one."""
        order, fact = self._orders.get(commit), self.session.state.builds.get(commit)
        if order is not None and order.made():
            built = order.future.result()
            if fact is None or built.signature == fact.signature:
                return built
        kept = self.session.artifacts.get(fact.key) if fact is not None else None
        return kept or self.session.make(self.session.build_of(commit))

    def _tell(self, waiting: dict[str, _Order]) -> None:
        tested = dict.fromkeys(self._of[batch].step.commit[:12] for batch, _ in self.pool.pending.values())
        parts = [f"testing {', '.join(tested)}"] if tested else []
        parts += [f"building {', '.join(commit[:12] for commit in waiting)}"] if waiting else []
        self.session.observer.activity("; ".join(parts))
