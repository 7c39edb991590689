"""A job's state: a pure fold over its events. Nothing is remembered anywhere else."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from firstbad.crash import Bug, Shown
from firstbad.inference import Evidence, Exposure
from firstbad.kernel.artifacts import Built
from firstbad.session.opinions import Opinions, opinion_of, told_evidence, weigh
from firstbad.session.outcome import SAME, Run, from_event
from firstbad.session.tally import ASTRAY_RUNS, Tally
from firstbad.store import Event

_UNTESTABLE = {
    "build": "does not build",
    "boot": "does not boot",
    "lost": "crashes with other bugs only",
    "reach": "does not come near the code of the crash",
    "skip": "can't be tested",
}


@dataclass(frozen=True)
class BuildFact:
    """A revision's build. ``error`` is empty when there is a kernel; ``cached``: it was there before."""

    key: str
    signature: str
    compiler: str
    seconds: float
    error: str
    cached: bool
    fixes: list[str] = field(default_factory=list)


@dataclass
class Test:
    """One proposed test: what was planned and what came of it, for the log."""

    data: dict[str, Any]
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0
    mark: dict[str, Any] | None = None
    same_as: str = ""
    void: bool = False
    """Whether its runs no longer count: a clean build showed that their kernel was not this revision's."""
    verified: list[dict[str, Any]] = field(default_factory=list)
    """Clean builds that were made after it."""

    @property
    def commit(self) -> str:
        """Full hash of the revision under test."""
        return str(self.data["commit"])

    @property
    def told(self) -> bool:
        """Whether it was made elsewhere and imported."""
        return bool(self.data.get("told"))


@dataclass
class Trial(Test):
    """A test of the start commit as another kernel than the job's: with another configuration
    (``session/configuration.py``), or without the culprit (``session/proof.py``)."""

    build: BuildFact | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def digest(self) -> str:
        """Which configuration, see :func:`firstbad.kernel.config.identity`."""
        return str(self.data["digest"])


@dataclass
class State:
    """Everything a decision may look at."""

    started: list[dict[str, Any]] = field(default_factory=list)
    builds: dict[str, BuildFact] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    tests: list[Test] = field(default_factory=list)
    same: dict[str, str] = field(default_factory=dict)  # revision -> tested revision with an equal signature
    skipped: dict[str, str] = field(default_factory=dict)  # revision -> why its test says that it can't be tested
    verified: dict[str, bool] = field(default_factory=dict)  # revision -> whether a clean build has the same signature
    bug: Bug | None = None
    learned: dict[str, Any] | None = None  # what another job knew of the bug, see retest.py
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)  # by revision, what runs that don't count reached
    misled: bool = False  # the bug crashed without the functions that tell what a run reached
    aims: dict[str, dict[str, Any]] = field(default_factory=dict)  # by revision, how its runs tell what they reached
    crash: dict[str, Any] | None = None  # the bug's first report, symbolized, with the files of its stack
    accelerated: bool = False  # whether it was told how machines run
    kept: dict[str, Any] | None = None  # the machine that was left for a debugger
    finished: dict[str, Any] | None = None
    opinions: Opinions = field(default_factory=Opinions)  # of people
    deadline: float | None = None  # of the session, seconds since the epoch
    budget: dict[str, Any] | None = None  # the answer when the last session's deadline passed
    runs_before: int = 0  # the last session that ended so; `runs_max` counts from there
    trials: list[Trial] = field(default_factory=list)  # of configurations
    proofs: list[Trial] = field(default_factory=list)  # of answers; the last one counts
    config: dict[str, Any] | None = None  # the configuration that was chosen; its text is empty for the job's own
    before: list[Test] = field(default_factory=list)  # tests with the job's own, once another one was chosen
    own_builds: dict[str, BuildFact] = field(default_factory=dict)  # and their builds
    verify_seconds: float = 0.0
    boot_seconds: list[float] = field(default_factory=list)
    run_seconds: list[float] = field(default_factory=list)  # of runs that came to their end, boot left out
    crash_seconds: list[float] = field(default_factory=list)  # of the bug's crashes in batches that none cut short

    @property
    def bases(self) -> set[str]:
        """Merge bases that were tested to learn whether side branches ever had the bug (fix bisection)."""
        return {test.commit for test in self.tests if test.data["phase"] == "base"}

    def test_of(self, data: dict[str, Any]) -> Test:
        """The test that an event's data is about: the last one of its commit, for several may be under way."""
        return next((test for test in reversed(self.tests) if test.commit == data["commit"]), self.tests[-1])

    def is_open(self, commit: str) -> bool:
        """Whether the last test of a revision has not ended."""
        last = next((test for test in reversed(self.tests) if test.commit == commit), None)
        return last is not None and last.mark is None and not last.void

    def tally(self, commit: str) -> Tally:
        """Counts of a revision; zeros when it was never run."""
        return self.tallies.get(commit, Tally())

    def evidence(self, commit: str, exposure: Exposure) -> Evidence:
        """All that is known of a revision, as the belief takes it."""
        tally = self.tally(commit)
        lost = sum(tally.told.values()) - tally.told["crash"] - tally.told["ok"]
        told = told_evidence(tally.told["crash"], tally.told["ok"], lost)
        return weigh(self.opinions, commit, tally.evidence(exposure), told)

    def crashed(self, commit: str) -> bool:
        """Whether a revision's runs here showed the bug, or a person says that it is there."""
        verdict = self.opinions.verdict(commit)
        return verdict == "bad" if verdict else bool(self.tally(commit).crashes)

    def untestable(self) -> dict[str, str]:
        """Revisions that do not build or boot, crash with other bugs only, don't come near the crash's code, or whose
        test says so: which of it (build, boot, lost, reach, skip)."""
        found = {commit: "build" for commit, build in self.builds.items() if build.error}
        found |= dict.fromkeys(self.skipped, "skip")
        found |= {commit: "boot" for commit, tally in self.tallies.items() if tally.boots is False}
        found |= {c: "reach" for c, tally in self.tallies.items() if tally.astray and tally.unreached >= ASTRAY_RUNS}
        return found | {commit: "lost" for commit, tally in self.tallies.items() if tally.drowned}

    def why_untestable(self, commit: str) -> str:
        """What `untestable` says of a revision, in words that follow its name; empty: it can be tested."""
        why = self.untestable().get(commit, "")
        said = self.builds[commit].error if why == "build" else self.skipped[commit] if why == "skip" else ""
        return _UNTESTABLE.get(why, "") + (f": {said}" if said else "")

    def build_times(self) -> list[float]:
        """Seconds of each build that was made here and gave something to run, in order."""
        return [build.seconds for build in self.builds.values() if not build.cached and not build.error]

    def build_seconds(self) -> float:
        """Spent on builds by this job."""
        tried = [trial.build for trial in self.trials if trial.build and trial.build not in self.builds.values()]
        proved = [proof.build for proof in self.proofs if proof.build]
        builds = [*self.builds.values(), *self.own_builds.values(), *tried, *proved]
        return self.verify_seconds + sum(build.seconds for build in builds if not build.cached)

    def test_seconds(self) -> float:
        """Spent on runs, wall-clock."""
        return sum(test.seconds for test in (*self._all_tests(), *self.proofs))

    def _all_tests(self) -> list[Test]:
        """Tests with whatever configuration; the chosen one's try is the first of ``tests``."""
        here = [test for test in self.tests if not test.told]
        chosen = here[0].runs if here else None
        return [*self.before, *(trial for trial in self.trials if trial.runs is not chosen), *self.tests]

    def revisions_tested(self) -> int:
        """Revisions that were tried; one whose kernel another one's runs stand for is none."""
        tried = [test for test in self.tests if test.data["phase"] != "evidence"]
        return len({test.commit for test in tried if self.tally(test.commit).total or not test.same_as})

    def runs(self) -> int:
        """Runs made here."""
        return sum(len(test.runs) for test in self._all_tests() if not test.told)

    def _tests(self, commit: str) -> list[Test]:
        """Those of a revision that count, made here."""
        return [test for test in self.tests if test.commit == commit and not test.void and not test.told]

    def leading(self, commit: str) -> tuple[str, int, int]:
        """The crash title that a revision's runs showed most often, how often, and how often the next one; before the
        bug has a name."""
        titles = Counter(run.title for test in self._tests(commit) for run in test.runs if run.outcome == "crash")
        first, second = [*titles.most_common(2), ("", 0), ("", 0)][:2]
        return first[0], first[1], second[1]

    def shown(self, commit: str, release: bool = False) -> Shown:
        """What all runs of a revision showed, for :meth:`firstbad.crash.Bug.holds`.

        Clean runs that did not come near the crash's code count as failed.
        """
        runs = [run for test in self._tests(commit) for run in test.runs]
        crashed = [run for run in runs if run.outcome in ("crash", "other")]
        reports = {run.title: run.report or run.title for run in reversed(crashed)}
        counts = Counter(run.title for run in crashed)
        failed = sum(run.outcome in ("boot", "infra") or (run.outcome == "ok" and run.reached is False) for run in runs)
        clean = len(runs) - len(crashed) - failed
        return Shown(tuple((reports[title], count) for title, count in counts.items()), clean, failed, release)

    def by_signature(self, signature: str, but: str) -> str | None:
        """Another revision with this signature that was run."""
        for commit, build in self.builds.items():
            alike = commit != but and build.signature == signature and not build.error
            if alike and self.tally(commit).useful and not self.opinions.settled(commit):
                return commit
        return None


def fold(events: Iterable[Event], title: str = "") -> State:
    """The state after these events. ``title`` is the job's crash title, if it has one."""
    state = State()
    for event in events:
        apply(state, event, title)
    return state


def apply(state: State, event: Event, title: str = "") -> None:
    """Take one more event into the state."""
    data = event.data
    if event.kind == "started":
        state.started.append(data)
        if title and state.bug is None:
            state.bug = Bug([title])
        state.accelerated = False  # a session that goes on may be another host
        state.deadline = state.budget = None
    elif event.kind == "learned":
        state.learned, state.config, state.crash = data, data.get("config"), data.get("crash")
        faces = (from_event(face).report for face in data["faces"])
        state.bug = Bug(data["titles"], [report for report in faces if report is not None])
    elif event.kind == "machines":
        state.accelerated = True
    elif event.kind == "test":
        state.tests.append(Test(data))
    elif event.kind == "build":
        state.builds[data["commit"]] = _build_fact(data)
    elif event.kind == "run":
        _apply_run(state, data)
    elif event.kind == "bug":
        _name_bug(state, data["commit"])
    elif event.kind == "same":
        state.same[data["commit"]] = state.test_of(data).same_as = data["as"]
    elif event.kind == "crash":
        state.crash = data
    elif event.kind == "aim":
        state.aims[data["commit"]] = data
    elif event.kind == "probe":
        state.probes[data["commit"]] = data
        if data["crashed"] and data["heard"][-1] is False:
            _distrust_reach(state)
    elif event.kind == "mark":
        state.test_of(data).mark = data
    elif event.kind == "skip":
        state.skipped[data["commit"]] = data["why"]
    elif event.kind == "verify":
        _verify(state, data)
    elif event.kind == "kept":
        state.kept = data
    elif event.kind == "finished":
        # An answer that was found without what people had said by then is none.
        state.finished = data if data.get("opinions", 0) == len(state.opinions.said) else None
    elif event.kind == "opinion":
        state.opinions.add(opinion_of(data, event.time))
        state.finished = state.budget = None
    elif event.kind == "deadline":
        state.deadline = data["at"]
    elif event.kind == "budget":
        state.budget, state.runs_before = data, state.runs()
    elif event.kind == "config":
        _change_over(state, data)
    elif event.kind.startswith("trial"):
        _apply_trial(state, state.trials, event.kind.removeprefix("trial"), data)
    elif event.kind.startswith("proof"):
        _apply_trial(state, state.proofs, event.kind.removeprefix("proof"), data)


def build_event(built: Built) -> dict[str, Any]:
    """A build as event data; ``config`` is the digest of the configuration that was used (the store keeps its text)."""
    facts = {name: getattr(built, name) for name in BuildFact.__dataclass_fields__}
    return facts | {"fixes": list(built.fixes), "config": built.config_digest()}


def _build_fact(data: dict[str, Any]) -> BuildFact:
    return BuildFact(**{k: data[k] for k in BuildFact.__dataclass_fields__ if k in data})


def _apply_trial(state: State, trials: list[Trial], kind: str, data: dict[str, Any]) -> None:
    if not kind:
        trials.append(Trial(data))
        return
    trial = trials[-1]
    if kind == "-build":
        trial.build = _build_fact(data)
    elif kind == "-mark":
        trial.mark = data
    elif kind == "-run":
        run = from_event(data)
        trial.runs.append(run)
        trial.tally.add(run)
        trial.seconds += data["wall"]
        if run.outcome == "crash" and run.report is not None and state.bug is not None:
            state.bug.learn(run.report)


def _change_over(state: State, data: dict[str, Any]) -> None:
    """From here on another configuration.

    What was seen of the start commit with the job's own says little of it, so its try takes the place of all that. The
    bug keeps its name and its faces.
    """
    state.config = data
    trial = next(
        (trial for trial in state.trials if data["text"] and trial.digest == data["digest"] and trial.mark), None
    )
    if trial is None or trial.build is None:
        return
    start = trial.commit
    title = next((test.data["title"] for test in state.tests if test.commit == start), start)
    told = [test for test in state.tests if test.told]
    state.before, state.own_builds = [test for test in state.tests if not test.told], state.builds
    elsewhere = {commit: Tally(told=tally.told) for commit, tally in state.tallies.items() if tally.told}
    trial.tally.told = elsewhere.pop(start, Tally()).told
    state.tests = [
        *told,
        Test({"commit": start, "phase": "initial", "title": title}, trial.runs, trial.seconds, {"verdict": "bad"}),
    ]
    state.builds, state.tallies, state.same = {start: trial.build}, {**elsewhere, start: trial.tally}, {}
    state.verified, state.probes, state.aims = {}, {}, {}
    said = [run for run in trial.runs if run.outcome in ("ok", "crash", "other")]
    state.run_seconds = [run.seconds for run in said]
    state.crash_seconds = [run.seconds for run in trial.runs if run.outcome == "crash"]


def _apply_run(state: State, data: dict[str, Any]) -> None:
    run, test = from_event(data), state.test_of(data)
    if test.told:
        state.tallies.setdefault(data["commit"], Tally()).told[run.outcome] += 1
        test.runs.append(run)
        return
    if run.outcome == "crash" and run.reached in (False, "absent") and not state.misled:
        _distrust_reach(state)
    if state.misled:
        run = replace(run, reached=None)
    state.tallies.setdefault(data["commit"], Tally()).add(run)
    test.runs.append(run)
    test.seconds += data["wall"]
    if run.outcome in ("ok", "crash", "other") and test.data["phase"] != "evidence":
        state.boot_seconds.append(data["boot_seconds"])
        if not run.cut:
            state.run_seconds.append(run.seconds)
    if run.outcome == "crash" and test.data["phase"] == "initial":
        state.crash_seconds.append(run.seconds)
    if run.outcome == "crash" and run.report is not None and state.bug is not None:
        state.bug.learn(run.report)


def _distrust_reach(state: State) -> None:
    """The bug crashed without the functions that are watched (memory that is overwritten breaks who comes by): clean
    runs that did not come there were as good as any."""
    state.misled = True
    for test in state.tests:
        for i, run in enumerate(test.runs):
            if run.outcome == "ok" and run.reached is not None:
                tally = state.tallies[test.commit]
                test.runs[i] = replace(run, reached=None)
                tally.forget_reach(run)


def _verify(state: State, data: dict[str, Any]) -> None:
    """A clean build holds: where its kernel is another one, what the runs of the old one said is forgotten."""
    commit = data["commit"]
    state.verified[commit] = data["same"]
    state.tests[-1].verified.append(data)
    state.verify_seconds += 0.0 if data["cached"] else data["seconds"]
    if data["same"]:
        return
    state.builds[commit] = _build_fact({**data, "cached": True})
    state.tallies[commit] = Tally(told=state.tally(commit).told)
    state.same = {one: other for one, other in state.same.items() if commit not in (one, other)}
    for test in state.tests:
        test.void |= test.commit == commit and not test.told


def _name_bug(state: State, commit: str) -> None:
    """The bug is what the start commit's runs show most often; runs with another crash are lost from then on."""
    title, _, _ = state.leading(commit)
    tests = [test for test in state.tests if not test.void and not test.told]
    crashed = [(test.commit, run) for test in tests for run in test.runs if run.outcome == "crash"]
    faces = [run.report for at, run in crashed if at == commit and run.title == title and run.report is not None]
    state.bug = Bug([title], faces)
    for at, run in crashed:
        # The leading title is the bug by definition, however little it tells by itself.
        if run.title != title and (run.report is None or state.bug.same(run.report).probability <= SAME):
            state.tallies[at].crashes -= 1
            state.tallies[at].lost += 1
        elif at == commit and run.report is not None:
            state.bug.learn(run.report)
