"""Runs one command that can open no files but a compiler's own and those of one directory, by Landlock (Linux 5.13); a
script of its own, started by `compiler.py`. Kernels without it run the command as it is.

A reproducer's source may name any file of this host (``#include``, ``.incbin``): its text would stand in messages or in
the program, and the machine that runs it would print it.

Arguments: the directory that may be written to, a directory that may be read, the command with its
whole path.
"""

import ctypes
import os
import struct
import sys

# linux/landlock.h, the rights of its first version: read and execute files, list directories; all of them.
_READ, _ALL = 0b1101, 0x1FFF
_CREATE, _ADD, _RESTRICT, _NO_NEW_PRIVS = 444, 445, 446, 38
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/nix/store", "/gnu/store")
_FILES = {"/etc/ld.so.cache": 0b100, "/dev/null": 0b110}
_libc = ctypes.CDLL(None, use_errno=True)


def confine(writable: str, readable: str) -> bool:
    """Give up the right to open anything else; whether this kernel can. Raises OSError where it should and did not."""
    ruleset = _libc.syscall(_CREATE, struct.pack("Q", _ALL), 8, 0)
    if ruleset < 0:
        return False
    rights = {**dict.fromkeys((*_SYSTEM, readable), _READ), **_FILES, writable: _ALL}
    for path, allowed in rights.items():
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this host
        if _libc.syscall(_ADD, ruleset, 1, struct.pack("=Qi", allowed, place), 0):
            raise OSError(ctypes.get_errno(), f"can't confine to {path}")
        os.close(place)
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or _libc.syscall(_RESTRICT, ruleset, 0):
        raise OSError(ctypes.get_errno(), "can't confine")
    os.close(ruleset)
    return True


def available() -> bool:
    """Whether this kernel confines."""
    return int(_libc.syscall(_CREATE, None, 0, 1)) > 0


if __name__ == "__main__":
    confine(sys.argv[1], sys.argv[2])
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - that is what it is for; no library of Python can be read now
