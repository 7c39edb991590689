"""Machines that are left for a debugger, QEMU played (the real one is in tests/integration); which of a job's is."""

import os
import sys
import time
from pathlib import Path

import pytest
from tests.support.lab import Lab
from tests.unit.test_session import bisect, contains, history, job_for, place  # noqa: F401 - fixtures

from firstbad.cli.live import kept_lines
from firstbad.errors import UserError
from firstbad.payload import Payload
from firstbad.vm import Acceleration, MachineConfig, MachineRun, end_kept, run_machine
from firstbad.vm.limits import Kept

# Panics at once; speaks the machine protocol unless it is told to be deaf.
QEMU = """
import json, socket, sys, time
after = dict(zip(sys.argv, sys.argv[1:]))
chardevs = [after_ for option, after_ in zip(sys.argv, sys.argv[1:]) if option == "-chardev"]
number = next(word.split("fd=")[1] for word in chardevs if "id=monitor" in word)
channel = socket.socket(fileno=int(number))
monitor, commands = channel.makefile("w"), channel.makefile("r")
how = after["-append"].split()[-1]
if how != "fine": print("Kernel panic - not syncing: kept", flush=True)
if how == "deaf": time.sleep(60)
print(json.dumps({"QMP": {}}), file=monitor, flush=True)
for line in commands:
    print(json.dumps({"return": {}}), file=monitor, flush=True)
time.sleep(60)
"""


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -SE\n{QEMU}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr("firstbad.vm.watcher.GRACE_QUIET", 0.2)
    return program


def play(tmp_path: Path, how: str) -> MachineRun:
    kernel = tmp_path / "kernel"
    kernel.touch()
    config = MachineConfig(keep=True, append=how, boot_seconds=1)
    tcg = Acceleration("tcg", "")
    return run_machine(kernel, kernel, Payload((), ("/x",)), config, tcg, crash_sign=lambda _: False)


def test_a_machine_that_crashed_is_left(qemu, tmp_path):
    seen = play(tmp_path, "panics")
    kept = seen.kept
    assert seen.ended == "boot-failed"
    assert kept is not None
    try:
        words = Path(f"/proc/{kept.pid}/cmdline").read_bytes().split(b"\0")
        assert words[0] == b"timeout", "something bounds its life"
        assert f"unix:{kept.gdb},server=on,wait=off".encode() in words
        append = words[words.index(b"-append") + 1].split()
        assert append.index(b"panic=0") > append.index(b"panic=-1")
    finally:
        end_kept(kept)
    end = time.monotonic() + 5
    while Path(f"/proc/{kept.pid}/cmdline").read_bytes() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{kept.pid}/cmdline").read_bytes()
    assert not kept.gdb.parent.exists()


def test_one_that_can_not_be_stopped_is_ended(qemu, tmp_path, monkeypatch):
    monkeypatch.setattr("firstbad.vm.monitor.ANSWER_SECONDS", 1.0)
    assert play(tmp_path, "deaf").kept is None


class Keeps(Lab):
    """Leaves a machine at every run that is asked to; they are this process's own idle children."""

    def run(self, request):
        done = super().run(request)
        seen = done.result()
        if request.machine.keep and seen.ended == "panic":
            pid = os.posix_spawn("/usr/bin/sleep", ["sleep", "60"], {}, setsid=True)
            self.left.append(pid)
            done = type(done)()
            done.set_result(MachineRun(**{**vars(seen), "kept": Kept(pid, self.directory / str(pid) / "gdb")}))
        return done


def test_the_first_machine_that_shows_the_bug_stays(history, place, tmp_path):  # noqa: F811
    lab = Keeps(tmp_path, contains(history, "c33"), stranger_rate=0.3)
    lab.left = []
    job = job_for(history, machine={"keep": True}, good=[history.commits["c22"]], title=OOPS_TITLE)
    _, store, number = bisect(place, job, lab)
    kept = [event for event in store.events(number) if event.kind == "kept"]
    assert len(kept) == 1
    pid = kept[0].data["pid"]
    assert pid in lab.left
    assert len(lab.left) > 1
    try:
        for other in lab.left:
            status = os.waitpid(other, os.WNOHANG)
            assert (status[0] == 0) == (other == pid), "the others are ended"
        assert f"kill {pid}" in kept_lines(kept[0])
        assert f"target remote {kept[0].data['gdb']}" in kept_lines(kept[0])
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


OOPS_TITLE = "BUG: unable to handle kernel NULL pointer dereference in demo_read"


def test_user_mode_linux_can_not_be_kept(history):  # noqa: F811
    with pytest.raises(UserError, match=r"machine.keep is for machines of QEMU"):
        job_for(history, machine={"keep": True, "backend": "uml"})
