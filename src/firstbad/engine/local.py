"""Builds and machines on this host, by threads."""

import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from firstbad.crash import first_sign
from firstbad.engine.base import BuildRequest, RunRequest, looked_over, spec_for
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.kernel.architecture import architecture
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.process import Slot
from firstbad.repro import Reproducer
from firstbad.vm import (
    Acceleration,
    MachineRun,
    Pool,
    Snapshot,
    build_initramfs,
    probe_acceleration,
    run_machine,
    take_snapshot,
)


class LocalEngine:
    """One builder, with a directory that no other process uses meanwhile, and a few machines at a time.

    ``machines`` is how many run in parallel (:func:`firstbad.vm.capacity` tells how many make sense).
    """

    builders = 1

    def __init__(self, home: Home, spec: Spec, reproducer: Reproducer, *, machines: int = 2, jobs: int = 0) -> None:
        self.machines = machines
        self._arch = architecture(spec.arch).name
        self.artifacts = Artifacts(home.artifacts, home.budget // 2)
        self.reproducer = reproducer
        self._payload = reproducer.payload()
        self._initramfs = build_initramfs(home.machines, arch=self._arch)
        self._spec = replace(spec, config=spec.config + reproducer.config)
        self._slot = Slot(home.builders)
        limit = home.budget // 4 // max(1, len(list(home.builders.glob("*.slot"))))
        self._builder = Builder(self._slot.directory, self.artifacts, home.ccache, jobs, limit, home.budget // 4)
        self._snapshots = _pool(home.machines)
        self._cancel = threading.Event()
        self._builds = ThreadPoolExecutor(1, "build")
        self._runs = ThreadPoolExecutor(self.machines, "machine")
        self._probing = threading.Lock()
        self.acceleration: Acceleration | None = None

    def build(self, request: BuildRequest) -> Future[Built]:
        """Build, or find what was built before."""
        repo, spec = Repo(request.repo), spec_for(request, self._spec, self.reproducer)
        return self._builds.submit(self._builder.build, repo, request.commit, spec, self._cancel, request.fresh)

    def ahead(self, requests: Sequence[tuple[BuildRequest, float]]) -> list[Future[Built]]:
        """Nothing: the one builder has what the session waits for, and beside runs it would change how they end."""
        return []

    def run(self, request: RunRequest) -> Future[MachineRun]:
        """One boot, one run; the first call finds out whether KVM works here."""
        return self._runs.submit(self._run, request)

    def identity(self, kernel: Path) -> str:
        """What runs of a kernel depend on beside it and the machine's size: the reproducer, and how machines run
        here. May boot the kernel once."""
        reproducer = (self.reproducer.kind, self._payload.command, self._payload.environment)
        digest = hashlib.sha256(repr((reproducer, self.probe(kernel).name, self._initramfs.name)).encode())
        for file in self._payload.files:
            digest.update(f"\0{file.name}\0{file.mode}\0".encode() + hashlib.sha256(file.data).digest())
        return digest.hexdigest()

    def probe(self, kernel: Path) -> Acceleration:
        """How machines run here, found out once with a kernel of this bisection."""
        with self._probing:
            if self.acceleration is None:
                self.acceleration = probe_acceleration(kernel, self._initramfs, self._arch)
            return self.acceleration

    def _run(self, request: RunRequest) -> MachineRun:
        acceleration = self.probe(request.kernel)
        request.console.parent.mkdir(parents=True, exist_ok=True)
        machine = request.machine
        shared = machine.snapshot > 1 and acceleration.name != "uml" and not (machine.disk or machine.keep)
        if not shared or machine.watched:
            return looked_over(
                self._once(replace(request, machine=replace(machine, snapshot=0)), acceleration), self.reproducer
            )
        # A run that is ended earlier, or one of another revision, is another machine only by its limits.
        key = (request.kernel, replace(machine, run_seconds=0))
        with self._snapshots.lent(key, machine.snapshot, lambda path: self._taken(request, acceleration, path)) as got:
            if isinstance(got, MachineRun):
                request.console.write_bytes(got.console)
                return got
            return looked_over(self._once(request, acceleration, got), self.reproducer)

    def _once(self, request: RunRequest, acceleration: Acceleration, snapshot: Snapshot | None = None) -> MachineRun:
        return run_machine(
            request.kernel,
            self._initramfs,
            self._payload,
            request.machine,
            acceleration,
            crash_sign=first_sign,
            console_path=request.console,
            cancel=self._cancel,
            snapshot=snapshot,
        )

    def _taken(self, request: RunRequest, acceleration: Acceleration, path: Path) -> Snapshot | MachineRun:
        return take_snapshot(
            request.kernel,
            self._initramfs,
            request.machine,
            acceleration,
            path,
            crash_sign=first_sign,
            cancel=self._cancel,
        )

    def close(self) -> None:
        """End builds and machines that are under way."""
        self._cancel.set()
        self._runs.shutdown(wait=True, cancel_futures=True)
        self._snapshots.clear()
        self._builds.shutdown(wait=True, cancel_futures=True)
        self._slot.close()


def _pool(directory: Path) -> Pool:
    """Snapshots of this process, in a directory of its own; those of processes that were killed are removed."""
    for left in directory.glob("snapshots-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Pool(directory / f"snapshots-{os.getpid()}")
