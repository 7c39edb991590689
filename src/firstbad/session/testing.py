"""One test of a session: what is recorded when it begins, how its runs are made, what is recorded when it ends."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firstbad.kernel.artifacts import Built
from firstbad.session.outcome import SAYS_NOTHING, Run, run_event
from firstbad.session.pool import Batch
from firstbad.session.reuse import Reuse, machine_key, machine_run, result_of
from firstbad.session.state import build_event
from firstbad.session.steps import Step
from firstbad.store import Known
from firstbad.vm import MachineConfig, MachineRun

if TYPE_CHECKING:
    from firstbad.session.bisection import Bisection

# What the crash rate is learned from, and what proves the answer: nothing may tie these runs together.
FRESH_BOOTS = ("initial", "confirm", "test")


class Testing:
    """The tests of one session."""

    def __init__(self, session: "Bisection") -> None:
        self.session = session
        self.reuse = Reuse(session.store, session.number, session.events)

    def begin(self, step: Step) -> None:
        """Record that a test begins, unless it goes on."""
        if not self.session.state.is_open(step.commit):
            title = self.session.repo.commit(step.commit).title
            data = {"commit": step.commit, "phase": step.phase, "title": title, **step.data}
            self.session.record("test", data)

    def built(self, step: Step, built: Built) -> bool:
        """Record its build; False where nothing is to be run, for there is no kernel or it is another one's."""
        session, state = self.session, self.session.state
        if step.commit not in state.builds:
            session.record("build", {"commit": step.commit, **build_event(built)})
            session.collect()
        if built.error:
            return False
        twin = state.by_signature(built.signature, step.commit)
        known = step.commit in state.same  # asked for again: then more runs of this kernel are worth their time
        if not twin or step.phase != "search" or known or state.tally(step.commit).total:
            return True
        session.record("same", {"commit": step.commit, "as": twin})
        return False

    def end(self, step: Step) -> None:
        """Record what the test says."""
        session = self.session
        session.record("mark", {"commit": step.commit, **session.decider.judge(session.state, step)})

    def end_left(self) -> None:
        """The same of tests that a session which was killed left open, and that nobody asked for since."""
        for test in self.session.state.tests:
            if test.mark is None and test.runs and not test.void and self.session.state.is_open(test.commit):
                self.end(Step(test.data["phase"], test.commit, 0))


class Runs:
    """How the runs of one step are made and recorded."""

    def __init__(self, testing: Testing, step: Step, built: Built) -> None:
        self.session = session = testing.session
        self.step, self.built, self.reuse = step, built, testing.reuse
        self.aim = session.prober.aim(step.commit, built)
        machine = session.machine(step.seconds)
        if step.phase not in FRESH_BOOTS:
            machine = replace(machine, snapshot=session.job.machine.snapshot)
        self.key = self._key(machine)
        self.batch = Batch(built, session.console(step.commit), machine, self.record)

    def record(self, done: MachineRun, wall: float, console: Path | None = None, earlier: Known | None = None) -> Run:
        """Record a run, of another job where ``earlier`` is that."""
        session, commit = self.session, self.step.commit
        run = session.read(done, self.step.seconds)
        if run.outcome == "ok":
            run = replace(run, reached=session.prober.reached(self.aim, commit, self.built))
        elif run.outcome == "crash":
            run = replace(run, reached=self.aim.verdict)
        source = {"reused": self.reuse.take(earlier)} if earlier else {}
        data = {"commit": commit, **run_event(run, done, wall), **source}
        others = self.key and console and not earlier and not done.group and run.outcome != "infra"
        limit = self.batch.machine.run_seconds
        session.record(
            "run", data, result_of(self.key, done, limit, console, session.home) if others and console else None
        )
        return run

    def enough(self, run: Run) -> bool:
        """Whether no further runs are needed after this one."""
        session, step = self.session, self.step
        return (
            (run.outcome == "crash" and not step.all_runs)
            or (step.phase == "initial" and session.decider.start_is_known(session.state))
            or step.commit in session.state.untestable()
        )

    def take_over(self) -> int:
        """Take the runs of other jobs; how many are still to be made."""
        session, wanted = self.session, self.step.runs
        for earlier in self.reuse.runs(self.key, self.step.phase):
            if not wanted:
                return 0
            console = session.consoles / f"{self.batch.console}-{self.made():03}.txt"
            done = machine_run(earlier.data, self.batch.machine.run_seconds, session.home, console)
            if done is None:
                continue
            run = self.record(done, 0.0, None, earlier)
            wanted -= run.outcome not in SAYS_NOTHING
            if self.enough(run):
                return 0
            session.check_end()
        return wanted

    def made(self) -> int:
        """Runs of this revision that are recorded."""
        return self.session.state.tally(self.step.commit).total

    def _key(self, machine: MachineConfig) -> str:
        """Of the runs that others may have made; empty: runs are not kept for others, as those that share a boot."""
        identity: Callable[[Path], str] | None = getattr(self.session.engine, "identity", None)
        if machine.snapshot > 1 or machine.keep or identity is None:
            return ""
        return machine_key(self.built.signature, identity(self.built.kernel), machine)
