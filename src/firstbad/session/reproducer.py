"""The reproducer of a job: what the job says of it, and what it says of the job."""

import os
from pathlib import Path

from firstbad.home import Home
from firstbad.job import Job
from firstbad.repro import Reproducer, Settings, find_target, prepare


def make_reproducer(home: Home, job: Job) -> Reproducer:
    """The job's reproducer, ready to run. Raises NotFoundError, UserError as :func:`firstbad.repro.prepare` does."""
    wanted = job.reproducer
    clone = wanted.syzkaller or os.environ.get("FIRSTBAD_SYZKALLER")
    settings = Settings(
        target=find_target(wanted.arch, job.build.arch),
        cpus=job.machine.cpus,
        syzkaller=Path(clone) if clone else None,
        syzkaller_commit=wanted.syzkaller_commit,
        busybox=wanted.busybox,
        options=tuple(wanted.options().items()),
    )
    return prepare(job.repro, home.machines, settings)


def settle(job: Job, reproducer: Reproducer) -> None:
    """Write down in the job what its reproducer decides, so that every run of it is the same.

    The commit of syzkaller (a branch may move on); the time of a run, where the job does not set it and the reproducer
    says that everything takes so many times longer.
    """
    job.reproducer.syzkaller_commit = reproducer.syzkaller
    if reproducer.options is not None and "run_seconds" not in job.machine.model_fields_set:
        job.machine.run_seconds *= reproducer.options.slowdown
