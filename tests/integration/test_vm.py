"""Every kind of end, on a real kernel in a real QEMU.

The kernel is the demo's, unless FIRSTBAD_TEST_KERNEL names an image with initramfs, virtio-pci and virtio-console.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firstbad.payload import File, Payload
from firstbad.repro import prepare
from firstbad.vm import (
    Acceleration,
    MachineConfig,
    MachineRun,
    Snapshot,
    build_initramfs,
    end_kept,
    probe_acceleration,
    run_machine,
    take_snapshot,
)

KERNEL = ""  # set by the fixture below
TCG = Acceleration("tcg", "tests run the same everywhere")

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", autouse=True)
def _kernel(kernel):
    global KERNEL
    KERNEL = str(kernel)


ENDS = 'int main(void) { puts("so far so good"); return 3; }'
LOOPS = 'int main(void) { puts("looping"); fflush(stdout); for (;;); }'
DIES = "int main(void) { *(volatile int *)0 = 1; }"
# PID 1 dying is a panic that every kernel has: root may write into its code.
PANICS = """
int main(void) {
    static char garbage[1 << 16];
    unsigned long start, end;
    FILE *maps = fopen("/proc/1/maps", "r");
    int memory = open("/proc/1/mem", O_RDWR);
    char rights[8];
    while (fscanf(maps, "%lx-%lx %7s %*[^\\n]", &start, &end, rights) == 3)
        if (rights[2] == 'x')
            for (; start < end; start += 4096) pwrite(memory, garbage, 4096, start);
    return 0; /* wakes PID 1 */
}
"""
REBOOTS = "int main(void) { reboot(RB_AUTOBOOT); }"
# Real-time loops on every processor, with the kernel's own throttle off: nobody else runs.
HANGS = """
int main(void) {
    struct sched_param p = {.sched_priority = 99};
    int fd = open("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY);
    write(fd, "-1", 2);
    for (int i = 0; i < 4; i++) if (fork() == 0) { sched_setscheduler(0, SCHED_FIFO, &p); for (;;); }
    sleep(1000);
}
"""
# What a kernel that does not panic leaves on the console, and then silence.
SPLATS = """
int main(void) {
    int fd = open("/dev/kmsg", O_WRONLY);
    const char text[] = "<4>WARNING: CPU: 0 PID: 7 at made/up.c:1 nothing+0x1/0x2\\n";
    sleep(1);
    write(fd, text, sizeof text - 1);
    for (;;) sleep(1);
}
"""
LEAVES_A_CHILD = """
int main(void) {
    if (fork() == 0) { setsid(); sleep(2); return 0; }
    return 0;
}
"""
INCLUDES = "\n".join(
    f"#include <{name}.h>"
    for name in ("stdio", "stdlib", "unistd", "fcntl", "sched", "sys/reboot", "sys/types", "signal")
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vm")


def run(cache: Path, source: str, *, sign: bytes = b"WARNING: CPU", **limits: object) -> MachineRun:
    file = cache / f"{abs(hash(source))}.c"
    file.write_text(f"#define _GNU_SOURCE\n{INCLUDES}\n{source}")
    payload = prepare(file, cache).payload()
    config = MachineConfig(**{"run_seconds": 4, "answer_seconds": 5, **limits})  # type: ignore[arg-type]
    initramfs = build_initramfs(cache)
    return run_machine(Path(KERNEL), initramfs, payload, config, TCG, crash_sign=lambda text: sign in text)


def test_a_program_that_ends(cache: Path) -> None:
    seen = run(cache, ENDS)
    assert (seen.ended, seen.booted, seen.exit_status) == ("finished", True, 3), seen.detail
    assert seen.output == b"so far so good\n"
    assert b"Linux version" in seen.console
    assert 0 < seen.boot_seconds < 60
    assert seen.run_seconds < 4


def test_death_by_a_signal_is_an_exit_status(cache: Path) -> None:
    seen = run(cache, DIES)
    assert (seen.ended, seen.exit_status) == ("finished", 128 + signal.SIGSEGV), seen.detail


def test_the_run_lasts_as_long_as_anything_of_the_program(cache: Path) -> None:
    seen = run(cache, LEAVES_A_CHILD, run_seconds=20)
    assert (seen.ended, seen.exit_status) == ("finished", 0), seen.detail
    assert seen.run_seconds > 1.9


SHOWS = """
int main(int argc, char **argv) {
    char text[64] = {0};
    struct stat seen;
    for (int i = 1; i < argc; i++) printf("[%s] ", argv[i]);
    read(open("/some/where/data", O_RDONLY), text, sizeof text - 1);
    stat("/some/where/data", &seen);
    printf("%s %o %s", getenv("WORD"), seen.st_mode & 07777, text);
    return 0;
}
"""


def test_files_arguments_and_environment(cache: Path) -> None:
    file = cache / "shows.c"
    file.write_text(f"{INCLUDES}\n#include <sys/stat.h>\n{SHOWS}")
    made = prepare(file, cache).payload()
    big = File("big", bytes(40 << 20))  # as large as what a syz program needs
    payload = Payload(
        (*made.files, big, File("/some/where/data", b"contents", 0o640)),
        (*made.command, "", "two words", "é"),
        (("WORD", "a=b"),),
    )
    seen = run_machine(Path(KERNEL), build_initramfs(cache), payload, MachineConfig(), TCG, crash_sign=lambda _: False)
    assert (seen.ended, seen.exit_status) == ("finished", 0), seen.detail
    assert seen.output.decode() == "[] [two words] [é] a=b 640 contents"


def test_time_is_up_and_the_machine_lives(cache: Path) -> None:
    seen = run(cache, LOOPS)
    assert (seen.ended, seen.exit_status, seen.output) == ("timeout", None, b"looping\n"), seen.detail
    assert 4 <= seen.run_seconds < 6


def test_a_panic(cache: Path) -> None:
    seen = run(cache, PANICS)
    assert seen.ended == "panic", seen.detail
    assert "Kernel panic - not syncing" in seen.detail
    assert b"Call Trace" in seen.console


def test_a_panic_that_does_not_reboot(cache: Path) -> None:
    seen = run(cache, PANICS, append="panic=0", run_seconds=60)
    assert seen.ended == "panic", seen.detail
    assert b"---[ end Kernel panic" in seen.console
    assert seen.run_seconds < 20


def test_a_crash_sign_ends_the_run(cache: Path) -> None:
    seen = run(cache, SPLATS, run_seconds=60)
    assert seen.ended == "crash", seen.detail
    assert 0.9 < seen.run_seconds < 20
    assert b"made/up.c:1" in seen.console


def test_a_program_that_reboots_is_no_crash(cache: Path) -> None:
    seen = run(cache, REBOOTS)
    assert seen.ended == "lost", seen.detail
    assert "Restarting system" in seen.detail


def test_a_machine_that_hangs(cache: Path) -> None:
    seen = run(cache, HANGS)
    assert seen.ended == "hang", seen.detail


def test_no_init(cache: Path) -> None:
    seen = run(cache, ENDS, append="rdinit=/nothing init=/nothing")
    assert (seen.ended, seen.booted) == ("boot-failed", False)
    assert "Kernel panic - not syncing" in seen.detail


def test_no_time_to_boot(cache: Path) -> None:
    seen = run(cache, ENDS, boot_seconds=0.3)
    assert (seen.ended, seen.booted) == ("boot-failed", False)


def test_a_machine_that_can_not_be_had(cache: Path) -> None:
    seen = run(cache, ENDS, memory_mb=1 << 40)
    assert (seen.ended, seen.booted) == ("infrastructure", False)


def test_cancelling(cache: Path) -> None:
    file = cache / "loops.c"
    file.write_text(f"{INCLUDES}\n{LOOPS}")
    payload = prepare(file, cache).payload()
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    begin = time.monotonic()
    seen = run_machine(
        Path(KERNEL), build_initramfs(cache), payload, MachineConfig(), TCG,
        crash_sign=lambda _: False, cancel=cancel,
    )  # fmt: skip
    assert (seen.ended, seen.detail) == ("infrastructure", "cancelled")
    assert time.monotonic() - begin < 3


def test_two_at_a_time(cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(lambda source: run(cache, source), [ENDS, DIES, ENDS, DIES]))
    assert [one.exit_status for one in seen] == [3, 139, 3, 139]


def test_the_probe_names_an_accelerator_that_works(cache: Path) -> None:
    initramfs = build_initramfs(cache)
    acceleration = probe_acceleration(Path(KERNEL), initramfs)
    assert acceleration.why
    seen = run_machine(
        Path(KERNEL),
        initramfs,
        Payload((File("x", b"not a program"),), ("/tmp/x",)),
        MachineConfig(),
        acceleration,
        crash_sign=lambda _: False,
    )
    assert (seen.ended, seen.exit_status) == ("finished", 127)
    assert b"can't execute" in seen.output


def test_a_machine_is_left_at_its_crash(cache: Path) -> None:
    assert run(cache, ENDS, keep=True).kept is None
    kept = run(cache, PANICS, keep=True).kept
    assert kept is not None
    try:
        with socket.socket(socket.AF_UNIX) as gdb:
            gdb.settimeout(20)
            gdb.connect(str(kept.gdb))
            gdb.sendall(b"$?#3f")  # why did it stop?
            answer = b""
            while b"#" not in answer:
                answer += gdb.recv(100)
        assert answer.startswith(b"+$T")
    finally:
        end_kept(kept)
    assert not kept.gdb.parent.exists()
    assert wait_for(lambda: not alive(kept.pid))


def alive(group: int) -> bool:
    """Whether anything of a process group still runs."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, own = stat.read_text().rsplit(")", 1)[1].split()[:3]
            if own == str(group) and state != "Z":
                return True
    return False


def test_runs_from_a_snapshot(cache: Path) -> None:
    config, initramfs = MachineConfig(run_seconds=4, snapshot=3), build_initramfs(cache)
    taken = take_snapshot(Path(KERNEL), initramfs, config, TCG, cache / "state", crash_sign=lambda _: False)
    assert isinstance(taken, Snapshot), taken
    ends = []
    for source in (ENDS, PANICS, ENDS):
        file = cache / "snapshot.c"
        file.write_text(f"#define _GNU_SOURCE\n{INCLUDES}\n{source}")
        payload = prepare(file, cache).payload()
        seen = run_machine(
            Path(KERNEL), initramfs, payload, config, TCG, crash_sign=lambda _: False, snapshot=taken
        )  # fmt: skip
        assert seen.group == taken.name
        ends.append((seen.ended, seen.exit_status))
    assert ends == [("finished", 3), ("panic", None), ("finished", 3)]
    assert isinstance(
        take_snapshot(
            Path(KERNEL), initramfs, MachineConfig(snapshot=2, append="rdinit=/none init=/none"), TCG, cache / "no",
            crash_sign=lambda _: False,
        ),
        MachineRun,
    )  # fmt: skip


def test_kill_9_takes_the_machine_along(cache: Path) -> None:
    file = cache / "loops.c"
    file.write_text(f"{INCLUDES}\n{LOOPS}")
    kept = prepare(file, cache).files[0][1]
    marker = f"firstbad.test={os.getpid()}.{time.monotonic_ns()}"
    script = textwrap.dedent(f"""
        from pathlib import Path
        from firstbad.payload import *
        from firstbad.vm import *
        payload = Payload((File("x", Path({str(kept)!r}).read_bytes()),), ("/tmp/x",))
        run_machine(Path({KERNEL!r}), Path({str(build_initramfs(cache))!r}), payload,
                    MachineConfig(append={marker!r}), Acceleration("tcg", ""), crash_sign=lambda _: False)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert wait_for(lambda: len(processes_with(marker)) == 1), "no QEMU was started"
        time.sleep(1)
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: not processes_with(marker)), "QEMU outlived its parent"


def wait_for(condition: object, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def processes_with(marker: str) -> list[int]:
    """QEMU processes whose command line holds ``marker``."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                words = (directory / "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"qemu") and marker.encode() in words:
                found.append(int(directory.name))
    return found
