"""Processes on this host, as tests look for them."""

import os
from pathlib import Path


def machines_of(root: Path) -> list[int]:
    """Ids of QEMU processes that run something from a data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and b"qemu-system" in command and os.fsencode(root) in command:
            found.append(int(entry.name))
    return found
