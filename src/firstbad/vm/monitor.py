"""QEMU's machine protocol: a greeting, then an answer to each command, one JSON object a line."""

import json
import socket
import time
from typing import Any

from firstbad.errors import InfrastructureError

ANSWER_SECONDS = 5.0
_LONGEST = 1 << 20


class Monitor:
    """Commands to one QEMU over a socket it inherited; blocks for at most 5 s a command."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._received = b""
        self._greeted = False

    def execute(self, command: str, arguments: dict[str, Any] | None = None, file: int | None = None) -> Any:
        """What QEMU returns; ``file`` goes along, to be known by a name that ``arguments`` say.

        Raises InfrastructureError for an error, or where no answer comes.
        """
        if not self._greeted:
            self._greeted = True
            self.execute("qmp_capabilities")
        text = json.dumps({"execute": command, "arguments": arguments or {}}).encode() + b"\n"
        try:
            socket.send_fds(self._channel, [text], [] if file is None else [file])
            return self._answer(command)
        except OSError as error:
            raise InfrastructureError(f"QEMU does not answer {command}: {error}") from error

    def _answer(self, command: str) -> Any:
        end = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = self._line(end)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise InfrastructureError(f"QEMU refuses {command}: {answer['error'].get('desc')}")

    def _line(self, end: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            self._channel.settimeout(max(0.01, end - time.monotonic()))
            block = self._channel.recv(1 << 16)
            if not block or len(self._received) > _LONGEST:
                raise OSError("it has gone")
            self._received += block
        line, _, self._received = self._received.partition(b"\n")
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
