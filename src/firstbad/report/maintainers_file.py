"""Our own reader of a kernel tree's MAINTAINERS: who looks after a file or a patch, without running anything.

The file says of each subsystem M: maintainers, R: reviewers, L: lists, S: status, and what belongs to it: F: file
patterns, X: exceptions from them, N: regular expressions for file names, K: regular expressions for the text of
patches.  How they are read follows the tree's scripts/get_maintainer.pl with its defaults, git left out.
"""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import getaddresses
from functools import cached_property
from pathlib import Path

from firstbad.report.patterns import SUBJECT, safe_regex, split_alternatives

_MAX_FILE = 32 << 20  # bytes; the file has 0.8 MB
_MAX_LINE = 2000  # characters
_MAX_PATCH_LINES = 20_000
_MAX_PATHS = 2000  # of one patch
_ENTRY = re.compile(r"([A-Z]):\s*(.*)")
_SECTION_NAME = 50  # characters of it in a role
_STATUS_ROLES = {
    "supported": "supporter",
    "maintained": "maintainer",
    "odd fixes": "odd fixer",
    "orphan": "orphan minder",
    "obsolete": "obsolete minder",
    "buried alive in reporters": "chief penguin",
}
# Gets the whole kernel's mail already; the tree's script leaves him out, too.
_NOT_ASKED = "torvalds@linux-foundation.org"
_NAMED = re.compile(r"([^<]{1,200})<([^<>]{1,200}@[^<>]{0,200})>")
_BARE = re.compile(r"\s*<?([^\s<>]{1,200}@[^\s<>]{1,200})>?")
_IN_YAML = re.compile(
    r"(?:(?<=[-:] )(?P<name>\w[^\n<>@]{0,100}?) *<)?(?<![\w.+-])"
    r"(?P<address>[\w.+-]{1,100}@[\w-]{1,100}(?:\.[\w-]{1,100}){1,8})"
)
_PATCH_FILE = re.compile(
    r"(?: mode change [0-7]{1,9} => [0-7]{1,9} (?P<mode>\S+)\s*\Z|rename (?:from|to) (?P<rename>\S+)\s*\Z"
    r"|diff --git a/(?P<old>\S+) b/(?P<new>\S+)\s*\Z|(?:\+\+\+|---)\s+(?P<file>\S+))"
)
_NO_TEXT = re.compile(r"Fixes:\s+[0-9a-fA-F]{6}|@@ -\d+,\d+")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody (or a list) and the role in which MAINTAINERS names them: ``maintainer:NETWORKING``."""

    name: str
    address: str
    role: str


class _Glob:
    """A file pattern: ``*`` any characters (with as many slashes as the path has), ``?`` one, ``[ab]`` one of them."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.directory = pattern.endswith("/")
        self.slashes = pattern.count("/")
        cut = re.search(r"[*?\[]", pattern)
        self.literal = pattern if cut is None else pattern[: cut.start()]
        self.plain = cut is None

    @cached_property
    def _parts(self) -> list[re.Pattern[str]]:
        """What stands between the stars; each part is matched where it comes first, so no search goes back."""
        made = []
        for part in self.pattern.split("*"):
            text = re.escape(part).replace(r"\?", ".")
            text = re.sub(r"\\\[((?:\w|\\-)+)\\\]", lambda found: f"[{found[1]}]", text)
            made.append(re.compile(text))
        return made

    def matches(self, file: str) -> bool:
        """Does the pattern match the beginning of the file's path (with as many slashes if it is no directory)?"""
        if not file.startswith(self.literal) or (not self.directory and file.count("/") != self.slashes):
            return False
        if self.plain:
            return True
        first, *others = self._parts
        found = first.match(file)
        for part in others:
            found = found and part.search(file, found.end())
        return found is not None


@dataclass(frozen=True)
class Section:
    """One subsystem: its name and its entries (letter, value) in their order."""

    name: str
    entries: tuple[tuple[str, str], ...]

    def all(self, letter: str) -> Iterator[str]:
        """The values of one letter."""
        return (value for each, value in self.entries if each == letter)

    @cached_property
    def role(self) -> str:
        """What its M: entries are, by its status: ``maintainer``, ``supporter``, ``odd fixer``, ..."""
        status = ([*self.all("S")] or ["unknown"])[-1].lower()
        return _STATUS_ROLES.get(status, status)

    @cached_property
    def short_name(self) -> str:
        """The name as roles show it."""
        return self.name if len(self.name) <= _SECTION_NAME else self.name[: _SECTION_NAME - 3].rstrip() + "..."

    def people(self) -> Iterator[Person]:
        """Everybody it names; lists for subscribers only are left out."""
        for letter, value in self.entries:
            if letter == "L":
                address, _, more = value.partition(" ")
                if "subscribers-only" not in more:
                    kind = "moderated list" if "moderated" in more else "open list"
                    yield Person("", address.strip(), kind if self.name == "THE REST" else f"{kind}:{self.short_name}")
            elif letter in "MR":
                role = self.role if letter == "M" else "reviewer"
                for name, address in _people(value):
                    yield Person(name, address, f"{role}:{self.short_name}")


class Maintainers:
    """MAINTAINERS and .mailmap of one tree."""

    def __init__(self, sections: Iterable[Section], mailmap: str = "", tree: Path | None = None) -> None:
        self.sections = tuple(sections)
        self._mailmap = _read_mailmap(mailmap)
        self._tree = tree
        self._globs = [{letter: [*map(self._glob, each.all(letter))] for letter in "FX"} for each in self.sections]
        self._names = [[made for value in each.all("N") if (made := safe_regex(value))] for each in self.sections]
        self._keywords = [[*each.all("K")] for each in self.sections]

    @classmethod
    def read(cls, tree: Path) -> "Maintainers | None":
        """Those of a tree; None if it has no MAINTAINERS. The file is data: nothing of the tree is run."""
        text = _read(tree / "MAINTAINERS")
        return None if text is None else cls(parse_sections(text), _read(tree / ".mailmap") or "", tree)

    @classmethod
    def parse(cls, text: str, mailmap: str = "") -> "Maintainers":
        """Those of a revision's MAINTAINERS and .mailmap, read from git. Without the tree a directory that is named
        without its slash is taken for a file, and bindings (.yaml) do not name their maintainers."""
        return cls(parse_sections(text[:_MAX_FILE]), mailmap[:_MAX_FILE])

    def of_file(self, file: str) -> list[Person]:
        """Who looks after a file (path within the tree; it need not exist), most specific subsystem first."""
        return self._people([*self._of_files([file])], [file])

    def of_patch(self, text: str, seconds: float = 60.0) -> list[Person]:
        """Who looks after what a patch changes: its files, and the keywords in its lines (``seconds`` at most)."""
        lines = [line[:_MAX_LINE] for line in text.split("\n", _MAX_PATCH_LINES)[:_MAX_PATCH_LINES]]
        paths = sorted({path for line in lines for path in _paths(line)})[:_MAX_PATHS]
        return self._people([*self._of_files(paths), [*self._of_keywords(lines, seconds)]], paths)

    def _glob(self, pattern: str) -> _Glob:
        # A directory without its slash; the script looks for it after dots were escaped, so none with a dot is found.
        if self._tree and not pattern.endswith("/") and not re.search(r"[.*?\[]", pattern):
            path = self._tree / pattern.lstrip("/")
            if ".." not in path.parts and path.is_dir():
                pattern += "/"
        return _Glob(pattern)

    def _of_files(self, files: Iterable[str]) -> Iterator[list[Section]]:
        """For each file its sections, those together that are equally specific, the most specific first."""
        for file in files:
            depths: dict[int, list[Section]] = {}
            for index, section in enumerate(self.sections):
                depth = self._depth(index, file)
                if depth is not None:
                    depths.setdefault(depth, []).append(section)
            yield from (depths[depth] for depth in sorted(depths, reverse=True))

    def _depth(self, index: int, file: str) -> int | None:
        """How specific the section is about a file: directories in its pattern; None if the file is not its own."""
        if any(glob.matches(file) for glob in self._globs[index]["X"]):
            return None
        depth = None
        for glob in self._globs[index]["F"]:
            if glob.matches(file):
                depth = -1 if glob.pattern.startswith("*") else glob.slashes + (not glob.directory)
        if any(name.search(file[:SUBJECT]) for name in self._names[index]):
            return 0 if depth is None else min(depth, 0)
        return depth

    def _of_keywords(self, lines: list[str], seconds: float) -> Iterator[Section]:
        end = time.monotonic() + seconds
        begin = next((i for i, line in enumerate(lines) if re.match(r"\+\+\+\s+\S|---\s+\S", line)), len(lines))
        texts = [
            (i >= begin, line[:SUBJECT])
            for i, line in enumerate(lines)
            if line and not _PATCH_FILE.match(line) and not _NO_TEXT.match(line)
        ]
        for section, keywords in zip(self.sections, self._keywords, strict=True):
            if any(_has_keyword(texts, keyword, end) for keyword in keywords):
                yield section

    def _people(self, groups: Iterable[list[Section]], files: Iterable[str]) -> list[Person]:
        """Each person once, in the first role; renamed as .mailmap says."""
        seen: dict[str, Person] = {}
        found: dict[str, Person] = {}
        people = []
        for group in groups:
            named = [person for section in group for person in section.people() if person.address]
            # Who maintains one of two equally specific subsystems and reviews the other maintains the file.
            people += sorted(named, key=lambda each: each.role.startswith("reviewer:"))
        people += [Person(name, address, "in file") for file in files for name, address in self._in_yaml(file)]
        # Lists come after people, as the script adds them: who has a list's address is a list.
        for person in sorted(_once(people), key=lambda each: "list" in each.role.split(":")[0]):
            name, address = self._renamed(person.name, person.address)
            same = (name and seen.get(name.lower())) or seen.get(address.lower())
            kept = Person(same.name, same.address, person.role) if same else Person(name, address, person.role)
            if not same:
                seen |= {key: kept for key in (name.lower(), address.lower()) if key}
            if kept.address.lower() != _NOT_ASKED:
                found.setdefault(kept.address, kept)
        return [*found.values()]

    def _renamed(self, name: str, address: str) -> tuple[str, str]:
        known = self._mailmap.get(f"{name} <{address}>") or self._mailmap.get(address)
        return (known[0] or name, known[1] or address) if known else (name, address)

    def _in_yaml(self, file: str) -> Iterator[tuple[str, str]]:
        """Bindings name their maintainers themselves."""
        if self._tree and file.endswith(".yaml") and ".." not in file.split("/") and not file.startswith("/"):
            for found in _IN_YAML.finditer(_read(self._tree / file, 1 << 20) or ""):
                yield (found["name"] or "").strip(), found["address"]


def parse_sections(text: str) -> list[Section]:
    """The sections of a MAINTAINERS file: a line that is no entry, no comment and not blank is a name."""
    sections, name, entries = [], "", list[tuple[str, str]]()
    for line in text.split("\n"):
        found = _ENTRY.match(line[:_MAX_LINE])
        if found:
            entries.append((found[1], found[2].rstrip()))
        elif line.strip() and not line.lstrip().startswith("#"):
            if entries:
                sections.append(Section(name, tuple(entries)))
            name, entries = line[:_MAX_LINE].strip(), []
    return [*sections, Section(name, tuple(entries))] if entries else sections


def _has_keyword(texts: list[tuple[bool, str]], keyword: str, end: float) -> bool:
    """Is it in the message, or in a changed line?  As the script puts it together, only what stands before the
    pattern's first ``|`` is bound to changed lines."""
    bound, free = split_alternatives(keyword)
    first, rest = safe_regex(bound), safe_regex(free) if free else None
    for in_patch, line in texts:
        if time.monotonic() > end:
            return False
        if first and ((line[0] in "+-" and first.search(line, 1)) if in_patch else first.search(line)):
            return True
        if rest and rest.search(line):
            return True
    return False


def _paths(line: str) -> Iterator[str]:
    found = _PATCH_FILE.match(line)
    if found and found["file"]:
        yield found["file"].partition("/")[2] or found["file"]
    elif found:
        yield from (path for path in found.groups() if path)


def _people(value: str) -> list[tuple[str, str]]:
    """Name and address of each person of an M: or R: entry."""
    if value.count("@") > 1 and value.count("<") != 1:
        return [(name, address) for name, address in getaddresses([value]) if "@" in address]
    found = _NAMED.match(value)
    if found:
        return [(found[1].strip().strip('"'), found[2].strip())]
    bare = _BARE.match(value)
    return [("", bare[1])] if bare else []


def _once(people: Iterable[Person]) -> Iterator[Person]:
    """Without those whose name or address came before."""
    names, addresses, lists = set[str](), set[str](), set[str]()
    for person in people:
        name, address = person.name.lower(), person.address.lower()
        if "list" in person.role.split(":")[0]:
            if address not in lists:
                lists.add(address)
                yield person
        elif address not in addresses and name not in names:
            names |= {name} - {""}
            addresses.add(address)
            yield person


def _read_mailmap(text: str) -> dict[str, tuple[str, str]]:
    """``address`` or ``name <address>`` as commits have it -> (real name, real address), either empty if unchanged."""
    known: dict[str, tuple[str, str]] = {}
    for line in text.split("\n"):
        parts = re.findall(r"([^<>]{0,200})<([^<>]{1,200})>", line.split("#", 1)[0][:_MAX_LINE])
        if len(parts) == 1:
            known[parts[0][1].strip()] = (parts[0][0].strip(), "")
        elif len(parts) >= 2:
            (real_name, real), (name, address) = parts[:2]
            key = f"{name.strip()} <{address.strip()}>" if name.strip() else address.strip()
            known[key] = (real_name.strip(), real.strip())
    return known


def _read(path: Path, limit: int = _MAX_FILE) -> str | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
