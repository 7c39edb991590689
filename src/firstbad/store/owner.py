"""Who holds a lease: a process, named so that others on its host can see whether it is still there."""

import os
import signal
import socket
from functools import cache
from pathlib import Path


@cache
def here() -> str:
    """This host as long as it is up, and within it the process numbers that we see (a container has its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        numbers = os.readlink("/proc/self/ns/pid").strip("pid:[]")  # noqa: PTH115 - not a path
    except OSError:
        return socket.gethostname()
    return f"{boot}-{numbers}"


def owner() -> str:
    """This process: ``host/process/start``."""
    return f"{here()}/{os.getpid()}/{_began(os.getpid())}"


def process_of(name: str) -> int:
    """The process number in an owner's name; 0 where there is none."""
    words = name.split("/")
    return int(words[1]) if len(words) == 3 and words[1].isdigit() else 0


def is_dead(name: str) -> bool:
    """Whether the owner was a process of this host that is no more. Of other hosts' nothing is known: False."""
    words = name.split("/")
    return len(words) == 3 and words[0] == here() and words[1].isdigit() and _began(int(words[1])) != words[2]


def end(name: str) -> bool:
    """Kill the owner, a process of this host that shows no sign of life any more; whether it was there."""
    pid = process_of(name)
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if name.split("/")[0] != here() or is_dead(name):  # looked at with the process in hand: it can't be another
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(process)


def _began(pid: int) -> str:
    """When a process began, in clock ticks since the host's start; empty where there is none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]
