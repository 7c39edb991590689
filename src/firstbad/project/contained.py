"""Commands of any project: bounded in time and output, ended with everything that they started."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firstbad.errors import InfrastructureError, UserError

_GUARD = Path(__file__).with_name("guard.py")
_LACKS = {errno.ENOMEM, errno.EAGAIN, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC}
"""Errors of exec that say nothing of the command."""
_HEAD, _TAIL = 64 << 10, 448 << 10
"""Bytes of output that are kept: its beginning and its end."""
_LINE = 256
"""Bytes of a script's first line that the kernel looks at (BINPRM_BUF_SIZE)."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. ``status`` is its exit status, minus the signal that ended it, None where its time was over
    or it was ended by us; ``left`` processes it left behind; ``output`` of both streams, the middle left out where it
    is long."""

    status: int | None
    timeout: bool
    left: int
    seconds: float
    output: str


class Running:
    """Runs commands, from any thread; `stop` ends those that are under way, once and for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guards: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def stop(self) -> None:
        """End everything; what is started later ends at once."""
        with self._lock:
            self._stopped = True
            for guard in self._guards:
                guard.send_signal(signal.SIGTERM)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def run(self, command: Sequence[str], directory: Path, seconds: float, env: Mapping[str, str]) -> Ended:
        """Run a command to its end, at most ``seconds`` (0: no limit).

        The calling thread has to live as long as the command: its guard ends with it. Raises UserError where there is
        no such command, InfrastructureError where it can't be started.
        """
        reading, writing = os.pipe()
        try:
            guard = self._start([str(os.getpid()), str(writing), str(seconds), *command], directory, env, writing)
        finally:
            os.close(writing)
        with os.fdopen(reading, "rb") as report, guard:
            try:
                output = _read(guard)
                said = report.read(1 << 16)
            finally:
                with self._lock:
                    self._guards.discard(guard)
        if not said and not self._stopped:  # it says something whatever the command does
            raise InfrastructureError("what watches over a command was killed (no memory left?)")
        told = json.loads(said.replace(b"}{", b"}\n{").splitlines()[0]) if said else {}
        if told.get("errno") in _LACKS:
            raise InfrastructureError(f"can't run {told['error']}")
        if "error" in told:
            raise UserError(f"can't run {told['error']}; {_way_out(directory / command[0], told.get('errno'))}")
        return Ended(
            told.get("status"), told.get("timeout", False), told.get("left", 0), told.get("seconds", 0.0), output
        )

    def _start(
        self, arguments: list[str], directory: Path, env: Mapping[str, str], report: int
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise InfrastructureError("the session is ending")
            try:
                guard = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_GUARD), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=directory,
                    env=dict(env),
                    start_new_session=True,  # Ctrl-C is ours: what runs is ended in order
                    pass_fds=(report,),
                )
            except OSError as error:
                raise InfrastructureError(f"can't start a command in {directory}: {error}") from error
            self._guards.add(guard)
            return guard


def _way_out(file: Path, number: int | None) -> str:
    """What to do about a command that could not be started."""
    if file.is_file() and number == errno.EACCES:
        return f"it is not executable: chmod +x {file.name}, or name what runs it, as in `sh {file.name}`"
    if file.is_file() and number == errno.ENOENT:
        with suppress(OSError), file.open("rb") as text:
            first = text.readline(_LINE)
            if first.startswith(b"#!") and first.endswith(b"\r\n"):
                return f"its lines end as on Windows, in CR LF: `sed -i 's/\\r$//' {file.name}` mends it"
            if first.startswith(b"#!"):
                return f"what its first line names is not there: {first[2:].decode(errors='replace').strip()}"
    return "name a command, or a path from the project's top directory"


def _read(guard: subprocess.Popen[bytes]) -> str:
    """All output, its middle left out where it is long."""
    assert guard.stdout is not None  # noqa: S101 - it is a pipe
    head, tail, dropped, fd = b"", bytearray(), 0, guard.stdout.fileno()
    while block := os.read(fd, 1 << 16):
        if len(head) < _HEAD:
            head, block = head + block[: _HEAD - len(head)], block[_HEAD - len(head) :]
        tail += block
        if len(tail) > 2 * _TAIL:
            dropped += len(tail) - _TAIL
            del tail[:-_TAIL]
    middle = f"\n... {dropped} bytes left out ...\n".encode() if dropped else b""
    return (head + middle + bytes(tail)).decode("utf-8", "replace")
