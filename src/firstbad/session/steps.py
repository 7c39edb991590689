"""What a decision is: a step, or the end; and what steps are made with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["initial", "base", "head", "release", "search", "confirm", "test"]


@dataclass(frozen=True)
class Step:
    """Run the reproducer ``runs`` times at ``commit``; stop at the first crash unless ``all_runs``."""

    phase: Phase
    commit: str
    runs: int
    data: dict[str, Any] = field(default_factory=dict)
    all_runs: bool = False
    seconds: float | None = None
    """A clean run is ended after this; None: it takes its full length."""


@dataclass(frozen=True)
class Finish:
    """The bisection is over: ``status`` as in the machine-readable contracts."""

    status: str
    commits: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    confidence: float = 0.0
    boundary: str = ""
    why: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    """What else the record says."""

    def to_event(self, opinions: int) -> dict[str, Any]:
        """As event data; ``opinions``: how many had been said by then."""
        return {
            "status": self.status,
            "commits": self.commits,
            "probabilities": [round(p, 6) for p in self.probabilities],
            "confidence": round(self.confidence, 6),
            "boundary": self.boundary,
            "why": self.why,
            **self.more,
            "opinions": opinions,
        }


@dataclass(frozen=True)
class Means:
    """What tests are made with."""

    machines: int
    run_seconds: float
    """Longest run, boot left out."""
    fixed_length: bool = False
    """Every clean run takes ``run_seconds``; else that is known once a clean run did."""
    compiled: Callable[[str], frozenset[str]] = lambda _: frozenset()
    """Files that the configured build of a commit reads; empty where that is not known."""
    under_way: Callable[[], Mapping[str, float]] = dict
    """Builds that nobody waits for yet, and in how many seconds each is done."""
    full_length: bool = False
    """No clean run may be ended early: what the bug is shows at the end only."""
