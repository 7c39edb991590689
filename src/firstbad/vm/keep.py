"""A machine that is left at its crash: stopped, for a debugger; it ends by itself after a while."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstbad.errors import InfrastructureError
from firstbad.vm.limits import Kept
from firstbad.vm.monitor import Monitor

LIFE_SECONDS = 8 * 3600
"""After which a machine that was left ends by itself: nothing else would ever end it."""
STAYS = ("panic=0",)
"""Kernel parameters after those of every machine: a panic is where it stays."""


@dataclass
class Keeper:
    """What a machine needs to be left: QEMU's monitor, a place for the debug port, a wrapper that bounds its life."""

    monitor: Monitor
    port: Path
    left: bool = False

    @property
    def wrapper(self) -> tuple[str, ...]:
        """In place of the one that ends QEMU with us."""
        return ("timeout", "--signal=KILL", str(LIFE_SECONDS))

    def options(self) -> list[str]:
        """QEMU's options."""
        return ["-gdb", f"unix:{self.port},server=on,wait=off"]

    def leave(self, pid: int) -> Kept | None:
        """Stop the machine's processors and leave it; None where QEMU does not answer (it is about to end)."""
        try:
            self.monitor.execute("stop")
        except InfrastructureError:
            return None
        self.left = True
        return Kept(pid, self.port)


@contextmanager
def keeper(monitor: Monitor) -> Iterator[Keeper]:
    """A keeper for one machine; of one that was not left nothing stays."""
    directory = Path(tempfile.mkdtemp(prefix="firstbad-"))
    made = Keeper(monitor, directory / "gdb")
    try:
        yield made
    finally:
        if not made.left:
            shutil.rmtree(directory, ignore_errors=True)


def end_kept(kept: Kept) -> None:
    """End a machine that was left after all."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(kept.pid, signal.SIGKILL)
    shutil.rmtree(kept.gdb.parent, ignore_errors=True)


def how_to_attach(pid: int, gdb: str, vmlinux: str) -> str:
    """A few lines for people."""
    return (
        f"a machine stands at the crash (process {pid}; it ends by itself after {LIFE_SECONDS // 3600} hours)\n"
        f"  look at it:  gdb {vmlinux} -ex 'target remote {gdb}'\n"
        f"  end it:      kill {pid}"
    )
