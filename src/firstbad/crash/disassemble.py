"""Bytes of a ``Code:`` line as instructions, by whichever of objdump and llvm-objdump knows the architecture."""

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstbad.crash.code import Code, CodeFormat, code_format, find_code

DISASSEMBLY = "Disassembly of the code around the trap:"
"""The first line of what ``decoded`` gives."""

_SECONDS = 20.0
_LONGEST_X86 = 15
"""Bytes of the longest x86 instruction."""

_LINE = re.compile(r"\s{0,16}([0-9a-f]{1,8}):\s(.*)", re.ASCII)
_TARGET = re.compile(r"\s*<\.text[^>]{0,20}>", re.ASCII)
_UNKNOWN = re.compile(r"\(bad\)|<unknown>|^\.(?:byte|inst|short|word|long)\b|\bUNDEFINED\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instruction:
    """``offset`` in bytes from the first byte of the dump, ``text`` in the assembler's notation."""

    offset: int
    data: bytes
    text: str


def decoded(report: str, architecture: str, function: Callable[[str], bytes] = lambda _: b"") -> str:
    """The kernel's first ``Code:`` line of a report as text, a line an instruction; empty if there is nothing to show.

    ``function`` gives the bytes from a function's start to the instruction that an instruction pointer's line names,
    or none: they tell where in the dump the first instruction starts, which is a guess without them.

    The trapping instruction's line starts with ``*`` and ends with ``<-- trapping instruction``.  Empty too where no
    disassembler for ``architecture`` (as `uname -m` names it) is installed.  Raises UserError for an unknown one.
    """
    how = code_format(architecture)
    if DISASSEMBLY in report:
        return ""
    code, pointer = find_code(report, how)
    if code is None:
        return ""
    start = None if how.whole else _first_start(code, function(pointer), how)
    instructions = disassemble(code, how, start)
    if not instructions:
        return ""
    lines = [DISASSEMBLY]
    if instructions[0].offset:
        lines.append(f"  (begins within an instruction; bytes left out: {instructions[0].offset})")
    return "\n".join([*lines, *_lines(instructions, code, how), ""])


def _lines(instructions: list[Instruction], code: Code, how: CodeFormat) -> Iterator[str]:
    width = max(len(each.data) for each in instructions) * 3
    for each in instructions:
        text = f"{each.data.hex(' '):<{width}}{each.text}"
        if each.offset == code.offset:
            yield f"*{each.offset:4x}: {text} <-- trapping instruction"
        else:
            yield f" {each.offset:4x}: {text}".rstrip()


def _first_start(code: Code, function: bytes, how: CodeFormat) -> int | None:
    """The offset of the first whole instruction, told by those of the function up to the trap."""
    before = _run(Code(function, len(function)), how, 0) if function else []
    gone = len(function) - code.offset  # bytes of the function before the dump
    return next((each.offset - gone for each in before if each.offset >= gone), None)


def disassemble(code: Code, how: CodeFormat, start: int | None = None) -> list[Instruction]:
    """The instructions of a dump, one of which starts at ``code.offset``; empty without a disassembler.

    ``start`` is the offset of the first whole one, if known. Else, as a dump may begin within an instruction, as few
    bytes as possible are left out so that one starts where the machine was and nothing before is unknown: what lies
    before the trap is a guess then.
    """
    best: list[Instruction] = []
    for first in _starts(code, how, start):
        found = _run(code, how, first)
        if not found:
            return best
        before = [each for each in found if each.offset < code.offset]
        if len(before) < len(found) and found[len(before)].offset == code.offset:
            if not any(_UNKNOWN.search(each.text) for each in before):
                return found
            best = best or found
    return best


def _starts(code: Code, how: CodeFormat, known: int | None) -> Iterator[int]:
    yield max(known or 0, 0)
    if not how.whole:
        yield from range(1, min(_LONGEST_X86, code.offset) + 1)
        if code.offset > _LONGEST_X86:
            yield code.offset


def _run(code: Code, how: CodeFormat, start: int) -> list[Instruction]:
    with tempfile.NamedTemporaryFile(prefix="firstbad-code-", suffix=".o") as file:
        file.write(_object(code.data[start:], how))
        file.flush()
        for command in _commands(code, how):
            # The addresses are offsets in the whole dump, also those that jumps name.
            found = _parse(_output([*command, f"--adjust-vma={start:#x}", file.name]), code.data)
            if found:
                return found
    return []


def _commands(code: Code, how: CodeFormat) -> Iterator[list[str]]:
    options = ["--disassemble", "--disassemble-zeroes", "--no-show-raw-insn"]
    for name in (f"{how.prefix}objdump", "objdump"):
        tool = shutil.which(name)
        if tool:
            yield [tool, *options, *(["-M", "force-thumb"] if code.thumb else [])]
    tool = shutil.which("llvm-objdump")
    if tool:
        triple = how.triple.replace("arm", "thumb", 1) if code.thumb else how.triple
        yield [tool, *options, f"--triple={triple}", *([f"--mattr={how.features}"] if how.features else [])]


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, env={"LC_ALL": "C"}, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.decode("utf-8", "replace")


def _parse(output: str, data: bytes) -> list[Instruction]:
    found = [match for match in map(_LINE.match, output.splitlines()) if match]
    offsets = [int(match[1], 16) for match in found]
    if not found or offsets != sorted(set(offsets)) or offsets[-1] >= len(data):
        return []
    ends = [*offsets[1:], len(data)]
    return [
        Instruction(offset, data[offset:end], _TARGET.sub("", " ".join(match[2].split())))
        for match, offset, end in zip(found, offsets, ends, strict=True)
    ]


def _object(data: bytes, how: CodeFormat) -> bytes:
    """A relocatable ELF file whose section .text is ``data``."""
    order = ">" if how.big else "<"
    header, word, section = (64, "Q", 64) if how.bits == 64 else (52, "I", 40)
    names = b"\0.text\0.shstrtab\0"
    at = header + len(data) + len(names)
    ident = b"\x7fELF" + bytes([how.bits // 32, 2 if how.big else 1, 1]) + bytes(9)
    fields = (1, how.machine, 1, 0, 0, at, how.flags, header, 0, 0, section, 3, 2)
    start = ident + struct.pack(f"{order}HHI{word * 3}I6H", *fields)

    def entry(name: int, kind: int, flags: int, offset: int, size: int) -> bytes:
        return struct.pack(
            f"{order}II{word * 4}II{word * 2}", name, kind, flags, 0, offset, size, 0, 0, 1 if kind else 0, 0
        )

    text, table = entry(1, 1, 6, header, len(data)), entry(7, 3, 0, header + len(data), len(names))
    return start + data + names + entry(0, 0, 0, 0, 0) + text + table


def tools(architecture: str) -> list[str]:
    """The disassemblers on this machine to be tried for an architecture, in this order."""
    how = code_format(architecture)
    return [Path(command[0]).name for command in _commands(Code(b"", 0), how)]
