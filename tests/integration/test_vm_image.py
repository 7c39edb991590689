"""A machine with a disk image and ssh, on Debian's own kernel: needs an image, which support/make_image.sh makes."""

import os
from pathlib import Path

import pytest

from firstbad.crash import first_sign
from firstbad.repro import prepare
from firstbad.vm import Acceleration, MachineConfig, run_machine
from firstbad.vm.limits import Disk

pytestmark = [pytest.mark.kernel, pytest.mark.optional]

ENDS = '#include <stdio.h>\nint main(void) { puts("so far so good"); return 3; }'
LOOPS = "int main(void) { for (;;); }"
PANICS = """
#include <fcntl.h>
#include <unistd.h>
int main(void) { write(open("/proc/sysrq-trigger", O_WRONLY), "c", 1); for (;;); }
"""


@pytest.fixture
def image() -> Path:
    if not os.environ.get("FIRSTBAD_TEST_IMAGE"):
        pytest.skip("FIRSTBAD_TEST_IMAGE names no directory with an image; tests/support/make_image.sh makes one")
    return Path(os.environ["FIRSTBAD_TEST_IMAGE"])


@pytest.mark.parametrize(
    ("source", "ended", "status", "key"),
    [
        (ENDS, "finished", 3, True),
        (ENDS, "finished", 3, False),
        (LOOPS, "timeout", None, True),
        (PANICS, "panic", None, True),
    ],
)
def test_ends(image, tmp_path, source, ended, status, key):
    file = tmp_path / "repro.c"
    file.write_text(source)
    disk = Disk(image / "disk.raw", image / "key" if key else None, "", image / "initrd.img")
    before = (image / "disk.raw").stat().st_mtime_ns
    seen = run_machine(
        image / "vmlinuz",
        image / "initrd.img",
        prepare(file, tmp_path).payload(),
        MachineConfig(boot_seconds=180, run_seconds=4, answer_seconds=20, disk=disk),
        Acceleration("tcg", ""),
        crash_sign=first_sign,
    )
    assert (seen.ended, seen.booted, seen.exit_status) == (ended, True, status), seen.detail
    assert b"Linux version" in seen.console
    assert seen.output == (b"so far so good\n" if source == ENDS else b"")
    assert (image / "disk.raw").stat().st_mtime_ns == before
