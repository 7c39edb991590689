"""Long-running host programs: killed as a group, dead when we are, and found again after a crash of ours."""

import contextlib
import itertools
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from firstbad.errors import InfrastructureError
from firstbad.locks import try_lock

_MARK = "FIRSTBAD_BUILDER"
_LAST_WORDS = 2.0  # seconds to read what a command said before it was ended


class GivenUp(Exception):
    """The work was given up because the caller asked for that."""


def run(
    command: Sequence[str],
    log: IO[bytes],
    *,
    env: Mapping[str, str],
    cwd: Path,
    cancel: threading.Event | None,
) -> int:
    """Run a command with its output in ``log``; returns its exit status. Raises GivenUp, or OSError where the log could
    not be written.

    The output comes here first: on a full disk a compiler's own complaint could be lost, the half-written object
    removed, and make's last word find place again. What is left then reads like a fault of the revision.

    Whatever ends the call, none of the command's processes is left: they share a process group, and
    ``setpriv --pdeathsig`` ends the first of them when this process is killed. By SIGTERM: make passes that on to its
    sub-makes and removes what was half made, while a make that is killed leaves them building.
    """
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        start_new_session=True,
        # The lock on the builder is inherited on purpose, see builder_lock.
        close_fds=False,
    )
    lost: list[OSError] = []
    copying = threading.Thread(target=_copy, args=(process.stdout, log, lost), daemon=True)
    copying.start()
    try:
        while process.poll() is None:
            if cancel is not None and cancel.is_set():
                raise GivenUp
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    finally:
        _end_group(process)
        # Who left the group may keep the pipe open; the builder's next owner ends such. What the others said is here.
        copying.join(_LAST_WORDS)
    if lost:
        raise lost[0]
    return process.returncode


def _copy(output: IO[bytes], log: IO[bytes], lost: list[OSError]) -> None:
    """All that comes, to its end; after the first failure nothing is written any more."""
    with output:
        while chunk := output.read1(65_536):  # type: ignore[attr-defined]  # it is buffered
            try:
                if not lost and not log.closed:
                    log.write(chunk)
                    log.flush()
            except OSError as error:
                lost.append(error)


def _end_group(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """Kill what is left of a process group and wait until it is gone: the next build writes to the same files."""
    deadline = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.01)
    process.wait()


@contextlib.contextmanager
def builder_lock(directory: Path, patience: float = math.inf, cancel: threading.Event | None = None) -> Iterator[None]:
    """Hold a builder directory alone.

    The lock is inherited by the compilers that run under it: when a previous owner was killed and its compilers
    still write, the lock is busy. They carry the directory's name in their environment and are ended. Another
    living firstbad that builds here is waited for: ``patience`` seconds, then InfrastructureError is raised. Raises
    GivenUp when ``cancel`` is set meanwhile.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        deadline = time.monotonic() + patience
        while not try_lock(lock):
            lock.seek(0)
            owner = lock.read().strip()
            if not (owner.isdigit() and Path(f"/proc/{owner}").exists()):
                _end_orphans(directory)
            elif cancel is not None and cancel.is_set():
                raise GivenUp
            elif time.monotonic() > deadline:
                raise InfrastructureError(f"{directory} is in use by process {owner}")
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        os.set_inheritable(lock.fileno(), True)
        yield


@contextlib.contextmanager
def file_lock(path: Path, cancel: threading.Event | None = None) -> Iterator[None]:
    """Hold a lock that other firstbad processes of this host wait for; it ends with this process. Raises GivenUp when
    ``cancel`` is set meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        while not try_lock(lock):
            if cancel is not None and cancel.is_set():
                raise GivenUp
            time.sleep(0.05)
        yield


class Slot:
    """The first numbered directory under ``root`` that no other process of this host has; ours until :meth:`close` or
    this process's end."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            self._lock = (root / f"{number}.slot").open("a+")
            if try_lock(self._lock):
                self.directory = root / str(number)
                return
            self._lock.close()

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()


def mark(directory: Path) -> dict[str, str]:
    """Environment by which processes of this builder are known."""
    return {_MARK: str(directory)}


def _end_orphans(directory: Path) -> None:
    wanted = f"{_MARK}={directory}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
