"""A machine that is left at its crash: stopped, for a debugger; it ends by itself after a while."""

import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstbad.vm.limits import Kept

LIFE_SECONDS = 8 * 3600
"""After which a machine that was left ends by itself: nothing else would ever end it."""
STAYS = ("panic=0",)
"""Kernel parameters after those of every machine: a panic is where it stays."""
_ANSWER_SECONDS = 5.0


@dataclass
class Keeper:
    """What a machine needs to be left: QEMU's monitor, a place for the debug port, a wrapper that bounds its life."""

    monitor: socket.socket
    theirs: socket.socket
    port: Path
    left: bool = False

    @property
    def wrapper(self) -> tuple[str, ...]:
        """In place of the one that ends QEMU with us."""
        return ("timeout", "--signal=KILL", str(LIFE_SECONDS))

    def options(self) -> list[str]:
        """QEMU's options."""
        return [
            *("-chardev", f"socket,id=monitor,fd={self.theirs.fileno()}", "-mon", "chardev=monitor,mode=control"),
            *("-gdb", f"unix:{self.port},server=on,wait=off"),
        ]

    def leave(self, pid: int) -> Kept | None:
        """Stop the machine's processors and leave it; None where QEMU does not answer (it is about to end)."""
        if not self._stopped():
            return None
        self.left = True
        return Kept(pid, self.port)

    def _stopped(self) -> bool:
        """By QEMU's machine protocol: a greeting, then an answer to each command, a JSON object a line each."""
        end = time.monotonic() + _ANSWER_SECONDS
        self.monitor.settimeout(_ANSWER_SECONDS)
        received = b""
        with contextlib.suppress(OSError):
            for command in ("qmp_capabilities", "stop"):
                self.monitor.sendall(json.dumps({"execute": command}).encode() + b"\n")
            while received.count(b'"return"') < 2 and time.monotonic() < end and len(received) < 1 << 16:
                block = self.monitor.recv(4096)
                if not block:
                    break
                received += block
        return received.count(b'"return"') >= 2


@contextmanager
def keeper() -> Iterator[Keeper]:
    """A keeper for one machine; of one that was not left nothing stays."""
    directory = Path(tempfile.mkdtemp(prefix="firstbad-"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Keeper(ours, theirs, directory / "gdb")
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
