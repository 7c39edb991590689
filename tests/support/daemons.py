"""Servers and workers as processes, for tests that kill them."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.postgres import free_port

LEASE = 3.0  # seconds; what a worker that hangs keeps others waiting


class Process:
    """One firstbad process; :meth:`kill` it and begin it again."""

    def __init__(self, log: Path, database: str, home: Path, *words: str) -> None:
        self.words, self.log = words, log
        self.env = os.environ | {"FIRSTBAD_DATABASE": database, "FIRSTBAD_HOME": str(home)}
        self.begin()

    def begin(self) -> None:
        command = [sys.executable, "-m", "firstbad", *self.words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> float:
        """As `kill -9` does; when that was, seconds since the epoch."""
        self.process.kill()
        self.process.wait()
        return time.time()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 15) -> int:
        """Tell it to end; its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()


class Server(Process):
    """`firstbad serve` without a worker, on a free port."""

    def __init__(self, log: Path, database: str, home: Path) -> None:
        self.port = free_port()
        super().__init__(log, database, home, "serve", "--no-worker", "--port", str(self.port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
            return answer.status == 200
        return False


def worker(log: Path, database: str, home: Path, *more: str) -> Process:
    return Process(log, database, home, "worker", "--lease", str(LEASE), *more)


def wait_for(what: Callable[[], object], seconds: float = 60, why: str = "") -> None:
    """Until it is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why or f"waited for {seconds} s"
        time.sleep(0.1)


def left_over(mark: str) -> list[str]:
    """Command lines of processes whose environment or arguments have this text, but for zombies and this process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
                if mark.encode() in words and state not in "ZX":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


STOP, GO_ON = signal.SIGSTOP, signal.SIGCONT
