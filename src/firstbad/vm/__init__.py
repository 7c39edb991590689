"""Virtual machines: QEMU, console watcher, guest init."""

from firstbad.vm.capacity import capacity
from firstbad.vm.initramfs import build_initramfs
from firstbad.vm.keep import end_kept, how_to_attach
from firstbad.vm.limits import (
    Acceleration,
    Disk,
    Ended,
    MachineConfig,
    MachineRun,
    Snapshot,
    Watched,
)
from firstbad.vm.machine import run_machine, take_snapshot
from firstbad.vm.probe import probe_acceleration
from firstbad.vm.snapshot import Pool

__all__ = [
    "Acceleration",
    "Disk",
    "Ended",
    "MachineConfig",
    "MachineRun",
    "Pool",
    "Snapshot",
    "Watched",
    "build_initramfs",
    "capacity",
    "end_kept",
    "how_to_attach",
    "probe_acceleration",
    "run_machine",
    "take_snapshot",
]
