"""The ``Code:`` line of a report: its bytes, and where in them the machine was."""

import re
from dataclasses import dataclass
from functools import cache

from firstbad.errors import UserError
from firstbad.packaged import read_toml

_NUMBER = re.compile(r"(?P<open>[<(]?)(?P<digits>(?:[0-9A-Fa-f]{2}){1,4})(?P<close>[>)]?)", re.ASCII)
_PAIRS = {("<", ">"), ("(", ")")}
_LONGEST = 1024
_POINTER = re.compile(r"\b[RE]IP: (?P<segment>[0-9a-f]{4}):", re.ASCII)


@dataclass(frozen=True, slots=True)
class CodeFormat:
    """One table of ``code.toml``, where the fields are explained."""

    name: str
    machine: int
    bits: int
    units: tuple[int, ...]
    triple: str
    prefix: str
    sample: str
    marked: str
    big: bool = False
    whole: bool = False
    flags: int = 0
    features: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Bytes in memory order; ``offset`` (bytes) is where the trapping instruction starts."""

    data: bytes
    offset: int
    thumb: bool = False


@cache
def formats() -> dict[str, CodeFormat]:
    """Every architecture whose ``Code:`` lines are understood, by name (``uname -m``)."""
    return {
        name: CodeFormat(name=name, **{**table, "units": tuple(table["units"])})
        for name, table in read_toml(__package__, "code.toml").items()
    }


def code_format(name: str) -> CodeFormat:
    """The table of one architecture; raises UserError for one that is not there."""
    try:
        return formats()[name]
    except KeyError:
        raise UserError(f"no such architecture: {name}; known are {', '.join(formats())}") from None


def by_machine(machine: int, bits: int, big: bool) -> CodeFormat | None:
    """The architecture of an ELF file with this header, or None."""
    wanted = (machine, bits, big)
    return next((each for each in formats().values() if (each.machine, each.bits, each.big) == wanted), None)


def parse_code(numbers: str, how: CodeFormat) -> Code | None:
    """What stands behind ``Code: ``, or None if it is not a dump with one marked instruction.

    Numbers of equal width with one blank between them; the marked one stands in ``<>`` or ``()``.
    """
    if len(numbers) > _LONGEST:
        return None
    data, offset, width = b"", -1, 0
    for word in numbers.split(" "):
        found = _NUMBER.fullmatch(word)
        if found is None:
            return None
        value = bytes.fromhex(found["digits"])
        width = width or len(value)
        if len(value) != width or width not in how.units:
            return None
        if found["open"] or found["close"]:
            if (found["open"], found["close"]) not in _PAIRS or offset >= 0:
                return None
            offset = len(data)
        data += value if how.big else value[::-1]
    return Code(data, offset, how.name == "arm" and width == 2) if offset >= 0 else None


def find_code(report: str, how: CodeFormat) -> tuple[Code | None, str]:
    """The first understood ``Code:`` of a report, that of the kernel before that of a program, or None.

    With it the line of the instruction pointer that stands before it, if any.
    x86 prints the code segment: its lowest two bits are the privilege level, 3 in a program.
    """
    programs: Code | None = None
    of_program, last = False, ""
    for line in report.splitlines():
        pointer = _POINTER.search(line[:_LONGEST])
        if pointer is not None:
            of_program, last = int(pointer["segment"], 16) & 3 == 3, line[:_LONGEST]
        _, mark, numbers = line[:_LONGEST].rpartition("Code: ")
        code = parse_code(numbers.strip(), how) if mark else None
        if code is not None and not of_program:
            return code, last
        programs = programs or code
    return programs, ""
