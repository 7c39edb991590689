"""The signature of a kernel: equal when what runs is equal."""

import hashlib
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from firstbad.errors import BuildError


def signature(vmlinux: Path) -> str:
    """Sha256 (hex) over the sections that are loaded and have contents, by name, without notes.

    Notes hold the build id, which changes with debug information; sections that are not loaded (symbols, DWARF)
    do not run. Raises BuildError when the file is no ELF file.
    """
    total = hashlib.sha256()
    try:
        with vmlinux.open("rb") as file:
            for section in ELFFile(file).iter_sections():
                if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC or section["sh_type"] == "SHT_NOBITS":
                    continue
                if section["sh_type"] == "SHT_NOTE" or section.name.startswith(".note"):
                    continue
                total.update(section.name.encode() + b"\0" + section["sh_size"].to_bytes(8, "little"))
                total.update(section.data())
    except Exception as error:  # elftools raises what it stumbles over, also for a truncated file
        raise BuildError(f"{vmlinux.name} is not a kernel: {error}") from None
    return total.hexdigest()
