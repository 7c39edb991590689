"""One process of QEMU or user-mode Linux with its pipes and control socket; whatever happens, nothing of it stays."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.payload import Payload
from firstbad.scratch import scratch
from firstbad.vm.architecture import architecture, qemu_command
from firstbad.vm.keep import Keeper, keeper
from firstbad.vm.limits import Acceleration, MachineConfig, Snapshot
from firstbad.vm.monitor import Monitor
from firstbad.vm.ssh import SshGuest, free_port
from firstbad.vm.uml import uml_command


@dataclass(frozen=True)
class Qemu:
    """A started QEMU: ``console`` and ``messages`` (its stderr) to read from, ``control`` in both directions.

    All three are non-blocking. End of file on ``console`` means that the process has ended. ``debug``: its debug stub,
    where functions are watched.
    """

    process: subprocess.Popen[bytes]
    console: IO[bytes]
    messages: IO[bytes]
    control: socket.socket
    debug: socket.socket | None = None
    ssh: SshGuest | None = None
    keep: Keeper | None = None
    monitor: Monitor | None = None


@contextmanager
def started(
    kernel: Path,
    initramfs: Path,
    config: MachineConfig,
    acceleration: Acceleration,
    payload: Payload | None = None,
    snapshot: Snapshot | None = None,
) -> Iterator[Qemu]:
    """Starts QEMU for the length of a ``with`` block, which must stay in one thread.

    (The kernel kills QEMU when the thread that started it ends; so even ``kill -9`` of us leaves nothing.)
    The control socket is inherited, not named: no file to clean up. Raises NotFoundError when kernel,
    initramfs or QEMU is missing, InfrastructureError when no process can be started. A machine with a disk is given
    ``payload`` from here: it has no init of ours that would ask for it. With a ``snapshot`` it is already up.
    """
    _check(kernel, initramfs, config)
    uml = acceleration.name == "uml"
    port, ssh = free_port() if config.disk else 0, None
    with ExitStack() as stack:
        ours, theirs = map(stack.enter_context, socket.socketpair())
        asked, answers = map(stack.enter_context, socket.socketpair())
        monitor = Monitor(asked)
        keep = stack.enter_context(keeper(monitor)) if config.keep and not uml else None
        saved = stack.enter_context(snapshot.path.open("rb")).fileno() if snapshot else None
        # QEMU has one debug stub.
        watched = config.watched and not uml and keep is None
        debug, stub = map(stack.enter_context, socket.socketpair()) if watched else (None, None)
        inherited = [end for end in (theirs, stub) if end is not None]
        if keep or config.snapshot > 1:
            inherited.append(answers)
        numbers = [*(end.fileno() for end in inherited), *([saved] if saved is not None else [])]
        if uml:
            place = stack.enter_context(scratch())
            command = uml_command(kernel, initramfs, config, theirs.fileno(), place)
        else:
            stub_number = stub.fileno() if stub is not None else None
            command = qemu_command(
                kernel,
                initramfs,
                config,
                acceleration,
                theirs.fileno(),
                stub_number,
                port,
                keep,
                answers.fileno() if answers in inherited else None,
                saved,
            )
        process = _spawn(command, numbers)
        for end in inherited:
            if end is not theirs or not config.disk:
                end.close()
        try:
            assert process.stdout is not None  # noqa: S101 - we asked for pipes
            assert process.stderr is not None  # noqa: S101
            for file in (process.stdout, process.stderr):
                os.set_blocking(file.fileno(), False)
            ours.setblocking(False)
            if config.disk and payload is not None:
                ssh = stack.enter_context(SshGuest(theirs, port, config.disk, payload))
            yield Qemu(process, process.stdout, process.stderr, ours, debug, ssh, keep, monitor)
        finally:
            _end(process, keep is not None and keep.left)


def _check(kernel: Path, initramfs: Path, config: MachineConfig) -> None:
    for path, what in ((kernel, "kernel image"), (initramfs, "initramfs")):
        if not path.is_file():
            raise NotFoundError(f"{path}: no such {what}")
    machine = architecture(config.arch)
    if not os.access(kernel, os.X_OK) and machine.is_program:
        raise UserError(f"{kernel}: this kernel is to be run as a program, but is not executable")
    needed = [(machine.qemu or "unshare", machine.package), ("setpriv", "util-linux")]
    if config.disk:
        needed.append(("ssh", "openssh-client"))
    for program, package in needed:
        if shutil.which(program) is None:
            raise NotFoundError(f"{program} is not installed; on Debian: apt-get install {package}")


def _spawn(command: list[str], inherited: list[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=inherited,
            start_new_session=True,
        )
    except OSError as error:
        raise InfrastructureError(f"can't start {command[0]}: {error}") from error


def _end(process: subprocess.Popen[bytes], leave: bool) -> None:
    try:
        # The session's whole group, and only while its leader is unreaped: the number can't be anyone else's. It may
        # have ended and left a process that has its console.
        if process.returncode is None and not leave:
            os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        if not leave:
            process.wait()
        for file in (process.stdout, process.stderr):
            if file is not None:
                file.close()
