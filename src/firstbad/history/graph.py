"""The part of the commit graph that a bisection is about, as indices in topological order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np

from firstbad.errors import UserError
from firstbad.history.commit_graph import Bytes, Ints
from firstbad.history.git import Repo
from firstbad.history.walk import Part, read_part, take_rows


class Names(Sequence[str]):
    """Hashes, kept as bytes (n, bytes of a hash) and read as text."""

    def __init__(self, raw: Bytes) -> None:
        self.raw = raw

    def __len__(self) -> int:
        return len(self.raw)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(row.tobytes().hex() for row in self.raw[index])
        return str(self.raw[index].tobytes().hex())


class Rows(Sequence[tuple[int, ...]]):
    """Rows of indices, kept as arrays: row i is ``flat[offsets[i]:offsets[i + 1]]``."""

    def __init__(self, offsets: Ints, flat: Ints) -> None:
        self.offsets, self.flat = offsets, flat

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> tuple[int, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, ...], ...]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
        which = range(len(self))[index]
        if isinstance(which, range):
            return tuple(self[i] for i in which)
        return tuple(self.flat[self.offsets[which] : self.offsets[which + 1]].tolist())


class Index(Mapping[str, int]):
    """Where each hash stands among ``names``, by binary search."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __getitem__(self, name: str) -> int:
        keys, order = self._sorted
        try:
            raw = bytes.fromhex(name)
        except ValueError:
            raise KeyError(name) from None
        place = int(np.searchsorted(keys, np.bytes_(raw)))
        if len(raw) != self._names.raw.shape[1] or place == len(keys) or keys[place] != raw.rstrip(b"\0"):
            raise KeyError(name)
        return int(order[place])

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @cached_property
    def _sorted(self) -> tuple[np.ndarray[tuple[int], np.dtype[np.bytes_]], Ints]:
        # As bytes of numpy, which drop zeros at the end; that confuses no two hashes of equal length.
        keys = np.ascontiguousarray(self._names.raw).view(f"S{self._names.raw.shape[1]}")[:, 0]
        order = np.argsort(keys)
        return keys[order], order


@dataclass(frozen=True)
class Range:
    """Commits between boundaries and a tip.

    ``hashes[i]`` is a commit, parents before children; ``parents[i]`` are indices (parents outside the range are
    left out); ``boundary`` are the indices of the excluded ends and of the range's parents outside it, which are
    part of the graph (so that observations on them count) but are no candidates. `read_range` keeps hashes, parents
    and index as arrays that are read like these.
    """

    hashes: Sequence[str]
    parents: Sequence[tuple[int, ...]]
    boundary: frozenset[int]
    index: Mapping[str, int] = field(repr=False)

    @property
    def tip(self) -> int:
        """Index of the newest commit, the end of the range."""
        return len(self.hashes) - 1

    def arrays(self) -> tuple[Ints, Ints]:
        """(offsets, flat): the parents of commit i are ``flat[offsets[i]:offsets[i + 1]]``."""
        if isinstance(self.parents, Rows):
            return self.parents.offsets, self.parents.flat
        lengths = np.array([0, *map(len, self.parents)], dtype=np.int64)
        return np.cumsum(lengths), np.array([p for row in self.parents for p in row], dtype=np.int64)


def read_range(repo: Repo, tip: str, excluded: Sequence[str]) -> Range:
    """Everything that ``tip`` contains and none of ``excluded`` does, plus its boundary.

    All are full hashes. Commits are in order of their longest way from the boundary, then of their hash: the same
    order wherever the graph was read from. Raises UserError when the range is empty.
    """
    part = read_part(repo, tip, excluded)
    count = len(part.names)
    if not count:
        raise UserError(f"no commits to search: {tip[:12]} is contained in {', '.join(e[:12] for e in excluded)}")
    ends = np.frombuffer(bytes.fromhex("".join(excluded)), dtype=np.uint8).reshape(-1, part.names.shape[1])
    boundary, which = np.unique(np.concatenate([ends, part.outside]), axis=0, return_inverse=True)
    which = which.reshape(-1)[len(ends) :]
    order = np.lexsort((_leading(part.names), _depths(part)))
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    offsets, flat = take_rows(part.offsets, part.parents, order)
    # How boundary commits descend from each other does not matter: no candidate is among their ancestors.
    inside = flat >= 0
    parents = np.empty(len(flat), dtype=np.int64)
    parents[inside] = len(boundary) + place[flat[inside]]
    parents[~inside] = which[-1 - flat[~inside]]
    offsets = np.concatenate([np.zeros(len(boundary), dtype=np.int64), offsets])
    names = Names(np.concatenate([boundary, part.names[order]]))
    return Range(names, Rows(offsets, parents), frozenset(range(len(boundary))), Index(names))


def _depths(part: Part) -> Ints:
    """(n,) commits on the longest way from outside to each commit."""
    depths = [0] * len(part.names)
    inside = part.parents >= 0
    children = np.repeat(np.arange(len(part.names)), np.diff(part.offsets))[inside]
    for child, parent in zip(children.tolist(), part.parents[inside].tolist(), strict=True):
        if depths[child] <= depths[parent]:
            depths[child] = depths[parent] + 1
    return np.array(depths, dtype=np.int64)


def _leading(names: Bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """First eight bytes of each hash as a number, in the same order."""
    return np.ascontiguousarray(names[:, :8]).view(">u8")[:, 0].astype(np.uint64)


def titles(repo: Repo, commits: Iterable[str]) -> dict[str, str]:
    """First line of each commit's message."""
    text = "\n".join(commits)
    out = repo.git("log", "--no-walk=unsorted", "--stdin", "--format=%H %s", binary_input=text.encode())
    rows = (line.partition(" ") for line in out.split("\n") if line)
    return {commit: title for commit, _, title in rows}


def touched_files(repo: Repo, tip: str, excluded: Sequence[str]) -> dict[str, frozenset[str]]:
    """Files that each commit of the range changes; merges are left out (what they bring is other commits' work)."""
    out = repo.git(
        "log",
        "-z",
        "--format=%x01%H",
        "--name-only",
        "--no-merges",
        "--no-renames",
        tip,
        *(f"^{commit}" for commit in excluded),
    )
    result = {}
    for block in out.split("\x01")[1:]:
        head, _, rest = block.partition("\0")
        result[head.strip()] = frozenset(name.strip("\n") for name in rest.split("\0") if name.strip("\n"))
    return result
