"""A long-lived llvm-symbolizer that answers addresses of one file."""

import os
import select
import shutil
import subprocess
import time
from pathlib import Path

_LONGEST_ANSWER = 1 << 20


class LlvmSymbolizer:
    """Started at the first question; after the first failure, or where it is not installed, it knows nothing."""

    def __init__(self, file: Path, seconds: float = 60.0, tool: str = "llvm-symbolizer") -> None:
        """``seconds`` is the time for one answer; the first one includes reading the file's index."""
        self._file, self._seconds, self._tool = file, seconds, tool
        self._process: subprocess.Popen[bytes] | None = None
        self._dead = False

    def ask(self, address: int) -> list[tuple[str, str, int]]:
        """(function, file, line) innermost first; empty if unknown."""
        process = self._started()
        if process is None or process.stdin is None:
            return []
        try:
            process.stdin.write(f"{address:#x}\n".encode())
            process.stdin.flush()
            return _places(self._answer(process))
        except (OSError, TimeoutError):
            self.close()
            return []

    def close(self) -> None:
        """End the process; later questions have no answer."""
        process, self._process, self._dead = self._process, None, True
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was written never arrived
                    pass

    def __enter__(self) -> "LlvmSymbolizer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> subprocess.Popen[bytes] | None:
        if self._process is None and not self._dead:
            tool = shutil.which(self._tool)
            self._dead = tool is None
            if tool is not None:
                self._process = self._start(tool)
        return self._process

    def _start(self, tool: str) -> subprocess.Popen[bytes] | None:
        command = [tool, f"--obj={self._file}", "--inlines", "--functions=linkage", "--no-demangle"]
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except OSError:
            self._dead = True
            return None

    def _answer(self, process: subprocess.Popen[bytes]) -> str:
        """Everything up to the empty line that ends an answer."""
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        end = time.monotonic() + self._seconds
        poll, data = select.poll(), b""
        poll.register(process.stdout, select.POLLIN)
        while not data.endswith(b"\n\n"):
            left = end - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk or len(data) > _LONGEST_ANSWER:
                raise TimeoutError
            data += chunk
        return data.decode("utf-8", "replace")


def _places(answer: str) -> list[tuple[str, str, int]]:
    lines = answer.strip("\n").split("\n")
    found = []
    for function, place in zip(lines[::2], lines[1::2], strict=False):
        file, _, rest = place.rpartition(":")  # the column
        file, _, line = file.rpartition(":")
        if not rest.isdecimal() or not line.isdecimal() or line == "0" or file in ("", "??"):
            return []
        found.append((function, file, int(line)))
    return found
