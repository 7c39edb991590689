"""What a simulated bisection is about: a history, a hidden truth, a lab and a question."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from firstbad.simulation.history import SimHistory

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["cause", "fix"]
Outcome = Literal["ok", "crash", "infra", "boot"]


@dataclass(frozen=True)
class Unrelated:
    """Crashes of another bug."""

    title: str
    rate: float
    """Chance per full-length run."""
    type: str = ""
    """Empty: read off the title."""
    where: Bools | None = None
    """(n,) the commits that have that bug; None: all."""


@dataclass(frozen=True)
class Lab:
    """A lab's facts. Arrays are indexed by commit, shape (n,); None means: as the scalar says, or nowhere."""

    titles: Mapping[str, float] = field(default_factory=lambda: {"crash occurs": 1.0})
    """The bug's own crash titles and their weights."""
    types: Mapping[str, str] = field(default_factory=dict)
    frames: tuple[str, ...] = ()
    """Files in the crash's stack, innermost first."""
    crash_rate: float = 1.0
    """Chance that one full-length run crashes with the bug's title where the bug is present."""
    time_to_crash: float = 60.0
    """Mean seconds to the crash in a run that crashes: exponential, cut at ``run_seconds``."""
    rates: Floats | None = None
    """Crash rates where they differ from ``crash_rate`` (all commits)."""
    masked: Bools | None = None
    """Commits where the bug is present but can't trigger."""
    reach: Floats | None = None
    """Chance that a clean run executes the crash's functions; NaN: they don't exist there; None: can't be told."""
    unrelated: tuple[Unrelated, ...] = ()
    false_rate: float = 0.0
    """Chance per run of the bug's own title where the bug does not trigger."""
    infra_rate: float = 0.0
    infra: Floats | None = None
    broken_build: Bools | None = None
    broken_boot: Bools | None = None
    binaries: Ints | None = None
    """Commits with the same number build to the same signature; -1: one of its own."""
    built_files: frozenset[str] | None = None
    build_seconds: float = 432.0
    incremental_seconds: float | None = None
    """A rebuild near the builder's last build; None: as long as a clean one."""
    boot_seconds: float = 30.0
    run_seconds: float = 300.0
    vms: int = 10
    builders: int = 1


@dataclass(frozen=True)
class EvidenceRun:
    """One run that somebody made before."""

    outcome: Outcome
    title: str = ""


@dataclass(frozen=True)
class Evidence:
    """Runs that were made before, at one commit."""

    commit: str
    runs: tuple[EvidenceRun, ...]


@dataclass(frozen=True)
class Task:
    """What is asked, as a policy sees it: nothing of the truth. Commits are titles."""

    name: str
    history: SimHistory
    start: str
    """Where the crash was seen."""
    head: str
    """The branch's tip."""
    kind: Kind = "cause"
    cross_tree: bool = False
    """The start is on another branch than the head (fix only)."""
    good: tuple[str, ...] = ()
    """Commits known to be good (cause only); with them there is no release walk."""
    evidence: tuple[Evidence, ...] = ()
    target: float = 0.99
    budget_seconds: float | None = None


@dataclass(frozen=True)
class Scenario:
    """A task with its truth and its lab.

    Made without loops over commits, so that one history serves thousands of scenarios by ``dataclasses.replace``.
    """

    task: Task
    introduced: str | None = None
    """The commit that introduced the bug; None: it was always there."""
    fixed: str | None = None
    lab: Lab = field(default_factory=Lab)
    seed: int = 0

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.task.name

    @property
    def history(self) -> SimHistory:
        """The commit graph."""
        return self.task.history

    def present(self) -> Bools:
        """(n,) where the bug is: what contains the introducing commit and not the fixing one."""
        dag, index = self.history.dag, self.history.index
        found: Bools = np.ones(dag.n, dtype=bool)
        if self.introduced is not None:
            found = dag.descendants(index[self.introduced])
        if self.fixed is not None:
            found = found & ~dag.descendants(index[self.fixed])
        return found
