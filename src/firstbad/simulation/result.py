"""What a policy ends with, and the object that `firstbad simulate` prints for it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal[
    "found",
    "candidates",
    "older_than_oldest",
    "not_fixed",
    "not_reproduced",
    "untestable",
    "environment",
    "infra_failure",
    "budget",
]


@dataclass(frozen=True)
class Result:
    """The answer to one scenario and what it cost. Times are simulated seconds."""

    name: str
    status: Status
    commits: tuple[str, ...] = ()
    """Titles, most probable first: one for ``found``, the smallest set that holds the target for ``candidates``."""
    probabilities: tuple[float, ...] = ()
    """One per commit; a policy without probabilities shares its confidence out equally."""
    confidence: float = 0.0
    """Of the answer as a whole."""
    boundary: str | None = None
    """The oldest (cause) or latest (fix) commit that still crashes, for the two statuses that have one."""
    noop: bool = False
    is_release: bool = False
    is_merge: bool = False
    revisions_tested: int = 0
    builds: int = 0
    runs: int = 0
    vm_seconds: float = 0.0
    wall_seconds: float = 0.0
    log: str | None = None
    search_seconds: float | None = None
    """Wall-clock of the search alone, without start check and confirmation; None where a policy can't tell."""
    start_seconds: float | None = None
    """Wall-clock of the check that the crash reproduces."""

    def to_json(self) -> dict[str, Any]:
        """The object of the contract, in its order, with what is added to it at the end."""
        row = asdict(self)
        return {**row, "commits": list(self.commits), "probabilities": [round(p, 6) for p in self.probabilities]}
