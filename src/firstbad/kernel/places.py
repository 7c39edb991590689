"""Where a builder builds: work trees with an output directory each, and which of them is nearest to a commit."""

import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from firstbad.disk import bytes_of_files

NEAR = 0.5
"""Share of the objects below which building on what is there is worth more than keeping it for another commit."""
MOST = 4
"""Places of one builder: the ends of a range, another configuration, and one to spare."""


@dataclass(frozen=True)
class Note:
    """What a place's output directory holds: the last build that came to its end there.

    ``made_from`` is everything but the tree: configuration, compiler, make's arguments. ``readers`` says of each
    source file how many of the ``objects`` read it.
    """

    made_from: tuple[str, ...]
    tree: str
    objects: int = 0
    readers: dict[str, int] = field(default_factory=dict)

    def share(self, changed: Iterable[str]) -> float:
        """Share of the objects, at most 1, that files which changed make it compile again."""
        again = sum(self.readers.get(name, 0) for name in changed)
        return min(1.0, again / self.objects) if self.objects else 1.0


@dataclass(frozen=True)
class Place:
    """A work tree (``src``) and an output directory (``out``) beside it.

    The names are part of how kernels are built alike everywhere: seen from ``out`` the tree is always ``../src``.
    """

    directory: Path

    @property
    def source(self) -> Path:
        """The work tree."""
        return self.directory / "src"

    @property
    def out(self) -> Path:
        """The output directory, ``O=``."""
        return self.directory / "out"

    def note(self) -> Note | None:
        """What was built here last; None while that is not known."""
        try:
            kept = json.loads((self.directory / "note.json").read_text())
            return Note(tuple(kept["made_from"]), kept["tree"], kept["objects"], kept["readers"])
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def begin(self, made_from: tuple[str, ...]) -> bool:
        """Get ready for a build; says whether the output directory is empty.

        It is emptied unless the last build in it came to its end and was made of the same: a compiler that was
        killed leaves a part of an object that is newer than its source, and make would take it for good.
        """
        note = self.note()
        (self.directory / "note.json").unlink(missing_ok=True)
        if note is None or note.made_from != made_from:
            self.wipe()
        fresh = not self.out.exists()
        self.out.mkdir(parents=True, exist_ok=True)
        return fresh

    def end(self, note: Note) -> None:
        """A build came to its end: what is there can be built on."""
        written = self.directory / "note.json.new"
        try:
            written.write_text(json.dumps(asdict(note)))
            written.rename(self.directory / "note.json")
        except OSError:
            written.unlink(missing_ok=True)
            raise

    def wipe(self) -> None:
        """Remove what was built."""
        shutil.rmtree(self.out, ignore_errors=True)

    def used(self) -> float:
        """When it was used last, seconds since the epoch."""
        note = self.directory / "note.json"
        return (note if note.exists() else self.directory).stat().st_mtime

    def size(self) -> int:
        """Bytes of its files."""
        return bytes_of_files(self.directory)


def places(root: Path) -> list[Place]:
    """A builder's places, the one used longest ago first."""
    return sorted((Place(path) for path in root.glob("place-*")), key=Place.used)


def choose(
    root: Path, made_from: tuple[str, ...], changed_since: Callable[[str], set[str] | None], limit: int
) -> Place:
    """The place to build in: the nearest one, a new one where none is near and ``limit`` bytes allow it, else the one
    used longest ago.

    ``changed_since(tree)`` gives the files in which the commit differs from a tree, None where that is not known.
    The caller holds the builder's lock.
    """
    found = places(root)
    nearest, least = None, NEAR
    for place in reversed(found):
        note = place.note()
        if note is not None and note.made_from == made_from:
            changed = changed_since(note.tree)
            share = 1.0 if changed is None else note.share(changed)
            if share < least:
                nearest, least = place, share
    if nearest is not None:
        return nearest
    sizes = [place.size() for place in found]
    if len(found) >= MOST or (sizes and sum(sizes) + max(sizes) > limit):
        return found[0]
    return Place(root / f"place-{time.time_ns():x}")


def drop(root: Path, limit: int) -> None:
    """Remove a builder's places, the ones used longest ago first, until ``limit`` bytes hold the rest.

    The caller holds the builder's lock, or knows that no build is under way.
    """
    drop_fresh(root)
    found = places(root)
    sizes = [place.size() for place in found]
    while found and sum(sizes) > limit:
        shutil.rmtree(found.pop(0).directory, ignore_errors=True)
        sizes.pop(0)


def drop_fresh(root: Path) -> None:
    """Remove what fresh builds of an owner that was killed left."""
    for left in root.glob("clean-*"):
        shutil.rmtree(left, ignore_errors=True)
