"""From what a person names (a C file, a program) to what a machine can run."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firstbad.errors import NotFoundError, UserError
from firstbad.payload import DIRECTORY, File, Payload
from firstbad.repro.compiler import FLAGS, compile_c

PROGRAM = "reproducer"
_ELF = b"\x7fELF"
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Reproducer:
    """A reproducer that is ready to run.

    ``source``: what was named; ``digest``: SHA-256 (hex) of the source; ``files``: by their names in the machine,
    where they are kept here; ``command``: what is run there.
    """

    source: Path
    kind: Literal["c", "program"]
    digest: str
    files: tuple[tuple[str, Path], ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def payload(self) -> Payload:
        """All that a machine is sent, read from the kept files."""
        files = (File(name, path.read_bytes()) for name, path in self.files)
        return Payload(tuple(files), self.command, self.environment)


def prepare(source: Path, directory: Path, *, compiler: str = "gcc") -> Reproducer:
    """Makes ``source`` runnable: a ``.c`` file is compiled, a static executable (ELF) is taken as it is.

    Programs are kept in ``directory`` by the hash of source, compiler and flags: compiled once. Safe to call
    from several processes at a time. Raises NotFoundError when the file is missing, UserError when it is
    neither kind, needs a dynamic linker, or does not compile (with line and first error).
    """
    data = _read(source)
    digest = hashlib.sha256(data).hexdigest()
    if data.startswith(_ELF):
        if _is_dynamic(data):
            raise UserError(f"{source}: is linked dynamically, the machine has no libraries; link with -static")
        kind: Literal["c", "program"] = "program"
        key = digest
    elif source.suffix == ".c":
        kind = "c"
        key = hashlib.sha256("\0".join([digest, compiler, *FLAGS]).encode()).hexdigest()
    else:
        raise UserError(f"{source}: neither C source (.c) nor a static executable (ELF)")
    program = directory / f"reproducer-{key[:32]}"
    if not program.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _write_whole(program, data if kind == "program" else compile_c(data, str(source), compiler))
    return Reproducer(source, kind, digest, ((PROGRAM, program),), (f"{DIRECTORY}/{PROGRAM}",))


def _read(source: Path) -> bytes:
    try:
        if not source.is_file():
            raise NotFoundError(f"{source}: no such reproducer")
        if source.stat().st_size > _LARGEST:
            raise UserError(f"{source}: larger than {_LARGEST >> 20} MiB, which no reproducer is")
        return source.read_bytes()
    except OSError as error:
        raise UserError(f"{source}: can't be read: {error.strerror}") from error


def _is_dynamic(data: bytes) -> bool:
    """Whether a 64-bit little-endian ELF file names a dynamic linker (a PT_INTERP program header)."""
    offset = int.from_bytes(data[0x20:0x28], "little")
    size, count = (int.from_bytes(data[at : at + 2], "little") for at in (0x36, 0x38))
    starts = (offset + number * size for number in range(count))
    return any(int.from_bytes(data[start : start + 4], "little") == 3 for start in starts)


def _write_whole(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o755)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
