"""A crash for people: its facts, then its report with functions and source lines in colour."""

import re
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from firstbad.cli.output import named, out
from firstbad.report.hostile import STEERING

_OOPS = re.compile(
    r"BUG:|WARNING:|INFO:|UBSAN:|Oops|Kernel panic|kernel BUG at|protection fault|stack segment|memory leak"
)
_PLACE = re.compile(r"[\w./-]{1,256}\.(?:c|h|S|rs):\d{1,9}")
_FUNCTION = re.compile(r"\b[A-Za-z_][\w.]{0,255}(?=\+0x[0-9a-f])")
_TRAP = re.compile(r"<[0-9a-f]{2,8}>")
_WIDTH = 9  # of the names of facts


def print_crash(row: dict[str, Any]) -> None:
    """The object of the machine-readable contract (with ``to`` and ``cc``, if there) for a terminal."""
    out.print(Text.assemble(escaped(row["name"]), ": ", (escaped(row["title"]), "bold red")))
    for name, value in _facts(row):
        out.print(Text.assemble("  ", (name.ljust(_WIDTH), "dim"), escaped(value)))
    out.print()
    for line in row["report"].split("\n")[:-1]:
        out.print(_coloured(escaped(line)))
    out.print()


def print_none(name: str) -> None:
    """A console without a crash."""
    out.print(Text.assemble(escaped(name), ": ", ("no crash", "green")))


def escaped(text: str) -> str:
    """Text without what could steer a terminal: ``\\x1b`` for the escape character; no carriage return at the end."""
    return named(STEERING.sub(lambda found: f"\\x{ord(found[0]):02x}", text.rstrip("\r")))


def _facts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "type", row["type"]
    yield "frame", row["frame"] or "unknown"
    yield "guilty", row["guilty_file"] or "unknown (no source lines in the stack?)"
    flags = [name for name in ("corrupted", "suppressed", "panicked") if row[name]]
    if flags:
        yield "flags", ", ".join(flags)
    if row["executor"]:
        yield "executor", row["executor"]
    for index, title in enumerate(row["alt_titles"]):
        yield "" if index else "also", title
    for name in ("to", "cc"):
        if row.get(name):
            yield name, ", ".join(row[name])


def _coloured(line: str) -> Text:
    text = Text(line)
    if _OOPS.search(line[:200]):
        text.stylize("bold")
    text.highlight_regex(_FUNCTION, "cyan")
    text.highlight_regex(_PLACE, "green")
    if line.lstrip().startswith("Code:"):
        text.highlight_regex(_TRAP, "bold red")
    return text
