"""What the baselines share: a lab with books kept, and the ways in which a bisection ends."""

import functools
from collections.abc import Callable, Iterable, Sequence

from firstbad.crash.formats import type_of
from firstbad.simulation.result import Result, Status
from firstbad.simulation.scenario import Task
from firstbad.simulation.world import Built, RunFact, Until, World

Policy = Callable[[Task, World], Result]


class Stop(Exception):
    """The bisection is over without a search having named a commit."""

    def __init__(self, status: Status, boundary: str | None = None, commits: Sequence[str] = ()) -> None:
        super().__init__(status)
        self.status, self.boundary, self.commits = status, boundary, tuple(commits)


def policy(rule: Callable[["Bench"], Result]) -> Policy:
    """A policy from a rule: keeps the books and turns `Stop` into a result."""

    @functools.wraps(rule)
    def run(task: Task, world: World) -> Result:
        bench = Bench(task, world)
        try:
            return rule(bench)
        except Stop as stop:
            return bench.result(stop.status, stop.commits, confidence=0.0, boundary=stop.boundary)

    return run


class Bench:
    """One bisection under way: what was built and tested, when the search began and ended."""

    def __init__(self, task: Task, world: World) -> None:
        self.task, self.world, self.history = task, world, task.history
        self.tests: list[str] = []
        """The commits of all revision tests, in order."""
        self.repeats_count = True
        """Whether a further test of a revision counts as one more tested."""
        self.suspects: tuple[str, ...] = ()
        """What a search would name if its time ended now."""
        self.started: float | None = None
        self.found: float | None = None
        self._known = {item.commit: item.runs for item in task.evidence if item.runs}
        self._signatures: dict[str, str] = {}

    def build(self, commit: str) -> Built:
        """Build or wait. Raises Stop when the budget is used up."""
        built = self.world.build(commit)
        self._signatures[commit] = built.signature
        self._check_budget()
        return built

    def runs(self, commit: str, count: int, until: Until = lambda _: False) -> list[RunFact] | None:
        """One revision test: build and run ``count`` times; None where it does not build. Raises Stop.

        Runs are ended by a crash or take their full length. Evidence given beforehand stands for the test.
        """
        self.tests.append(commit)
        if commit in self._known:
            rows = self._known[commit]
            return [RunFact(run.outcome, run.title, type_of(run.title) if run.title else "") for run in rows]
        if self.build(commit).error:
            return None
        facts = self.world.batch(commit, count, until=until)
        self._check_budget()
        return facts

    def _check_budget(self) -> None:
        budget = self.task.budget_seconds
        if budget is not None and self.world.clock >= budget:
            raise Stop("budget", commits=self.suspects)

    def start_is_checked(self) -> None:
        """From here on the search's time counts."""
        self.started = self.world.clock

    def search_is_over(self) -> None:
        """What comes now (no-op check, confirmation) is no search any more."""
        self.found = self.world.clock

    def same_binary_as_parent(self, commit: str, build: bool) -> bool:
        """Whether the commit has one parent and both have one signature; ``build`` it and the parent to know."""
        parents = self.history.dag.parents[self.history.index[commit]]
        if len(parents) != 1:
            return False
        names = (commit, self.history.names[parents[0]])
        if build:
            for name in names:
                self.build(name)
        one, other = (self._signatures.get(name, "") for name in names)
        return bool(one) and one == other

    def answer(self, commits: Sequence[str], confidence: float = 1.0, noop: bool = False) -> Result:
        """``found`` for one commit, ``candidates`` for more, which share the confidence equally."""
        return self.result("found" if len(commits) == 1 else "candidates", commits, confidence, noop=noop)

    def result(
        self,
        status: Status,
        commits: Sequence[str] = (),
        confidence: float = 0.0,
        boundary: str | None = None,
        noop: bool = False,
        probabilities: Iterable[float] | None = None,
    ) -> Result:
        """The result as the books stand."""
        world, one = self.world, commits[0] if len(commits) == 1 else None
        ended = world.clock if self.found is None else self.found
        searched = None if self.started is None or one is None else ended - self.started
        shares = [confidence / max(1, len(commits))] * len(commits) if probabilities is None else probabilities
        return Result(
            name=self.task.name,
            status=status,
            commits=tuple(commits),
            probabilities=tuple(shares),
            confidence=confidence,
            boundary=boundary,
            noop=noop,
            is_release=one is not None and is_release(self, one),
            is_merge=one is not None and len(self.history.dag.parents[self.history.index[one]]) > 1,
            revisions_tested=len(self.tests if self.repeats_count else set(self.tests)),
            builds=world.builds,
            runs=world.runs,
            vm_seconds=world.vm_seconds,
            wall_seconds=world.clock,
            search_seconds=searched,
            start_seconds=self.started,
        )


def is_release(bench: Bench, commit: str) -> bool:
    """Whether a version tag points at the commit."""
    return bool(bench.history.tag(commit))


def crashed(facts: Sequence[RunFact]) -> bool:
    """The last run crashed: enough for a rule by which any crash is bad."""
    return facts[-1].outcome == "crash"
