"""The loop: propose, evaluate, record. Every fact is in the event log before anything is done with it."""

import math
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from firstbad.crash import symbolize
from firstbad.engine import BuildRequest, Engine, RunRequest
from firstbad.errors import InfrastructureError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Job
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Fresh
from firstbad.session.answer import Answer
from firstbad.session.configuration import ConfigSearch, Minimizer
from firstbad.session.decide import Decider
from firstbad.session.lab import engine_of, machine_config
from firstbad.session.lease import Hold
from firstbad.session.outcome import Run, run_event
from firstbad.session.probing import Prober
from firstbad.session.proof import Proof
from firstbad.session.question import find_question, history_of, pinned
from firstbad.session.reach import stack_of
from firstbad.session.retest import Tester, learned
from firstbad.session.reuse import Reuse, machine_key, machine_run, result_of
from firstbad.session.state import Test, build_event
from firstbad.session.steps import Finish, Means, Step
from firstbad.session.symptom import judge_as, may_be_cut
from firstbad.session.view import stack_files
from firstbad.session.work import Observer, OutOfTime, Work
from firstbad.store import Known, Store
from firstbad.vm import MachineConfig, MachineRun, end_kept

# What the crash rate is learned from, and what proves the answer: nothing may tie these runs together.
FRESH_BOOTS = ("initial", "confirm", "test")
INFRA_LIMIT = 12  # runs in a row that this machine failed, after which going on makes no sense


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
        )
        self.decider: Decider | Tester = (
            Tester(history, self.question, means, self.job)
            if self.job.kind == "test"
            else Decider(history, self.question, means)
        )
        self.verify: Fresh = "" if self.job.build.verify == "off" else self.job.build.verify
        self._compiled_at: dict[str, frozenset[str]] = {}
        self.prober = Prober(self)
        self.reuse = Reuse(store, number, self.events)

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
                    if self._config_is_open():
                        ConfigSearch(self, self.minimizer).choose()
                        self._catch_up()
                        continue
                    step = self.decider.propose(self.state)
                    if not isinstance(step, Finish):
                        self._evaluate(step)
                    elif self._verify(step):
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

    def _config_is_open(self) -> bool:
        """Whether the configuration has yet to be chosen; the start's crash has to be known for that."""
        asked = self.job.baseline is not None or self.job.build.sanitizers == "needed"
        return (
            asked and self.job.kind != "test" and self.state.config is None and self.decider.start_is_known(self.state)
        )

    def _begin(self) -> None:
        question = self.question
        data = {"start": question.start, "head": question.head, "kind": question.kind}
        if self.job.reproducer.syzkaller_commit:
            data["syzkaller"] = self.job.reproducer.syzkaller_commit
        self.begin(data | ({"rewritten": question.rewritten} if question.rewritten else {}))
        if self.job.test.reference and self.state.learned is None:
            self.record("learned", learned(self.store, self.job.test.reference))

    def _evaluate(self, step: Step) -> None:
        self.check_end()
        last = self.state.tests[-1] if self.state.tests else None
        if last is None or last.mark is not None or last.commit != step.commit:
            title = self.repo.commit(step.commit).title
            self.record("test", {"commit": step.commit, "phase": step.phase, "title": title, **step.data})
        self._build_ahead(step)
        built = self._build(step.commit)
        twin = self.state.by_signature(built.signature, step.commit) if not built.error else None
        known = step.commit in self.state.same  # asked for again: then more runs of this kernel are worth their time
        if twin and step.phase == "search" and not known and not self.state.tally(step.commit).total:
            self.record("same", {"commit": step.commit, "as": twin})
        elif not built.error:
            self._run_batch(step, built)
            self._learn_bug(step.commit, built)
        self.record("mark", {"commit": step.commit, **self.decider.judge(self.state, step)})

    def _build(self, commit: str) -> Built:
        # What a clean build made once, no other build may make again.
        built = self.make(self.request(commit, "" if self.state.verified.get(commit, True) else self.verify))
        if commit not in self.state.builds:
            self.record("build", {"commit": commit, **build_event(built)})
            self._collect()
        return built

    def _build_ahead(self, step: Step) -> None:
        """Have builders that would be idle build what the next steps are likely to want."""
        if self.engine.builders < 2 or not isinstance(self.decider, Decider):
            return
        likely = islice(self.decider.ahead(self.state, step), self.engine.builders - 1)
        self.engine.ahead([(self.request(commit), chance) for commit, chance in likely])

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

    def _collect(self) -> None:
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

    def _run_batch(self, step: Step, built: Built) -> None:
        """Runs in parallel, until one crashes (runs that are under way then are let finish: giving up the slow
        ones, which are the clean ones, would make the crash rate look higher than it is)."""
        aim = self.prober.aim(step.commit, built)
        machine = self.machine(step.seconds)
        if step.phase not in FRESH_BOOTS:
            machine = replace(machine, snapshot=self.job.machine.snapshot)
        key = self._key(built, machine)

        def judged(done: MachineRun, wall: float, console: Path | None = None, earlier: Known | None = None) -> Run:
            run = self.read(done, step.seconds)
            if run.outcome == "ok":
                run = replace(run, reached=self.prober.reached(aim, step.commit, built))
            elif run.outcome == "crash":
                run = replace(run, reached=aim.verdict)
            source = {"reused": self.reuse.take(earlier)} if earlier else {}
            data = {"commit": step.commit, **run_event(run, done, wall), **source}
            others = key and console and not earlier and not done.group and run.outcome != "infra"
            limit = machine.run_seconds
            self.record("run", data, result_of(key, done, limit, console, self.home) if others and console else None)
            return run

        def enough(run: Run) -> bool:
            return (
                (run.outcome == "crash" and not step.all_runs)
                or (step.phase == "initial" and self.decider.start_is_known(self.state))
                or step.commit in self.state.untestable()
            )

        name, wanted = self.console(step.commit), step.runs
        for earlier in self.reuse.runs(key, step.phase):
            if not wanted:
                return
            console = self.consoles / f"{name}-{self.state.tally(step.commit).total:03}.txt"
            done = machine_run(earlier.data, machine.run_seconds, self.home, console)
            if done is None:
                continue
            run = judged(done, 0.0, None, earlier)
            wanted -= run.outcome not in ("infra", "boot")
            if enough(run):
                return
            self.check_end()
        self.batch(built, name, self.state.tally(step.commit).total, wanted, judged, enough, machine)

    def _key(self, built: Built, machine: MachineConfig) -> str:
        """Of the runs that others may have made; empty: runs are not kept for others, as those that share a boot."""
        identity: Callable[[Path], str] | None = getattr(self.engine, "identity", None)
        if machine.snapshot > 1 or machine.keep or identity is None:
            return ""
        return machine_key(built.signature, identity(built.kernel), machine)

    def batch(
        self,
        built: Built,
        console: str,
        first: int,
        wanted: int,
        judged: Callable[[MachineRun, float, Path], Run],
        enough: Callable[[Run], bool],
        machine: MachineConfig | None = None,
    ) -> None:
        """Make runs in parallel, ``wanted`` of them that say something, or until ``enough``.

        Each is handed to ``judged`` (with its seconds of wall-clock and its console's file), which records it.
        ``first`` numbers the consoles.
        Raises Cancelled, OutOfTime and InfrastructureError.
        """
        machine = machine or self.machine()
        pending: set[Future[MachineRun]] = set()
        consoles: dict[Future[MachineRun], Path] = {}
        submitted, infra, stop = 0, 0, False
        since = time.monotonic()
        while pending or (submitted < wanted and not stop):
            while len(pending) < self.engine.machines and submitted < wanted and not stop:
                path = self.consoles / f"{console}-{first + submitted:03}.txt"
                keep = machine.keep and self.state.kept is None
                future = self.engine.run(RunRequest(built.kernel, path, replace(machine, keep=keep)))
                pending.add(future)
                consoles[future] = path
                submitted += 1
            self.observer.activity(f"running {console}: {submitted}/{wanted}")
            done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                self._tell_acceleration()
                now = time.monotonic()
                seen = future.result()
                run = judged(seen, now - since, consoles[future])
                self._keep(seen, run, built)
                since = now
                infra = infra + 1 if run.outcome == "infra" else 0
                wanted += run.outcome in ("infra", "boot")  # such a run said nothing about the bug
                stop = enough(run) or stop
            if infra >= INFRA_LIMIT:
                raise InfrastructureError(f"{infra} runs in a row failed on this machine: {run.title}")
            self.check_end()

    def _keep(self, seen: MachineRun, run: Run, built: Built) -> None:
        """The first machine that shows the bug stays, where the job says so; others that were left are ended."""
        if seen.kept is None:
            return
        if run.outcome == "crash" and self.state.kept is None:
            vmlinux = str(built.directory / "vmlinux")
            self.record("kept", {"pid": seen.kept.pid, "gdb": str(seen.kept.gdb), "vmlinux": vmlinux})
        else:
            end_kept(seen.kept)

    def machine(self, seconds: float | None = None) -> MachineConfig:
        """The machine of one run; see :func:`machine_config`."""
        return machine_config(self.job, seconds)

    def _tell_acceleration(self) -> None:
        how = self.engine.acceleration
        if how is not None and not self.state.accelerated:
            self.record("machines", {"acceleration": how.name, "why": how.why, "at_a_time": self.engine.machines})

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

    def _learn_bug(self, commit: str, built: Built) -> None:
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
            self._learn_bug(start, self.make(self.request(start)))
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
        self.record("finished", Answer(self).data(finish))


def verdict_of(test: Test) -> str:
    """``good``, ``bad`` or ``skip`` of a test that has ended; empty while it is under way."""
    return str(test.mark["verdict"]) if test.mark else ""
