"""Finds out whether KVM works here: by booting, not by looking."""

import os
import platform
from pathlib import Path

from firstbad.errors import InfrastructureError
from firstbad.vm.architecture import architecture
from firstbad.vm.limits import Acceleration, MachineConfig
from firstbad.vm.machine import boots
from firstbad.vm.uml import FAULTS

_KVM = Path("/dev/kvm")
_DEADLINE = 15.0
"""Seconds. Under KVM a small kernel is up in one; a nested KVM that does not work may take many to say so."""


def probe_acceleration(kernel: Path, initramfs: Path, arch: str = "x86_64") -> Acceleration:
    """KVM when it boots this kernel to userspace within 15 s, else TCG (emulation) and why.

    ``/dev/kvm`` that opens proves nothing: nested machines have one on which guests die. Takes up to 15 s
    where KVM is broken, so ask once and keep the answer. Raises as ``run_machine`` does; for user-mode Linux
    (``arch`` is "um") InfrastructureError where this host can't run it.
    """
    if architecture(arch).is_program:
        return _probe_uml(kernel, initramfs, arch)
    if arch != platform.machine():
        return Acceleration("tcg", f"this machine is no {arch}; machines are emulated")
    if not _KVM.exists():
        return Acceleration("tcg", f"no {_KVM} here; machines are emulated")
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return Acceleration("tcg", f"no permission to use {_KVM}; machines are emulated")
    config = MachineConfig(boot_seconds=_DEADLINE, arch=arch)
    run = boots(kernel, initramfs, config, Acceleration("kvm", "probe"))
    if run.ended == "finished":
        return Acceleration("kvm", f"KVM boots to userspace in {run.boot_seconds:.1f} s")
    return Acceleration("tcg", f"{_KVM} exists but does not work ({run.detail}); machines are emulated")


def _probe_uml(kernel: Path, initramfs: Path, arch: str) -> Acceleration:
    run = boots(kernel, initramfs, MachineConfig(boot_seconds=_DEADLINE, arch=arch), Acceleration("uml", "probe"))
    if run.ended == "finished":
        return Acceleration("uml", f"user-mode Linux boots to userspace in {run.boot_seconds:.1f} s, on one processor")
    fault = next((fault.decode() for fault in FAULTS if fault in run.console or fault.decode() in run.detail), "")
    if fault or run.ended == "infrastructure":
        raise InfrastructureError(
            f'user-mode Linux can\'t run on this machine ({fault or run.detail}); use machine.backend = "qemu"'
        )
    return Acceleration("uml", f"user-mode Linux did not come up with the first kernel ({run.detail})")
