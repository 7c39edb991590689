"""Shell scripts as reproducers: they bring busybox along, whose shell and tools they run with."""

import shlex
import shutil
from pathlib import Path

from firstbad.errors import NotFoundError, UserError
from firstbad.payload import DIRECTORY
from firstbad.repro.elf import check_program
from firstbad.repro.targets import Target

NAME = "reproducer.sh"
BUSYBOX = "/bin/busybox"
_SHELLS = ("sh", "ash")
_SET_UP = f"{BUSYBOX} mkdir -p /usr/bin /sbin && {BUSYBOX} --install -s /bin && {BUSYBOX} ln -s {BUSYBOX} /usr/bin/env"


def is_script(data: bytes) -> bool:
    """Whether a file says which program interprets it."""
    return data.startswith(b"#!")


def command(data: bytes, name: str) -> tuple[str, ...]:
    """The words that run the script: with the options of its first line, by busybox's shell.

    Raises UserError when that line asks for another interpreter; ``name`` is the script's for messages.
    """
    first = data[2:].split(b"\n", 1)[0].decode(errors="replace").split()
    if first and Path(first[0]).name == "env":
        first = first[1:]
    if not first or Path(first[0]).name not in _SHELLS:
        wanted = first[0] if first else "nothing"
        raise UserError(f"{name}:1: asks for {wanted}; our machine has busybox's sh (write '#!/bin/sh')")
    script = shlex.join([BUSYBOX, "sh", *first[1:], f"{DIRECTORY}/{NAME}"])
    return (BUSYBOX, "sh", "-c", f"{_SET_UP} && exec {script}")


def find_busybox(given: Path | None, target: Target) -> Path:
    """A static busybox for the machine. Raises NotFoundError, UserError that name the package or the job's field."""
    if given is None and not target.is_native:
        raise NotFoundError(
            f"shell scripts need a static busybox for {target.name}; name one in the job file: reproducer.busybox"
        )
    found = given or shutil.which("busybox")
    if found is None:
        raise NotFoundError("shell scripts need busybox; on Debian: apt-get install busybox-static")
    path = Path(found)
    try:
        check_program(path.read_bytes(), str(path), target)
    except UserError as error:
        raise UserError(f"{error} (shell scripts need Debian's busybox-static)") from None
    except OSError as error:
        raise NotFoundError(f"{path}: can't be read: {error.strerror}") from None
    return path
