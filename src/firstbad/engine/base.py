"""Where work runs. An engine has three methods; the session knows nothing else of it."""

from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firstbad.kernel.artifacts import Built
from firstbad.kernel.build import Fresh
from firstbad.vm.limits import Acceleration, MachineConfig, MachineRun


@dataclass(frozen=True)
class BuildRequest:
    """Build one revision (full hash) of a repository, with the job's configuration unless ``config`` is the text of
    another (merged over the make target ``base``); ``fresh``: without what earlier builds left; ``patch``: applied to
    the revision."""

    repo: Path
    commit: str
    config: str = ""
    base: str = "none"
    fresh: Fresh = ""
    patch: bytes = b""


@dataclass(frozen=True)
class RunRequest:
    """Boot a kernel and run the reproducer once. ``console`` is where the console's text is kept."""

    kernel: Path
    console: Path
    machine: MachineConfig


class Engine(Protocol):
    """Places builds and runs; futures raise InfrastructureError or LostMachineError.

    ``machines`` is how many runs it makes at a time; ``acceleration`` how they run, None until the first one began.
    """

    machines: int
    acceleration: Acceleration | None

    def build(self, request: BuildRequest) -> Future[Built]:
        """Build, or find what was built before."""

    def run(self, request: RunRequest) -> Future[MachineRun]:
        """One boot, one run."""

    def close(self) -> None:
        """End everything that is under way and leave nothing behind."""
