"""What a build compiled, and who read what, as Kbuild's ``.cmd`` files in its directory tell."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

_ARCHIVES = (".built-in.a.cmd", ".built-in.o.cmd", ".lib.a.cmd")  # built-in.o until v4.17 (f49821ee32b7)
_SUFFIX = ".o.cmd"
# Lists of what is linked name their members from the root of the tree, or from their directory (v5.13 and newer).
_MEMBER = re.compile(rb"(?<![^\s\"])([\w./+-]+\.[ao])(?![^\s\"])")
# Linked by rules of their own: boot code, vdso, head objects, and what the host runs.
_OTHERS = frozenset({"arch", "scripts", "tools", "usr"})


def readers(out: Path, source: Path) -> tuple[int, Counter[str]]:
    """How many objects this build is made of, and how many of them read each file of the tree.

    An object that an earlier build in the directory left is not counted: its ``.cmd`` file stays when its option is
    switched off, but the list of its directory's archive does not name it any more.
    """
    counts: Counter[bytes] = Counter()
    objects = 0
    trees = "|".join(re.escape(tree) for tree in (str(source), os.path.relpath(source, out)))
    read = re.compile(rf"(?<=\s)(?:{trees})/(\S+\.(?:c|h|S|lds))(?=\s)".encode())
    directories: dict[PurePosixPath, _Directory] = {}
    for place, _, names in os.walk(out):
        path = PurePosixPath(os.path.relpath(place, out))
        here = directories[path] = _Directory(out, path, frozenset(names), directories)
        for name in names:
            if name.startswith(".") and name.endswith(_SUFFIX) and here.has(name[1 : -len(".cmd")]):
                objects += 1
                counts.update(set(read.findall(Path(place, name).read_bytes())))
    plain: Counter[str] = Counter()
    for file, count in counts.items():
        plain[os.path.normpath(os.fsdecode(file))] += count
    return objects, plain


class _Directory:
    """A directory of the build. ``others``: those above it, by path."""

    def __init__(
        self, out: Path, path: PurePosixPath, names: frozenset[str], others: "Mapping[PurePosixPath, _Directory]"
    ) -> None:
        self.out, self.path, self.names, self.others = out, path, names, others

    def has(self, name: str) -> bool:
        """Whether object ``name`` is part of the kernel that was built; True wherever that can't be told."""
        if self.path.parts[:1] and self.path.parts[0] in _OTHERS:
            return True
        return self.alive and (not self.listed or name in self.objects)

    @cached_property
    def listed(self) -> frozenset[str]:
        """What the archives made here hold: paths relative to this directory; empty if none is made here."""
        found: set[str] = set()
        for name in (*_ARCHIVES, *(name for name in self.names if name.endswith(".mod.cmd"))):
            found |= self._members(name)
        return frozenset(found)

    @cached_property
    def objects(self) -> frozenset[str]:
        """Objects of this directory that are linked: in an archive, or in an object that is linked."""
        found: set[str] = set()
        todo = [name for name in self.listed if "/" not in name]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += (member for member in self._members(f".{name}.cmd") if "/" not in member)
        return frozenset(found)

    @cached_property
    def alive(self) -> bool:
        """Whether an archive further up names this directory's; where none is made, as far as can be told."""
        if ".lib.a.cmd" in self.names or self.path == PurePosixPath("."):
            return True
        above = [self.others[parent] for parent in self.path.parents]
        if not self.listed or not above[0].listed:
            return above[0].alive
        if len(self.path.parts) < 2:
            return True  # named by the link of the kernel, which writes no list of it before v6.1
        relative = ((str(self.path.relative_to(one.path)), one) for one in above)
        return any({f"{name}/built-in.a", f"{name}/built-in.o"} & one.listed and one.alive for name, one in relative)

    def _members(self, name: str) -> set[str]:
        if name not in self.names:
            return set()
        text = (self.out / self.path / name).read_bytes().split(b"\n", 1)[0].split(b":=", 1)[-1]
        prefix = "" if self.path == PurePosixPath(".") else f"{self.path}/"
        return {os.fsdecode(member).removeprefix(prefix) for member in _MEMBER.findall(text)}
