"""User-mode Linux for real: Debian's kernel (apt-get install user-mode-linux), since nothing has to be built for it."""

import shutil
import time
from pathlib import Path

import pytest
from tests.integration.test_vm import DIES, ENDS, INCLUDES, LEAVES_A_CHILD, LOOPS, PANICS, REBOOTS

from firstbad.crash import first_sign
from firstbad.errors import InfrastructureError
from firstbad.repro import prepare
from firstbad.vm import Acceleration, MachineConfig, build_initramfs, probe_acceleration, run_machine

pytestmark = pytest.mark.kernel

FORKS = "int main(void) { for (;;) fork(); }"
SYSRQ = 'int main(void) { write(open("/proc/sysrq-trigger", O_WRONLY), "c", 1); for (;;); }'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("uml")


@pytest.fixture(scope="module")
def kernel(place):
    path = shutil.which("linux.uml")
    if path is None:
        pytest.skip("no kernel to run: apt-get install user-mode-linux")
    try:
        how = probe_acceleration(Path(path), build_initramfs(place, arch="um"), "um")
    except InfrastructureError as error:
        pytest.skip(str(error))
    assert "boots to userspace" in how.why
    return Path(path)


@pytest.mark.parametrize(
    ("source", "ended", "status"),
    [
        (ENDS, "finished", 3),
        (DIES, "finished", 139),
        (LEAVES_A_CHILD, "finished", 0),
        (LOOPS, "timeout", None),
        (FORKS, "timeout", None),
        (REBOOTS, "lost", None),
        (PANICS, "panic", None),
        (SYSRQ, "panic", None),
    ],
)
def test_ends(place, kernel, source, ended, status):
    file = place / "repro.c"
    file.write_text(f"#define _GNU_SOURCE\n{INCLUDES}\n{source}")
    marker = f"firstbad.test={time.monotonic_ns()}"
    config = MachineConfig(arch="um", memory_mb=256, run_seconds=20 if source == LEAVES_A_CHILD else 3, append=marker)
    seen = run_machine(
        kernel, build_initramfs(place, arch="um"), prepare(file, place).payload(), config, Acceleration("uml", ""),
        crash_sign=first_sign,
    )  # fmt: skip
    assert (seen.ended, seen.booted, seen.exit_status) == (ended, True, status), seen.detail
    assert seen.output == {ENDS: b"so far so good\n", LOOPS: b"looping\n"}.get(source, b"")
    time.sleep(0.5)
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in words(path)]


def test_no_init(place, kernel):
    config = MachineConfig(arch="um", memory_mb=256, append="rdinit=/none init=/none")
    file = place / "ends.c"
    file.write_text(f"{INCLUDES}\n{ENDS}")
    seen = run_machine(
        kernel, build_initramfs(place, arch="um"), prepare(file, place).payload(), config, Acceleration("uml", ""),
        crash_sign=first_sign,
    )  # fmt: skip
    assert (seen.ended, seen.booted) == ("boot-failed", False)
    assert "Kernel panic" in seen.detail


def words(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
