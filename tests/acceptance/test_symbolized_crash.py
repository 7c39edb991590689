"""A crash of the demo kernel, from the bare console to inline frames, source lines and instructions; one command."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from firstbad.crash import first_sign, parse, symbolize
from firstbad.demo import demo_job, make_demo
from firstbad.engine import BuildRequest
from firstbad.kernel.artifacts import Built
from firstbad.repro import prepare
from firstbad.session.lab import make_engine
from firstbad.vm import Acceleration, MachineConfig, build_initramfs, run_machine

pytestmark = pytest.mark.kernel

CULPRIT_FILE = "kernel/time/posix-timers.c"


@pytest.fixture(scope="module")
def crash(place, tmp_path_factory) -> tuple[Built, Path]:
    """The kernel at the head of the demo's history, and the console of its bug (a)."""
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    engine = make_engine(place, demo_job(made, case, 0.99))
    try:
        built = engine.build(BuildRequest(made.repo, case.start)).result()
    finally:
        engine.close()
    if not (built.directory / "vmlinux").exists():
        pytest.skip("the kernel's debug information was collected to save space")
    scratch = tmp_path_factory.mktemp("crash")
    payload = prepare(case.repro, scratch).payload()
    how = Acceleration("tcg", "tests run the same everywhere")
    done = run_machine(built.kernel, build_initramfs(scratch), payload, MachineConfig(), how, crash_sign=first_sign)
    console = scratch / "console.txt"
    console.write_bytes(done.console)
    return built, console


def test_the_report_from_the_bare_console(crash):
    built, console = crash
    command = [sys.executable, "-m", "firstbad", "crash", "--vmlinux", str(built.directory / "vmlinux"), "--json"]
    done = subprocess.run([*command, str(console)], stdout=subprocess.PIPE, text=True, check=True)
    found, bare = json.loads(done.stdout), parse(console.read_bytes())
    assert bare is not None
    assert not re.search(r"[.][ch]:[0-9]", bare.report)
    assert (found["title"], found["type"]) == (bare.title, bare.type)
    report = found["report"]
    for frame in (
        rf"RIP: 0010:do_timer_create\+0x\w+/0x\w+ {CULPRIT_FILE}:\d+\nCode: (?:[0-9a-f]{{2}} )+<[0-9a-f]{{2}}> ",
        rf" __do_sys_timer_create {CULPRIT_FILE}:\d+ \[inline\]\n",
        rf" __x64_sys_timer_create\+0x\w+/0x\w+ {CULPRIT_FILE}:\d+\n",
        r" do_syscall_x64 arch/x86/entry/common\.c:\d+ \[inline\]\n"
        r" do_syscall_64\+0x\w+/0x\w+ arch/x86/entry/common\.c:\d+\n",
    ):
        assert re.search(frame, report), frame
    dump = re.search(r"Code: (.*)", report)[1].split()
    (trapped,) = re.findall(r"^\* +([0-9a-f]+): ([0-9a-f]{2}) .* <-- trapping instruction$", report, re.M)
    assert dump[int(trapped[0], 16)] == f"<{trapped[1]}>"


def test_the_instructions_are_those_of_the_kernel(crash):
    """Where the instructions that are shown start, the function's do."""
    built, console = crash
    vmlinux, bare = built.directory / "vmlinux", parse(console.read_bytes())
    assert bare is not None
    command = ["objdump", "--disassemble=do_timer_create", "--no-show-raw-insn", str(vmlinux)]
    listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    starts = [int(address, 16) for address in re.findall(r"^([0-9a-f]{16}|[0-9a-f]{8}):\t", listing, re.M)]
    at = int(re.search(r"RIP: 0010:do_timer_create\+0x([0-9a-f]+)/", bare.report)[1], 16)
    shown = re.findall(
        r"^([* ]) +([0-9a-f]+): (?:[0-9a-f]{2} )+ *(?!rex|\.byte)", symbolize(bare.report, vmlinux), re.M
    )
    whole = [int(offset, 16) for mark, offset in shown]
    (trap,) = [int(offset, 16) for mark, offset in shown if mark == "*"]
    # The last few may be cut off by the end of the dump.
    assert len(whole) > 8
    assert {starts[0] + at - trap + offset for offset in whole[:-3]} <= set(starts)
