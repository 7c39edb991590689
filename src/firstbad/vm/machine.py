"""Runs one command in one machine, and watches how it ends."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from firstbad.payload import Payload
from firstbad.vm import protocol
from firstbad.vm.architecture import architecture
from firstbad.vm.console import Console
from firstbad.vm.ends import printable
from firstbad.vm.limits import Acceleration, Ended, MachineConfig, MachineRun, Snapshot
from firstbad.vm.qemu import started
from firstbad.vm.snapshot import save
from firstbad.vm.uml import packed
from firstbad.vm.watcher import Watcher
from firstbad.vm.watches import Watches

_KEPT: tuple[Ended, ...] = ("panic", "crash", "hang", "boot-failed")
"""Ends at which a machine that is to be kept has something to show."""


def run_machine(
    kernel: Path,
    initramfs: Path,
    payload: Payload,
    config: MachineConfig,
    acceleration: Acceleration,
    *,
    crash_sign: Callable[[bytes], bool],
    console_path: Path | None = None,
    cancel: threading.Event | None = None,
    snapshot: Snapshot | None = None,
) -> MachineRun:
    """Boots ``kernel``, or goes on from a ``snapshot`` of it, runs ``payload`` and returns what was seen.

    ``crash_sign`` is asked about each new piece of the console (whole lines, with up to 4 KiB before them);
    the run ends at the first crash. ``console_path`` receives the console as it is printed. Blocks for at
    most boot, run and answer limits of ``config`` and a few seconds; several calls may run in parallel
    threads. Nothing is left behind: the machine is gone when this returns, raises, or is killed; but for one that was
    to be kept and crashed (``MachineRun.kept``).

    Raises NotFoundError when kernel, initramfs or QEMU is missing, UserError for an unknown architecture,
    ValueError for a payload that init would not take, InfrastructureError when no process can be started.
    Everything later is in ``MachineRun.ended``.
    """
    with ExitStack() as stack:
        if acceleration.name == "uml":
            initramfs, payload = stack.enter_context(packed(initramfs, payload))
        frames = protocol.frames_of(payload)
        console = stack.enter_context(Console(crash_sign, console_path))
        qemu = stack.enter_context(started(kernel, initramfs, config, acceleration, payload, snapshot))
        if qemu.ssh is not None:
            frames = b""
        watcher = Watcher(qemu, console, config, frames, cancel)
        if qemu.debug is not None and config.watched is not None:
            machine = architecture(config.arch)
            watcher.watch_functions(
                Watches(qemu.debug, config.watched, machine.pc, machine.watches.get(acceleration.name, 0))
            )
        if snapshot is not None:
            watcher.go_on(snapshot)
        watcher.run()
        seen = watcher.result()
        seen = replace(seen, group=snapshot.name if snapshot else "")
        if qemu.ssh is not None and qemu.ssh.trouble and not seen.booted:
            seen = replace(seen, detail=f"{seen.detail}; ssh: {printable(qemu.ssh.trouble)}")
        if qemu.keep is not None and seen.ended in _KEPT and qemu.process.poll() is None:
            seen = replace(seen, kept=qemu.keep.leave(qemu.process.pid))
        return seen


def boots(kernel: Path, initramfs: Path, config: MachineConfig, acceleration: Acceleration) -> MachineRun:
    """Boots a machine and ends it at our init's first word: ``finished`` means that it came up.

    Raises as ``run_machine`` does.
    """
    with (
        Console(lambda _: False) as console,
        started(kernel, initramfs, config, acceleration) as qemu,
    ):
        watcher = Watcher(qemu, console, config, None, None)
        watcher.run()
        return watcher.result()


def take_snapshot(
    kernel: Path,
    initramfs: Path,
    config: MachineConfig,
    acceleration: Acceleration,
    path: Path,
    *,
    crash_sign: Callable[[bytes], bool],
    cancel: threading.Event | None = None,
) -> Snapshot | MachineRun:
    """Boots a machine and writes its state to ``path``; how it ended where it did not come up.

    ``config.snapshot`` must be greater than 1. Raises as ``run_machine`` does, and InfrastructureError where QEMU can't
    save it.
    """
    with Console(crash_sign) as console, started(kernel, initramfs, config, acceleration) as qemu:
        watcher = Watcher(qemu, console, config, None, cancel)
        watcher.run()
        seen = watcher.result()
        if seen.ended != "finished" or qemu.monitor is None:
            return seen
        save(qemu.monitor, path)
        return Snapshot(path, path.name, watcher.place)
