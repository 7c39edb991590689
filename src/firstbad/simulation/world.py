"""The simulated lab: builders, machines and a clock; what it shows is what a real lab would show.

Every random number derives from the scenario's seed, and those of a commit's runs from the commit and the run's
ordinal there alone: two policies that make the same run see the same outcome, so their differences are paired.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from firstbad.crash.formats import type_of
from firstbad.simulation.scenario import Bools, Floats, Lab, Outcome, Scenario

INCREMENTAL = 100  # commits (symmetric difference) that still make a rebuild an incremental one
Reached = Literal["absent"] | bool | None


@dataclass(frozen=True)
class Built:
    """A build: its signature (empty if it failed), why it failed (empty if not), the builder's seconds."""

    commit: str
    signature: str
    error: str
    seconds: float


@dataclass(frozen=True)
class RunFact:
    """What one run showed."""

    outcome: Outcome
    title: str = ""
    type: str = ""
    frames: tuple[str, ...] = ()
    boot_seconds: float = 0.0
    seconds: float = 0.0
    """Seconds after the boot: to the crash, or to the run's end."""
    cut: bool = False
    """The batch ended while the run was under way; nothing had happened until then."""
    reached: Reached = None
    """Whether a clean run executed the crash's functions; ``absent``: they don't exist here; None: can't be told."""


Until = Callable[[Sequence[RunFact]], bool]


@dataclass(frozen=True, order=True, slots=True)
class _Run:
    """A run under way: runs end by time, those that end together in the order in which they began."""

    end: float
    ordinal: int
    begin: float = field(compare=False)
    fact: RunFact = field(compare=False)
    reached: Reached = field(compare=False)  # what is shown if it ends clean
    index: int = field(compare=False)


@dataclass
class _Builder:
    free: float = 0.0
    last: str = ""


class World:
    """One lab at work. ``clock`` is the simulated time in seconds, 0 at first.

    ``machines`` and ``builders`` work in parallel, ``boot_seconds`` and ``run_seconds`` are a run's boot and its
    longest duration after that; ``built_files`` are the paths that the configured build reads (None: unknown).
    """

    def __init__(self, scenario: Scenario) -> None:
        lab = scenario.lab
        self.machines, self.builders = lab.vms, lab.builders
        self.boot_seconds, self.run_seconds = lab.boot_seconds, lab.run_seconds
        self.built_files = lab.built_files
        self.clock = 0.0
        self.vm_seconds = 0.0
        self.runs = 0
        self.builds = 0
        self._history = scenario.history
        self._lab = lab
        self._seed = scenario.seed
        self._present = scenario.present()
        self._builders = [_Builder() for _ in range(lab.builders)]
        self._built: dict[str, tuple[float, Built, _Builder]] = {}
        self._draws: dict[int, np.random.Generator] = {}
        self._under_way: list[_Run] = []

    def built(self, commit: str) -> bool:
        """Whether a build of the commit is there (a failed one too), so that asking for it costs nothing."""
        return commit in self._built and self._built[commit][0] <= self.clock

    def building(self) -> dict[str, float]:
        """Commits whose builds are under way or waiting for a builder, and when they end."""
        return {commit: end for commit, (end, _, _) in self._built.items() if end > self.clock}

    def idle_builders(self) -> int:
        """Builders with nothing to do at this moment."""
        return sum(builder.free <= self.clock for builder in self._builders)

    def start_build(self, commit: str) -> None:
        """Give a commit to the builder that has it done first, and don't wait. Nothing if that was done before."""
        if commit in self._built:
            return
        times = [(max(self.clock, b.free) + self._build_seconds(b, commit), i) for i, b in enumerate(self._builders)]
        end, which = min(times)
        builder = self._builders[which]
        seconds = self._build_seconds(builder, commit)
        builder.free, builder.last = end, commit
        index = self._history.index[commit]
        if _at(self._lab.broken_build, index):
            made = Built(commit, "", "does not build", seconds)
        else:
            made = Built(commit, self._signature(index), "", seconds)
        self._built[commit] = end, made, builder
        self.builds += 1

    def cancel_build(self, commit: str) -> None:
        """Give up a build that is under way. It counts as a build; its builder is free at once."""
        _, _, builder = self._built.pop(commit)
        builder.free = self.clock

    def build(self, commit: str) -> Built:
        """Build a commit, or wait for its build to end; what is built already costs nothing."""
        self.start_build(commit)
        end, made, _ = self._built[commit]
        self.clock = max(self.clock, end)
        return made

    def batch(
        self, commit: str, runs: int, seconds: float | None = None, until: Until = lambda _: False
    ) -> list[RunFact]:
        """Run the reproducer at a built commit on all machines; the facts in order of end.

        A run is ended after ``seconds`` (at most ``run_seconds``, which is the default) as clean. ``until`` is
        asked after each ended run: when it says True the batch ends at once, runs under way are reported as clean
        and cut, the others never begin. The clock stands at the end of the last run then. Raises ValueError for a
        commit that is not built.
        """
        facts: list[RunFact] = []
        begun, enough = 0, False
        while not enough:
            while begun < runs and self.idle_machines():
                self.begin(commit, seconds)
                begun += 1
            ended = self.wait(builds=False)
            if not ended:
                break
            for _, fact in ended:
                facts.append(fact)
                enough = enough or until(facts)
        return facts + self.cut(commit)

    def idle_machines(self) -> int:
        """Machines with nothing to do."""
        return self.machines - len(self._under_way)

    def begin(self, commit: str, seconds: float | None = None) -> None:
        """Begin one run at a built commit, see `batch`, and don't wait. Raises ValueError for a commit that is not
        built."""
        if not self.built(commit) or self._built[commit][1].error:
            raise ValueError(f"{commit} is not built")
        length = self.run_seconds if seconds is None else min(seconds, self.run_seconds)
        self.runs += 1
        run = self._run(self._history.index[commit], self.runs, self.clock, length)
        heapq.heappush(self._under_way, run)

    def wait(self, builds: bool = True) -> list[tuple[str, RunFact]]:
        """Let time pass until a run ends, or with ``builds`` a build; what all runs showed that end then, by commit.

        Nothing where a build ended alone, or where nothing is under way.
        """
        moments = [run.end for run in self._under_way[:1]] + (list(self.building().values()) if builds else [])
        if not moments:
            return []
        self.clock = max(self.clock, min(moments))
        ended = []
        while self._under_way and self._under_way[0].end <= self.clock:
            run = heapq.heappop(self._under_way)
            self.vm_seconds += run.end - run.begin
            ended.append((self._history.names[run.index], run.fact))
        return ended

    def cut(self, commit: str) -> list[RunFact]:
        """End the runs of a commit that are under way: they are clean, and cut."""
        index = self._history.index[commit]
        mine = sorted(run for run in self._under_way if run.index == index)
        self._under_way = [run for run in self._under_way if run.index != index]
        heapq.heapify(self._under_way)
        return [self._cut(run, self.clock) for run in mine]

    def _cut(self, run: "_Run", now: float) -> RunFact:
        elapsed = now - run.begin
        self.vm_seconds += elapsed
        seconds = max(0.0, elapsed - self.boot_seconds)
        reached = run.reached if seconds else None
        return RunFact("ok", boot_seconds=elapsed - seconds, seconds=seconds, cut=True, reached=reached)

    def _run(self, index: int, ordinal: int, now: float, length: float) -> "_Run":
        # As many numbers for every run, whatever happens in it: the next run's do not depend on this one.
        draws = self._draw(index).random(5 + 2 * len(self._lab.unrelated))
        reached = self._reached(index, float(draws[4]))
        fact = self._fact(index, length, draws, reached)
        return _Run(now + fact.boot_seconds + fact.seconds, ordinal, now, fact, reached, index)

    def _fact(self, index: int, length: float, draws: Floats, reached: Reached) -> RunFact:
        lab = self._lab
        infra = lab.infra_rate if lab.infra is None else float(lab.infra[index])
        if draws[0] < infra:
            return RunFact("infra", "infrastructure failure", boot_seconds=lab.boot_seconds)
        if _at(lab.broken_boot, index):
            return RunFact("boot", "boot failed", boot_seconds=lab.boot_seconds)
        moment, title, kind, frames = self._first_crash(index, draws)
        if moment <= length:
            return RunFact("crash", title, kind, frames, lab.boot_seconds, moment)
        return RunFact("ok", boot_seconds=lab.boot_seconds, seconds=length, reached=reached)

    def _first_crash(self, index: int, draws: Floats) -> tuple[float, str, str, tuple[str, ...]]:
        """When a full-length run would first crash (infinity: not at all), with title, type and frames."""
        lab = self._lab
        best: tuple[float, str, str, tuple[str, ...]] = (math.inf, "", "", ())
        if draws[1] < self._rate(index):
            title = _pick(lab, float(draws[3]))
            best = _moment(lab, float(draws[2])), title, lab.types.get(title, "") or type_of(title), lab.frames
        for other, (chance, place) in zip(lab.unrelated, draws[5:].reshape(-1, 2), strict=True):
            if chance >= other.rate or (other.where is not None and not other.where[index]):
                continue
            moment = float(place) * lab.run_seconds
            if moment < best[0]:
                kind = other.type or lab.types.get(other.title, "") or type_of(other.title)
                best = moment, other.title, kind, ()
        return best

    def _rate(self, index: int) -> float:
        lab = self._lab
        if not self._present[index] or _at(lab.masked, index):
            return lab.false_rate
        return lab.crash_rate if lab.rates is None else float(lab.rates[index])

    def _reached(self, index: int, draw: float) -> Reached:
        if self._lab.reach is None:
            return None
        chance = float(self._lab.reach[index])
        return "absent" if math.isnan(chance) else bool(draw < chance)

    def _draw(self, index: int) -> np.random.Generator:
        if index not in self._draws:
            self._draws[index] = np.random.default_rng([self._seed, index])
        return self._draws[index]

    def _signature(self, index: int) -> str:
        group = -1 if self._lab.binaries is None else int(self._lab.binaries[index])
        return f"kernel-{index}" if group < 0 else f"kernel-shared-{group}"

    def _build_seconds(self, builder: _Builder, commit: str) -> float:
        lab = self._lab
        if not builder.last or lab.incremental_seconds is None:
            return lab.build_seconds
        one, other = (self._history.ancestors(self._history.index[name]) for name in (builder.last, commit))
        near = int(np.count_nonzero(one ^ other)) <= INCREMENTAL
        return lab.incremental_seconds if near else lab.build_seconds


def _at(flags: Bools | None, index: int) -> bool:
    return flags is not None and bool(flags[index])


def _moment(lab: Lab, draw: float) -> float:
    """Seconds to the crash: exponential with mean ``time_to_crash``, given that it comes within ``run_seconds``."""
    within = -math.expm1(-lab.run_seconds / lab.time_to_crash)
    return min(-lab.time_to_crash * math.log1p(-draw * within), lab.run_seconds)


def _pick(lab: Lab, draw: float) -> str:
    """One of the bug's titles by weight."""
    left = draw * sum(lab.titles.values())
    for title, weight in lab.titles.items():
        left -= weight
        if left < 0:
            return title
    return title
