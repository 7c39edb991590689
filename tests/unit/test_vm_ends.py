"""Every kind of end, with a program that plays QEMU: on its stdout (console), stderr and control socket."""

import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.daemons import wait_for

from firstbad.errors import InfrastructureError, NotFoundError
from firstbad.payload import File, Payload
from firstbad.vm import Acceleration, MachineConfig, MachineRun, probe, run_machine, watcher

TCG = Acceleration("tcg", "")
PAYLOAD = Payload((File("x", b"program"),), ("/tmp/x",))

PLAYER = r"""
import os, signal, socket, struct, sys, time
words = sys.argv
after = dict(zip(words, words[1:]))
behaviour = after["-append"].split()[-1]
control = socket.socket(fileno=int(after["-chardev"].split("fd=")[1]))

def say(text): os.write(1, text.encode() + b"\r\n")
def send(kind, payload=b""): control.sendall(struct.pack("<cI", kind, len(payload)) + payload)
def take():
    head = control.recv(5, socket.MSG_WAITALL)
    if len(head) < 5: time.sleep(100)
    kind, size = struct.unpack("<cI", head)
    return kind, control.recv(size, socket.MSG_WAITALL) if size else b""
def answer():
    assert take() == (b"p", b"")
    send(b"P")
def sleep(): time.sleep(100)

say("[    0.0] Linux version 0")
if behaviour == "at-once":  # everything is there before the other side reads any of it
    send(b"H", b"\x020"); send(b"S"); say("CRASH"); say("Kernel panic - not syncing: at once"); sys.exit(0)
if behaviour == "no-qemu":
    os.write(2, b"qemu: cannot set up guest memory\n"); sys.exit(1)
if behaviour == "kvm-error":
    os.write(2, b"KVM internal error. Suberror: 1\n"); sleep()
if behaviour == "boot-panic":
    say("[    0.1] Kernel panic - not syncing: no init"); sys.exit(0)
if behaviour == "boot-hang": sleep()
if behaviour == "boot-splat":
    say("CRASH early"); sleep()
if behaviour == "no-port":
    say("firstbad-init: no virtio-serial port"); sys.exit(0)
if behaviour == "old-init": send(b"H", b"6.12"); sleep()
if behaviour == "boot-killed": os.kill(os.getpid(), signal.SIGKILL)
send(b"H", b"\x020")
if behaviour == "deaf": sleep()
kind, file = take()
assert kind == b"F"
program = file[8 + struct.unpack_from("<I", file, 4)[0]:]
assert take() == (b"C", struct.pack("<II", 1, 0) + b"/tmp/x\0")
send(b"S")
if behaviour == "panic":
    say("CRASH"); say("[ 2.0] Kernel panic - not syncing: Fatal exception"); sys.exit(0)
if behaviour == "late-panic":
    say("CRASH"); time.sleep(0.3); say("the rest"); say("Kernel panic - not syncing: late"); sys.exit(0)
if behaviour == "panic-stays":
    say("Kernel panic - not syncing: and stays"); sleep()
if behaviour == "crash": say("CRASH"); sleep()
if behaviour == "chatty-crash":
    while True: say("CRASH"); time.sleep(0.02)
if behaviour == "crash-reset": say("CRASH"); sys.exit(0)
if behaviour == "half-line": os.write(1, b"CRASH"); sys.exit(0)
if behaviour == "reboot": say("[ 1.0] reboot: Restarting system"); sys.exit(0)
if behaviour == "reset": sys.exit(0)
if behaviour == "killed": os.kill(os.getpid(), signal.SIGKILL)
if behaviour == "qemu-dies": os.write(2, b"qemu: fatal: no\n"); sys.exit(1)
if behaviour in ("hang", "sleeps"): sleep()
if behaviour == "timeout": answer(); sleep()
if behaviour == "garbage": control.sendall(b"\xff" * 64); sleep()
if behaviour == "strange": send(b"?"); sleep()
send(b"O", b"said " + program)
send(b"X", struct.pack("<I", 7 << 8))
if behaviour == "orphans": answer(); sleep()
send(b"D")
if behaviour == "dies-after": sleep()
if behaviour == "leaves-a-child" and os.fork(): os._exit(0)
if behaviour == "leaves-a-child": sleep()
if behaviour == "crash-after": say("CRASH"); sleep()
if behaviour == "half-overtaken":
    take(); os.write(1, b"CRA"); os.write(1, b"SH: the fir"); send(b"P")
    time.sleep(0.2); say("st line"); say("the rest"); sleep()
if behaviour == "overtaken": take(); say("CRASH"); send(b"P"); sleep()
answer()
sleep()
"""


@pytest.fixture(autouse=True)
def fake_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -SE\n{PLAYER}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(watcher, "GRACE_QUIET", 0.4)
    monkeypatch.setattr(watcher, "GRACE_TOTAL", 0.8)


def play(tmp_path: Path, behaviour: str, **more: object) -> MachineRun:
    kernel = tmp_path / "kernel"
    kernel.touch()
    quick = {"boot_seconds": 10, "run_seconds": 10, "settle_seconds": 0.05, "answer_seconds": 10}
    if behaviour in ("boot-hang", "deaf"):
        quick["boot_seconds"] = 0.4
    if behaviour in ("hang", "timeout", "orphans"):
        quick["run_seconds"] = 0.2
    if behaviour in ("hang", "dies-after"):
        quick["answer_seconds"] = 0.2
    quick["answer_seconds"] = more.pop("answer_seconds", quick["answer_seconds"])
    return run_machine(
        kernel, kernel, PAYLOAD, MachineConfig(append=behaviour, **quick), TCG,
        crash_sign=lambda text: b"CRASH" in text, **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("behaviour", "ended", "booted", "detail"),
    [
        ("no-qemu", "infrastructure", False, "cannot set up guest memory"),
        ("kvm-error", "infrastructure", False, "KVM internal error"),
        ("boot-panic", "boot-failed", False, "Kernel panic - not syncing: no init"),
        ("boot-hang", "boot-failed", False, "Linux version 0"),
        ("boot-splat", "boot-failed", False, "CRASH early"),
        ("old-init", "infrastructure", False, "version 36 of the protocol"),
        ("boot-killed", "lost", False, "signal 9"),
        ("no-port", "boot-failed", False, "no virtio-serial port"),
        ("deaf", "boot-failed", False, "not up in time"),
        ("panic", "panic", True, "Fatal exception"),
        ("at-once", "panic", True, "at once"),
        ("late-panic", "panic", True, "late"),
        ("panic-stays", "panic", True, "and stays"),
        ("crash", "crash", True, "did not panic"),
        ("chatty-crash", "crash", True, "did not panic"),
        ("crash-reset", "panic", True, "reset itself after a crash"),
        ("half-line", "panic", True, "reset itself after a crash"),
        ("reboot", "lost", True, "Restarting system"),
        ("reset", "lost", True, "triple fault"),
        ("killed", "lost", True, "signal 9"),
        ("qemu-dies", "infrastructure", True, "qemu: fatal: no"),
        ("hang", "hang", True, "no longer answered"),
        ("timeout", "timeout", True, "still ran"),
        ("garbage", "infrastructure", True, "control channel"),
        ("strange", "infrastructure", True, "unknown type"),
        ("orphans", "timeout", True, "still ran"),
        ("dies-after", "hang", True, "no longer answered"),
        ("crash-after", "crash", True, "did not panic"),
        ("overtaken", "crash", True, "did not panic"),
        ("half-overtaken", "crash", True, "did not panic"),
        ("finishes", "finished", True, "ended by itself"),
    ],
)
def test_ends(tmp_path: Path, behaviour: str, ended: str, booted: bool, detail: str) -> None:
    seen = play(tmp_path, behaviour)
    assert (seen.ended, seen.booted) == (ended, booted), seen.detail
    assert detail in seen.detail
    assert "\n" not in seen.detail
    assert seen.console.startswith(b"[    0.0] Linux version 0\r\n")


def test_what_a_finished_run_tells(tmp_path: Path) -> None:
    seen = play(tmp_path, "finishes", console_path=tmp_path / "console")
    assert (seen.exit_status, seen.output) == (7, b"said program")
    assert (tmp_path / "console").read_bytes() == seen.console
    assert 0 < seen.boot_seconds < 5
    assert 0 <= seen.run_seconds < 5


def test_the_main_process_status_is_known_although_its_children_run_on(tmp_path: Path) -> None:
    assert play(tmp_path, "orphans").exit_status == 7


def test_the_rest_of_a_report_is_waited_for(tmp_path: Path) -> None:
    seen = play(tmp_path, "late-panic")
    assert b"the rest" in seen.console
    assert seen.run_seconds < 0.25  # to the sign, not to the end of the report


def test_a_report_that_begins_at_the_end_is_waited_for(tmp_path: Path) -> None:
    assert play(tmp_path, "half-overtaken").console.endswith(b"CRASH: the first line\r\nthe rest\r\n")


def test_a_console_file_that_can_not_be_written_is_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="can't write the console"):
        play(tmp_path, "finishes", console_path=tmp_path / "none" / "console")


def test_cancelling_ends_the_machine(tmp_path: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    begin = time.monotonic()
    seen = play(tmp_path, "sleeps", cancel=cancel)
    assert (seen.ended, seen.detail) == ("infrastructure", "cancelled")
    assert time.monotonic() - begin < 5


def test_nothing_is_left_when_the_sign_function_fails(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.touch()

    def fails(_: bytes) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_machine(kernel, kernel, PAYLOAD, MachineConfig(append="hang"), TCG, crash_sign=fails)
    marked = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(kernel).encode() in read(p)]
    assert marked == []


def test_what_a_machine_that_has_ended_left_behind_is_ended(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    play(tmp_path, "leaves-a-child", answer_seconds=0.2)
    # It is nobody's child that we could wait for: killed, but maybe not yet gone.
    mark = str(kernel).encode()
    wait_for(lambda: not any(mark in read(p) for p in Path("/proc").glob("[0-9]*/cmdline")), 30)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = MachineConfig()
    with pytest.raises(NotFoundError, match="no such kernel image"):
        run_machine(tmp_path / "none", tmp_path, PAYLOAD, config, TCG, crash_sign=lambda _: False)
    kernel = tmp_path / "kernel"
    kernel.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFoundError, match="apt-get install qemu-system-x86"):
        run_machine(kernel, kernel, PAYLOAD, config, TCG, crash_sign=lambda _: False)


def test_the_probe_without_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_KVM", tmp_path / "none")
    assert probe.probe_acceleration(tmp_path, tmp_path).name == "tcg"


@pytest.mark.parametrize(("behaviour", "name"), [("kvm-error", "tcg"), ("finishes", "kvm")])
def test_the_probe_believes_only_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, name: str
) -> None:
    kernel = tmp_path / "kernel"
    kernel.touch()
    monkeypatch.setattr(probe, "_KVM", kernel)
    fake = tmp_path / "bin" / "qemu-system-x86_64"
    fake.write_text(fake.read_text().replace('after["-append"].split()[-1]', repr(behaviour)))
    found = probe.probe_acceleration(kernel, kernel)
    assert found.name == name
    assert ("KVM internal error" in found.why) == (name == "tcg")
