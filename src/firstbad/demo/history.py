"""Turns a plan into commits: file contents, authors, dates, messages."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from firstbad.demo.edits import Edit, apply_all
from firstbad.demo.fastimport import Importer, NewCommit, Person
from firstbad.demo.plan import FIRST_MINOR, Node, Plan
from firstbad.demo.source import PLAIN
from firstbad.packaged import read_toml

BASE_DATE = 1731880800  # 2024-11-17, when 6.12 came out
STEP = 220_000  # seconds from one commit to the next: about nine weeks from release to release
DAY = 86_400


@dataclass(frozen=True)
class _Area:
    topic: str
    prefixes: tuple[str, ...]
    maintainer: Person


class People:
    """Who writes and who merges; all of them invented (``data/people.toml``)."""

    def __init__(self) -> None:
        table = read_toml(__package__, "data/people.toml")
        self.upstream = Person(*table["upstream"])
        self.authors = [Person(*author) for author in table["authors"]]
        self._areas = [
            _Area(area["topic"], tuple(area["prefixes"]), Person(*area["maintainer"])) for area in table["area"]
        ]

    def area(self, file: str) -> _Area:
        """Return the area of the tree that ``file`` belongs to."""
        return next(area for area in self._areas if file.startswith(area.prefixes))


class Contents:
    """Texts of edited files at any commit of a plan. ``read`` gives a file's text in the import, or None."""

    def __init__(self, plan: Plan, edits: Mapping[str, Edit], read: Callable[[str], str | None]) -> None:
        self._plan, self._edits, self._read = plan, edits, read
        self._cache: dict[tuple[str, tuple[str, ...]], str] = {}

    def changed(self, node: Node) -> dict[str, str]:
        """Return path to text of what differs from the first parent."""
        first = node.parents[0]
        before = set(self._plan.edits(first)) if first else set()
        now = self._plan.edits(node.number)
        touched = dict.fromkeys(file for name in now if name not in before for file in self._edits[name].files)
        return {file: self._text(file, now) for file in touched}

    def _text(self, file: str, names: list[str]) -> str:
        key = (file, tuple(name for name in names if file in self._edits[name].files))
        if key not in self._cache:
            edits = [self._edits[name] for name in key[1]]
            self._cache[key] = apply_all(file, self._read(file), edits)
        return self._cache[key]


class Writer:
    """Writes the commits of a plan on top of the commit ``base``, and its tags."""

    def __init__(self, plan: Plan, edits: Mapping[str, Edit], seed: int, base: str) -> None:
        self._plan, self._edits, self._base = plan, edits, base
        self._rng = random.Random(f"firstbad demo people {seed}")  # noqa: S311 - who wrote what is no secret
        self._people = People()
        self._marks: dict[int, int] = {}

    def write(self, importer: Importer, contents: Contents) -> dict[int, int]:
        """Write everything; returns node number to mark."""
        for node in self._plan.nodes:
            new = self._commit(node, importer)
            texts = {
                path: (PLAIN, text.encode(errors="surrogateescape")) for path, text in contents.changed(node).items()
            }
            parents = [self._marks[parent] if parent else self._base for parent in node.parents]
            self._marks[node.number] = importer.commit(new, parents, texts)
        importer.reset("refs/heads/master", self._marks[self._plan.head])
        for name, number in self._plan.tags.items():
            when = self._date(self._plan.nodes[number - 1]) + 60
            importer.tag(name, self._marks[number], self._people.upstream, when, f"Linux {name[1:]}\n")
        return self._marks

    def _date(self, node: Node) -> int:
        return BASE_DATE + node.number * STEP

    def _commit(self, node: Node, importer: Importer) -> NewCommit:
        when = self._date(node)
        upstream = self._people.upstream
        if node.kind == "release":
            text = f"Linux 6.{FIRST_MINOR + node.segment}\n"
            return NewCommit(upstream, when, upstream, when, text)
        if node.kind == "merge":
            return self._merge(node, when)
        edit = self._edits[node.edit or ""]
        author = self._rng.choice(self._people.authors)
        maintainer = self._people.area(edit.files[0]).maintainer
        written = when - self._rng.randint(3600, 12 * DAY)
        return NewCommit(author, written, maintainer, when, self._message(edit, author, maintainer, importer))

    def _message(self, edit: Edit, author: Person, maintainer: Person, importer: Importer) -> str:
        parts = [edit.subject, edit.why] if edit.why else [edit.subject]
        trailers = []
        if edit.fixes:
            name = importer.hash_of(self._marks[self._plan.where[edit.fixes]])[:12]
            trailers.append(f'Fixes: {name} ("{self._edits[edit.fixes].subject}")')
        trailers += [f"Signed-off-by: {author}", f"Signed-off-by: {maintainer}"]
        return "\n\n".join([*parts, "\n".join(trailers)]) + "\n"

    def _merge(self, node: Node, when: int) -> NewCommit:
        taken = [self._edits[name] for name in self._taken(node)]
        area = self._people.area(taken[0].files[0])
        lines = "".join(f" - {edit.subject}\n" for edit in taken)
        if node.onto:
            text = f"Merge branch '{node.topic}' into {node.onto}-next\n\n{lines}"
            return NewCommit(area.maintainer, when, area.maintainer, when, text)
        tag = f"{area.topic}-6.{FIRST_MINOR + node.segment}-{node.topic}"
        where = f"git://git.example.org/{area.topic}/linux"
        text = f"Merge tag '{tag}' of {where}\n\nPull {area.topic} updates from {area.maintainer.name}:\n\n{lines}"
        return NewCommit(self._people.upstream, when, self._people.upstream, when, text)

    def _taken(self, node: Node) -> list[str]:
        """The edits that a merge brings in, releases left out."""
        first, second = node.parents
        before = set(self._plan.edits(first)) if first else set()
        return [name for name in self._plan.edits(second) if name not in before and name in self._edits]
