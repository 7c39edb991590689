"""How many machines fit a host, by what /proc and /sys of a made-up one say."""

import os
from pathlib import Path

import pytest

from firstbad.vm.capacity import OVERHEAD_MB, SHARE, capacity, free_memory_mb


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    write(tmp_path / "proc/meminfo", "MemTotal:  99999999 kB\nMemAvailable:   16777216 kB\n")
    write(tmp_path / "proc/self/cgroup", "0::/user/job\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cores(root):
    assert capacity(2, 512, root) == 8
    assert capacity(1, 512, root) == 16
    assert capacity(16, 512, root) == 2, "while one machine boots another one works"


def test_memory(root):
    assert free_memory_mb(root) == 16384
    assert capacity(1, 2048, root) == int(16384 * SHARE) // (2048 + OVERHEAD_MB) == 5
    assert capacity(1, 65536, root) == 1, "one is tried"


def test_a_control_group(root):
    group = root / "sys/fs/cgroup/user"
    write(group / "memory.max", f"{4 << 30}\n")
    write(group / "memory.current", f"{3 << 30}\n")
    write(group / "memory.stat", f"anon 1\ninactive_file {1 << 30}\n")
    write(group / "job/memory.max", "max\n")
    write(group / "cpu.max", "400000 100000\n")
    assert free_memory_mb(root) == 2048
    assert capacity(1, 64, root) == 4
    assert capacity(2, 512, root) == 2
    write(group / "memory.current", f"{9 << 30}\n")
    assert capacity(1, 64, root) == 1


def test_a_control_group_of_version_1(root):
    write(root / "proc/self/cgroup", "7:cpu,cpuacct:/box\n4:memory:/box\n")
    write(root / "sys/fs/cgroup/memory/box/memory.limit_in_bytes", f"{2 << 30}\n")
    write(root / "sys/fs/cgroup/memory/box/memory.usage_in_bytes", f"{1 << 30}\n")
    assert free_memory_mb(root) == 1024


def test_this_host():
    assert 0 < free_memory_mb() < 1 << 30
    assert capacity(1, 64) >= 1
