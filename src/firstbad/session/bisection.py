"""The loop: propose, evaluate, record. Every fact is in the event log before anything is done with it."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from firstbad.crash import symbolize
from firstbad.engine import BuildRequest, Engine
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Job
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Fresh
from firstbad.session.answer import Answer
from firstbad.session.configuration import ConfigSearch, Minimizer
from firstbad.session.decide import Decider
from firstbad.session.floor import Floor
from firstbad.session.lab import engine_of, machine_config
from firstbad.session.lease import Hold
from firstbad.session.outcome import Run
from firstbad.session.pool import make_runs
from firstbad.session.probing import Prober
from firstbad.session.proof import Proof
from firstbad.session.question import find_question, history_of, pinned
from firstbad.session.reach import stack_of
from firstbad.session.retest import Tester, learned
from firstbad.session.several import Several
from firstbad.session.state import build_event
from firstbad.session.steps import Finish, Means, Step
from firstbad.session.symptom import judge_as, may_be_cut
from firstbad.session.testing import Runs, Testing
from firstbad.session.view import stack_files
from firstbad.session.work import Observer, OutOfTime, Work
from firstbad.store import Store
from firstbad.vm import MachineConfig, MachineRun


class Bisection(Work):
    """One job from where its events left off to its end."""

    def __init__(
        self,
        store: Store,
        number: int,
        home: Home,
        observer: Observer,
        engine: Callable[[Home, Job], Engine] = engine_of,
        minimizer: Minimizer | None = None,
        deadline: float | None = None,
        hold: Hold | None = None,
    ) -> None:
        """``minimizer`` makes configurations smaller; None: by the Kconfig files of the start commit.

        ``deadline``: seconds since the epoch, when this session ends with the best answer so far.
        """
        super().__init__(store, number, home, observer, deadline, hold)
        self.minimizer = minimizer
        self.consoles = home.job(number) / "consoles"
        self.repo = Repo(self.job.repo)
        history = history_of(self.job)
        self.question = find_question(history, pinned(self.job, self.events))
        self.engine = engine(home, self.job)
        self.artifacts = Artifacts(home.artifacts, home.budget // 2)
        self.means = means = Means(
            self.engine.machines,
            self.job.machine.run_seconds,
            full_length=not may_be_cut(self.job.bug),
            compiled=self.compiled,
            under_way=lambda: self.floor.under_way(),
        )
        self.decider: Decider | Tester = (
            Tester(history, self.question, means, self.job)
            if self.job.kind == "test"
            else Decider(history, self.question, means)
        )
        self.verify: Fresh = "" if self.job.build.verify == "off" else self.job.build.verify
        self._compiled_at: dict[str, frozenset[str]] = {}
        self.prober = Prober(self)
        self.testing = Testing(self)
        self.floor = Floor(self)
        self.several = (
            Several(self.floor, lambda step: decider.ahead(self.state, step))
            if isinstance(decider := self.decider, Decider) and self.engine.builders > 1
            else None
        )

    def run(self) -> dict[str, Any]:
        """Go on until the answer; returns the data of the ``finished`` event, of ``budget`` where the deadline passed.

        Raises BisectionError (it could not be done), InfrastructureError, Cancelled. Nothing is left running.
        """
        try:
            with self.alone():
                if self.state.finished is None:
                    self._begin()
                    self._catch_up()
                while self.hear() or self.state.finished is None:
                    if self._config_is_open() and not self._drained():
                        ConfigSearch(self, self.minimizer).choose()
                        self._catch_up()
                        continue
                    step = self.decider.propose(self.state)
                    if not isinstance(step, Finish):
                        self._go_on(step)
                    elif not self._drained() and self._verify(step):
                        self._prove(step)
                        self._finish(step)
                return self.state.finished
        except OutOfTime:
            return self._so_far()
        finally:
            self.engine.close()

    def _so_far(self) -> dict[str, Any]:
        """The deadline has passed: end what is under way, then record the best answer."""
        self.observer.activity("the deadline passed: builds and machines are ended")
        self.engine.close()
        with self.alone():
            return self.record("budget", Answer(self).data(self.decider.so_far(self.state))).data

    def _drained(self) -> bool:
        """Let runs that are under way finish before anything else is done; whether there were any: then what is known
        has changed."""
        return self.several is not None and self.several.drain()

    def _config_is_asked(self) -> bool:
        """Whether the configuration has yet to be chosen."""
        asked = self.job.baseline is not None or self.job.build.sanitizers == "needed"
        return asked and self.job.kind != "test" and self.state.config is None

    def _config_is_open(self) -> bool:
        """The same, and it can be: the start's crash has to be known for that."""
        return self._config_is_asked() and self.decider.start_is_known(self.state)

    def _begin(self) -> None:
        question = self.question
        data = {"start": question.start, "head": question.head, "kind": question.kind}
        if self.job.reproducer.syzkaller_commit:
            data["syzkaller"] = self.job.reproducer.syzkaller_commit
        self.begin(data | ({"rewritten": question.rewritten} if question.rewritten else {}))
        if self.job.test.reference and self.state.learned is None:
            self.record("learned", learned(self.store, self.job.test.reference))

    def _go_on(self, step: Step) -> None:
        self.check_end()
        if self.several is None:
            self._evaluate(step)
        elif step.phase != "initial":
            self.several.advance(step)
        elif not self.several.drain():
            if not self._config_is_asked():
                self.several.prepare(step)
            self._evaluate(step)

    def _evaluate(self, step: Step) -> None:
        """One revision, and nothing beside it."""
        self.testing.begin(step)
        built = self.make(self.build_of(step.commit))
        if self.testing.built(step, built):
            runs = Runs(self.testing, step, built)
            wanted = runs.take_over()
            make_runs(self, runs.batch, runs.made(), wanted, runs.enough)
            self.learn_bug(step.commit, built)
        self.testing.end(step)

    def build_of(self, commit: str) -> BuildRequest:
        """The build that a test of a revision needs. What a clean one made once, no other build may make again."""
        return self.request(commit, "" if self.state.verified.get(commit, True) else self.verify)

    def request(self, commit: str, fresh: Fresh = "") -> BuildRequest:
        """Build with the configuration that was chosen, the job's own unless another one was."""
        chosen = self.state.config
        if not chosen or not chosen["text"]:
            return BuildRequest(self.job.repo, commit, fresh=fresh)
        return BuildRequest(self.job.repo, commit, chosen["text"], chosen["base"], fresh)

    def make(self, request: BuildRequest) -> Built:
        """Have something built and wait for it. Raises Cancelled and OutOfTime."""
        self.observer.activity(f"building {request.commit[:12]}{', clean' if request.fresh else ''}")
        return self.wait(self.engine.build(request))

    def collect(self) -> None:
        """Let go of the oldest builds, but for this job's, where they need too much room."""
        builds = [*self.state.builds.values(), *(trial.build for trial in self.state.trials if trial.build)]
        self.artifacts.collect(frozenset(build.key for build in builds))

    def _verify(self, finish: Finish) -> bool:
        """Build culprit and parents (or the oldest that crashed) once more, without what older builds left.

        Make and a compile cache notice most of what changed, not all. Where a kernel turns out to be another one, its
        runs no longer count, and this is False: the search goes on with the clean kernel.
        """
        alike = True
        for commit in self._rests_on(finish) if self.verify else ():
            known = self.state.builds.get(commit)
            if known is None or commit in self.state.verified:
                continue
            self.check_end()
            built = self.make(self.request(commit, self.verify))
            same = built.signature == known.signature
            self.record("verify", {"commit": commit, **build_event(built), "same": same, "before": known.signature})
            alike &= same
        return alike

    def _prove(self, finish: Finish) -> None:
        """Revert the culprit on the start commit: the crash must go."""
        if finish.status == "found" and self.job.prove:
            Proof(self, self.repo.commit(finish.commits[0])).make()

    def _rests_on(self, finish: Finish) -> tuple[str, ...]:
        """The revisions whose runs decided the answer."""
        if finish.status == "found":
            culprit = finish.commits[0]
            return (culprit, *self.repo.commit(culprit).parents)
        return (finish.boundary,) if finish.boundary else ()

    def machine(self, seconds: float | None = None) -> MachineConfig:
        """The machine of one run; see :func:`machine_config`."""
        return machine_config(self.job, seconds)

    def console(self, commit: str) -> str:
        """How a revision's consoles are called; with another configuration than the job's differently."""
        chosen = self.state.config
        return f"{commit[:12]}-{chosen['digest'][:8]}" if chosen and chosen["text"] else commit[:12]

    def read(self, done: MachineRun, seconds: float | None = None) -> Run:
        """What a run says; ``seconds``: after which it was ended if it was clean, None at its full length."""
        run = judge_as(done, self.state.bug, self.job.bug)
        if run.outcome == "ok" and done.ended == "timeout" and (seconds or math.inf) < self.job.machine.run_seconds:
            run = replace(run, cut=True)
        return run

    def learn_bug(self, commit: str, built: Built) -> None:
        """After the first crashes: which bug this is, and what its stack says of the source."""
        if self.state.bug is None and self.decider.start_is_known(self.state):
            self.record("bug", {"commit": self.question.start})
        if self.state.crash is not None or self.state.bug is None:
            return
        runs = [run for test in self.state.tests for run in test.runs if test.commit == commit]
        for run in runs:
            if run.outcome == "crash" and run.report and self.state.bug.same(run.report).probability > 0.5:
                text = self._symbolized(run, built)
                alike = [r.report for r in runs if r.report and self.state.bug.same(r.report).probability > 0.5]
                stack = stack_of(run.report, text, alike).to_event()
                known = {"title": run.title, "report": text[:20_000], "files": stack_files(text), **stack}
                self.record("crash", known)
                if commit == self.question.start:
                    self.prober.probe_start(built)
                return

    def _catch_up(self) -> None:
        """Learn what a session that was killed right after the start's last run did not come to say, and what has to be
        learned again with another configuration."""
        start = self.question.start
        if start not in self.state.builds or not self.decider.start_is_known(self.state):
            return
        if self.state.bug is None or self.state.crash is None:
            self.learn_bug(start, self.make(self.request(start)))
        if any(run.outcome == "crash" for test in self.state.tests if test.commit == start for run in test.runs):
            self.prober.probe_start()

    def _symbolized(self, run: Run, built: Built) -> str:
        assert run.report is not None  # noqa: S101 - the caller looked
        vmlinux = built.directory / "vmlinux"
        if not vmlinux.exists():
            return run.report.report
        try:
            return symbolize(run.report.report, vmlinux)
        except Exception as error:  # a crash report without lines is worth more than none: drgn reads hostile ELF
            self.observer.activity(f"no symbols: {error}")
            return run.report.report

    def compiled(self, commit: str) -> frozenset[str]:
        """Source files that a revision's build read; empty where that is not known."""
        build = self.state.builds.get(commit)
        if build is None:
            return frozenset()
        if commit not in self._compiled_at:
            built = self.artifacts.get(build.key)
            self._compiled_at[commit] = built.compiled() if built else frozenset()
        return self._compiled_at[commit]

    def _finish(self, finish: Finish) -> None:
        self.testing.end_left()
        self.record("finished", Answer(self).data(finish))
