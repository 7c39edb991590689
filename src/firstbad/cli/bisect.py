"""``cause``, ``fix`` and ``resume``: commands that bisect."""

from pathlib import Path
from typing import Any

import click

from firstbad.cli.deadline import deadline_option
from firstbad.cli.export import output_options, outputs_of
from firstbad.cli.job_options import job_options, overrides
from firstbad.cli.options import AS_JSON, JOB, PLAIN
from firstbad.cli.remote import chosen
from firstbad.cli.run import finish_job
from firstbad.cli.status import epilog
from firstbad.cli.submit import send_and_await
from firstbad.cli.watch import await_job
from firstbad.history.git import Repo
from firstbad.home import Home, home
from firstbad.job import Job, load_job, make_job, merged, read_job
from firstbad.kernel.fixes import fixes_for
from firstbad.kernel.toolchain import choose
from firstbad.session import find_question, history_of
from firstbad.session.reproducer import make_reproducer, settle
from firstbad.store import open_store

_PATH = click.Path(path_type=Path)


@click.command(
    epilog=epilog(
        "cause",
        "firstbad cause --repo linux --config .config --repro crash.c --commit v6.12 --good v6.11",
    )
)
@click.argument("job_file", metavar="[JOB.toml]", type=_PATH, required=False)
@job_options("cause")
def cause(**options: Any) -> None:
    """Find the commit that introduced a crash.

    Checks that the crash reproduces on the start commit, walks back over the releases (unless --good names a
    revision without the bug), searches between, confirms culprit and parent. Interrupt it at any time and go on
    with `firstbad resume`.
    """
    _submit("cause", options)


@click.command(
    epilog=epilog("fix", "firstbad fix --repo linux --config .config --repro crash.c --commit v6.10 --head v6.12")
)
@click.argument("job_file", metavar="[JOB.toml]", type=_PATH, required=False)
@job_options("fix")
def fix(**options: Any) -> None:
    """Find the commit that fixed a crash: from --commit, which crashes, to --head, which does not."""
    _submit("fix", options)


@click.command(epilog=epilog("resume", "firstbad resume 3"))
@JOB
@deadline_option
@output_options
@AS_JSON
@PLAIN
def resume(number: int | None, deadline: float | None, as_json: bool, plain: bool, **options: Any) -> None:
    """Go on with a job (the last one by default); nothing that was finished is repeated."""
    server = chosen()
    if server is not None:
        wanted = server.job(number).id
        server.ask("POST", f"/jobs/{wanted}/resume")
        await_job(server, wanted, as_json, plain, outputs_of(options))
        return
    place = home()
    store = open_store(place)
    found = store.job(number)
    store.cancel(found.id, False)
    finish_job(store, place, found.id, as_json, plain, deadline, outputs_of(options))


def _submit(kind: str, options: dict[str, Any]) -> None:
    job_file, deadline, as_json, plain = (options.pop(key) for key in ("job_file", "deadline", "as_json", "plain"))
    outputs = outputs_of(options)
    data = {"kind": kind, **overrides(options)}
    server = chosen()
    if server is not None:
        data = merged(read_job(job_file, elsewhere=True), data) if job_file else data
        send_and_await(server, data, as_json, plain, deadline, outputs)
        return
    job = load_job(job_file, data) if job_file else make_job(data)
    place = home()
    outputs.check(job)
    check(job, place)
    store = open_store(place)
    finish_job(store, place, store.submit(job), as_json, plain, deadline, outputs)


def check(job: Job, place: Home) -> None:
    """Find out what is wrong with a job before anything of it is kept, and what it leaves open. Raises UserError."""
    find_question(history_of(job), job)
    fixes_for(Repo(job.repo), job.build)
    settle(job, make_reproducer(place, job))
    if job.build.toolchain:
        choose(None, job.build.toolchain, job.build.arch, (*job.build.toolchain_dirs, place.toolchains))


COMMANDS = (cause, fix, resume)
