"""One line of a bisection log: the templates of lines.toml, compiled to read a line and to write it.

A template is the only place where a line's wording stands, so what is written can be read, and what is read is
written back byte for byte.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from firstbad.packaged import read_toml

_TYPES = {
    "H": r"[0-9a-f]{40}",
    "S": r"[0-9a-f]{32,64}",
    "N": r"\d{1,12}",
    "F": r"-?\d{1,12}(?:\.\d{1,12})?",
    "D": r"[0-9a-zµ.]{1,40}",
    "Q": r"\[[^\n]*\]",
    "W": r"\S{1,200}",
    "T": r"[^\n]*",
    "P": r"s?",
    "V": r"good|bad|skip",
    "G": r"good|bad",
    "C": r"cause|fixing",
}
_FIELD = re.compile(r"\{(?P<name>\w+):(?P<type>[A-Z])\}")

FREE_KINDS = frozenset({"blank", "commit", "build-error", "message", "report", "unknown"})
"""Kinds of lines that are known by their place only; their one field is ``text``."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its kind (of lines.toml, or one of FREE_KINDS) and the texts of its fields."""

    kind: str
    fields: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields[name]


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    section: str
    topic: str
    pattern: re.Pattern[str]
    types: Mapping[str, str]


@cache
def _templates() -> dict[str, _Template]:
    data = read_toml(__package__, "lines.toml")
    return {row["kind"]: _compile(row["text"], row.get("section", ""), row.get("topic", "")) for row in data["line"]}


def _compile(text: str, section: str, topic: str) -> _Template:
    pattern, types, end = "", {}, 0
    for field in _FIELD.finditer(text):
        pattern += re.escape(text[end : field.start()]) + f"(?P<{field['name']}>{_TYPES[field['type']]})"
        types[field["name"]] = field["type"]
        end = field.end()
    return _Template(text, section, topic, re.compile(pattern + re.escape(text[end:])), types)


def match_line(text: str) -> Line | None:
    """The line that ``text`` (without line end) is by its wording, or None; the first template that fits."""
    for kind, template in _templates().items():
        found = template.pattern.fullmatch(text)
        if found:
            return Line(kind, found.groupdict())
    return None


def section_of(kind: str) -> str:
    """What a kind tells about the lines around it, see lines.toml; empty for most."""
    return _templates()[kind].section if kind not in FREE_KINDS else ""


def topic_of(kind: str) -> str:
    """Which list of the model keeps lines of this kind as they are (``config``, ``decisions``, ``undetected``)."""
    return _templates()[kind].topic if kind not in FREE_KINDS else ""


def kinds() -> tuple[str, ...]:
    """All kinds of lines that are known by their wording, in the order of lines.toml."""
    return tuple(_templates())


def make_line(kind: str, **fields: str) -> Line:
    """A line to write.  Raises ValueError if a field is missing, unknown, or not of its type.

    Free text can't smuggle in another line: it holds no line end.
    """
    if kind in FREE_KINDS:
        if set(fields) != {"text"} or "\n" in fields["text"]:
            raise ValueError(f"a line of kind {kind!r} has one text without line ends")
        return Line(kind, fields)
    template = _templates()[kind]
    if set(fields) != set(template.types):
        raise ValueError(f"a line of kind {kind!r} has the fields {sorted(template.types)}, not {sorted(fields)}")
    for name, value in fields.items():
        if not re.fullmatch(_TYPES[template.types[name]], value):
            raise ValueError(f"{kind!r}: {name} can't be {value!r}")
    return Line(kind, fields)


def write_line(line: Line) -> str:
    """The text of a line, without line end."""
    if line.kind in FREE_KINDS:
        return line["text"]
    return _FIELD.sub(lambda field: line[field["name"]], _templates()[line.kind].text)
