"""Builds the guest's file system: our init and nothing else."""

import gzip
import hashlib
import os
from importlib import resources
from pathlib import Path

from firstbad.bounded import run_bounded
from firstbad.errors import InfrastructureError, UserError
from firstbad.scratch import scratch, write_whole
from firstbad.vm import cpio
from firstbad.vm.architecture import Architecture, architecture

_FLAGS = ("-static", "-Os", "-s", "-Wall")
_SOURCES = ("init.c", "trace.h")
_SECONDS = 120.0
_FORMAT = b"1"
"""Counts up when the archive's layout changes."""


def build_initramfs(directory: Path, *, arch: str = "x86_64", compiler: str = "") -> Path:
    """Compiles the guest init and packs it; returns the path of the archive (gzip'd newc).

    ``arch`` is a name of machines.toml; ``compiler`` stands in for the one that builds for it here.

    Kept in ``directory`` under a name that holds the hash of source and flags: built once. Safe to call from
    several processes at a time. Raises UserError when there is no compiler or no static C library.
    """
    machine = architecture(arch)
    compiler = compiler or machine.compiler
    sources = {name: resources.files("firstbad.vm").joinpath("guest", name).read_bytes() for name in _SOURCES}
    digest = hashlib.sha256(b"\0".join([_FORMAT, compiler.encode(), " ".join(_FLAGS).encode(), *sources.values()]))
    path = directory / f"initramfs-{digest.hexdigest()[:16]}.cpio.gz"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(path, pack(_compile(sources, compiler, _package(machine, compiler))))
    return path


def pack(init: bytes) -> bytes:
    """The gzip'd archive around an init program; the same bytes for the same program."""
    entries = [
        cpio.directory("dev"),
        # Without it every boot warns that it can't open an initial console.
        cpio.character_device("dev/console", 5, 1),
        *(cpio.directory(name) for name in ("proc", "sys")),
        cpio.directory("tmp", 0o1777),
        cpio.executable("init", init),
    ]
    return gzip.compress(cpio.archive(entries), mtime=0)


def _package(machine: Architecture, compiler: str) -> str:
    return machine.cross_package if compiler.startswith(machine.cross) else "gcc libc6-dev"


def _compile(sources: dict[str, bytes], compiler: str, package: str) -> bytes:
    with scratch() as place:
        program = place / "init"
        for name, source in sources.items():
            (place / name).write_bytes(source)
        command = [compiler, *_FLAGS, _SOURCES[0], "-o", str(program)]
        env = {**os.environ, "TMPDIR": str(place)}
        try:
            status, messages = run_bounded(command, place, _SECONDS, "the guest's init", env=env)
        except FileNotFoundError as error:
            reason = f"no such compiler; the guest's init needs one: on Debian: apt-get install {package}"
            raise UserError(f"{compiler}: {reason}") from error
        if status:
            raise _failure(compiler, package, messages)
        return program.read_bytes()


def _failure(compiler: str, package: str, messages: str) -> Exception:
    if "cannot find -lc" in messages or "fatal error: " in messages:
        return UserError(f"no static C library for the guest's init; on Debian: apt-get install {package}")
    lines = [line for line in messages.splitlines() if "error" in line] or messages.splitlines() or ["?"]
    return InfrastructureError(f"{compiler} can't compile the guest's init: {lines[0]}")
