"""Runs under way: begun on idle machines, recorded as they end, whichever of them ends first."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstbad.engine import RunRequest
from firstbad.errors import InfrastructureError
from firstbad.kernel.artifacts import Built
from firstbad.session.outcome import SAYS_NOTHING, Run
from firstbad.vm import MachineConfig, MachineRun, end_kept

if TYPE_CHECKING:
    from firstbad.session.bisection import Bisection

INFRA_LIMIT = 12  # runs in a row that this machine failed, after which going on makes no sense


@dataclass(frozen=True, eq=False)
class Batch:
    """How runs of one kernel are made and recorded."""

    built: Built
    console: str
    """What their consoles are called, but for a number."""
    machine: MachineConfig
    judged: Callable[[MachineRun, float, Path], Run]
    """Records a run: what the machine showed, seconds of wall-clock, its console's file."""


class Pool:
    """The runs of a session that are under way. Those that have begun are let finish: giving up the slow ones, which
    are the clean ones, would make the crash rate look higher than it is."""

    def __init__(self, session: "Bisection") -> None:
        self.session = session
        self.pending: dict[Future[MachineRun], tuple[Batch, Path]] = {}
        self._failed = 0  # runs in a row
        self._since = time.monotonic()

    def idle(self) -> int:
        """Machines with nothing to do."""
        return self.session.engine.machines - len(self.pending)

    def begin(self, batch: Batch, number: int) -> None:
        """Begin a run; ``number``: of its console."""
        if not self.pending:
            self._since = time.monotonic()
        path = self.session.consoles / f"{batch.console}-{number:03}.txt"
        keep = batch.machine.keep and self.session.state.kept is None
        machine = replace(batch.machine, keep=keep)
        self.pending[self.session.engine.run(RunRequest(batch.built.kernel, path, machine))] = batch, path

    def take(self, builds: Collection[Future[Any]] = ()) -> list[tuple[Batch, Run]]:
        """Wait a second at most until runs end, or one of ``builds``, and record the runs.

        Raises InfrastructureError where too many in a row failed.
        """
        done, _ = wait([*self.pending, *builds], timeout=1, return_when=FIRST_COMPLETED)
        ended = []
        for future in [future for future in self.pending if future in done]:
            self._tell_acceleration()
            batch, path = self.pending.pop(future)
            now, seen = time.monotonic(), future.result()
            run = batch.judged(seen, now - self._since, path)
            self._keep(seen, run, batch.built)
            self._since = now
            self._failed = self._failed + 1 if run.outcome == "infra" else 0
            ended.append((batch, run))
        if self._failed >= INFRA_LIMIT:
            raise InfrastructureError(f"{self._failed} runs in a row failed on this machine: {ended[-1][1].title}")
        return ended

    def _tell_acceleration(self) -> None:
        session, how = self.session, self.session.engine.acceleration
        if how is not None and not session.state.accelerated:
            at_a_time = session.engine.machines
            session.record("machines", {"acceleration": how.name, "why": how.why, "at_a_time": at_a_time})

    def _keep(self, seen: MachineRun, run: Run, built: Built) -> None:
        """The first machine that shows the bug stays, where the job says so; others that were left are ended."""
        if seen.kept is None:
            return
        if run.outcome == "crash" and self.session.state.kept is None:
            vmlinux = str(built.directory / "vmlinux")
            self.session.record("kept", {"pid": seen.kept.pid, "gdb": str(seen.kept.gdb), "vmlinux": vmlinux})
        else:
            end_kept(seen.kept)


def make_runs(session: "Bisection", batch: Batch, first: int, wanted: int, enough: Callable[[Run], bool]) -> None:
    """Make runs in parallel, ``wanted`` of them that say something, or until ``enough``. ``first`` numbers the
    consoles.

    Raises Cancelled, OutOfTime and InfrastructureError.
    """
    pool, begun, stop = Pool(session), 0, False
    while pool.pending or (begun < wanted and not stop):
        while pool.idle() and begun < wanted and not stop:
            pool.begin(batch, first + begun)
            begun += 1
        session.observer.activity(f"running {batch.console}: {begun}/{wanted}")
        for _, run in pool.take():
            wanted += run.outcome in SAYS_NOTHING
            stop = enough(run) or stop
        session.check_end()
