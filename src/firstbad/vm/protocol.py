"""Frames between host and guest init; the other side is written down in ``guest/init.c``.

A frame is one type byte, the payload's length (32 bits, little endian), the payload.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HELLO, STARTED, EXITED, DONE, PONG, OUTPUT = b"H", b"S", b"X", b"D", b"P", b"O"
PROGRAM, PING = b"R", b"p"

_HEAD = struct.Struct("<cI")
_LONGEST = 1 << 16
"""No frame of our init is longer. A guest is hostile: it may not make us keep 4 GiB."""


class ProtocolError(Exception):
    """The guest sent what our init never sends."""


@dataclass(frozen=True)
class Frame:
    """One frame from the guest."""

    type: bytes
    payload: bytes


def encode(kind: bytes, payload: bytes = b"") -> bytes:
    """The bytes of one frame; ``kind`` is one byte."""
    return _HEAD.pack(kind, len(payload)) + payload


class Decoder:
    """Cuts a stream of bytes, in whatever pieces it comes, into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that ``data`` completes, one by one; to be iterated to the end.

        Raises ProtocolError, after those before it, for a frame longer than our init ever sends.
        """
        self._pending += data
        while len(self._pending) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._pending)
            if length > _LONGEST:
                raise ProtocolError(f"a frame of {length} bytes from the machine")
            end = _HEAD.size + length
            if len(self._pending) < end:
                break
            frame = Frame(kind, bytes(self._pending[_HEAD.size : end]))
            del self._pending[:end]
            yield frame


def exit_status(payload: bytes) -> int:
    """The exit status as a shell would say it (128 + signal) from an ``EXITED`` frame's wait status.

    Raises ProtocolError when the payload is not four bytes.
    """
    if len(payload) != 4:
        raise ProtocolError("a wait status that is not four bytes")
    (status,) = struct.unpack("<I", payload)
    signal = status & 0x7F
    return 128 + int(signal) if signal else int(status >> 8) & 0xFF
