"""The text of a kernel configuration: read, changed, written."""

import re
from collections.abc import Iterable, Mapping

_LINE = re.compile(r"CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set")
ON = ("y", "m")


def read_config(text: str) -> dict[str, str]:
    """Options and their values as written (strings with their quotes); ``n`` where a line says "is not set". Of several
    lines for one option the last counts, as in Kconfig."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            name, value, off = match.groups()
            found.pop(name or off, None)
            found[name or off] = "n" if off else value
    return found


def write_config(values: Mapping[str, str]) -> str:
    """The text of :func:`read_config`'s values, in their order."""
    lines = (
        f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}" for name, value in values.items()
    )
    return "".join(f"{line}\n" for line in lines)


def switched_on(values: Mapping[str, str]) -> frozenset[str]:
    """Options that are built in or modules."""
    return frozenset(name for name, value in values.items() if value in ON)


def unset(text: str, names: Iterable[str]) -> str:
    """The text with these options off; lines of options that are not named stay as they are."""
    wanted = frozenset(names)
    lines = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        name = match and (match[1] or match[3])
        lines.append(f"# CONFIG_{name} is not set" if name in wanted else line)
    return "".join(f"{line}\n" for line in lines)
