"""A real `firstbad serve` process with its worker, and a browser that looks at it and complains of nothing unseen."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Service:
    """One server; ``base`` is its address."""

    base: str
    home: Path
    log: Path
    process: subprocess.Popen


@contextlib.contextmanager
def serving(home: Path, *options: str) -> Iterator[Service]:
    """`firstbad serve` over a data directory, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    environment = {**os.environ, "FIRSTBAD_HOME": str(home)}
    environment.pop("FIRSTBAD_DATABASE", None)
    command = [sys.executable, "-m", "firstbad", "serve", "--port", str(port), *options]
    with log.open("w") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            _wait(base, process, log)
            yield Service(base, home, log, process)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _wait(base: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"the server ended: {log.read_text()}")
        try:
            with urllib.request.urlopen(f"{base}/static/icon.svg", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server does not answer: {log.read_text()}")


@dataclass
class Watched:
    """What went on in a page: requests to other hosts, and all that the browser complained of."""

    base: str
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page) -> None:
        """From now on."""
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda message: self._told(message))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.base}/", "data:")):
            self.strangers.append(url)

    def _told(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def check(self) -> None:
        """Nothing of it."""
        assert self.strangers == []
        assert self.complaints == []
