"""Machines with a disk: QEMU's options, and what is done by ssh (played; the real one is in tests/integration)."""

import shutil
import sys
from pathlib import Path

import pytest

from firstbad.errors import NotFoundError
from firstbad.payload import File, Payload
from firstbad.vm import Acceleration, MachineConfig, run_machine
from firstbad.vm.architecture import qemu_command
from firstbad.vm.limits import Disk
from firstbad.vm.ssh import disk_options, root_parameters

TCG = Acceleration("tcg", "")
# Says what a kernel says and then waits; "dies" when a file tells it to.
QEMU = """
import pathlib, sys, time
print("Linux version 0", flush=True)
while not pathlib.Path(sys.argv[0]).with_name("panic").exists():
    time.sleep(0.02)
print("Kernel panic - not syncing: by ssh", flush=True)
"""
# Runs on this host what a machine would be told, for a machine that comes up at the third call.
SSH = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
[ $(wc -l < "$here/calls") -lt "$(cat "$here/up")" ] && { echo "Connection refused" >&2; exit 255; }
for last; do :; done
exec sh -c "$last"
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, text in (("qemu-system-x86_64", f"#!{sys.executable} -SE\n{QEMU}"), ("ssh", SSH)):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (directory / "up").write_text("3")
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    for name in ("kernel", "disk"):
        (tmp_path / name).write_bytes(b"\0" * 512)
    return directory


def play(tmp_path: Path, script: str, **limits: float):
    program = File(str(tmp_path / "in the machine" / "repro"), f"#!/bin/sh\n{script}".encode(), 0o750)
    payload = Payload((program,), (program.path, "a b", "c'd"), (("KEY", "v w"),))
    times = {"boot_seconds": 20, "run_seconds": 20, "settle_seconds": 0.05, "answer_seconds": 5, **limits}
    config = MachineConfig(disk=Disk(tmp_path / "disk", tmp_path / "key"), **times)
    kernel = tmp_path / "kernel"
    return run_machine(kernel, kernel, payload, config, TCG, crash_sign=lambda _: False)


def test_a_run(machine, tmp_path):
    seen = play(tmp_path, 'echo "$KEY/$1/$2"; pwd; exit 7')
    assert (seen.ended, seen.exit_status) == ("finished", 7), seen.detail
    assert seen.output == b"v w/a b/c'd\n/tmp\n"
    calls = (machine / "calls").read_text().splitlines()
    assert all(f"-i {tmp_path}/key " in call and "BatchMode=yes" in call and "root@127.0.0.1" in call for call in calls)
    assert (tmp_path / "in the machine" / "repro").stat().st_mode & 0o7777 == 0o750


def test_the_end_of_the_time(machine, tmp_path):
    seen = play(tmp_path, "echo going; exec sleep 100", run_seconds=1)
    assert (seen.ended, seen.exit_status, seen.output) == ("timeout", None, b"going\n"), seen.detail


def test_a_crash_is_what_the_console_says(machine, tmp_path):
    seen = play(tmp_path, f"touch {machine}/panic; exec sleep 100")
    assert (seen.ended, seen.booted) == ("panic", True), seen.detail
    assert "by ssh" in seen.detail


def test_a_lost_connection_is_no_end_of_the_reproducer(machine, tmp_path):
    seen = play(tmp_path, f"echo 99 > {machine}/up; exit 255", run_seconds=1, answer_seconds=1)
    assert (seen.ended, seen.exit_status) == ("hang", None), seen.detail


def test_a_machine_that_ssh_does_not_reach(machine, tmp_path):
    (machine / "up").write_text("999")
    seen = play(tmp_path, "true", boot_seconds=1)
    assert (seen.ended, seen.booted) == ("boot-failed", False)
    assert "ssh: Connection refused" in seen.detail


def test_a_flood_of_output_is_cut(machine, tmp_path):
    seen = play(tmp_path, "yes | head -c 3000000; echo end")
    assert seen.ended == "finished", seen.detail
    assert len(seen.output) == 4096
    assert seen.output.endswith(b"y\nend\n")


def test_no_ssh_is_said(machine, tmp_path, monkeypatch):
    (machine / "ssh").unlink()
    (machine / "setpriv").symlink_to(shutil.which("setpriv"))
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(NotFoundError, match="apt-get install openssh-client"):
        play(tmp_path, "true")


def test_options(tmp_path):
    raw, cow, parted = tmp_path / "a,b.raw", tmp_path / "b.qcow2", tmp_path / "c.raw"
    raw.write_bytes(b"\0" * 512)
    cow.write_bytes(b"QFI\xfb" + b"\0" * 508)
    parted.write_bytes(b"\0" * 450 + b"\x83" + b"\0" * 59 + b"\x55\xaa")
    words = disk_options(Disk(raw), 4242)
    assert words[1] == f"file={tmp_path}/a,,b.raw,format=raw,if=none,id=disk,snapshot=on"
    assert "restrict=on,hostfwd=tcp:127.0.0.1:4242-:22" in words[5]
    assert "format=qcow2" in disk_options(Disk(cow), 1)[1]
    assert root_parameters(Disk(raw)).startswith("root=/dev/vda rw")
    assert root_parameters(Disk(parted)).startswith("root=/dev/vda1 rw")
    assert root_parameters(Disk(parted, root="/dev/vda3")).startswith("root=/dev/vda3 rw")
    command = qemu_command(Path("/k"), Path("/i"), MachineConfig(disk=Disk(raw)), TCG, 7, None, 4242)
    assert "-initrd" not in command
    assert not [word for word in command if "virtserialport" in word]
    assert "root=/dev/vda" in command[command.index("-append") + 1].split()
