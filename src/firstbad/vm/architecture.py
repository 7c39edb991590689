"""How QEMU plays each architecture's machine: reads ``machines.toml``."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from firstbad.errors import UserError
from firstbad.packaged import read_toml
from firstbad.vm.keep import STAYS, Keeper
from firstbad.vm.limits import Acceleration, MachineConfig
from firstbad.vm.ssh import disk_options, root_parameters


@dataclass(frozen=True)
class Architecture:
    """One table of ``machines.toml``, where the fields are explained."""

    name: str
    cross: str
    cross_package: str
    qemu: str
    package: str
    machine: str
    cpu: dict[str, str]
    devices: tuple[str, ...]
    append: tuple[str, ...]
    programs: str
    """The architecture of the programs that run in it, named as ``uname -m`` names it."""
    pc: int = 0
    watches: dict[str, int] = field(default_factory=dict)

    @property
    def is_program(self) -> bool:
        """Whether the kernel is run as a program of this host (user-mode Linux)."""
        return not self.qemu

    @property
    def compiler(self) -> str:
        """What compiles a program for the guest on this host."""
        return "gcc" if platform.machine() == self.programs else f"{self.cross}gcc"


@cache
def _tables() -> dict[str, Architecture]:
    tables = read_toml(__package__, "machines.toml")
    every = tables.pop("all")["append"]
    return {name: _architecture(name, table, every) for name, table in tables.items()}


def _architecture(name: str, table: dict[str, Any], every: list[str]) -> Architecture:
    lists = {"devices": tuple(table["devices"]), "append": (*every, *table["append"])}
    return Architecture(**{"name": name, "programs": name, **table, **lists})


def architecture(name: str) -> Architecture:
    """The machine of one architecture, named as ``uname -m`` names it.

    Raises UserError for one that ``machines.toml`` does not describe.
    """
    try:
        return _tables()[name]
    except KeyError:
        known = ", ".join(sorted(_tables()))
        raise UserError(f"no machine of architecture {name!r} (known: {known})") from None


ADDRESSES_MB = 6 << 10
"""MiB of addresses that QEMU may use beside the guest's memory: 1 GiB for translated code, and stacks and arenas of its
threads, which are mostly never touched."""

DISK_WRITES_MB = 8 << 10
"""MiB that a machine may write to its disk in one run."""

SNAPSHOT_MB = 1 << 10
"""MiB that a machine's state may take beside its memory."""
_MONITOR = "-chardev socket,id=monitor,fd={} -mon chardev=monitor,mode=control"

_ACCELERATORS = {"kvm": "kvm", "tcg": "tcg,thread=multi"}


def qemu_command(
    kernel: Path,
    initramfs: Path,
    config: MachineConfig,
    acceleration: Acceleration,
    control: int | None,
    debug: int | None = None,
    ssh_port: int = 0,
    keep: Keeper | None = None,
    monitor: int | None = None,
    incoming: int | None = None,
) -> list[str]:
    """QEMU's command line: console on stdout, control port on the inherited socket ``control`` (its number), and its
    debug stub on the socket ``debug``, if any. A machine with a disk has no control port, but sshd at ``ssh_port``.

    QEMU is started through setpriv, so that it dies with the thread that started it, whatever kills us; but for one
    that may have to be kept.
    """
    machine = architecture(config.arch)
    if machine.is_program:
        raise UserError(f"QEMU runs no kernel of architecture {config.arch!r}")
    disk = config.disk
    append = " ".join(
        [
            *machine.append,
            *(root_parameters(disk).split() if disk else ()),
            *(STAYS if keep else ()),
            *config.append.split(),
        ]
    )
    first = initramfs if disk is None else disk.initramfs
    # What a machine with a disk writes goes to a file that has no name.
    written = DISK_WRITES_MB << 20 if disk else 0
    if config.snapshot > 1 and incoming is None:
        written = (config.memory_mb + SNAPSHOT_MB) << 20
    return [
        *(keep.wrapper if keep else ("setpriv", "--pdeathsig", "KILL", "--")),
        # A guest may find a way to make QEMU write or grow: it writes no file, and its addresses are bounded.
        *("prlimit", "--core=0", f"--fsize={written}", f"--as={(config.memory_mb + ADDRESSES_MB) << 20}", "--"),
        machine.qemu,
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        # A guest is hostile: whoever breaks out of it may not start processes.
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", machine.machine, "-accel", _ACCELERATORS[acceleration.name]),
        *("-cpu", machine.cpu[acceleration.name]),
        # Sockets, not cores: without ACPI a kernel learns of processors from the firmware's MP table,
        # and SeaBIOS lists one for each socket there.
        *("-smp", f"{config.cpus},sockets={config.cpus},cores=1,threads=1"),
        *("-m", str(config.memory_mb)),
        *("-kernel", _option(kernel), *(("-initrd", _option(first)) if first else ()), "-append", append),
        *("-serial", "stdio"),
        *(disk_options(disk, ssh_port) if disk else _control_port(machine, control)),
        *(("-chardev", f"socket,id=debug,fd={debug}", "-gdb", "chardev:debug") if debug is not None else ()),
        *(keep.options() if keep else ()),
        *(_MONITOR.format(monitor).split() if monitor is not None else ()),
        *(("-incoming", f"fd:{incoming}") if incoming is not None else ()),
    ]


def _control_port(machine: Architecture, control: int | None) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=control,fd={control}")
    for device in machine.devices:
        yield from ("-device", device)


def _option(path: Path) -> str:
    # Absolute: a relative name could begin with a dash.
    return str(path.absolute())
