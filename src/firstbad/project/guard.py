"""Runs one command and leaves none of its processes behind; a script of its own, started by `contained.py`.

Every process that the command starts and gives up becomes a child of this one (PR_SET_CHILD_SUBREAPER), whatever
session or group it moved to: so it is found and ended. It gets SIGTERM when whoever started it dies
(PR_SET_PDEATHSIG), and the command SIGKILL when this one does.

Arguments: parent's process id, file descriptor for the report, seconds (0: no limit), the command. The report is one
JSON object: ``status`` (exit status, or minus the signal), ``timeout``, ``left`` (processes that had to be ended),
``seconds``, ``error`` and ``errno`` where it could not be started.
"""

import ctypes
import errno
import json
import os
import signal
import sys
import time

_PDEATHSIG, _SUBREAPER = 1, 36  # linux/prctl.h
_PATIENCE = 10.0  # seconds in which processes that were killed have to be gone; one in the kernel's hands may stay
_libc = ctypes.CDLL(None, use_errno=True)


def _children() -> list[int]:
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - no pathlib here: this script has to start fast
        with open(f"/proc/self/task/{task}/children") as file:  # noqa: PTH123
            found += map(int, file.read().split())
    return found


def _below(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
            children = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_below(child))]


def end_all() -> int:
    """Kill everything below this process and reap it; how many there were. What forks meanwhile is found again."""
    seen: set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        alive = [one for child in _children() for one in (child, *_below(child))]
        for pid in alive:
            seen.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return len(seen)
        time.sleep(0.005)
    return len(seen)


def _start(command: list[str], report: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    _libc.prctl(_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        try:
            os.execvp(command[0], command)  # noqa: S606 - the user's own command line
        except OSError as error:
            if error.errno != errno.ENOEXEC or "/" not in command[0]:
                raise
            # A script that names no interpreter is the shell's, as for execvp(3), make and `git bisect run`.
            os.execv("/bin/sh", ["sh", *command])  # noqa: S606
    except OSError as error:
        told = {"error": f"{command[0]}: {error.strerror}", "errno": error.errno, "status": 127}
        os.write(report, json.dumps(told).encode())
        os._exit(127)


def main(parent: int, report: int, seconds: float, command: list[str]) -> int:
    """See the module's first lines."""
    waited = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    _libc.prctl(_PDEATHSIG, signal.SIGTERM)
    _libc.prctl(_SUBREAPER, 1)
    if os.getppid() != parent:
        return 1
    os.set_inheritable(report, False)
    since = time.monotonic()
    child, status, timeout = _start(command, report), None, False
    while status is None:
        left = since + seconds - time.monotonic() if seconds else 3600.0
        got = signal.sigtimedwait(waited, max(left, 0.0))
        if got is None and seconds and time.monotonic() >= since + seconds:
            timeout = True
            break
        if got is not None and got.si_signo != signal.SIGCHLD:
            end_all()
            return 1
        status = _reap(child)
    took = time.monotonic() - since
    left_over = end_all()
    code = None if status is None else os.waitstatus_to_exitcode(status)
    told = {"status": code, "timeout": timeout, "left": 0 if timeout else left_over, "seconds": took}
    os.write(report, json.dumps(told).encode())
    return 0


def _reap(wanted: int) -> int | None:
    """Take in who ended; the wanted child's status if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        found = status if pid == wanted else found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
