"""What was built and run for a job, as plain data: for files that other programs read (JUnit XML, KCIDB JSON)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["good", "bad", "skip", "error", ""]


@dataclass(frozen=True)
class BuildRecord:
    """A revision's build. Times are seconds since the epoch, lengths seconds; None where they are not known."""

    ok: bool
    compiler: str = ""
    signature: str = ""
    error: str = ""
    seconds: float = 0.0
    began: float | None = None
    config: str = ""
    """Digest of its configuration."""
    fixes: tuple[str, ...] = ()
    """Commits that were cherry-picked, so that it builds."""


@dataclass(frozen=True)
class RunRecord:
    """One run. ``outcome``: crash (the bug), other (another bug's crash), ok, boot, infra."""

    outcome: str
    title: str = ""
    why: str = ""
    report: str = ""
    """The crash report."""
    seconds: float = 0.0
    began: float | None = None


@dataclass(frozen=True)
class RevisionRecord:
    """A tested revision. ``verdict`` is empty while its test is under way, ``error`` where only this machine failed."""

    hash: str
    title: str
    verdict: Verdict
    reason: str = ""
    """Why it was skipped, which machine failure it was, or whose runs stand for its own."""
    p_bug: float | None = None
    """Probability that the bug is there, after its last test."""
    release: str = ""
    build: BuildRecord | None = None
    runs: tuple[RunRecord, ...] = ()
    seconds: float = 0.0
    """Build and runs, wall-clock."""
    began: float | None = None


@dataclass(frozen=True)
class JobRecord:
    """A job and its answer. ``answer`` is what ``firstbad show --json`` prints."""

    job: int
    kind: str
    name: str
    arch: str
    began: float
    start: str
    crash_title: str
    crash_report: str
    answer: Mapping[str, Any]
    seconds: float
    revisions: tuple[RevisionRecord, ...]
    error: str = ""
    """Why the last session failed."""
    version: int = 0
    """Grows with what is known."""
    repository: str = ""
    """Where the kernel's repository is to be had (https), without a user's name or password."""
    patch: bytes = b""
    """What was applied to the revision (test)."""
    cpus: int = 0
    memory_mb: int = 0
    machines: str = ""
    project: bool = False
    """Whether the test is a project's own, which fails, and not a kernel's, which crashes."""

    @property
    def heading(self) -> str:
        """The job in a few words."""
        shown = self.crash_title or ("a failure" if self.project else "a crash")
        return self.name or f"{self.kind} of {shown} since {self.start[:12]}"
