"""The data of formats.toml, read once and compiled: kinds of oops, generic functions, types, clean-up rules."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from firstbad.packaged import read_toml

_MAX_TITLE = 120  # characters, as dashboards keep them
_CLEANINGS = 8  # passes: one replacement may make room for the next


@dataclass(frozen=True, slots=True)
class TitleRule:
    """How one kind of oops gets its title: the first rule of a format whose ``when`` is found applies."""

    when: re.Pattern[str]
    title: str
    alt: tuple[str, ...]
    """Alternative titles, with the same fields."""
    func: tuple[str, ...]
    """Where the guilty function is looked for, in order; see the head of formats.toml."""
    generic: re.Pattern[str]
    """Functions that are never guilty under this rule (matched against the whole name)."""
    torn: bool
    """The text itself says that the report was lost."""
    bucket: re.Pattern[str] | None
    """Functions that are guilty wherever they stand in the stack: a hang in them has one cause and many victims."""


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of oops, see the head of formats.toml for what each field means."""

    id: str
    words: tuple[str, ...]
    start: re.Pattern[str]
    ignore: re.Pattern[str] | None
    follows: bool
    stack: bool
    proof: bool
    torn: str
    rules: tuple[TitleRule, ...]
    example: str
    expect: str

    def begins(self, text: str) -> bool:
        """Does an oops of this kind begin on the line ``text`` (printk prefix removed)?"""
        return bool(self.start.search(text)) and not (self.ignore and self.ignore.search(text))


@dataclass(frozen=True)
class Formats:
    """Everything formats.toml says."""

    formats: tuple[Format, ...]
    words: tuple[bytes, ...]
    """Texts one of which every line holds where an oops begins."""
    generic: re.Pattern[str]
    """Functions that are never guilty, whatever the kind of oops: reporting, copying, locking, system call entry."""
    common: re.Pattern[str]
    """Functions that say nothing about which bug a crash is: the generic ones, and library code."""
    types: tuple[tuple[str, tuple[str, ...]], ...]
    clean: tuple[tuple[re.Pattern[str], str], ...]
    sections: tuple[tuple[str, re.Pattern[str]], ...]
    """Kind and header of each stack that a report may hold."""
    interrupt: re.Pattern[str]
    """Functions by which an interrupt enters the kernel: what comes after them was interrupted."""
    anchor: re.Pattern[str]
    """Functions that hand work to others: whom they call stands for all the places in which it may spin."""
    itself: re.Pattern[str]
    """Functions that stand for a hang whoever calls them."""
    names: tuple[tuple[re.Pattern[str], str], ...]
    """Functions that are one to a reader: pattern of a part of the name, what replaces it."""
    same: tuple[tuple[re.Pattern[str], str], ...]
    """Functions in which a hang is one bug: pattern of the whole name, the name that stands for all."""
    kinds: dict[str, frozenset[str]]
    """Types by the name of their kind."""
    severity: tuple[str, ...]
    """Types, most severe first."""
    suppress: re.Pattern[bytes]
    """What says, anywhere on a console, that its crashes tell nothing about the kernel."""

    def begins(self, text: str) -> Format | None:
        """The first format that begins on this line."""
        there = [word for word in self._by_word if word in text]
        if not there:
            return None
        if len(there) == 1:
            return next((form for form in self._by_word[there[0]] if form.begins(text)), None)
        return next((form for form in self.formats if form.begins(text)), None)

    @cached_property
    def _by_word(self) -> dict[str, tuple[Format, ...]]:
        texts = [word.decode("ascii") for word in self.words]
        return {word: tuple(form for form in self.formats if word in form.words) for word in texts}


def _alternation(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(f"(?:{pattern})" for pattern in patterns) + r")\Z")


def _rule(entry: dict[str, Any], start: str, generic: list[str]) -> TitleRule:
    return TitleRule(
        re.compile(entry.get("when", start), re.MULTILINE),
        entry["title"],
        tuple(entry.get("alt", ())),
        tuple(entry.get("func", ())),
        _alternation(generic + entry.get("skip", [])),
        entry.get("torn", False),
        _alternation(entry["bucket"]) if "bucket" in entry else None,
    )


def _format(entry: dict[str, Any], generic: list[str]) -> Format:
    ignore = entry.get("ignore", [])
    return Format(
        entry["id"],
        tuple(entry["words"]),
        re.compile(entry["start"], re.MULTILINE),
        re.compile("|".join(ignore)) if ignore else None,
        entry.get("follows", False),
        entry.get("stack", True),
        entry.get("proof", False),
        entry.get("torn", "{line}"),
        tuple(_rule(rule, entry["start"], generic + entry.get("skip", [])) for rule in entry["title"]),
        entry["example"],
        entry["expect"],
    )


@cache
def load() -> Formats:
    """Reads formats.toml (once a process)."""
    data = read_toml(__package__, "formats.toml")
    functions = data["functions"]
    generic = functions["skip"] + functions["entry"]
    return Formats(
        tuple(_format(entry, generic) for entry in data["format"]),
        tuple(sorted({word.encode("ascii") for entry in data["format"] for word in entry["words"]})),
        _alternation(generic),
        _alternation(generic + functions["library"]),
        tuple((row["name"], tuple(row["prefixes"])) for row in data["type"]),
        tuple((re.compile(row["find"]), row["with"]) for row in data["clean"]),
        tuple((row["kind"], re.compile(row["find"])) for row in data["section"]),
        _alternation(functions["interrupt"]),
        _alternation(functions["anchor"]),
        _alternation(functions["itself"]),
        tuple((re.compile(row["find"]), row["with"]) for row in data["name"]),
        tuple((re.compile(f"(?:{row['find']})\\Z"), row["with"]) for row in data["same"]),
        {name: frozenset(members) for name, members in data["kinds"].items()},
        tuple(data["impact"]["order"]),
        re.compile("|".join(f"(?:{find})" for find in data["suppress"]["find"]).encode("ascii")),
    )


def type_of(title: str) -> str:
    """The kind of crash a title tells, such as ``KASAN-USE-AFTER-FREE-READ``; ``UNKNOWN`` if none."""
    for name, prefixes in load().types:
        if title.startswith(prefixes):
            return name
    return "UNKNOWN"


def is_kind(crash_type: str, kind: str) -> bool:
    """Whether a type is of a kind of formats.toml's ``[kinds]``, such as ``KASAN``; KeyError for another kind."""
    return crash_type in load().kinds[kind]


def impact(titles: Iterable[str]) -> int:
    """How severe a crash of these titles is: 1 for a hang, the more the worse, -1 if none of them is ranked."""
    order = load().severity
    ranks = [len(order) - order.index(kind) for kind in map(type_of, titles) if kind in order]
    return max(ranks, default=-1)


def clean_title(title: str) -> str:
    """A title without addresses, line numbers and counters, so that two runs of one bug give one title."""
    text = "".join(char for char in title[: 4 * _MAX_TITLE] if " " <= char <= "~" or char == "\t")
    for _ in range(_CLEANINGS):
        before = text
        for find, replacement in load().clean:
            text = find.sub(replacement, text)
        if text == before:
            break
    return " ".join(text.split())[:_MAX_TITLE].rstrip()
