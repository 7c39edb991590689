"""Guests that mean harm, on a real kernel in a real QEMU: each run ends in time, with the right outcome, within bounds.

Every run is made in a process of its own, whose greatest size, and QEMU's, the kernel tells afterwards.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from firstbad.repro import prepare
from firstbad.session.outcome import judge
from firstbad.vm import MachineRun, build_initramfs
from firstbad.vm.initramfs import pack

pytestmark = pytest.mark.kernel

MEMORY_MB = 128
RUN_SECONDS, BOOT_SECONDS, ANSWER_SECONDS = 3, 60, 10
OURS_MB = 150  # Python with its libraries, and the console twice
QEMU_MB = 250  # beside the guest's memory: the program, its stacks and what it translated
# An emulated serial port passes some 40 KB/s, so it would take minutes to fill the console's true bounds.
HEAD_BYTES, TAIL_BYTES = 24 << 10, 8 << 10
NOTE = 100  # bytes of the line that says how much of a console was left out

INCLUDES = "".join(
    f"#include <{name}.h>\n"
    for name in (
        "fcntl",
        "signal",
        "stdio",
        "stdlib",
        "string",
        "sys/mman",
        "sys/mount",
        "sys/reboot",
        "sys/wait",
        "unistd",
    )
)
FLOODS = """
int main(void) {
    static char text[4096];
    int console = open("/dev/console", O_WRONLY);
    memset(text, 'x', sizeof text - 1); text[sizeof text - 1] = '\\n';
    for (int i = 0; i < 4; i++) fork();
    for (;;) { write(console, text, sizeof text); write(1, text, sizeof text); }
}
"""
FORKS = "int main(void) { for (;;) fork(); }"
FILLS = """
int main(void) {
    for (;;) { char *more = malloc(1 << 20); if (more) memset(more, 1, 1 << 20); }
}
"""
FILLS_FILES = """
int main(void) {
    static char block[1 << 16];
    int file = open("/hog", O_WRONLY | O_CREAT, 0600);
    mlockall(MCL_CURRENT);
    for (;;) if (write(file, block, sizeof block) <= 0) sleep(1);
}
"""
REBOOTS = "int main(void) { reboot(RB_AUTOBOOT); }"
ESCAPES = r"""
int main(void) {
    int console = open("/dev/console", O_WRONLY), kernel = open("/dev/kmsg", O_WRONLY);
    const char line[] = "\033]0;owned\007\033[2J\033[31m\x9b" "5n\xff\xfe\r\n";
    const char crash[] = "<0>Kernel panic - not syncing: \033]0;owned\007\033[2J\xff\n";
    write(console, line, sizeof line - 1);
    write(kernel, crash, sizeof crash - 1);
    for (;;) sleep(1);
}
"""
# As PID 1, in place of our init.
SILENT = "int main(void) { for (;;) pause(); }"
REBOOTS_AT_ONCE = REBOOTS
DIES = "int main(void) { return 1; }"
FLOODS_AT_BOOT = FLOODS

RUN = """
import json, resource, sys
from pathlib import Path
from firstbad.crash import first_sign
from firstbad.payload import File, Payload
from firstbad.vm import Acceleration, MachineConfig, console, run_machine
console.HEAD_BYTES, console.TAIL_BYTES = HEAD, TAIL
kernel, initramfs, program, path, config = sys.argv[1:]
payload = Payload((File("guest", Path(program).read_bytes()),), ("/tmp/guest",))
seen = run_machine(Path(kernel), Path(initramfs), payload, MachineConfig(**json.loads(config)),
                   Acceleration("tcg", ""), crash_sign=first_sign, console_path=Path(path))
# Not getrusage's: a program takes over the greatest size of the process that executed it, here that of all tests.
ours = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
sizes = [int(ours), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
print(json.dumps({"ended": seen.ended, "booted": seen.booted, "exit_status": seen.exit_status, "detail": seen.detail,
                  "console": seen.console.decode("latin-1"), "output": seen.output.decode("latin-1"),
                  "boot_seconds": seen.boot_seconds, "run_seconds": seen.run_seconds, "kib": sizes}))
""".replace("HEAD, TAIL", f"{HEAD_BYTES}, {TAIL_BYTES}")


def ends(kernel: Path, tmp_path: Path, source: str, *, init: str = "", **limits: Any) -> MachineRun:
    """A run within all bounds."""
    made = [tmp_path / "guest.c", tmp_path / "init.c"]
    for path, text in zip(made, (source, init or source), strict=True):
        path.write_text(f"#define _GNU_SOURCE\n{INCLUDES}{text}")
    program = prepare(made[0], tmp_path).files[0][1]
    initramfs = build_initramfs(tmp_path)
    if init:
        initramfs = tmp_path / "hostile.cpio.gz"
        initramfs.write_bytes(pack(prepare(made[1], tmp_path).files[0][1].read_bytes()))
    config = {
        "memory_mb": MEMORY_MB,
        "run_seconds": RUN_SECONDS,
        "boot_seconds": BOOT_SECONDS,
        "answer_seconds": ANSWER_SECONDS,
        **limits,
    }
    console = tmp_path / "console"
    before = set(tmp_path.iterdir())
    begin = time.monotonic()
    arguments = [str(kernel), str(initramfs), str(program), str(console), json.dumps(config)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    seconds = time.monotonic() - begin
    seen = json.loads(done.stdout)
    ours, qemus = (size // 1024 for size in seen.pop("kib"))
    text = seen["console"].encode("latin-1")
    print(seen["ended"], seen["detail"], f"{seconds:.1f} s, {ours} + {qemus} MiB, console {len(text)} bytes")
    assert seconds < seen["boot_seconds"] + config["run_seconds"] + config["answer_seconds"] + 20
    assert ours < OURS_MB
    assert qemus < config["memory_mb"] + QEMU_MB
    assert len(text) <= HEAD_BYTES + 2 * TAIL_BYTES + NOTE
    assert console.read_bytes() == text
    assert set(tmp_path.iterdir()) - before == {console}
    assert all(c.isprintable() for c in seen["detail"])
    return MachineRun(**{**seen, "console": text, "output": seen["output"].encode("latin-1")})


def test_a_flood_of_the_console(kernel, tmp_path):
    seen = ends(kernel, tmp_path, FLOODS)
    assert seen.ended == "timeout", seen.detail
    assert b"bytes left out]" in seen.console
    assert seen.output.endswith(b"x\n")


def test_forks_without_end(kernel, tmp_path):
    seen = ends(kernel, tmp_path, FORKS)
    assert seen.ended == "timeout", seen.detail


def test_fills_its_memory(kernel, tmp_path):
    seen = ends(kernel, tmp_path, FILLS, run_seconds=20)
    assert (seen.ended, seen.exit_status) == ("finished", 137), seen.detail


def test_fills_the_file_system(kernel, tmp_path):
    seen = ends(kernel, tmp_path, FILLS_FILES)
    assert seen.ended == "timeout", seen.detail


def test_reboots(kernel, tmp_path):
    assert ends(kernel, tmp_path, REBOOTS).ended == "lost"


def test_escape_sequences(kernel, tmp_path):
    seen = ends(kernel, tmp_path, ESCAPES)
    assert (seen.ended, seen.booted) == ("panic", True), seen.detail
    assert b"\033]0;owned" in seen.console
    run = judge(seen, None)
    assert run.outcome == "crash"
    assert run.title.startswith("kernel panic: ")
    assert run.title.isprintable()


@pytest.mark.parametrize(
    ("init", "why"),
    [
        (SILENT, "not up in time"),
        (REBOOTS_AT_ONCE, "ended before it was up"),
        (DIES, "Attempted to kill init"),
        (FLOODS_AT_BOOT, "not up in time"),
    ],
)
def test_never_comes_up(kernel, tmp_path, init, why):
    seen = ends(kernel, tmp_path, DIES, init=init, boot_seconds=6)
    assert (seen.ended, seen.booted) == ("boot-failed", False), seen.detail
    assert why in seen.detail
