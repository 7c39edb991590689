"""Writes the archive format that Linux unpacks as its first file system.

"newc" as in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst: a header of "070701" and
thirteen 8-digit hexadecimal fields, the name with its NUL, the data; header + name and data padded to 4
bytes. Deterministic: owner root, time 0, inode numbers by position.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file of the archive: name without a leading slash, ``st_mode`` (kind and permissions), contents.

    ``device`` is (major, minor) of a device node.
    """

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str, permissions: int = 0o755) -> Entry:
    """An empty directory."""
    return Entry(name, stat.S_IFDIR | permissions)


def executable(name: str, data: bytes, permissions: int = 0o755) -> Entry:
    """A program, or any file."""
    return Entry(name, stat.S_IFREG | permissions, data)


def character_device(name: str, major: int, minor: int) -> Entry:
    """A character device node."""
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The whole archive, uncompressed; directories must come before what they hold."""
    parts = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*parts, _record(0, Entry(_TRAILER, 0))])


def _record(inode: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(head + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
