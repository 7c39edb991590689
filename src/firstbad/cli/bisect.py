"""``cause``, ``fix`` and ``resume``: commands that bisect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from firstbad.cli.deadline import deadline_option
from firstbad.cli.export import output_options, outputs_of
from firstbad.cli.remote import chosen
from firstbad.cli.run import finish_job
from firstbad.cli.status import epilog
from firstbad.cli.submit import send_and_await
from firstbad.cli.watch import await_job
from firstbad.history.git import Repo
from firstbad.home import Home, home
from firstbad.job import BugClass, Job, load_job, make_job, merged, read_job
from firstbad.kernel.fixes import fixes_for
from firstbad.kernel.toolchain import choose
from firstbad.session import find_question, history_of
from firstbad.session.reproducer import make_reproducer, settle
from firstbad.store import open_store

_PATH = click.Path(path_type=Path)
_Function = TypeVar("_Function", bound=Callable[..., Any])


_COMMIT = (
    click.option("--commit", help="revision where the crash was seen  [default: HEAD]"),
    click.option("--commit-title", help="title of --commit: finds it again where it was rewritten by a rebase"),
)
_REVISIONS = {
    "cause": (
        *_COMMIT,
        click.option("--good", multiple=True, help="revision without the bug; repeat for more"),
    ),
    "fix": (*_COMMIT, click.option("--head", help="branch tip where the crash is gone  [default: HEAD]")),
    "import": (
        *_COMMIT,
        click.option("--good", multiple=True, help="cause: revision without the bug; repeat for more"),
        click.option("--head", help="fix: branch tip where the crash is gone"),
    ),
    "test": (
        click.option("--rev", help="revision to test  [default: where the job saw the crash, else HEAD]"),
        click.option("--patch", type=_PATH, help="patch to test on it; - reads it from stdin"),
        click.option("--start", help="revision that has the bug: its crash rate is measured there first"),
        click.option("--rate", type=float, help="crash rate to assume where nothing is known of it"),
        click.option("--runs", type=int, help="make at most so many clean runs  [default: 500]"),
    ),
}


def options_of(kind: str) -> Callable[[_Function], _Function]:
    """Options that ``cause``, ``fix`` and ``test`` share."""

    def decorate(function: _Function) -> _Function:
        path = click.option("--path", multiple=True, help="path that the culprit probably touches; repeat for more")
        baseline = click.option(
            "--baseline", type=_PATH, help="smaller configuration; what of --config the crash needs is added"
        )
        verify = click.option(
            "--verify",
            type=click.Choice(["clean", "full", "off"]),
            help="build culprit and parents again from nothing and compare; full: without any compile cache  "
            "[default: clean]",
        )
        no_proof = click.option(
            "--no-proof", is_flag=True, help="don't try the start commit with the culprit reverted (fix: applied)"
        )
        no_priors = click.option("--no-priors", is_flag=True, help="take all commits for equally likely at first")
        found = [
            click.option("--repo", type=_PATH, help="git repository of the kernel"),
            click.option("--config", type=_PATH, help="kernel configuration (or a fragment, with --config-base)"),
            click.option(
                "--config-base",
                type=click.Choice(["none", "tinyconfig", "allnoconfig", "defconfig"]),
                help="make target that --config is merged over",
            ),
            *([baseline] if kind != "test" else []),
            click.option("--repro", type=_PATH, help="reproducer: C source, syz program, script or static program"),
            click.option("--userspace", help="architecture of the reproducer, as i386  [default: the kernel's]"),
            click.option("--syzkaller", type=_PATH, help="git clone of syzkaller  [default: $FIRSTBAD_SYZKALLER]"),
            click.option("--syzkaller-commit", help="its revision for a syz program  [default: HEAD]"),
            *_REVISIONS[kind],
            click.option("--title", help="crash title  [default: what the start commit shows most often]"),
            click.option(
                "--class",
                "bug_class",
                type=click.Choice(get_args(BugClass)),
                help="what the bug is; test: by the reproducer's exit status  [default: crash]",
            ),
            click.option("--metric", help="class metric: name of the number that the reproducer prints"),
            click.option("--threshold", type=float, help="class metric: the number is bad beyond this"),
            click.option("--worse", type=click.Choice(["above", "below"]), help="class metric  [default: above]"),
            *([path] if kind != "test" else []),
            click.option("--target", type=float, help="stop when the answer is this probable  [default: 0.99]"),
            click.option("--cpus", type=int, help="CPUs of a machine  [default: 2]"),
            click.option("--memory", type=int, help="memory of a machine, MiB  [default: 512]"),
            click.option("--backend", type=click.Choice(["qemu", "uml"]), help="uml: user-mode Linux  [default: qemu]"),
            click.option(
                "--keep-vm", is_flag=True, default=None, help="leave the first machine that shows the bug, for gdb"
            ),
            click.option("--run-seconds", type=float, help="longest run  [default: 30]"),
            click.option(
                "--toolchain", help="compiler: clang, or a name that `firstbad doctor` lists  [default: gcc by release]"
            ),
            *([verify, no_proof, no_priors] if kind != "test" else []),
            click.option("--private", is_flag=True, help="embargoed: no report of it is ever sent from this machine"),
            deadline_option,
            output_options,
            click.option("--json", "as_json", is_flag=True, help="print the result as one JSON object"),
            click.option("--plain", is_flag=True, help="lines instead of the live view"),
        ]
        for option in reversed(found):
            function = option(function)
        return function

    return decorate


@click.command(
    epilog=epilog(
        "cause",
        "firstbad cause --repo linux --config .config --repro crash.c --commit v6.12 --good v6.11",
    )
)
@click.argument("job_file", metavar="[JOB.toml]", type=_PATH, required=False)
@options_of("cause")
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
@options_of("fix")
def fix(**options: Any) -> None:
    """Find the commit that fixed a crash: from --commit, which crashes, to --head, which does not."""
    _submit("fix", options)


@click.command(epilog=epilog("resume", "firstbad resume 3"))
@click.argument("number", metavar="[JOB]", type=int, required=False)
@deadline_option
@output_options
@click.option("--json", "as_json", is_flag=True, help="print the result as one JSON object")
@click.option("--plain", is_flag=True, help="lines instead of the live view")
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


def overrides(options: dict[str, Any]) -> dict[str, Any]:
    """What the command line says of a job."""
    data: dict[str, Any] = {}
    for key in ("repo", "config", "baseline", "repro"):
        if options.get(key) is not None:
            data[key] = str(options[key])
    for key in ("commit", "commit_title", "title", "target", "head"):
        if options.get(key) is not None:
            data[key] = options[key]
    for key in ("good", "path"):
        if options.get(key):
            data[key] = list(options[key])
    if options.get("no_proof"):
        data["prove"] = False
    if options.get("private"):
        data["private"] = True
    if options.get("no_priors"):
        data["priors"] = False
    tables = {
        "machine": {
            "cpus": "cpus",
            "memory": "memory_mb",
            "run_seconds": "run_seconds",
            "backend": "backend",
            "keep_vm": "keep",
        },
        "bug": {"bug_class": "class", "metric": "metric", "threshold": "threshold", "worse": "worse"},
        "reproducer": {"userspace": "arch", "syzkaller": "syzkaller", "syzkaller_commit": "syzkaller_commit"},
        "build": {"config_base": "config_base", "toolchain": "toolchain", "verify": "verify"},
    }
    for table, names in tables.items():
        found = {field: options[name] for name, field in names.items() if options.get(name) is not None}
        if found:
            data[table] = found
    return data


COMMANDS = (cause, fix, resume)
