"""What a run in a machine is given, and what it comes back with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Ended = Literal["finished", "timeout", "panic", "crash", "boot-failed", "hang", "lost", "infrastructure"]
"""How a run ended.

- ``finished``: the reproducer and everything it started ended by themselves, and the machine lived on;
- ``timeout``: something of the reproducer still ran at the limit, and the machine answered a ping;
- ``hang``: at the limit, or after the reproducer's end, the machine no longer answered;
- ``panic``: the kernel panicked, or the machine ended by itself after a crash sign;
- ``crash``: a crash sign on the console, and the machine went on (we ended it);
- ``boot-failed``: ended, crashed or hung before the reproducer could be started;
- ``lost``: the machine ended without a word about why (rebooted by a program, triple fault, QEMU killed);
- ``infrastructure``: QEMU failed or could not start, or the run was cancelled: says nothing about the kernel.
"""


@dataclass(frozen=True)
class Watched:
    """Functions of which a run is to tell whether they ran: name to the addresses of its copies, as the kernel was
    linked, the most telling first; once that one ran the others are no longer watched. ``text``: address of ``_stext``.
    """

    functions: Mapping[str, tuple[int, ...]]
    text: int


@dataclass(frozen=True)
class Disk:
    """A disk image to boot in place of our initramfs: raw or qcow2, never written to, with an sshd that lets root in.

    ``key``: private key, None: without a password. ``root``: device of the root file system, empty: found out.
    ``initramfs``: the image's own, where its kernel needs one.
    """

    image: Path
    key: Path | None = None
    root: str = ""
    initramfs: Path | None = None


@dataclass(frozen=True)
class MachineConfig:
    """The machine of a run: its size, further kernel parameters, and limits in seconds.

    ``settle_seconds`` is how long the console is watched after the reproducer's end: work queues and
    RCU callbacks may crash a moment later.
    """

    cpus: int = 2
    memory_mb: int = 512
    append: str = ""
    boot_seconds: float = 60
    run_seconds: float = 30
    arch: str = "x86_64"
    settle_seconds: float = 0.3
    answer_seconds: float = 10
    watched: Watched | None = None
    disk: Disk | None = None
    snapshot: int = 0
    """So many runs share one boot; 0 and 1: none do."""
    keep: bool = False
    """If it crashes or hangs: leave it as it is, stopped, with a debug port (see :class:`Kept`)."""


@dataclass(frozen=True)
class Kept:
    """A machine that was left: QEMU's process group, and the Unix socket at which gdb finds it."""

    pid: int
    gdb: Path


@dataclass(frozen=True)
class Snapshot:
    """A booted machine in a file; ``name`` is the group of its runs, ``place`` where its kernel lies."""

    path: Path
    name: str
    place: int | None = None


@dataclass(frozen=True)
class Acceleration:
    """How machines run: which accelerator QEMU uses, or as user-mode Linux; and a sentence for people that says why."""

    name: Literal["kvm", "tcg", "uml"]
    why: str


@dataclass(frozen=True)
class MachineRun:
    """What one run showed.

    ``booted``: the machine came up and the reproducer was started. ``console``: everything the kernel printed
    (the middle left out when far too long). ``exit_status`` of the reproducer's main process as a shell would
    say it, 128 + signal when killed; None when it did not end. ``boot_seconds`` from QEMU's start to the
    first word of our init (to the end where it never spoke); ``run_seconds`` from the reproducer's start to
    its end, to the crash sign or to the limit. ``output``: the last few KB of what the reproducer printed,
    where the machine lived to tell. ``detail``: one line for people. ``ran``: of the watched functions, whether each
    ran before the end; empty where that is not known; one that was no longer watched when the first ran is left out.
    ``calls``: of a traced run the different system calls, each with its number, what it was about and its error (0: it
    worked), as far as it came.
    """

    ended: Ended
    booted: bool
    console: bytes
    exit_status: int | None
    boot_seconds: float
    run_seconds: float
    detail: str
    output: bytes = b""
    ran: Mapping[str, bool] = field(default_factory=dict)
    calls: frozenset[tuple[int, str, int]] = frozenset()
    kept: Kept | None = None
    group: str = ""
    """Runs with the same group began in the same state."""
