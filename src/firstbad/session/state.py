"""A job's state: a pure fold over its events. Nothing is remembered anywhere else."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from firstbad.crash import Bug
from firstbad.session.outcome import Run, from_event
from firstbad.store import Event

# Boot failures of a revision, with no other run seen, after which it counts as one that does not boot: few where the
# kernel was silent, more where it crashed with a report, which may be another bug that shows now and then.
SILENT_BOOTS = 2
CRASHED_BOOTS = 5
# Runs lost to other bugs, with no other run seen, after which a revision counts as one that can't be tested.
LOST_RUNS = 20


@dataclass
class Tally:
    """What the runs of one revision said."""

    crashes: int = 0
    clean: int = 0
    lost: int = 0  # runs that ended in another bug's crash
    boot: int = 0
    boot_reports: int = 0  # those of the failed boots that left a crash report
    infra: int = 0

    def add(self, run: Run) -> None:
        """Count one run."""
        name = {"crash": "crashes", "ok": "clean", "other": "lost", "boot": "boot", "infra": "infra"}[run.outcome]
        setattr(self, name, getattr(self, name) + 1)
        self.boot_reports += run.outcome == "boot" and run.report is not None

    @property
    def total(self) -> int:
        """All runs."""
        return self.crashes + self.clean + self.lost + self.boot + self.infra

    @property
    def drowned(self) -> bool:
        """Whether other bugs leave no run to this one."""
        return self.lost >= LOST_RUNS and self.crashes + self.clean == 0

    @property
    def boots(self) -> bool | None:
        """Whether the revision boots; None while that is open."""
        if self.crashes + self.clean + self.lost:
            return True
        silent = self.boot - self.boot_reports
        return False if silent >= SILENT_BOOTS or self.boot >= CRASHED_BOOTS else None


@dataclass(frozen=True)
class BuildFact:
    """A revision's build. ``error`` is empty when there is a kernel; ``cached``: it was there before."""

    key: str
    signature: str
    compiler: str
    seconds: float
    error: str
    cached: bool


@dataclass
class Test:
    """One proposed test: what was planned and what came of it, for the log."""

    data: dict[str, Any]
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0
    mark: dict[str, Any] | None = None
    same_as: str = ""

    @property
    def commit(self) -> str:
        """Full hash of the revision under test."""
        return str(self.data["commit"])


@dataclass
class State:
    """Everything a decision may look at."""

    started: list[dict[str, Any]] = field(default_factory=list)
    builds: dict[str, BuildFact] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    tests: list[Test] = field(default_factory=list)
    same: dict[str, str] = field(default_factory=dict)  # revision -> tested revision with an equal signature
    bug: Bug | None = None
    crash: dict[str, Any] | None = None  # the bug's first report, symbolized, with the files of its stack
    accelerated: bool = False  # whether it was told how machines run
    finished: dict[str, Any] | None = None
    run_seconds: list[float] = field(default_factory=list)

    def tally(self, commit: str) -> Tally:
        """Counts of a revision; zeros when it was never run."""
        return self.tallies.get(commit, Tally())

    def untestable(self) -> list[str]:
        """Revisions that do not build or boot, or crash with other bugs only."""
        found = [commit for commit, build in self.builds.items() if build.error]
        return found + [commit for commit, tally in self.tallies.items() if tally.boots is False or tally.drowned]

    def build_seconds(self) -> float:
        """Spent on builds by this job."""
        return sum(build.seconds for build in self.builds.values() if not build.cached)

    def test_seconds(self) -> float:
        """Spent on runs, wall-clock."""
        return sum(test.seconds for test in self.tests)

    def revisions_tested(self) -> int:
        """Revisions that were tried."""
        return len({test.commit for test in self.tests})

    def runs(self) -> int:
        """Runs recorded."""
        return sum(tally.total for tally in self.tallies.values())

    def leading(self, commit: str) -> tuple[str, int]:
        """The crash title that a revision's runs showed most often, and how often; before the bug has a name."""
        titles = Counter(
            run.title for test in self.tests if test.commit == commit for run in test.runs if run.outcome == "crash"
        )
        return titles.most_common(1)[0] if titles else ("", 0)

    def by_signature(self, signature: str, but: str) -> str | None:
        """Another revision with this signature that was run."""
        for commit, build in self.builds.items():
            if commit != but and build.signature == signature and not build.error:
                tally = self.tally(commit)
                if tally.crashes + tally.clean:
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
    elif event.kind == "machines":
        state.accelerated = True
    elif event.kind == "test":
        state.tests.append(Test(data))
    elif event.kind == "build":
        state.builds[data["commit"]] = BuildFact(*(data[k] for k in BuildFact.__dataclass_fields__))
    elif event.kind == "run":
        _apply_run(state, data)
    elif event.kind == "bug":
        _name_bug(state, data["commit"])
    elif event.kind == "same":
        state.same[data["commit"]] = state.tests[-1].same_as = data["as"]
    elif event.kind == "crash":
        state.crash = data
    elif event.kind == "mark":
        state.tests[-1].mark = data
    elif event.kind == "finished":
        state.finished = data


def _apply_run(state: State, data: dict[str, Any]) -> None:
    run = from_event(data)
    state.tallies.setdefault(data["commit"], Tally()).add(run)
    state.tests[-1].runs.append(run)
    state.tests[-1].seconds += data["wall"]
    if run.outcome in ("ok", "crash", "other"):
        state.run_seconds.append(data["boot_seconds"] + data["run_seconds"])
    if run.outcome == "crash" and run.report is not None and state.bug is not None:
        state.bug.learn(run.report)


def _name_bug(state: State, commit: str) -> None:
    """The bug is what the start commit's runs show most often; runs with another crash are lost from then on."""
    runs = [run for test in state.tests if test.commit == commit for run in test.runs if run.outcome == "crash"]
    title, _ = state.leading(commit)
    state.bug = Bug([title], [run.report for run in runs if run.title == title and run.report is not None])
    tally = state.tallies[commit]
    for run in runs:
        if run.report is not None and state.bug.same(run.report).probability > 0.5:
            state.bug.learn(run.report)
        else:
            tally.crashes -= 1
            tally.lost += 1
