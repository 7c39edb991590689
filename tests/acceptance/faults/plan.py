"""The file that a session's processes share with us: which point of it goes wrong, and how (see shim.c)."""

import ctypes
import mmap
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CLASSES = ("event", "start", "file", "compiler")
"""Where events are recorded, processes started, files written; and all that make and its compilers do."""
COUNT, FAIL, FROM_HERE, MEET, DIE = range(5)
NOT_YET, WAITS, GOES_ON = range(3)


@dataclass(frozen=True)
class Point:
    """The ``number``-th point (from 1) of a class, and what becomes of it: ``FAIL`` with ``error``, once or
    ``FROM_HERE`` on (of the store only with ``store``), wait until we did something (``MEET``), ``DIE``."""

    kind: str
    number: int
    action: int
    error: int = 0
    store: bool = False


class _Plan(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "number", "action", "error", "store_only")),
        ("counts", ctypes.c_int32 * len(CLASSES)),
        ("state", ctypes.c_int32),
        ("pid", ctypes.c_int32),
        ("offset", ctypes.c_int64),
        ("root", ctypes.c_char * 256),
        ("what", ctypes.c_char * 256),
    )


class Plan:
    """One session's plan; ``point`` None: points are only counted. ``offset``: seconds by which the clock is off."""

    def __init__(self, file: Path, root: Path, point: Point | None, offset: int) -> None:
        file.write_bytes(bytes(ctypes.sizeof(_Plan)))
        with file.open("r+b") as shared:
            self._map = mmap.mmap(shared.fileno(), 0)
        self.file, self._plan = file, _Plan.from_buffer(self._map)
        self._plan.root, self._plan.offset = os.fsencode(root) + b"/", offset
        if point is not None:
            self._plan.kind, self._plan.number = CLASSES.index(point.kind), point.number
            self._plan.action, self._plan.error, self._plan.store_only = point.action, point.error, point.store

    @property
    def counts(self) -> dict[str, int]:
        """Points so far."""
        return dict(zip(CLASSES, self._plan.counts, strict=True))

    @property
    def waits(self) -> bool:
        """Whether somebody waits at the point for us."""
        return bool(self._plan.state == WAITS)

    @property
    def was_hit(self) -> bool:
        """Whether the point was come to."""
        return bool(self._plan.state != NOT_YET)

    @property
    def what(self) -> str:
        """The program and its call at the point."""
        return os.fsdecode(self._plan.what)

    @property
    def offset(self) -> int:
        """By how much the clock is off, seconds."""
        return int(self._plan.offset)

    @offset.setter
    def offset(self, seconds: int) -> None:
        self._plan.offset = seconds

    def go_on(self) -> None:
        """Let whoever waits go on."""
        self._plan.state = GOES_ON


def build_shim(directory: Path) -> Path:
    """The library that is preloaded."""
    made = directory / "shim.so"
    source = Path(__file__).with_name("shim.c")
    words = ["gcc", "-shared", "-fPIC", "-O1", "-Wno-nonnull", "-o", str(made), str(source), "-ldl"]
    subprocess.run(words, check=True)
    return made
