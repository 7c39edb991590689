"""A PostgreSQL of one's own: a cluster in a temporary directory, on a socket there and a free port of loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

_FOUND = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb"), key=lambda path: float(path.parts[-3]))
PROGRAMS = _FOUND[-1].parent if _FOUND else Path("/usr/lib/postgresql/none/bin")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Postgres:
    """A cluster that can be stopped and started; made by an unprivileged user where we are root."""

    def __init__(self, fsync: bool = False) -> None:
        """``fsync`` False: fast, and safe as long as the host stays up."""
        self.fsync = "on" if fsync else "off"
        if not (PROGRAMS / "initdb").exists():
            pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.root = Path(tempfile.mkdtemp(prefix="fbpg-"))
        self.port = free_port()
        if self.user:
            shutil.chown(self.root, "postgres")
        self._run("initdb", "-D", self.root / "data", "-U", "firstbad", "-A", "trust", "--no-locale", "-E", "UTF8")
        self.start()

    def _run(self, program: str, *words: object) -> None:
        command = [*self.user, str(PROGRAMS / program), *map(str, words)]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = (
            f"-k {self.root} -p {self.port} -c listen_addresses=127.0.0.1 -c shared_buffers=128MB -c fsync={self.fsync}"
        )
        log = self.root / "data" / "log.txt"
        self._run("pg_ctl", "-D", self.root / "data", "-l", log, "-o", options, "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate``: as if it had been killed."""
        self._run("pg_ctl", "-D", self.root / "data", "-m", mode, "-w", "stop")

    def new_database(self, name: str) -> str:
        """An empty database; its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "firstbad", name)
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://firstbad@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        try:
            self.stop()
        except subprocess.CalledProcessError:
            pass
        shutil.rmtree(self.root, ignore_errors=True)
