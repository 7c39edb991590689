"""Options by which commands say what a job is, and the fields of it that they set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from firstbad.cli.deadline import deadline_option
from firstbad.cli.export import output_options
from firstbad.cli.options import AS_JSON, PLAIN, Function, together
from firstbad.job import BugClass

_PATH = click.Path(path_type=Path)
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
_PATH_OF_CULPRIT = click.option("--path", multiple=True, help="path that the culprit probably touches; repeat for more")
_BASELINE = click.option(
    "--baseline", type=_PATH, help="smaller configuration; what of --config the crash needs is added"
)
_VERIFY = click.option(
    "--verify",
    type=click.Choice(["clean", "full", "off"]),
    help="build culprit and parents again from nothing and compare; full: without any compile cache  [default: clean]",
)
_NO_PROOF = click.option(
    "--no-proof", is_flag=True, help="don't try the start commit with the culprit reverted (fix: applied)"
)
_NO_PRIORS = click.option("--no-priors", is_flag=True, help="take all commits for equally likely at first")


def job_options(command: str) -> Callable[[Function], Function]:
    """Options that ``cause``, ``fix``, ``test`` and ``import`` share, with those of ``command`` among them."""
    bisects = command != "test"
    return together(
        click.option("--repo", type=_PATH, help="git repository of the kernel"),
        click.option("--config", type=_PATH, help="kernel configuration (or a fragment, with --config-base)"),
        click.option(
            "--config-base",
            type=click.Choice(["none", "tinyconfig", "allnoconfig", "defconfig"]),
            help="make target that --config is merged over",
        ),
        *([_BASELINE] if bisects else []),
        click.option("--repro", type=_PATH, help="reproducer: C source, syz program, script or static program"),
        click.option("--userspace", help="architecture of the reproducer, as i386  [default: the kernel's]"),
        click.option("--syzkaller", type=_PATH, help="git clone of syzkaller  [default: $FIRSTBAD_SYZKALLER]"),
        click.option("--syzkaller-commit", help="its revision for a syz program  [default: HEAD]"),
        *_REVISIONS[command],
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
        *([_PATH_OF_CULPRIT] if bisects else []),
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
        *([_VERIFY, _NO_PROOF, _NO_PRIORS] if bisects else []),
        click.option("--private", is_flag=True, help="embargoed: no report of it is ever sent from this machine"),
        deadline_option,
        output_options,
        AS_JSON,
        PLAIN,
    )


def overrides(options: dict[str, Any]) -> dict[str, Any]:
    """What the command line says of a job, as fields of a job file; the options are those of `job_options`."""
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
