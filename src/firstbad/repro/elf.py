"""What must be known of an executable before a machine can run it. Read defensively: the file is hostile input."""

from firstbad.errors import UserError
from firstbad.repro.targets import Target, targets

MAGIC = b"\x7fELF"
_INTERPRETER = 3


def check_program(data: bytes, name: str, target: Target) -> None:
    """Raises UserError unless ``data`` is a static executable for ``target``, or for its 64-bit kernel."""
    if not data.startswith(MAGIC):
        raise UserError(f"{name}: not an executable (ELF)")
    machine = _number(data, 0x12, 2)
    if machine not in (target.elf, targets()[target.kernel_name].elf) and not (
        target.name == "x86_64" and machine == targets()["i386"].elf
    ):
        known = next((t.name for t in targets().values() if t.elf == machine), f"machine {machine}")
        raise UserError(f"{name}: is a program for {known}, the machine is {target.kernel_name}")
    if _INTERPRETER in _segments(data):
        raise UserError(f"{name}: is linked dynamically, the machine has no libraries; link with -static")


def _segments(data: bytes) -> set[int]:
    """The types of an ELF file's program headers."""
    if data[4:5] == b"\x01":
        offset, size, count = _number(data, 0x1C, 4), _number(data, 0x2A, 2), _number(data, 0x2C, 2)
    else:
        offset, size, count = _number(data, 0x20, 8), _number(data, 0x36, 2), _number(data, 0x38, 2)
    return {_number(data, offset + index * size, 4) for index in range(count)}


def _number(data: bytes, offset: int, size: int) -> int:
    """Little endian, as all our machines are."""
    return int.from_bytes(data[offset : offset + size], "little")
