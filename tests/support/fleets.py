"""A fleet of real processes on this machine: a hub, hosts with data directories of their own, a shelf."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from firstbad.fleet.engine import FleetEngine
from firstbad.fleet.link import Link
from firstbad.fleet.security import security
from firstbad.fleet.shelf import Shelf
from firstbad.home import Home
from firstbad.kernel.build import Spec
from firstbad.repro import Reproducer

# A host that does something to a build before it lays it on the shelf, or to what it says of it.
LIAR = """
import sys
from pathlib import Path
from dataclasses import replace
from firstbad.cli import main
from firstbad.fleet import shelf
from firstbad.fleet.security import security
from firstbad.fleet.shelf import Shelf

how, honest = sys.argv.pop(1), Shelf.put

def put(self, built):
    if how == "slow":
        import time
        time.sleep(60)
    parcel = honest(self, built)
    if how == "truncate":
        digest, size = parcel.files["vmlinux"]
        Path(self.root, "files", digest[:2], digest).write_bytes(b"half")
    elif how == "artifact":
        return replace(parcel, files=parcel.files | {"vmlinux": parcel.files["config"]})
    elif how == "signature":
        return replace(parcel, facts=parcel.facts | {"signature": "0" * 64})
    elif how == "fails":
        raise OSError("no space left on device")
    return parcel

Shelf.put = put
main()
"""


def certificates(directory: Path) -> Path:
    """An authority of its own and one certificate, as docs/fleet.md wants them."""
    directory.mkdir()
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    ca = ["-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=fleet"]
    run = {"cwd": directory, "check": True, "capture_output": True}
    subprocess.run(["openssl", "req", *ca], **run)
    subprocess.run(["openssl", "req", *ec, "-keyout", "key.pem", "-out", "cert.csr", "-subj", "/CN=host"], **run)
    sign = ["-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    subprocess.run(["openssl", "x509", *sign, "-out", "cert.pem"], **run)
    return directory


class Fleet:
    """Starts and ends the processes of one test."""

    def __init__(self, root: Path, tls: Path | None = None, ip: str = "127.0.0.1") -> None:
        self.tls, self.more = tls, ["--tls", str(tls)] if tls else []
        self.root, self.processes = root, dict[str, subprocess.Popen[bytes]]()
        with socket.socket() as one:
            one.bind((ip, 0))
            self.address = f"{'tls' if tls else 'tcp'}://{ip}:{one.getsockname()[1]}"
        (root / "shelf").mkdir(parents=True)
        self.engines = list[FleetEngine]()

    def hub(self) -> None:
        """The middle; in the network namespace of this process."""
        self._start("hub", "fleet", "--listen", self.address, *self.more)

    def host(self, name: str, slots: str = "build=1,machine=1", liar: str = "", before: tuple[str, ...] = ()) -> None:
        """A host; ``liar``: how it errs; ``before``: what its command line begins with."""
        words = [
            "worker",
            "--server",
            self.address,
            "--slots",
            slots,
            "--name",
            name,
            "--shelf",
            str(self.root / "shelf"),
        ]
        self._start(name, *words, *self.more, liar=liar, before=before)

    def _start(self, name: str, *words: str, liar: str = "", before: tuple[str, ...] = ()) -> None:
        env = {**os.environ, "FIRSTBAD_HOME": str(self.root / name)}
        program = ["-c", LIAR, liar] if liar else ["-m", "firstbad"]
        with (self.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*before, sys.executable, *program, *words], env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def end(self, name: str, how: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(20)

    def engine(self, spec: Spec, hosts: int, patience: float = 60.0, hope: float = 60.0) -> FleetEngine:
        """A session's engine, when so many hosts have joined. ``hope``: seconds in which one that is needed may yet."""
        link = Link(self.address, security(self.address, self.tls), patience)
        deadline = time.monotonic() + 60
        while (found := link.offers())["hosts"] < hosts:
            assert time.monotonic() < deadline, (found, self.logs())
            time.sleep(0.1)
        nothing = Reproducer(Path("x"), "c", "0" * 64, (), ("/bin/true",))
        name = f"session{len(self.engines)}"
        shelf = Shelf(str(self.root / "shelf"))
        self.engines.append(FleetEngine(Home(self.root / name, 1 << 30), spec, nothing, link, shelf, hope=hope))
        return self.engines[-1]

    def orders(self) -> list[tuple[str, str, str]]:
        """Host, order and how it ended, of all that were done."""
        found = []
        for path in self.root.glob("*.log"):
            for line in path.read_text(errors="replace").splitlines():
                if line.startswith("{") and (row := json.loads(line)).get("event") == "order":
                    found.append((path.stem, row["order"], row["status"]))
        return found

    def built_by(self, name: str) -> set[str]:
        """Keys of the builds that a host made or was sent."""
        return {path.parent.name for path in (self.root / name / "artifacts").glob("*/meta.json")}

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in self.root.glob("*.log"))

    def close(self) -> None:
        for engine in self.engines:
            engine.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(20)
