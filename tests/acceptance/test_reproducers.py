"""Reproducers that are no C programs, run for real: a shell script, and a syz program with its syzkaller."""

import os
import re
import shutil
from pathlib import Path

import pytest
from tests.support.real_trees import release

from firstbad.cli.bisect import check
from firstbad.crash import first_sign, parse
from firstbad.demo import demo_job, make_demo
from firstbad.engine import BuildRequest, RunRequest
from firstbad.engine.local import LocalEngine
from firstbad.repro import Reproducer, prepare
from firstbad.session.lab import machine_config, make_engine
from firstbad.vm import Acceleration, MachineConfig, MachineRun, build_initramfs, run_machine

pytestmark = pytest.mark.kernel

TCG = Acceleration("tcg", "tests run the same everywhere")

SCRIPT = """\
#!/bin/sh -e
test "$(seq 3 | awk '{ s += $1 } END { print s }')" = 6
mkdir -p /tmp/a/b && ls /tmp/a
uname -s
false
echo not reached
"""

# Bug (a) of the demo: a timer without a sigevent. The options are those that syzkaller writes.
TIMER = '#{"threaded":true,"repeat":true,"procs":2,"slowdown":1,"sandbox":"none"}\n'
TIMER += "timer_create(0x1, 0x0, &(0x7f0000000000))\n"
HARMLESS = '#{"threaded":true,"repeat":true,"repeat_times":3,"procs":2,"slowdown":1,"sandbox":"none"}\ngetpid()\n'


def run(kernel: Path, reproducer: Reproducer, scratch: Path, seconds: float) -> MachineRun:
    config = MachineConfig(run_seconds=seconds)
    return run_machine(kernel, build_initramfs(scratch), reproducer.payload(), config, TCG, crash_sign=first_sign)


def test_a_shell_script(kernel: Path, tmp_path: Path) -> None:
    if shutil.which("busybox") is None:
        pytest.skip("no busybox here; Debian: apt-get install busybox-static")
    script = tmp_path / "crash.sh"
    script.write_text(SCRIPT)
    reproducer = prepare(script, tmp_path)
    seen = run(kernel, reproducer, tmp_path, 20)
    assert (seen.ended, seen.exit_status, seen.output) == ("finished", 1, b"b\nLinux\n"), seen.detail
    assert reproducer.fault(seen.exit_status, seen.output, seen.run_seconds) == ""


@pytest.fixture(scope="module")
def syzkaller() -> Path:
    clone = os.environ.get("FIRSTBAD_SYZKALLER")
    if not clone:
        pytest.skip("no clone of syzkaller is configured: FIRSTBAD_SYZKALLER=DIR, FIRSTBAD_SYZKALLER_COMMIT=HASH")
    for tool, package in (("go", "golang-go"), ("g++", "g++")):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; Debian: apt-get install {package}")
    return Path(clone)


@pytest.fixture(scope="module")
def engines(place, syzkaller, tmp_path_factory):
    """Engines of two jobs with the demo's bug (a): a program that triggers it, and one that does not.

    On a tree with a network, which syzkaller's executor asks for and the demo's history does not have.
    """
    made = make_demo(place.root / "demo", 1)
    repo, good, bad = release(place.root / "releases", "linux-source-6.12", "a")
    found = {}
    for name, text in (("timer", TIMER), ("harmless", HARMLESS)):
        program = tmp_path_factory.mktemp("syz") / "program.syz"
        program.write_text(text)
        job = demo_job(made, made.cases["a"], 0.99)
        job.repo, job.commit, job.good = repo, bad, [good]
        job.repro = program
        job.reproducer.syzkaller = syzkaller
        job.reproducer.syzkaller_commit = os.environ.get("FIRSTBAD_SYZKALLER_COMMIT", "")
        check(job, place)
        found[name] = (job, make_engine(place, job))
    yield found
    for _, engine in found.values():
        engine.close()


def once(engines, name: str, scratch: Path) -> tuple[LocalEngine, MachineRun]:
    job, engine = engines[name]
    built = engine.build(BuildRequest(job.repo, job.commit)).result()
    assert not built.error
    return engine, engine.run(RunRequest(built.kernel, scratch / "console.txt", machine_config(job))).result()


def test_a_syz_program_finds_its_crash(engines, tmp_path: Path) -> None:
    engine, seen = once(engines, "timer", tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", engines["timer"][0].reproducer.syzkaller_commit)
    assert engine.reproducer.kind == "syz"
    assert seen.ended == "panic", (seen.detail, seen.output)
    report = parse(seen.console)
    assert report is not None
    assert "do_timer_create" in report.title


def test_a_syz_program_that_finds_nothing_was_executed(engines, tmp_path: Path) -> None:
    _, seen = once(engines, "harmless", tmp_path)
    assert (seen.ended, seen.exit_status) == ("finished", 0), (seen.detail, seen.output)
    assert b"executed programs: " in seen.output


def test_a_syz_program_on_a_kernel_that_can_not_execute_it(engines, kernel: Path, tmp_path: Path) -> None:
    """The demo's own kernel has no network namespaces: the executor fails, and the run looks clean but is none."""
    reproducer = engines["harmless"][1].reproducer
    seen = run(kernel, reproducer, tmp_path, 25)
    assert seen.ended in ("finished", "timeout"), seen.detail
    fault = reproducer.fault(seen.exit_status, seen.output, seen.run_seconds)
    assert "executor failed" in fault or "SYZFAIL: " in fault
