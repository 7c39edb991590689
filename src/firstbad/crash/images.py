"""Functions and source lines of a vmlinux and of module files, from their symbol tables and DWARF, read with drgn."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import drgn
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from firstbad.crash.code import CodeFormat, by_machine
from firstbad.crash.llvm import LlvmSymbolizer
from firstbad.errors import NotFoundError, UserError

_ALL_ADDRESSES = (0, 2**64 - 1)
_MODULE_BASE = 1 << 32
"""Where the sections of a module file are laid out; a file that is not loaded has no addresses of its own."""
_MODULE_FILES = 20_000


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function of an image; ``size`` in bytes, as its symbol table says."""

    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """A function and the source line in it; several for one address where functions were inlined."""

    function: str
    file: str
    line: int


class Image(Protocol):
    """A kernel or a module."""

    def symbols(self, name: str) -> list[Symbol]:
        """Every function of this name: static functions of several files share one."""

    def holding(self, address: int) -> Symbol | None:
        """The function in which an address lies."""

    def places(self, address: int) -> list[Place]:
        """Functions and source lines of an instruction, innermost first; empty if unknown. Files as in the DWARF."""


class DrgnImage:
    """An image that drgn has open; ``misses`` is asked about addresses of which drgn knows no line."""

    def __init__(self, program: drgn.Program, misses: Callable[[int], list[Place]] | None = None) -> None:
        self._program, self._misses = program, misses

    def symbols(self, name: str) -> list[Symbol]:
        """See Image."""
        return [Symbol(each.name, each.address, each.size) for each in self._program.symbols(name)]

    def holding(self, address: int) -> Symbol | None:
        """See Image."""
        try:
            found = self._program.symbol(address)
        except LookupError:
            return None
        return Symbol(found.name, found.address, found.size)

    def places(self, address: int) -> list[Place]:
        """See Image."""
        places = self._from_drgn(address)
        return self._misses(address) if not places and self._misses else places

    def _from_drgn(self, address: int) -> list[Place]:
        try:
            found = self._program.source_location(address)
        except (LookupError, drgn.ObjectAbsentError):
            return []
        places = [Place(each.name(), each.filename, each.line) for each in found]
        return places if all(place.file and place.line for place in places) else []


def open_kernel(vmlinux: Path) -> tuple[DrgnImage, LlvmSymbolizer]:
    """A kernel's image, and the helper that it asks what drgn does not know: close that one.

    Raises NotFoundError if there is no such file, UserError if drgn can't read it.
    """
    if not vmlinux.is_file():
        raise NotFoundError(f"no such kernel: {vmlinux}")
    program = drgn.Program()
    module = program.extra_module("kernel", create=True)
    _read(module, vmlinux)
    if module.loaded_file_status != drgn.ModuleFileStatus.HAVE:
        raise UserError(f"{vmlinux}: no kernel image with symbols; give the ELF file vmlinux, not bzImage")
    module.address_range = _ALL_ADDRESSES
    llvm = LlvmSymbolizer(vmlinux)

    def misses(address: int) -> list[Place]:
        return [Place(*found) for found in llvm.ask(address)]

    return DrgnImage(program, misses), llvm


def _read(module: drgn.Module, file: Path) -> None:
    try:
        module.try_file(file, force=True)
    except (ValueError, LookupError, OSError) as error:
        raise UserError(f"{file}: not a readable ELF file: {error}") from error


def open_module(file: Path, build_id: str = "") -> DrgnImage | None:
    """A module's image from its ``.ko`` file; None if it can't be read or has another build id than ``build_id``."""
    program = drgn.Program()
    module = program.relocatable_module(file.stem, 1, create=True)
    try:
        end = _MODULE_BASE
        for name, size in _sections(file):
            module.section_addresses[name] = end
            end += (size + 0xFFFF) & ~0xFFFF
        _read(module, file)
    except UserError:
        return None
    if module.loaded_file_status != drgn.ModuleFileStatus.HAVE:
        return None
    if build_id and module.build_id and module.build_id.hex() != build_id:
        return None
    module.address_range = (_MODULE_BASE, end)
    return DrgnImage(program)


def _sections(file: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of the sections that are loaded."""
    try:
        with file.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
                    yield section.name, section["sh_size"]
    except Exception as error:  # elftools raises what it stumbles over, also for a truncated file
        raise UserError(f"{file}: not a readable ELF file: {error}") from error


def module_files(directory: Path) -> dict[str, Path]:
    """``.ko`` files below a directory by module name (``-`` in a file's name is ``_`` in the kernel).

    A file with debug information aside (``.ko.debug``) wins. Raises NotFoundError if there is no such directory.
    """
    if not directory.is_dir():
        raise NotFoundError(f"no such directory of modules: {directory}")
    found: dict[str, Path] = {}
    for root, _, names in os.walk(directory):
        for name in sorted(names):
            stem, dot, kind = name.partition(".ko")
            if dot and kind in ("", ".debug") and len(found) < _MODULE_FILES:
                key = stem.replace("-", "_")
                if kind or key not in found:
                    found[key] = Path(root, name)
    return found


def opener(kernel: Image, modules: Path | None) -> Callable[[str, str], Image | None]:
    """How to get the image of a frame: by module name (empty for the kernel) and build id (empty if not known)."""
    files = module_files(modules) if modules else {}

    @lru_cache(maxsize=256)
    def module(name: str, build_id: str) -> Image | None:
        return open_module(files[name], build_id) if name in files else None

    return lambda name, build_id: module(name, build_id) if name else kernel


def read_code(file: Path, address: int, size: int) -> bytes:
    """``size`` bytes at an address of an ELF file that is laid out (a vmlinux); empty if they are not in it."""
    try:
        with file.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                at = address - section["sh_addr"]
                if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR and at >= 0 and at + size <= section["sh_size"]:
                    stream.seek(section["sh_offset"] + at)
                    return stream.read(size)
    except Exception:  # elftools raises what it stumbles over; without these bytes we guess
        return b""
    return b""


def architecture(file: Path) -> CodeFormat | None:
    """The architecture of an ELF file, or None if it is not one whose instructions we know."""
    with file.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return None
    big = head[5] == 2
    return by_machine(int.from_bytes(head[18:20], "big" if big else "little"), 64 if head[4] == 2 else 32, big)
