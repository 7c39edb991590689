"""What a job is worked on with: its engine, and the machine of a run."""

import os
from pathlib import Path

from firstbad.engine import Engine, LocalEngine
from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Job
from firstbad.kernel.architecture import architecture
from firstbad.kernel.build import Spec
from firstbad.kernel.fixes import fixes_for
from firstbad.kernel.harmless import check_config
from firstbad.session.reproducer import make_reproducer
from firstbad.session.symptom import LEAK_SECONDS, guest_parameters
from firstbad.vm import Disk, MachineConfig, capacity

FLEET, SHELF, TLS = "FIRSTBAD_FLEET", "FIRSTBAD_SHELF", "FIRSTBAD_FLEET_TLS"
"""Environment: the fleet that sessions of this process use, where it keeps builds, and the certificates for it."""


def engine_of(home: Home, job: Job) -> Engine:
    """The fleet's engine where the environment names one, else this machine's. Raises UserError."""
    address = os.environ.get(FLEET)
    if not address:
        return make_engine(home, job)
    # Imported here: dask takes a second, and few machines have it.
    from firstbad.fleet.engine import FleetEngine
    from firstbad.fleet.link import Link
    from firstbad.fleet.security import security
    from firstbad.fleet.shelf import Shelf

    if not os.environ.get(SHELF):
        raise UserError(f"{SHELF} is not set: a fleet needs a place that all its hosts reach, a directory or an URL")
    tls = os.environ.get(TLS)
    link = Link(address, security(address, Path(tls) if tls else None))
    try:
        return FleetEngine(home, _spec(home, job), make_reproducer(home, job), link, Shelf(os.environ[SHELF]))
    except BaseException:
        link.close()
        raise


def make_engine(home: Home, job: Job) -> LocalEngine:
    """The local engine for a job. Raises UserError when the reproducer does not compile."""
    machines = job.machine.parallel or capacity(job.machine.cpus, job.machine.memory_mb)
    return LocalEngine(home, _spec(home, job), make_reproducer(home, job), machines=machines, jobs=job.build.jobs)


def _spec(home: Home, job: Job) -> Spec:
    config = _config(job.config)
    if job.baseline:
        _config(job.baseline)
    return Spec(
        config,
        job.build.config_base,
        job.build.toolchain,
        job.build.arch,
        fixes_for(Repo(job.repo), job.build),
        job.test.patch.encode("latin-1"),
        toolchain_dirs=(*job.build.toolchain_dirs, home.toolchains),
    )


def _config(file: Path) -> str:
    text = file.read_text(errors="replace")
    check_config(text, file.name)
    return text


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
