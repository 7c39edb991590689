"""Adds source lines to a report's stack frames, offline, from the DWARF of a vmlinux (read with drgn)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import drgn

from firstbad.errors import NotFoundError, UserError

# "func+0x1/0x2"; nothing but blanks may follow, else the frame has its source line (or module) already.
_FRAME = re.compile(
    r"(?P<func>[A-Za-z_$][\w$.]{0,255})\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})(?P<rest>\s*)\Z"
)
_MAX_LINE = 1024
_ALL_ADDRESSES = (0, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Place:
    """A function and the source line in it; several for one address where functions were inlined."""

    function: str
    file: str
    line: int


Lookup = Callable[[str, int, int, bool], list[Place]]
"""(symbol, offset in it, size as printed, exact) -> innermost first; empty if unknown.

``exact`` is false for return addresses: the call is the instruction before.
"""


def symbolize(report_text: str, vmlinux: Path, source_prefix: str = "") -> str:
    """``report_text`` with ``file:line`` behind each ``func+0x1/0x2`` that ``vmlinux`` knows.

    Inlined functions become lines of their own before it: ``func file:line [inline]``.  Lines of which nothing is
    known, of modules, and lines that have their source already stay as they are.  ``source_prefix`` (the tree's
    absolute path) is cut off file names.  Raises NotFoundError if there is no such file, UserError if drgn can't
    read it.
    """
    lookup = _drgn_lookup(vmlinux, source_prefix)
    return "".join(annotate(line, lookup) for line in report_text.splitlines(keepends=True))


def annotate(line: str, lookup: Lookup) -> str:
    """One line of a report (with its line end) with what ``lookup`` knows about its frame."""
    if len(line) > _MAX_LINE:
        return line
    found = _FRAME.search(line)
    if found is None:
        return line
    # The instruction pointer is the instruction itself; everything else is a return address.
    exact = "RIP:" in line[: found.start()]
    places = lookup(found["func"], int(found["offset"], 16), int(found["size"], 16), exact)
    if not places:
        return line
    before, name = line[: found.start()], line[found.start() : found.start("rest")]
    inlined = [f"{before}{place.function} {place.file}:{place.line} [inline]\n" for place in places[:-1]]
    return "".join(inlined) + f"{before}{name} {places[-1].file}:{places[-1].line}{found['rest']}"


def _drgn_lookup(vmlinux: Path, source_prefix: str) -> Lookup:
    program = _open(vmlinux)
    prefix = source_prefix.rstrip("/") + "/" if source_prefix else ""

    def lookup(name: str, offset: int, size: int, exact: bool) -> list[Place]:
        symbols = program.symbols(name)
        if not symbols:
            return []
        # Static functions of one name in several files: the printed size tells which.
        symbol = next((each for each in symbols if each.size == size), symbols[0])
        if offset > max(symbol.size, size):
            return []
        try:
            locations = program.source_location(symbol.address + offset - (0 if exact else 1))
        except LookupError:
            return []
        places = [Place(each.name(), _short(each.filename, prefix), each.line) for each in locations]
        return places if all(place.file and place.line for place in places) else []

    return lookup


def _open(vmlinux: Path) -> drgn.Program:
    if not vmlinux.is_file():
        raise NotFoundError(f"no such kernel: {vmlinux}")
    program = drgn.Program()
    module = program.extra_module("kernel", create=True)
    module.try_file(vmlinux, force=True)
    if module.loaded_file_status != drgn.ModuleFileStatus.HAVE:
        raise UserError(f"{vmlinux}: no kernel image with symbols; give the ELF file vmlinux, not bzImage")
    module.address_range = _ALL_ADDRESSES
    return program


def _short(file: str, prefix: str) -> str:
    return (
        file.removeprefix(prefix).removeprefix("./") if prefix and file.startswith(prefix) else file.removeprefix("./")
    )
