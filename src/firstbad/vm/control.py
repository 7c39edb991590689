"""Our end of the control channel: a non-blocking socket that speaks in frames."""

import selectors
import socket
from collections.abc import Iterator

from firstbad.vm.protocol import Decoder, Frame

_BLOCK = 1 << 16


class Control:
    """Frames to and from the guest's init, without ever blocking; ``open`` until QEMU hangs up."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.open = True
        self._decoder = Decoder()
        self._outgoing = memoryview(b"")

    def events(self) -> int:
        """What a selector is to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)

    def send(self, frames: bytes) -> None:
        """Queues frames and sends what goes out at once."""
        self._outgoing = memoryview(bytes(self._outgoing) + frames)
        self.flush()

    def flush(self) -> None:
        """Sends what the socket takes of the queue."""
        try:
            sent = self.channel.send(self._outgoing) if self._outgoing else 0
        except BlockingIOError:
            sent = 0
        except OSError:  # QEMU is going: the console tells the rest
            sent = len(self._outgoing)
        self._outgoing = self._outgoing[sent:]

    def frames(self) -> Iterator[Frame]:
        """The frames that have come, perhaps none; to be iterated to the end.

        Raises ProtocolError, after the good frames, for what our init never sends.
        """
        try:
            data = self.channel.recv(_BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.open = bool(data)
        yield from self._decoder.feed(data)
