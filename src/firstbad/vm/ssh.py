"""A machine with a disk image of its own, reached by ssh: plays our init's part for whoever watches it.

The kernel boots the image's user space, which runs sshd; the console stays the truth about crashes. QEMU's user network
lets nothing out of the machine, and one port of this host, at the loopback address, in.
"""

import contextlib
import selectors
import shlex
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from firstbad.payload import DIRECTORY, File, Payload
from firstbad.vm import protocol
from firstbad.vm.limits import Disk

OUTPUT_KEPT = 4096  # bytes of the reproducer's output, as init.c does
CALL_SECONDS = 60.0
"""Seconds that one short command, or the copy of one file, may take; an emulated machine does it in one or two."""
_PAUSE = 0.1
_LOST = 255
"""Exit status of ssh itself."""
_QCOW2 = b"QFI\xfb"


def disk_options(disk: Disk, port: int) -> list[str]:
    """QEMU's options: the image, of which nothing is changed, and the network with ``port`` leading to sshd."""
    path = str(disk.image.absolute()).replace(",", ",,")
    kind = "qcow2" if _begin(disk.image).startswith(_QCOW2) else "raw"
    return [
        *("-drive", f"file={path},format={kind},if=none,id=disk,snapshot=on"),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=net"),
    ]


def root_parameters(disk: Disk) -> str:
    """Kernel parameters that name the root file system: the first partition of a partitioned image."""
    begin = _begin(disk.image)
    partitioned = begin[510:512] == b"\x55\xaa" and any(begin[446:510])
    device = disk.root or ("/dev/vda1" if partitioned else "/dev/vda")
    return f"root={device} rw net.ifnames=0"


def _begin(image: Path) -> bytes:
    with image.open("rb") as file:
        return file.read(512)


def free_port() -> int:
    """A TCP port that nobody listens at now. If somebody is quicker, QEMU says so and ends: the run is repeated."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SshGuest:
    """Speaks to whoever watches the machine, over ``channel``, as our init does, and runs ``payload`` by ssh.

    ``trouble`` is what ssh said last, for people. A context: at its end nothing of it runs any more.
    """

    def __init__(self, channel: socket.socket, port: int, disk: Disk, payload: Payload) -> None:
        self.trouble = ""
        self._channel, self._payload = channel, payload
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ssh", daemon=True)
        key = ("-i", str(disk.key.absolute()), "-o", "IdentitiesOnly=yes") if disk.key else ()
        settings = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": "10",
            "LogLevel": "ERROR",
        }
        options = (part for name, value in settings.items() for part in ("-o", f"{name}={value}"))
        # Dies with the thread that started it, as QEMU does.
        self._ssh = ("setpriv", "--pdeathsig", "KILL", "--", "ssh", "-F", "none", "-T", "-a", "-x")
        self._ssh += (*options, *key, "-p", str(port), "root@127.0.0.1")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _live(self) -> None:
        # A closed channel is how the other side says that it is over.
        with contextlib.suppress(OSError):
            if self._comes_up() and all(self._copy(file) for file in self._payload.files):
                self._send(protocol.STARTED)
                self._run()

    def _comes_up(self) -> bool:
        while not self._over.is_set():
            if self._call("true"):
                self._send(protocol.HELLO, bytes([protocol.VERSION]))
                return True
            self._over.wait(_PAUSE)
        return False

    def _copy(self, file: File) -> bool:
        path = shlex.quote(file.path)
        parent = shlex.quote(str(Path(file.path).parent))
        return self._call(f"mkdir -p {parent} && cat > {path} && chmod {file.mode & 0o7777:o} {path}", file.data)

    def _call(self, command: str, data: bytes = b"") -> bool:
        """One short command; what a hostile machine answers is never more than a pipe holds."""
        end = time.monotonic() + CALL_SECONDS
        process = self._start(command, subprocess.PIPE, subprocess.DEVNULL, subprocess.PIPE)
        threading.Thread(target=_feed, args=(process, data), daemon=True).start()
        try:
            while process.poll() is None:
                if self._over.wait(_PAUSE / 5) or time.monotonic() > end:
                    return False
            assert process.stderr is not None  # noqa: S101 - we asked for a pipe
            said = process.stderr.read(OUTPUT_KEPT).decode(errors="replace").split("\n")[0].strip()
            self.trouble = said or self.trouble if process.returncode else ""
            return process.returncode == 0
        finally:
            _end(process)

    def _run(self) -> None:
        words = [f"{name}={value}" for name, value in self._payload.environment]
        command = f"cd {DIRECTORY} && exec env {shlex.join([*words, *self._payload.command])}"
        process = self._start(command, subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT)
        assert process.stdout is not None  # noqa: S101
        output = b""
        decoder = protocol.Decoder()
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                selector.register(self._channel, selectors.EVENT_READ)
                while not self._over.is_set():
                    for key, _ in selector.select(_PAUSE):
                        if key.fileobj is self._channel:
                            data = self._channel.recv(1 << 16)
                            if not data:
                                return
                            for frame in decoder.feed(data):
                                self._answer(frame, output)
                            continue
                        block = process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
                        output = (output + block)[-OUTPUT_KEPT:]
                        if not block:
                            selector.unregister(process.stdout)
                            self._ended(process.wait(), output)
        finally:
            _end(process)

    def _answer(self, frame: protocol.Frame, output: bytes) -> None:
        if frame.type == protocol.PING and self._call("true"):
            self._send(protocol.OUTPUT, output)
            self._send(protocol.PONG)

    def _ended(self, status: int, output: bytes) -> None:
        """Where the connection broke nothing is known of the program: the machine may be about to say why."""
        if status == _LOST or status < 0:
            self.trouble = "the connection was lost"
            return
        self._send(protocol.EXITED, (status << 8).to_bytes(4, "little"))
        self._send(protocol.OUTPUT, output)
        self._send(protocol.DONE)

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        self._channel.sendall(protocol.encode(kind, payload))

    def _start(self, command: str, stdin: int, stdout: int, stderr: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*self._ssh, command], stdin=stdin, stdout=stdout, stderr=stderr)


def _feed(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert process.stdin is not None  # noqa: S101
    with contextlib.suppress(OSError, ValueError):  # ssh ended first
        process.stdin.write(data)
        process.stdin.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    for file in (process.stdout, process.stderr):
        if file is not None:
            file.close()
