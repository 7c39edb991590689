"""Where functions lie in a built kernel: its symbol table, read without parsing what nobody asked for."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

TEXT = "_stext"
"""Where the kernel's code begins: addresses of a running kernel are told apart from those of the file by it."""

_COPY = r"(?:\.(?:part|isra|constprop|llvm|lto_priv|clone|cfi)\b[.\w]*)*"
"""What compilers append to a function that they split or made a copy of. ``.cold`` is no function: nobody calls it."""

_SYMBOL = np.dtype(
    [("name", "u4"), ("info", "u1"), ("other", "u1"), ("section", "u2"), ("value", "u8"), ("size", "u8")]
)
_Symbols = NDArray[np.void]
_FUNC, _FILE = 2, 4
_MOST = 64


def functions(
    vmlinux: Path, names: Collection[str], sources: dict[str, str] | None = None
) -> dict[str, tuple[int, ...]]:
    """Addresses of each function, as linked, with those of the copies that the compiler made of it.

    Names that the kernel does not have (not configured, inlined everywhere) are left out; ``TEXT`` may be among
    ``names``. ``sources``: the file of a function, where known, by which static functions of one name are told apart.
    Empty for what is no little-endian 64-bit ELF file with symbols.
    """
    try:
        with vmlinux.open("rb") as file:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".symtab")
            if table is None or elf.elfclass != 64 or not elf.little_endian:
                return {}
            text = elf.get_section(table["sh_link"]).data()
            raw = table.data()
    except Exception:  # elftools raises what it stumbles over; without addresses reach is not known, and that is all
        return {}
    symbols = np.frombuffer(raw[: len(raw) // _SYMBOL.itemsize * _SYMBOL.itemsize], dtype=_SYMBOL)
    found = {name: tuple(_addresses(symbols, text, name, (sources or {}).get(name, ""))) for name in names}
    return {name: addresses for name, addresses in found.items() if addresses}


def _addresses(symbols: _Symbols, text: bytes, name: str, source: str) -> Iterator[int]:
    # Linkers let a name be the tail of another one, so a match may begin anywhere.
    at = [found.start() for found in re.finditer(rf"{re.escape(name)}{_COPY}\0".encode(), text)]
    named = np.flatnonzero(np.isin(symbols["name"], at) & (symbols["section"] != 0))
    rows = [int(row) for row in named if name == TEXT or symbols["info"][row] & 15 == _FUNC]
    here = [row for row in rows if _in_file(symbols, text, row, source)]
    yield from dict.fromkeys(int(symbols["value"][row]) for row in (here or rows)[:_MOST])


def _in_file(symbols: _Symbols, text: bytes, row: int, source: str) -> bool:
    """Whether a static function comes from ``source``: local symbols follow the name of their file."""
    if not source or symbols["info"][row] >> 4:
        return True
    files = np.flatnonzero(symbols["info"][:row] & 15 == _FILE)
    if not len(files):
        return True
    begin = int(symbols["name"][files[-1]])
    return text[begin : text.find(b"\0", begin)].decode(errors="replace") == source.rpartition("/")[2]
