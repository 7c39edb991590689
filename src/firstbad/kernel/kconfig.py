"""Kconfig sources of any release, read for what depends on what; values are left to the tree's own ``olddefconfig``.

Written for releases old and new: a reader that evaluates must follow each change of the language (the package
kconfiglib stops at v5.13's), one that only collects names need not.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from firstbad.kernel.kconfig_expr import KconfigError, end_of_quoted, needs, parse_expr

Read = Callable[[str], str | None]

TYPES = ("bool", "tristate", "int", "hex", "string")
_MOST_FILES = 20_000  # v6.12 has 1,600; more is no kernel
_DEEPEST = 60  # of files that source each other


@dataclass
class Option:
    """One symbol, all its definitions together.

    ``place`` counts definitions in reading order; ``menu`` is the titles of the menus that hold its first one.
    """

    name: str
    place: int
    file: str
    menu: tuple[str, ...]
    type: str = ""
    prompt: bool = False
    choice: int = 0
    """Number of the choice that it is a member of; 0: none."""
    depends: set[str] = field(default_factory=set)
    """Symbols that it needs on, by ``depends on``, by the blocks around it and for its prompt to show."""
    selects: set[str] = field(default_factory=set)

    @property
    def settable(self) -> bool:
        """Whether a configuration file can set it: without a prompt it follows others."""
        return self.prompt or not self.type


@dataclass(frozen=True)
class Kconfig:
    """All options of a tree, by name."""

    options: Mapping[str, Option]

    @cached_property
    def _selectors(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {name: set() for name in self.options}
        for option in self.options.values():
            for name in option.selects:
                found.setdefault(name, set()).add(option.name)
        return found

    def selected_by(self, name: str) -> frozenset[str]:
        """Options that select this one, directly or through others."""
        return _closure(name, lambda other: self._selectors.get(other, set()))

    def needs(self, name: str, within: Callable[[str], bool] = lambda _: True) -> frozenset[str]:
        """Options that this one depends on, directly or through others, among those that ``within`` holds."""
        return _closure(name, lambda other: {n for n in self._depends(other) if within(n)})

    def siblings(self, name: str) -> frozenset[str]:
        """The other members of its choice."""
        option = self.options.get(name)
        if option is None or not option.choice:
            return frozenset()
        return self._choices[option.choice] - {name}

    @cached_property
    def _choices(self) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = {}
        for option in self.options.values():
            found.setdefault(option.choice, set()).add(option.name)
        return {number: frozenset(names) for number, names in found.items()}

    def _depends(self, name: str) -> set[str]:
        option = self.options.get(name)
        return option.depends if option else set()


def _closure(name: str, following: Callable[[str], set[str]]) -> frozenset[str]:
    found: set[str] = set()
    open_ = [name]
    while open_:
        new = following(open_.pop()) - found
        found |= new
        open_ += new
    return frozenset(found - {name})


def parse_kconfig(text: str, variables: Mapping[str, str] | None = None, read: Read = lambda _: None) -> Kconfig:
    """Read Kconfig sources from a first text.

    ``read`` gives the text of a sourced file by its path in the tree (None: it is not there, then it is left out), and
    ``variables`` says what ``$(SRCARCH)`` and the like stand for.

    Raises KconfigError that names file and line.
    """
    reader = _Reader(dict(variables or {}), read)
    reader.file(text, "Kconfig")
    return Kconfig(reader.options)


@dataclass
class _Block:
    """``if``, ``menu`` or ``choice``: what it asks of all that it holds."""

    word: str
    needs: set[str] = field(default_factory=set)
    title: str = ""
    choice: int = 0


_VARIABLE = re.compile(r"\$\((\w+)\)|\$(\w+)")
_ASSIGNMENT = re.compile(r"([\w.-]+)[ \t]*(:=|\+=|=)[ \t]*(.*)")
_HELP = ("help", "---help---")
_ENDS = {"endif": "if", "endmenu": "menu", "endchoice": "choice"}
# Attributes that say nothing of dependencies. transitional: v6.18 (f9afce4f32e9).
_IGNORED = {"range", "option", "modules", "optional", "transitional", "imply", "default", *_HELP}


class _Reader:
    """Reads files into ``options``, line by line."""

    def __init__(self, variables: dict[str, str], read: Read) -> None:
        self.variables, self.read = variables, read
        self.options: dict[str, Option] = {}
        self.blocks: list[_Block] = []
        self.option: Option | None = None
        self.inside: _Block | None = None  # a menu or choice whose own attributes may follow
        self.files = self.depth = self.choices = self.places = 0
        self.path = ""

    def file(self, text: str, path: str) -> None:
        """Take one file; blocks may not reach beyond it."""
        self.files += 1
        if self.files > _MOST_FILES or self.depth > _DEEPEST:
            raise KconfigError(f"{path}: too many files, or files that source each other")
        outer, self.path, self.depth = self.path, path, self.depth + 1
        opened = len(self.blocks)
        for number, line in _lines(text):
            try:
                self._line(line)
            except KconfigError as error:
                if error.placed:  # by the file that this line sources
                    raise
                placed = KconfigError(f"{path}:{number}: {error}")
                placed.placed = True
                raise placed from None
        if len(self.blocks) != opened:
            raise KconfigError(f"{path}: a {self.blocks[-1].word} has no end")
        self.path, self.depth = outer, self.depth - 1
        self.option = self.inside = None

    def _line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word in ("config", "menuconfig"):
            self._begin_option(rest)
        elif word in ("source", "rsource", "osource", "orsource"):
            self._source(_unquoted(self._filled(rest)), relative="rs" in word)
        elif word in ("menu", "choice", "if"):
            self._open(word, rest)
        elif word in _ENDS:
            if not self.blocks or self.blocks.pop().word != _ENDS[word]:
                raise KconfigError(f"{word} without {_ENDS[word]}")
            self.option = self.inside = None
        elif word in ("comment", "mainmenu"):
            self.option = None
            self.inside = _Block(word)
        elif not self._attribute(word, rest):
            self._assignment(line)

    def _begin_option(self, name: str) -> None:
        if not re.fullmatch(r"\w+", name):
            raise KconfigError(f"not a name of an option: {name[:40]!r}")
        self.inside = None
        self.places += 1
        menu = tuple(block.title for block in self.blocks if block.title)
        self.option = self.options.setdefault(name, Option(name, self.places, self.path, menu))
        for block in self.blocks:
            self.option.depends |= block.needs
            self.option.choice = self.option.choice or block.choice

    def _open(self, word: str, rest: str) -> None:
        block = _Block(word)
        if word == "if":
            block.needs = set(needs(parse_expr(rest)))
        elif word == "menu":
            block.title = _unquoted(rest)
        else:
            self.choices += 1
            block.choice = self.choices
        self.blocks.append(block)
        self.option, self.inside = None, block if word != "if" else None

    def _attribute(self, word: str, rest: str) -> bool:
        """An attribute of what is open; False if the line is none."""
        if self.option is None and self.inside is None:
            return False
        asked = self.option.depends if self.option is not None else self.inside.needs if self.inside else set()
        if word == "depends" and rest.startswith("on"):
            asked |= needs(parse_expr(rest[2:]))  # "depends on A if B" (v6.18): A is what it needs
        elif word == "visible" and rest.startswith("if"):
            asked |= needs(parse_expr(rest[2:]))
        elif word in TYPES or word == "prompt":
            self._prompt(word, rest, asked)
        elif word in ("def_bool", "def_tristate"):
            if self.option is not None:
                self.option.type = word.removeprefix("def_")
        elif word == "select":
            if self.option is not None:
                self.option.selects |= needs(parse_expr(rest))
        elif word not in _IGNORED:
            return False
        return True

    def _prompt(self, word: str, rest: str, asked: set[str]) -> None:
        if self.option is not None:
            self.option.type = word if word in TYPES else self.option.type
            self.option.prompt |= bool(rest)
        if rest[:1] in ('"', "'"):
            after = rest[end_of_quoted(rest, 0) :].strip()
            if after.startswith("if"):
                asked |= needs(parse_expr(after[2:]))

    def _source(self, name: str, relative: bool) -> None:
        if relative:
            name = f"{self.path.rpartition('/')[0]}/{name}".lstrip("/")
        text = self.read(name)
        self.option = self.inside = None
        if text is not None:
            self.file(text, name)

    def _assignment(self, line: str) -> None:
        found = _ASSIGNMENT.fullmatch(line)
        if found is not None:
            name, how, value = found.groups()
            value = self._filled(value)
            self.variables[name] = f"{self.variables.get(name, '')} {value}" if how == "+=" else value
        elif not line.startswith("$("):
            raise KconfigError(f"what is this: {line[:60]!r}")

    def _filled(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.variables.get(found[1] or found[2], found[0]), text)


def _unquoted(text: str) -> str:
    if text[:1] in ('"', "'"):
        return text[1 : end_of_quoted(text, 0) - 1]
    return text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Statements with the number of their first line: without comments, help texts and line ends by backslash."""
    lines = text.expandtabs().split("\n")
    at = 0
    while at < len(lines):
        number = at + 1
        line = lines[at]
        while line.endswith("\\") and at + 1 < len(lines):
            at += 1
            line = line[:-1] + " " + lines[at]
        at += 1
        stripped = _without_comment(line).strip()
        if stripped in _HELP:
            at = _after_help(lines, at)
        if stripped:
            yield number, " ".join(stripped.split(" ", 1)) if '"' in stripped else re.sub(r"\s+", " ", stripped)


def _without_comment(line: str) -> str:
    if "#" not in line:
        return line
    quote = ""
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote and line[at - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:at]
    return line


def _after_help(lines: list[str], at: int) -> int:
    """Index after a help text: it ends before the first line that is indented less than its own first."""
    while at < len(lines) and not lines[at].strip():
        at += 1
    indent = len(lines[at]) - len(lines[at].lstrip()) if at < len(lines) else 0
    while indent and at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) >= indent):
        at += 1
    return at
