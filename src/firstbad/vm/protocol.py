"""Frames between host and guest init; the other side is written down in ``guest/init.c``.

A frame is one type byte, the payload's length (32 bits, little endian), the payload.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from firstbad.payload import File, Payload

VERSION = 2
"""The first byte of HELLO. Counts up with each change that the other side would misread."""

HELLO, STARTED, EXITED, DONE, PONG, OUTPUT, PLACE, CALL = b"H", b"S", b"X", b"D", b"P", b"O", b"K", b"Y"
FILE, COMMAND, PING = b"F", b"C", b"p"

_HEAD = struct.Struct("<cI")
_PAIR = struct.Struct("<II")
_LONGEST_NAME = 255
_LONGEST_COMMAND = 60_000
_MOST_WORDS = 250
"""What init takes; it says so and stops where a frame from the host is larger."""
_LONGEST_CALL = 100
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


def release(hello: bytes) -> str:
    """The kernel's release from a ``HELLO`` frame. Raises ProtocolError when init speaks another version."""
    if hello[:1] != bytes([VERSION]):
        raise ProtocolError(f"our init speaks version {hello[:1].hex() or 'none'} of the protocol, not {VERSION}")
    return hello[1:].decode(errors="replace")


def frames_of(payload: Payload) -> bytes:
    """A payload as frames: its files, then its command. Raises ValueError for what init would not take."""
    return b"".join([*map(_file, payload.files), _command(payload)])


def _file(file: File) -> bytes:
    """Permissions, the path's length, the path, the contents."""
    path = file.path.encode()
    if len(path) > _LONGEST_NAME or b"\0" in path or b".." in path.split(b"/"):
        raise ValueError(f"not a path for a file in the machine: {file.path!r}")
    return encode(FILE, _PAIR.pack(file.mode & 0o7777, len(path)) + path + file.data)


def _command(payload: Payload) -> bytes:
    """How many arguments and variables there are, then each of them with a NUL behind it."""
    words = [*payload.command, *(f"{name}={value}" for name, value in payload.environment)]
    text = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
    if not payload.command or text.count(b"\0") != len(words):
        raise ValueError("a command needs words without NUL")
    if len(words) > _MOST_WORDS or len(text) > _LONGEST_COMMAND:
        raise ValueError(f"a command of {len(words)} words and {len(text)} bytes is too long for the machine")
    return encode(COMMAND, _PAIR.pack(len(payload.command), len(payload.environment)) + text)


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


def place(payload: bytes) -> int | None:
    """Where a ``PLACE`` frame says that the kernel's text begins; None where it hides that (``kptr_restrict``).

    Raises ProtocolError when the payload is not sixteen hex digits.
    """
    if len(payload) != 16 or payload.strip(b"0123456789abcdef"):
        raise ProtocolError("the kernel's place is not sixteen hex digits")
    return int(payload, 16) or None


def call(payload: bytes) -> tuple[int, str, int]:
    """A system call's number, what it was about (``-``: its number says enough), and its error (0: it worked).

    Raises ProtocolError for what our init never sends.
    """
    parts = payload.decode("ascii", "replace").split(" ")
    if len(payload) > _LONGEST_CALL or len(parts) != 3 or not (parts[0].isdigit() and parts[2].isdigit()):
        raise ProtocolError("a system call that is not told in three words")
    return int(parts[0]), parts[1], int(parts[2])
