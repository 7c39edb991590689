"""One session of firstbad as a process of its own: forked from one that has imported it all, which saves seconds."""

import atexit
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.faults.plan import Plan, Point

_SUBREAPER = 36  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


def become_reaper() -> None:
    """Whatever a session gives up becomes a child of this process: so it is found."""
    _libc.prctl(_SUBREAPER, 1)


@dataclass(frozen=True)
class Ended:
    """``status`` as Popen has it; ``what`` was done at the point, empty where it was not come to; ``offset`` of the
    clock at the end."""

    status: int
    out: str
    err: str
    hit: bool
    what: str
    seconds: float
    hung: bool = False
    offset: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def run_session(
    words: Sequence[str],
    *,
    box: Path,
    cwd: Path,
    env: dict[str, str],
    point: Point | None = None,
    offset: int = 0,
    meet: Callable[[int, Plan], None] | None = None,
    limit: float = 60.0,
) -> Ended:
    """Run ``firstbad`` with these words until its end. ``meet`` is called with its process id when the point is met.

    ``box``: the trial's directory; points are counted below ``box/in``. A session that takes longer than ``limit``
    seconds is killed: it hung.
    """
    plan = Plan(box / "plan", box / "in", point, offset)
    env = env | {"FAULTS_PLAN": str(plan.file)}
    since, hung = time.monotonic(), False
    pid = _fork(words, cwd, env, plan.file, box)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if plan.waits:
            assert meet is not None
            meet(pid, plan)
            plan.go_on()
        if time.monotonic() > since + limit and not hung:
            hung = True
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    plan.go_on() if plan.waits else None
    out, err = ((box / name).read_text(errors="replace") for name in ("out", "err"))
    took = time.monotonic() - since
    return Ended(
        os.waitstatus_to_exitcode(status), out, err, plan.was_hit, plan.what, took, hung, plan.offset, plan.counts
    )


def _fork(words: Sequence[str], cwd: Path, env: dict[str, str], plan: Path, box: Path) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(box / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        _libc.faults_attach(os.fsencode(plan))
        status = _main(words)
    finally:
        os._exit(status)


def apart(function: Callable[[], None], env: dict[str, str]) -> None:
    """Call a function in a process of its own, in which nothing goes wrong."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.environ.clear()
            os.environ.update(env)
            function()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def _main(words: Sequence[str]) -> int:
    from firstbad.cli import main

    sys.argv = ["firstbad", *words]
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def descendants() -> list[int]:
    """All processes below this one that have not ended."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                rest = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if rest[0] not in "ZX":
                parents.setdefault(int(rest[1]), []).append(int(entry.name))
    found, waiting = list[int](), [os.getpid()]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def kill_all() -> None:
    """End everything below this process at once."""
    for pid in descendants():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def left_processes(patience: float = 5.0) -> list[str]:
    """What still runs below this process when that long has passed; empty as soon as nothing does."""
    until = time.monotonic() + patience
    while (found := descendants()) and time.monotonic() < until:
        time.sleep(0.01)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    return [_command(pid) for pid in found]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:120]
    except OSError:
        return str(pid)
