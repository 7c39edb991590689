"""Adds source lines to a report's stack frames, offline, from the DWARF of a vmlinux and of module files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from firstbad.crash.demangle import demangle, demangle_text
from firstbad.crash.disassemble import decoded
from firstbad.crash.images import Image, Place, Symbol, architecture, open_kernel, opener, read_code

__all__ = ["Frame", "Lookup", "Place", "annotate", "make_lookup", "symbolize"]

_MAX_LINE = 2048
_MAX_NAME = 512
"""Characters; the kernel's KSYM_NAME_LEN."""
_MAX_FUNCTION = 1 << 20
"""Bytes of a function that are worth disassembling to find where instructions start."""

_OFFSET = re.compile(r"\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})(?![0-9a-f])", re.ASCII)
# What may follow a frame that has no source line yet: the ")" of 32-bit ARM's "(func+0x1/0x2)", the module with its
# build id, arm64's and powerpc's marks of how the frame was found.
_REST = re.compile(
    r"(?P<close>\)?)(?: \[(?P<module>[\w-]{1,64})(?: (?P<build>[0-9a-f]{4,64}))?\])?"
    r"(?P<mark> \((?:[A-Z]{1,4}|unreliable)\))?(?P<end>\s{0,64})\Z",
    re.ASCII,
)
# A kernel without KALLSYMS prints addresses for names.
_RAW = re.compile(
    r"(?:\A|[\s\]:])(?P<raw>0x(?P<address>[0-9a-f]{8,16}))(?P<close>)(?P<mark>)(?P<end>\s{0,64})\Z", re.ASCII
)
# The instruction pointer is the instruction itself; everything else is a return address.
_EXACT = re.compile(r"(?:\b(?:RIP|EIP|IP):|\b(?:pc|epc) :|\bPC is at|\bNIP \[)", re.ASCII)
_SHIFT = re.compile(r"Kernel Offset: 0x([0-9a-f]{1,16}) from", re.ASCII)
# Headers that the build makes lie in its output directory, at these places.
_GENERATED = re.compile(r"/(?:arch/[a-z0-9]{1,16}/)?include/generated/", re.ASCII)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as printed: ``function`` with ``offset`` and ``size`` in bytes, or an address without a name.

    ``exact``: the instruction pointer; else a return address, and the call is the instruction before.
    """

    function: str
    offset: int
    size: int
    exact: bool
    module: str = ""
    build_id: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a frame: ``name`` as ``func+0x1/0x2``, ``places`` innermost first, the last one its own."""

    name: str
    places: list[Place]


Lookup = Callable[[Frame], Found | None]


def symbolize(report_text: str, vmlinux: Path, source_prefix: str = "", modules: Path | None = None) -> str:
    """``report_text`` with ``file:line`` behind each frame that ``vmlinux`` knows, names demangled, ``Code:`` decoded.

    Inlined functions become lines of their own before it: ``func file:line [inline]``.  Frames of modules are looked
    up in ``NAME.ko`` below the directory ``modules``.  Lines of which nothing is known and lines that have their source
    already keep their text.  ``source_prefix`` (the tree's absolute path; by default that of ``init/main.c``) is cut
    off file names.  The kernel's first ``Code:`` follows at the end as instructions where a disassembler is installed.
    Raises NotFoundError if there is no such file or directory, UserError if drgn can't read it.
    """
    kernel, llvm = open_kernel(vmlinux)
    with llvm:
        prefix = source_prefix or _source_root(kernel)
        shift = _SHIFT.search(report_text)
        lookup = make_lookup(opener(kernel, modules), prefix, int(shift[1], 16) if shift else 0)
        text = "".join(demangle_text(annotate(line, lookup)) for line in report_text.splitlines(keepends=True))
    how = architecture(vmlinux)
    code = decoded(report_text, how.name, lambda line: _function_bytes(line, kernel, vmlinux)) if how else ""
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}\n{code}" if code else text


def _function_bytes(pointer: str, kernel: Image, vmlinux: Path) -> bytes:
    """The function of an instruction pointer's line from its start to the instruction."""
    split = _named(pointer)
    if split is None or split[1].module or split[1].offset > _MAX_FUNCTION:
        return b""
    symbol = _symbol(kernel.symbols(split[1].function), split[1])
    return read_code(vmlinux, symbol.address, split[1].offset) if symbol else b""


def annotate(line: str, lookup: Lookup) -> str:
    """One line of a report (with its line end) with what ``lookup`` knows about its frame."""
    if len(line) > _MAX_LINE:
        return line
    split = _named(line) or _raw(line)
    if split is None:
        return line
    before, frame, rest = split
    found = lookup(frame)
    if found is None or not found.places:
        return line
    *callees, last = found.places
    inlined = [f"{before}{demangle(each.function)} {each.file}:{each.line} [inline]\n" for each in callees]
    module = f" [{frame.module}]" if frame.module else ""
    return (
        "".join(inlined)
        + f"{before}{found.name} {last.file}:{last.line}{rest['close']}{module}{rest['mark'] or ''}{rest['end']}"
    )


def _named(line: str) -> tuple[str, Frame, re.Match[str]] | None:
    """The last ``func+0x1/0x2`` of a line: what stands before it, the frame, what follows."""
    last = max(_OFFSET.finditer(line), key=re.Match.start, default=None)
    rest = _REST.match(line, last.end()) if last else None
    if last is None or rest is None:
        return None
    start = last.start()
    while start and last.start() - start < _MAX_NAME and (line[start - 1].isalnum() or line[start - 1] in "_$."):
        start -= 1
    name = line[start : last.start()]
    if not name or name[0].isdigit():
        return None
    exact = _EXACT.search(line, 0, start) is not None
    frame = Frame(
        name, int(last["offset"], 16), int(last["size"], 16), exact, rest["module"] or "", rest["build"] or ""
    )
    return line[:start], frame, rest


def _raw(line: str) -> tuple[str, Frame, re.Match[str]] | None:
    rest = _RAW.search(line)
    if rest is None:
        return None
    exact = _EXACT.search(line, 0, rest.start("raw")) is not None
    return line[: rest.start("raw")], Frame("", int(rest["address"], 16), 0, exact), rest


def make_lookup(images: Callable[[str, str], Image | None], prefix: str = "", shift: int = 0) -> Lookup:
    """Looks frames up in ``images`` (by module name, empty for the kernel, and build id).

    ``prefix`` is cut off file names; ``shift`` is by how much the kernel was moved when it ran, for frames that are
    printed as addresses.
    """

    @lru_cache(maxsize=4096)
    def lookup(frame: Frame) -> Found | None:
        image = images(frame.module, frame.build_id)
        if image is None:
            return None
        if frame.function:
            symbol, offset = _symbol(image.symbols(frame.function), frame), frame.offset
            name = f"{frame.function}+{offset:#x}/{frame.size:#x}"
        else:
            address = frame.offset - shift
            symbol = image.holding(address - (not frame.exact)) if address > 0 else None
            offset = address - symbol.address if symbol else 0
            name = f"{symbol.name}+{offset:#x}/{symbol.size:#x}" if symbol else ""
        if symbol is None:
            return None
        # No call ends where a function starts: an address there was printed for itself.
        at = symbol.address + offset - (0 if frame.exact or not offset else 1)
        places = image.places(at) if 0 <= at < 1 << 64 else []
        return Found(name, [Place(each.function, _short(each.file, prefix), each.line) for each in places])

    return lookup


def _symbol(symbols: list[Symbol], frame: Frame) -> Symbol | None:
    """Static functions of one name in several files: the printed size tells which, else the first."""
    if not symbols:
        return None
    symbol = next((each for each in symbols if each.size == frame.size), symbols[0])
    return symbol if frame.offset <= max(symbol.size, frame.size) else None


def _source_root(kernel: Image) -> str:
    """The directory of the sources, told by the place of the function that every kernel has."""
    for symbol in kernel.symbols("start_kernel"):
        for place in kernel.places(symbol.address)[-1:]:
            if place.file.endswith("/init/main.c"):
                return place.file.removesuffix("init/main.c")
    return ""


def _short(file: str, prefix: str) -> str:
    if prefix:
        file = file.removeprefix(prefix.rstrip("/") + "/")
    if file.startswith("/"):
        generated = _GENERATED.search(file)
        file = file[generated.start() + 1 :] if generated else file
    return file.removeprefix("./")
