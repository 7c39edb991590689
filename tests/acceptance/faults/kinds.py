"""The kinds of faults: at which points they happen, what is done there, and what a user does about them afterwards."""

import contextlib
import ctypes
import errno
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.faults import plan, sessions
from tests.acceptance.faults.plan import DIE, FAIL, FROM_HERE, MEET, Plan, Point

DAYS = 3 * 86_400
EVERYWHERE = ("event", "start", "file", "compiler")


@dataclass
class Fault:
    """A fault in the copy ``box`` of a scenario.

    ``meet`` is done at the point; ``begin`` before the session; ``heal`` is what the user does before going on.
    ``env``: more of it in the session.
    """

    point: Point | None
    meet: Callable[[int, Plan], None] | None = None
    begin: Callable[[], None] = lambda: None
    heal: Callable[[], None] = lambda: None
    env: dict[str, str] | None = None


@dataclass(frozen=True)
class Kind:
    """``classes``: of points at which it can happen; ``make`` draws one. ``says``: what the error
    of a session that it ends has to tell (a regular expression). ``machines``: only where some are."""

    name: str
    classes: tuple[str, ...]
    make: Callable[[Path, random.Random, str, int], Fault]
    says: str = ""
    machines: bool = False


def _fails(error: int, sticky: bool = False, store: bool = False) -> Callable[..., Fault]:
    def make(_: Path, __: random.Random, kind: str, number: int) -> Fault:
        return Fault(Point(kind, number, FROM_HERE if sticky else FAIL, error, store))

    return make


def _cannot_start(_: Path, chance: random.Random, kind: str, number: int) -> Fault:
    return Fault(Point(kind, number, FAIL, chance.choice((errno.EAGAIN, errno.ENOMEM, errno.EIO))))


def _kill(_: Path, __: random.Random, kind: str, number: int) -> Fault:
    return Fault(Point(kind, number, MEET), lambda pid, _: os.kill(pid, signal.SIGKILL))


def _kill_all(_: Path, __: random.Random, kind: str, number: int) -> Fault:
    return Fault(Point(kind, number, MEET), lambda *_: sessions.kill_all())


def _out_of_memory(_: Path, __: random.Random, kind: str, number: int) -> Fault:
    return Fault(Point(kind, number, DIE))


def _clock(sign: int) -> Callable[..., Fault]:
    """All files get other times, too: seen from the new time they are as far away as they would be."""

    def make(box: Path, _: random.Random, kind: str, number: int) -> Fault:
        def jump(_: int, shared: Plan) -> None:
            shared.offset += sign * DAYS
            for path in (box / "in").rglob("*"):
                with contextlib.suppress(OSError):
                    at = path.lstat().st_mtime - sign * DAYS
                    os.utime(path, (at, at), follow_symlinks=False)

        return Fault(Point(kind, number, MEET), jump)

    return make


_LOCKS = ("index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "refs/heads/master.lock", "shallow.lock")


def _locked(box: Path, _: random.Random, kind: str, number: int) -> Fault:
    """Another git of the user works in the repository, or died in it."""
    locks = [box / "in/repo/.git" / name for name in _LOCKS]

    taken: list[Path] = []

    def take(*_: object) -> None:
        for lock in locks:
            with contextlib.suppress(FileExistsError):  # a git that works right now has it
                lock.touch(exist_ok=False)
                taken.append(lock)

    def give_back() -> None:
        for lock in taken:
            lock.unlink()  # where it is gone, somebody else removed it

    return Fault(Point(kind, number, MEET), take, heal=give_back)


def _corrupt(box: Path, chance: random.Random, kind: str, number: int) -> Fault:
    """An object of the range is spoiled, and comes back from a backup."""
    objects = sorted(path for path in (box / "in/repo/.git/objects").glob("??/*"))
    victim, how = chance.choice(objects), chance.choice(("gone", "empty", "half", "noise"))
    whole, mode = victim.read_bytes(), victim.stat().st_mode

    def spoil(*_: object) -> None:
        victim.chmod(0o644)
        if how == "gone":
            victim.unlink()
        else:
            victim.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "noise": os.urandom(len(whole))}[how])

    def put_back() -> None:
        victim.unlink(missing_ok=True)
        victim.write_bytes(whole)
        victim.chmod(mode)

    return Fault(Point(kind, number, MEET), spoil, heal=put_back)


def _qemu(_: Path, chance: random.Random, kind: str, number: int) -> Fault:
    how = chance.choice(("hangs", "child", "stopped"))
    return Fault(None, env={"FAULTS_QEMU": f"{number}:{how}"})


_BIND, _REMOUNT, _RDONLY, _PRIVATE, _REC = 4096, 32, 1, 1 << 18, 16384
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(what: str, where: Path, kind: str, flags: int, more: str = "") -> None:
    words = (what.encode(), os.fsencode(where), kind.encode(), ctypes.c_ulong(flags), more.encode())
    if _libc.mount(*words):
        raise OSError(ctypes.get_errno(), "mount", str(where))


def may_mount() -> bool:
    """Have mounts of this process be its own; whether that can be had here."""
    try:
        if _libc.unshare(0x00020000):  # CLONE_NEWNS
            return False
        _mount("none", Path("/"), "", _REC | _PRIVATE)
    except OSError:
        return False
    return True


def _read_only(box: Path, _: random.Random, __: str, ___: int) -> Fault:
    """The data directory is mounted read-only, for a whole session."""
    home = box / "in/home"

    def begin() -> None:
        _mount(str(home), home, "", _BIND)
        _mount("none", home, "", _BIND | _REMOUNT | _RDONLY)

    return Fault(None, begin=begin, heal=lambda: _umount(home))


def _really_full(box: Path, chance: random.Random, kind: str, number: int) -> Fault:
    """The data directory is a small file system of its own, which another program fills at the point."""
    inside = box / "in"
    filler = inside / "filler"

    def begin() -> None:
        if inside.is_mount():  # by the fault before
            return
        kept = box / "kept"
        inside.rename(kept)
        inside.mkdir()
        _mount("none", inside, "tmpfs", 0, "size=112m")
        subprocess.run(["cp", "-a", f"{kept}/.", str(inside)], check=True)
        shutil.rmtree(kept)

    def fill(*_: object) -> None:
        left = chance.choice((0, 4096, 40_000))
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with filler.open("r+b", buffering=0) as file, contextlib.suppress(OSError):
            file.seek(0, os.SEEK_END)
            while True:
                file.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - left)

    return Fault(Point(kind, number, MEET), fill, begin, lambda: filler.unlink(missing_ok=True))


def _umount(where: Path) -> None:
    if _libc.umount2(os.fsencode(where), 2):
        raise OSError(ctypes.get_errno(), "umount", str(where))


def unmount_all(box: Path) -> None:
    """What a trial mounted."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        where = line.split(" ")[4]
        if where.startswith(f"{box}/"):
            _umount(Path(where))


_GITS = "(?:unable to|failed to|couldn't|could not) (?:write|create|set)"  # which is all that git says of some failures
_FULL, _DISK, _RO = f"space|full|room|{_GITS}", f"I/O|input/output|{_GITS}", f"read-?only|{_GITS}"
_KILLED = "killed|signal|memory"
_OBJECT = "corrupt|header|object|tree|unable to read|empty|inflate|hash|unpack|missing|revision"
KINDS = (
    Kind("kill", EVERYWHERE, _kill, _KILLED),
    Kind("kill all", EVERYWHERE, _kill_all),
    Kind("ENOSPC once", ("event", "file", "compiler"), _fails(errno.ENOSPC), _FULL),
    Kind("ENOSPC from here on", ("event", "file", "compiler"), _fails(errno.ENOSPC, sticky=True), _FULL),
    Kind("full file system", ("event", "file"), _really_full, _FULL),
    Kind("EIO", ("event", "file", "compiler"), _fails(errno.EIO), _DISK),
    Kind("can't start", ("start",), _cannot_start, f"start|unavailable|memory|{_DISK}"),
    Kind("OOM", ("compiler", "start"), _out_of_memory, _KILLED),
    Kind("clock forwards", EVERYWHERE, _clock(1), "clock"),
    Kind("clock backwards", EVERYWHERE, _clock(-1), "clock"),
    Kind("repository locked", EVERYWHERE, _locked, "lock"),
    Kind("repository corrupted", EVERYWHERE, _corrupt, _OBJECT),
    Kind("store read-only", ("event",), _fails(errno.EROFS, sticky=True, store=True), f"{_RO}|{_DISK}"),
    Kind("all read-only", ("event", "file"), _fails(errno.EROFS, sticky=True), f"{_RO}|{_DISK}"),
    Kind("mounted read-only", ("event",), _read_only, _RO),
    Kind("QEMU hangs on exit", ("event",), _qemu, "QEMU", machines=True),
)
NEEDS_MOUNTS = ("full file system", "mounted read-only")

assert plan.CLASSES == EVERYWHERE
