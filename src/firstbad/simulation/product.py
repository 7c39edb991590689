"""The product's own policy: the decisions, the state and the attribution of crashes that drive real kernels, driven
through a simulated lab."""

from collections.abc import Sequence
from typing import Any

from firstbad.crash import Report
from firstbad.crash.formats import type_of
from firstbad.errors import BisectionError, InfrastructureError
from firstbad.session.decide import Decider
from firstbad.session.outcome import SAYS_NOTHING, Run, judge_report, to_event
from firstbad.session.pool import INFRA_LIMIT
from firstbad.session.question import Question
from firstbad.session.several import Said, Several
from firstbad.session.state import State, apply, fold
from firstbad.session.steps import Finish, Means, Step
from firstbad.simulation.result import Result, Status
from firstbad.simulation.scenario import Scenario, Task
from firstbad.simulation.world import RunFact, World
from firstbad.store import Event

_MOST_STEPS = 600  # no bisection takes as many: a lab that never answers must not hold a simulation up


def bisect(scenario: Scenario, world: World, *, priors: bool = True) -> Result:
    """Find the culprit as the product does. ``priors``: use what history knows."""
    return _Session(scenario.task, world, priors).run()


class _Budget(Exception):
    """The simulated time is over."""


class _Session:
    """A job's loop over a simulated lab: propose, evaluate, record, as ``session.bisection`` does it for real ones."""

    def __init__(self, task: Task, world: World, priors: bool) -> None:
        self.task, self.world = task, world
        question = Question(
            task.kind,
            task.start,
            task.head if task.kind == "fix" else "",
            task.good,
            trusted=True,
            target=task.target,
            priors=priors,
        )
        compiled = frozenset(world.built_files or ())
        means = Means(world.machines, world.run_seconds, True, lambda _: compiled, self._under_way)
        self.decider = Decider(task.history, question, means)
        self.state: State = fold([])
        self.number = self.infra = 0
        self.started: set[str] = set()  # builds that were not given up, with several builders
        self.start_seconds: float | None = None
        self.search_seconds: float | None = None

    def run(self) -> Result:
        """From the evidence given beforehand to the answer."""
        for given in self.task.evidence:
            self._record("test", {"commit": given.commit, "phase": "evidence", "title": given.commit})
            for one in given.runs:
                self._run(given.commit, RunFact(one.outcome, one.title), given=True)
            self._record("mark", {"commit": given.commit, "verdict": "evidence"})
        self._learn_bug()
        try:
            return self._result(self._loop())
        except BisectionError as error:
            return self._result(Finish(error.status, why=str(error)))
        except InfrastructureError as error:
            return self._result(Finish("infra_failure", why=str(error)))
        except _Budget:
            return self._result(self.decider.so_far(self.state))

    def _loop(self) -> Finish:
        several = Several(_Floor(self), lambda step: self.decider.ahead(self.state, step))
        for _ in range(_MOST_STEPS * self.world.builders):
            self._check_budget()
            step = self.decider.propose(self.state)
            self._clock(step)
            if isinstance(step, Finish):
                if not several.drain():
                    return step
            elif self.world.builders == 1:
                self._evaluate(step)
            elif step.phase != "initial":
                several.advance(step)
            elif not several.drain():
                several.prepare(step)
                self._evaluate(step)
        raise BisectionError(f"no answer after {_MOST_STEPS} steps")

    def _clock(self, step: Step | Finish) -> None:
        """Note when the start check ended, and when the search last gave way to confirmation."""
        if self.start_seconds is None and (isinstance(step, Finish) or step.phase != "initial"):
            self.start_seconds = self.world.clock
        confirming = isinstance(step, Step) and step.phase == "confirm"
        if self.start_seconds is not None and not (isinstance(step, Finish) or confirming):
            self.search_seconds = None
        elif self.search_seconds is None and self.start_seconds is not None:
            self.search_seconds = self.world.clock - self.start_seconds

    def _check_budget(self) -> None:
        if self.task.budget_seconds is not None and self.world.clock >= self.task.budget_seconds:
            raise _Budget

    def _evaluate(self, step: Step) -> None:
        self.world.build(step.commit)
        if self.open(step):
            self._run_batch(step)
            self.close(step)

    def open(self, step: Step) -> bool:
        """A test of a revision that is built begins; False where it has ended already."""
        if not self.state.is_open(step.commit):
            self._record("test", {"commit": step.commit, "phase": step.phase, "title": step.commit, **step.data})
        built = self.world.build(step.commit)
        if step.commit not in self.state.builds:
            self._record(
                "build",
                {
                    "commit": step.commit,
                    "key": step.commit,
                    "signature": built.signature,
                    "compiler": "simulated",
                    "seconds": built.seconds,
                    "error": built.error,
                    "cached": False,
                },
            )
        twin = self.state.by_signature(built.signature, step.commit) if not built.error else None
        known = step.commit in self.state.same
        if twin and step.phase == "search" and not known and not self.state.tally(step.commit).total:
            self._record("same", {"commit": step.commit, "as": twin})
        elif not built.error:
            return True
        self.close(step)
        return False

    def close(self, step: Step) -> None:
        """A test has ended."""
        self._record("mark", {"commit": step.commit, **self.decider.judge(self.state, step)})

    def _under_way(self) -> dict[str, float]:
        """Builds that no test asked for yet, and in how many seconds each is done."""
        building = self.world.building()
        return {commit: building.get(commit, self.world.clock) - self.world.clock for commit in self.started}

    def _run_batch(self, step: Step) -> None:
        wanted = step.runs
        while wanted > 0:
            facts = self.world.batch(step.commit, wanted, step.seconds, lambda facts: self._enough(step, facts))
            for fact in facts:
                self.take(step.commit, fact)
            self._learn_bug()
            wanted = sum(fact.outcome in SAYS_NOTHING for fact in facts)
            if self._enough(step, facts) or step.commit in self.state.untestable():
                return
            self._check_budget()

    def take(self, commit: str, fact: RunFact) -> None:
        """Record what a run of a test showed. Raises InfrastructureError where too many in a row failed."""
        self._run(commit, fact)
        self.infra = self.infra + 1 if fact.outcome == "infra" else 0
        if self.infra >= INFRA_LIMIT:
            raise InfrastructureError(f"{self.infra} runs in a row failed: {fact.title}")

    def _enough(self, step: Step, facts: Sequence[RunFact]) -> bool:
        if step.all_runs:
            return False
        bug = self.state.bug
        if facts[-1].outcome != "crash":
            return any(self.is_bug(fact) for fact in facts)
        return bug is None or self.is_bug(facts[-1]) or any(self.is_bug(fact) for fact in facts[:-1])

    def is_bug(self, fact: RunFact) -> bool:
        """Whether a run showed the bug."""
        return fact.outcome == "crash" and judge_report(_report(fact), self.state.bug).outcome == "crash"

    def _run(self, commit: str, fact: RunFact, given: bool = False) -> None:
        run = Run(fact.outcome, fact.title)
        if fact.outcome == "crash":
            run = judge_report(_report(fact), self.state.bug)
        short = fact.cut or (not given and fact.seconds < self.world.run_seconds)
        data = to_event(run) | {"commit": commit, "wall": fact.seconds, "ended": "finished"}
        data |= {"boot_seconds": fact.boot_seconds, "run_seconds": fact.seconds}
        if fact.outcome == "ok":
            data |= {"cut": short, "reached": fact.reached}
        self._record("run", data)

    def _learn_bug(self) -> None:
        """Once the start commit has shown it: which bug this is, and what its stack says of the source."""
        try:
            known = self.state.bug is None and self.decider.start_is_known(self.state)
        except BisectionError:
            return  # for the loop to say
        if known:
            self._record("bug", {"commit": self.task.start})
            self._record_stack()

    def _record_stack(self) -> None:
        """The files of the crash's stack, which a simulated crash brings instead of functions."""
        for test in self.state.tests:
            for run in test.runs:
                if run.outcome == "crash" and run.report is not None:
                    self._record("crash", {"title": run.title, "report": "", "files": list(run.report.frames)})
                    return

    def _record(self, kind: str, data: dict[str, Any]) -> None:
        self.number += 1
        apply(self.state, Event(self.number, self.world.clock, kind, data))

    def _result(self, finish: Finish) -> Result:
        state, world, history = self.state, self.world, self.task.history
        status: Status = finish.status  # type: ignore[assignment]  # the session's statuses are the contract's
        culprit = finish.commits[0] if finish.status == "found" else ""
        parents = history.dag.parents[history.index[culprit]] if culprit else ()
        return Result(
            self.task.name,
            status,
            tuple(finish.commits),
            tuple(finish.probabilities),
            finish.confidence,
            finish.boundary or None,
            noop=bool(culprit) and self._is_noop(culprit, [history.names[i] for i in parents]),
            is_release=bool(culprit) and bool(history.tag(culprit)),
            is_merge=len(parents) > 1,
            revisions_tested=state.revisions_tested(),
            builds=world.builds,
            runs=world.runs,
            vm_seconds=round(world.vm_seconds, 3),
            wall_seconds=round(world.clock, 3),
            search_seconds=self.search_seconds,
            start_seconds=self.start_seconds,
        )

    def _is_noop(self, culprit: str, parents: list[str]) -> bool:
        builds = self.state.builds
        if len(parents) != 1 or culprit not in builds or not builds[culprit].signature:
            return False
        return parents[0] in builds and builds[parents[0]].signature == builds[culprit].signature


class _Floor:
    """The simulated lab as `Several` sees it."""

    def __init__(self, session: _Session) -> None:
        self.session, self.world = session, session.world
        self.builders = session.world.builders

    def idle_machines(self) -> int:
        """See `Several`, as the others."""
        return self.world.idle_machines()

    def built(self, commit: str) -> bool:
        """Built, or tried."""
        return self.world.built(commit)

    def learned(self) -> int:
        """Changes with every event."""
        return self.session.number

    def want(self, builds: Sequence[tuple[str, float]]) -> None:
        """Begin builds; one that is no longer wanted gives way, where its builder is."""
        world, wanted = self.world, [commit for commit, _ in builds]
        pointless = [commit for commit in world.building() if commit not in wanted]
        for commit in wanted:
            if commit in world.building():
                continue
            if not world.idle_builders():
                self.session.started.discard(pointless[-1])
                world.cancel_build(pointless.pop())
            world.start_build(commit)
            self.session.started.add(commit)

    def open(self, step: Step) -> int:
        """Record test and build."""
        return step.runs if self.session.open(step) else 0

    def begin(self, step: Step) -> None:
        """Begin a run, of this step's length."""
        self.world.begin(step.commit, step.seconds)

    def wait(self) -> list[tuple[str, Said]]:
        """Let time pass; a crash ends the other runs of its revision, as it ends a batch."""
        found: list[tuple[str, Said]] = []
        ended = self.world.wait()
        for commit in {commit for commit, fact in ended if self.session.is_bug(fact)}:
            ended += [(commit, fact) for fact in self.world.cut(commit)]
        for commit, fact in ended:
            self.session.take(commit, fact)
            over = self.session.is_bug(fact) or commit in self.session.state.untestable()
            nothing = fact.outcome in SAYS_NOTHING
            found.append((commit, "enough" if over else "nothing" if nothing else "something"))
        return found

    def close(self, step: Step) -> None:
        """Record the mark."""
        self.session.close(step)


def _report(fact: RunFact) -> Report:
    return Report(
        title=fact.title,
        type=fact.type or type_of(fact.title),
        frame="",
        frames=fact.frames,
        report="",
        start=0,
        end=0,
        corrupted=False,
        panicked=False,
    )
