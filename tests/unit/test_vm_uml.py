"""User-mode Linux: its command line, what it is sent, how its probe tells a bad host from a bad kernel."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.test_vm_parts import unpack

from firstbad.errors import InfrastructureError, UserError
from firstbad.payload import File, Payload
from firstbad.vm import Acceleration, MachineConfig, probe_acceleration, run_machine, uml
from firstbad.vm.architecture import qemu_command

UML = Acceleration("uml", "")
_TRY = ("unshare", "--user", "--map-current-user", "--pid", "--fork", "true")
namespaces = pytest.mark.skipif(
    subprocess.run(_TRY, capture_output=True, check=False).returncode != 0,
    reason="no user namespaces here, as in a chroot and in some containers",
)


def test_the_command_line(tmp_path):
    config = MachineConfig(arch="um", memory_mb=300, append="a=b")
    words = uml.uml_command(Path("-linux"), Path("/i"), config, 7, tmp_path)
    assert words[:5] == ["setpriv", "--pdeathsig", "KILL", "--", "prlimit"]
    after = words[words.index("unshare") + 1 :]
    assert after[:5] == ["--user", "--map-current-user", "--pid", "--fork", "--kill-child"]
    assert str(Path.cwd() / "-linux") in words
    assert {"mem=300M", "initrd=/i", "ssl0=fd:7", "firstbad.port=ttyS0", "panic=-1", "noreboot"} <= set(words)
    assert words[-1] == "a=b"


def test_qemu_does_not_run_it():
    with pytest.raises(UserError, match="'um'"):
        qemu_command(Path("/k"), Path("/i"), MachineConfig(arch="um"), Acceleration("tcg", ""), 7)


def test_files_come_with_the_initramfs(tmp_path):
    first = tmp_path / "first"
    first.write_bytes(b"12345")
    payload = Payload((File("repro", b"program"), File("/etc/a/b", b"text", 0o644)), ("/tmp/repro", "x"), (("K", "v"),))
    with uml.packed(first, payload) as (both, rest):
        data = both.read_bytes()
        assert (data[:8], rest) == (b"12345\0\0\0", Payload((), payload.command, payload.environment))
        files = unpack(data[8:])
    assert {name: oct(mode & 0o7777) for name, (mode, _) in files.items()} == {
        "etc": "0o755",
        "etc/a": "0o755",
        "tmp": "0o1777",
        "tmp/repro": "0o755",
        "etc/a/b": "0o644",
    }
    assert files["tmp/repro"][1] == b"program"
    assert not both.exists()


def test_a_command_that_its_line_would_not_take(tmp_path):
    first = tmp_path / "first"
    first.touch()
    with pytest.raises(ValueError, match="too long"), uml.packed(first, Payload((), ("/x", "y" * 4000))):
        pass


def kernel(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "linux"
    path.write_text(f"#!{sys.executable} -SE\nimport os, sys, time\n{script}")
    path.chmod(0o755)
    return path


@namespaces
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("print('ptrace set fp regs failed, errno = 14', flush=True); os.abort()", "ptrace set fp regs failed"),
        ("sys.exit('no memory file')", "no memory file"),
    ],
)
def test_a_host_that_can_not_run_it_is_said(tmp_path, script, says):
    path = kernel(tmp_path, script)
    with pytest.raises(InfrastructureError, match=rf'{says}.*machine.backend = "qemu"'):
        probe_acceleration(path, path, "um")


@namespaces
def test_a_kernel_that_panics_does_not_condemn_the_host(tmp_path):
    path = kernel(tmp_path, "print('Kernel panic - not syncing: oh no', flush=True); os.abort()")
    found = probe_acceleration(path, path, "um")
    assert found.name == "uml"
    assert "oh no" in found.why


def test_a_kernel_that_is_no_program_is_said(tmp_path):
    path = tmp_path / "linux"
    path.touch()
    with pytest.raises(UserError, match="not executable"):
        run_machine(path, path, Payload((), ("/x",)), MachineConfig(arch="um"), UML, crash_sign=lambda _: False)


@namespaces
def test_a_panic_at_boot_is_a_boot_failure_although_it_ends_by_a_signal(tmp_path):
    path = kernel(tmp_path, "print('Kernel panic - not syncing: oh no', flush=True); os.abort()")
    seen = run_machine(path, path, Payload((), ("/x",)), MachineConfig(arch="um"), UML, crash_sign=lambda _: False)
    assert (seen.ended, seen.booted) == ("boot-failed", False)
    assert "oh no" in seen.detail
