"""What is done while something goes wrong: small real histories, real builds, the commands of a user."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.histories import History, miniature

from firstbad.job import make_job
from firstbad.store import Queue, Store

_PLAYER = Path(__file__).with_name("player.py")


@dataclass(frozen=True)
class Scenario:
    """A user's job. ``template`` is copied for each trial; in the copy, ``in`` is where points are counted.

    ``words``: the command line, given the copy; ``again``: the one that goes on, once there is a job. ``parallel``:
    runs at a time; ``strict``: no run has a number of one that was recorded.
    """

    name: str
    template: Path
    culprit: str
    words: Callable[[Path], list[str]]
    again: Callable[[Path], list[str]]
    machines: bool = False
    parallel: int = 1
    strict: bool = False
    before: Callable[[Path], None] | None = None
    """What the user does before each session, if anything; then answers are told by the store alone."""

    def environment(self, box: Path) -> dict[str, str]:
        """Of the user's session in a copy."""
        own = {"FIRSTBAD_HOME": "in/home", "TMPDIR": "in/tmp", "HOME": "in/user", "FAULTS_MACHINES": "machines"}
        kept = {name: os.environ[name] for name in ("LD_PRELOAD", "LANG") if name in os.environ}
        path = f"{box / 'bin'}:{os.environ['PATH']}"
        git = {"GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**kept, **git, "PATH": path, **{name: str(box / place) for name, place in own.items()}}


def _template(root: Path, name: str) -> Path:
    template = root / name
    for place in ("in/home", "in/tmp", "in/user", "bin", "machines"):
        (template / place).mkdir(parents=True)
    return template


def _settle(history: History) -> None:
    """As a user has it: a work tree, an index, and reflogs."""
    history.git("reset", "-q", "--hard", "master")


def _project(root: Path, name: str, test: str, jobs: int, *more: str, bad_from: int = 7, length: int = 12) -> Scenario:
    template = _template(root, name)
    history = History(template / "in/repo")
    for i in range(length):
        history.commit(f"change {i}", {"prog": f"exit {int(i >= bad_from)}\n", "n": f"{i}\n"})
    history.tag("v1", "change 0")
    _settle(history)
    ends = ("--good", history.commits["change 0"], "--bad", history.commits[f"change {length - 1}"])

    def words(box: Path) -> list[str]:
        build = f'echo "$FIRSTBAD_COMMIT" >> {box}/builds; dd if=prog of=built status=none'
        script = f'echo "$FIRSTBAD_COMMIT $FIRSTBAD_RUN" >> {box}/runs; {test}'
        options = ("--jobs", str(jobs), "--build", build, *more)
        return ["run", "--json", *ends, *options, "--", "sh", "-c", script]

    return Scenario(name, template, history.commits[f"change {bad_from}"], words, words, False, jobs, jobs == 1)


def plain(root: Path) -> Scenario:
    """`firstbad run` of a test that always says the same."""
    return _project(root, "run", "sh ./built", 1)


def flaky(root: Path) -> Scenario:
    """`firstbad run` of a test that fails half of the times, two at a time; when it does is in the run's number."""
    odd = '[ $(($(echo "$FIRSTBAD_COMMIT $FIRSTBAD_RUN" | cksum | cut -d" " -f1) % 2)) = 0 ]'
    return _project(root, "flaky", f"{odd} || sh ./built", 2, "--target", "0.999", bad_from=4, length=8)


def kernel(root: Path) -> Scenario:
    """`firstbad cause` over the miniature tree, with its real make and gcc; a program plays QEMU."""
    template = _template(root, "kernel")
    history = History(template / "in/repo")
    tree = miniature()
    tree["Makefile"] = tree["Makefile"].replace("include/value.h\n\t@", "include/value.h include/bug.h\n\t@", 1)
    length, bad_from = 8, 5
    for i in range(length):
        files = {"include/value.h": f'#include "bug.h"\n#define VALUE (0x5EED0000 + BUG + {i + 1})\n'}
        if i in (0, bad_from):  # the culprit alone touches this file: it can be reverted
            files = ({} if i else files) | {"include/bug.h": f"#define BUG {0x100 if i else 0}\n"}
        history.commit(f"change {i}", (tree if i == 0 else {}) | files)
    history.tag("v6.1", "change 0")
    _settle(history)
    qemu, make = template / "bin/qemu-system-x86_64", template / "bin/make"
    qemu.write_text(f"#!{sys.executable} -SE\n{_PLAYER.read_text()}")
    (template / "kernel.config").write_text("CONFIG_MINE=y\n")
    (template / "repro.c").write_text("int main(void) { return 0; }\n")
    (template / "job.toml").write_text(
        f'repo = "in/repo"\nconfig = "kernel.config"\nrepro = "repro.c"\ncommit = "{history.commits["change 7"]}"\n'
        f'good = ["{history.commits["change 0"]}"]\n[machine]\nparallel = 2\nrun_seconds = 20\n'
        '[build]\nconfig_base = "tinyconfig"\njobs = 1\n'
    )
    # A build's environment is its own: the library is preloaded again there.
    make.write_text(
        '#!/bin/sh\nhere=$(dirname "$0")/..\n'
        f'exec env LD_PRELOAD={os.environ.get("LD_PRELOAD", "")} FAULTS_PLAN="$here/plan" {shutil.which("make")} "$@"\n'
    )
    for program in (qemu, make):
        program.chmod(0o755)

    def words(box: Path) -> list[str]:
        return ["cause", "--json", str(box / "job.toml")]

    def again(_: Path) -> list[str]:
        return ["resume", "--json"]

    return Scenario("kernel", template, history.commits[f"change {bad_from}"], words, again, True, 2)


def worker(root: Path) -> Scenario:
    """`firstbad worker`, with the job of `run` in its queue."""
    made = _project(root, "worker", "sh ./built", 1)

    def ask(box: Path) -> None:
        """Submit the job, or have workers go on with it."""
        queue = Queue(Store(box / "in/home/firstbad.db", root=box / "in/home"))
        if queue.store.jobs():
            queue.resume(1)
            return
        words = made.words(box)
        options = {words[i]: words[i + 1] for i in range(2, words.index("--"), 2)}
        project = {"command": words[words.index("--") + 1 :], "build": options["--build"]}
        ends = {"commit": options["--bad"], "good": [options["--good"]]}
        queue.submit(make_job({"kind": "cause", "repo": str(box / "in/repo"), "project": project, **ends}))

    def words(_: Path) -> list[str]:
        return ["worker", "--until-empty"]

    return replace(made, words=words, again=words, before=ask)


ALL = {"worker": worker, "run": plain, "flaky": flaky, "kernel": kernel}
