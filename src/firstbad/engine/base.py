"""Where work runs: what a session asks of an engine, whatever that is."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from firstbad.kernel.artifacts import Built
from firstbad.kernel.build import Fresh, Spec
from firstbad.repro import Reproducer
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

    ``machines`` and ``builders`` are how many runs and builds it makes at a time; ``acceleration`` how they run, None
    until the first one began. One that can say what runs of a kernel depend on beside it has ``identity`` too
    (`LocalEngine.identity`): then other jobs may use them.
    """

    machines: int
    builders: int
    acceleration: Acceleration | None

    def build(self, request: BuildRequest) -> Future[Built]:
        """Build, or find what was built before."""

    def run(self, request: RunRequest) -> Future[MachineRun]:
        """One boot, one run."""

    def ahead(self, requests: Sequence[tuple[BuildRequest, float]]) -> list[Future[Built]]:
        """Builds that are likely to be needed, each with the chance of that (1: it is), the first ones first; those
        that were named before, are not any more and are under way are given up. Engines with one builder do nothing."""

    def close(self) -> None:
        """End everything that is under way and leave nothing behind."""


def spec_for(request: BuildRequest, own: Spec, reproducer: Reproducer) -> Spec:
    """What a request is built from; ``own``: the job's, with what the reproducer needs of the configuration."""
    spec = own
    if request.config:
        # In the output directory of the job's own configuration: make rebuilds what the difference touches.
        spec = replace(own, config=request.config + reproducer.config, base=request.base, outputs=own)
    return replace(spec, patch=request.patch) if request.patch else spec


def looked_over(run: MachineRun, reproducer: Reproducer) -> MachineRun:
    """A run that ended in peace but did not run the reproducer is no clean run."""
    if run.ended not in ("finished", "timeout"):
        return run
    why = reproducer.fault(run.exit_status, run.output, run.run_seconds)
    return replace(run, ended="infrastructure", detail=why) if why else run
