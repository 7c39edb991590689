"""What a job is worked on with: its engine, the machine of a run, and the lock that keeps others off."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from firstbad.engine import LocalEngine
from firstbad.errors import BusyError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Job
from firstbad.kernel.architecture import architecture
from firstbad.kernel.build import Spec
from firstbad.kernel.fixes import fixes_for
from firstbad.session.reproducer import make_reproducer
from firstbad.session.symptom import LEAK_SECONDS, guest_parameters
from firstbad.vm import Disk, MachineConfig, capacity


def make_engine(home: Home, job: Job) -> LocalEngine:
    """The local engine for a job. Raises UserError when the reproducer does not compile."""
    spec = Spec(
        job.config.read_text(errors="replace"),
        job.build.config_base,
        job.build.toolchain,
        job.build.arch,
        fixes_for(Repo(job.repo), job.build),
        job.test.patch.encode("latin-1"),
        toolchain_dirs=(*job.build.toolchain_dirs, home.toolchains),
    )
    machines = job.machine.parallel or capacity(job.machine.cpus, job.machine.memory_mb)
    return LocalEngine(home, spec, make_reproducer(home, job), machines=machines, jobs=job.build.jobs)


def machine_config(job: Job, seconds: float | None = None) -> MachineConfig:
    """The machine of one run of a job. ``seconds``: a clean run ends after this, if that is less than the job's."""
    wanted = job.machine
    run_seconds = min(wanted.run_seconds, seconds or wanted.run_seconds)
    return MachineConfig(
        cpus=wanted.cpus,
        memory_mb=wanted.memory_mb,
        append=" ".join([*wanted.append.split(), *guest_parameters(job.bug, run_seconds).split()]),
        boot_seconds=wanted.boot_seconds,
        arch=architecture(job.build.arch).name,
        keep=wanted.keep,
        disk=Disk(wanted.image, wanted.ssh_key, wanted.root) if wanted.image else None,
        run_seconds=run_seconds + (LEAK_SECONDS if job.bug.kind == "leak" else 0),
    )


@contextlib.contextmanager
def job_lock(directory: Path) -> Iterator[None]:
    """Only one process works on a job. Raises BusyError that names the other."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise BusyError(f"job {directory.name} is running (process {lock.read().strip()})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def is_running(directory: Path) -> bool:
    """Whether a process works on the job with this directory."""
    if not (directory / "lock").exists():
        return False
    with (directory / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
