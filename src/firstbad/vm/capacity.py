"""How many machines this host runs at a time: as its cores and its free memory allow, container limits included."""

import os
from collections.abc import Iterator
from pathlib import Path

OVERHEAD_MB = 250
"""What QEMU needs beside its guest's memory; hostile guests were seen to make it 100 MiB (tests/acceptance)."""
SHARE = 0.8
"""Share of the free memory that machines may take: compilers want the rest."""
_AT_LEAST = 2
"""Machines where memory allows: while one boots or waits, another one works."""


def capacity(cpus: int, memory_mb: int, root: Path = Path("/")) -> int:
    """Machines of that many processors and MiB that fit here, 1 at least.

    More machines than host processors for their own bring nothing: an emulated processor keeps one busy. ``root`` is
    where ``/proc`` and ``/sys`` are looked for.
    """
    by_cores = max(_AT_LEAST, int(_cores(root)) // cpus)
    by_memory = int(SHARE * free_memory_mb(root)) // (memory_mb + OVERHEAD_MB)
    return max(1, min(by_cores, by_memory))


def free_memory_mb(root: Path = Path("/")) -> int:
    """MiB that can be used without swapping, by the kernel's own estimate and within the control group's limits."""
    found = [_available(root)]
    for group in _groups(root, "memory"):
        limit, used = (_number(group / name) for name in ("memory.max", "memory.current"))
        if limit is None:  # version 1
            limit, used = (_number(group / f"memory.{name}_in_bytes") for name in ("limit", "usage"))
        if limit is not None and used is not None:
            found.append(max(0, limit - used + _cache(group)) >> 20)
    return min(found)


def _available(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) >> 10
    return 0


def _cores(root: Path) -> float:
    found = float(len(os.sched_getaffinity(0)))
    for group in _groups(root, "cpu"):
        try:
            quota, period = (group / "cpu.max").read_text().split()
            found = min(found, int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # no limit: "max"
    return found


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The directories of this process's control groups, its own and those above it, versions 2 and 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = top / path.lstrip("/")
        yield from (group for group in (own, *own.parents) if group.is_relative_to(top) and group.is_dir())


def _cache(group: Path) -> int:
    """Bytes of the file cache, which counts as used but can be had."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None  # "max" or not there: no limit
