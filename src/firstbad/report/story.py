"""Everything that a report tells of a job, as plain data: what renders it needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Candidate:
    """A commit of the answer; ``probability`` that it is the one."""

    hash: str
    title: str
    probability: float


@dataclass(frozen=True)
class Claim:
    """A later commit that says it fixes or reverts the culprit; ``kind`` is its word for it."""

    commit: str
    kind: str
    title: str


@dataclass(frozen=True)
class Culprit:
    """The one commit that is named, as git has it; what git could not tell is empty."""

    hash: str
    title: str
    author: str = ""
    date: datetime | None = None
    message: str = ""
    patch: str = ""
    """The diff, bounded; ``cut``: there is more of it."""
    cut: bool = False
    files: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    is_merge: bool = False
    is_release: bool = False
    noop: bool = False
    """The kernel is the same without it."""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Strip:
    """The belief over the history after one test, as a row of ``Belief.columns`` shares, oldest commits first."""

    shares: tuple[float, ...]
    older: float
    """Share of what is older than all columns."""
    tested: int
    """Column of the tested revision; below 0: not within."""
    verdict: str


@dataclass(frozen=True)
class Belief:
    """How the belief over the history narrowed."""

    columns: int
    commits: int
    """How many commits the columns stand for, in topological order."""
    oldest: str
    newest: str
    releases: tuple[tuple[float, str], ...]
    """Where release tags lie, 0 (oldest) to 1, oldest first."""
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Step:
    """One test in the order in which they were made; tests of one revision that followed each other are one."""

    first: int
    last: int
    """Numbers of its tests, from 1."""
    phase: str
    hash: str
    title: str
    verdict: str
    """``good``, ``bad``, ``skip``; empty while it is under way."""
    outcomes: str
    """Its runs in words."""
    seconds: float
    p_bug: float | None = None
    left90: int | None = None
    """Commits that held 90% of the belief after it."""
    best: str = ""
    best_probability: float = 0.0
    strip: Strip | None = None

    @property
    def number(self) -> str:
        """``7``, or ``7-9`` for several tests."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True)
class Revision:
    """The evidence of one tested revision: its runs by outcome over all its tests."""

    hash: str
    title: str
    role: str
    """``start``, ``culprit``, ``parent`` or empty."""
    crashes: int
    other: int
    clean: int
    unreached: int
    failed: int
    """Runs that did not boot or that the infrastructure lost."""
    verdict: str
    """By the answer, where there is one."""
    reach: str
    build: str
    """How the build went, in words."""
    told: str = ""
    """Runs that were made elsewhere, in words."""
    alone: str = ""
    """What its own runs were taken for, where the answer says otherwise."""


@dataclass(frozen=True)
class Story:
    """A job's answer and what it rests on. ``status`` is ``unfinished`` while there is none, and ``budget`` where
    a deadline passed: then the answer is the best one so far."""

    job: int
    kind: str
    name: str
    repo: str
    arch: str
    private: bool
    start: str
    start_title: str
    status: str
    why: str
    confidence: float
    limit: float
    """Confidence below which nobody is told."""
    boundary: str
    crash_title: str
    crash_report: str
    candidates: tuple[Candidate, ...]
    culprit: Culprit | None
    crash_rate: float | None
    """Mean of the belief about how often the bug shows; None where it is not known."""
    foreign: bool
    """Fix only: the start is on another branch than the one where the fix was looked for."""
    proof: str
    """``gone``, ``still``, ``unsure``, ``impossible``; empty where none was tried."""
    proof_why: str
    steps: tuple[Step, ...]
    revisions: tuple[Revision, ...]
    belief: Belief | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    compiler: str
    machines: str
    runs: int
    tested: int
    wall_seconds: float
    build_seconds: float
    test_seconds: float
    opinions: Sequence[str] = field(default=())
    """What people said of revisions, oldest first."""
    rejected: Sequence[str] = field(default=())
    """Commits of which a person said that they are not the culprit."""
    notes: Sequence[str] = field(default=())
    """What could not be told, and why."""
    project: bool = False
    """Any project's test: it fails, and does not crash."""

    @property
    def outcomes(self) -> tuple[str, str, str]:
        """What is said of runs with the bug, with another one, and of those that say nothing."""
        return (
            ("failed", "failed otherwise", "said nothing") if self.project else ("crashed", "another crash", "failed")
        )

    @property
    def found(self) -> bool:
        """Whether one commit is named."""
        return self.status == "found" and self.culprit is not None

    @property
    def open(self) -> bool:
        """Whether the search can go on."""
        return self.status in ("unfinished", "budget")

    @property
    def word(self) -> str:
        """What the search looked for: the first ``bad`` commit, or for a fix the first ``good`` one."""
        return "bad" if self.kind == "cause" else "good"
