"""User-mode Linux: the kernel is a program of this host, fast where no KVM is, with one processor and its own oopses.

It is no wall against a hostile guest as QEMU is: its programs are this user's processes under ptrace. Hence the
namespaces: when the kernel's process ends, whatever it traced ends too, instead of running on as a host program.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from firstbad.payload import DIRECTORY, Payload
from firstbad.scratch import scratch
from firstbad.vm import cpio
from firstbad.vm.architecture import architecture
from firstbad.vm.limits import MachineConfig
from firstbad.vm.protocol import frames_of

LINE = "ttyS0"
"""The serial line that is the control channel; our init is told by ``firstbad.port=``."""

GAP_MB = 4096
COMMAND_LONGEST = 3000

FAULTS = (b"ptrace set fp regs failed", b"ptrace set regs failed", b"check_ptrace", b"failed to create", b"mmap failed")
"""What user-mode Linux says where the host can't run it. The first: before v6.13 its buffer for the processor's state
is too small for CPUs with AMX (errno = 14)."""


def uml_command(kernel: Path, initramfs: Path, config: MachineConfig, control: int, place: Path) -> list[str]:
    """The command line: console on stdout, control channel on the inherited socket ``control`` (its number).

    ``place`` is a directory for what it leaves behind. Processors beyond the first are not to be had.
    """
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        # Its memory is a sparse file without a name, with a gap of the size of its address space randomization.
        *("prlimit", "--core=0", f"--fsize={(config.memory_mb + GAP_MB) << 20}", "--"),
        *("unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--"),
        str(kernel.absolute()),
        f"mem={config.memory_mb}M",
        f"initrd={initramfs.absolute()}",
        f"uml_dir={place}/",
        "noreboot",
        *("con0=null,fd:1", "con=null", f"ssl0=fd:{control}", "ssl=null"),
        f"firstbad.port={LINE}",
        *architecture(config.arch).append,
        *config.append.split(),
    ]


@contextmanager
def packed(initramfs: Path, payload: Payload) -> Iterator[tuple[Path, Payload]]:
    """An initramfs that holds the payload's files too, and the payload without them.

    Its serial line takes no more than 4 KiB at a time: once it was throttled it never hears again (6.1, 6.12:
    ``line_throttle`` takes the line from epoll, ``line_unthrottle`` does not put it back). Raises ValueError for a
    command that is too long for that.
    """
    rest = Payload((), payload.command, payload.environment)
    if len(frames_of(rest)) > COMMAND_LONGEST:
        raise ValueError(f"a command of more than {COMMAND_LONGEST} bytes is too long for user-mode Linux")
    directories = {parent for file in payload.files for parent in PurePosixPath(file.path).parents}
    entries = [
        cpio.directory(str(path)[1:], 0o1777 if str(path) == DIRECTORY else 0o755) for path in sorted(directories)[1:]
    ]
    entries += [cpio.executable(file.path[1:], file.data, file.mode & 0o7777) for file in payload.files]
    first = initramfs.read_bytes()
    with scratch() as place:
        both = place / "initramfs"
        # An archive after another one begins at a multiple of 4 bytes (init/initramfs.c, unpack_to_rootfs).
        both.write_bytes(first + b"\0" * (-len(first) % 4) + cpio.archive(entries))
        yield both, rest
