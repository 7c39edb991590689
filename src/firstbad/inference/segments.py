"""Linear runs of commits as segments: the graph of them is a few times smaller than the graph of commits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Rows(Sequence[tuple[int, ...]]):
    """Rows of integers, read as tuples, kept as two arrays: row i is ``flat[offsets[i]:offsets[i + 1]]``."""

    def __init__(self, offsets: Ints, flat: Ints) -> None:
        self.offsets, self.flat = offsets, flat

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Rows":
        """The same rows as arrays; no copy where they already are."""
        if isinstance(rows, Rows):
            return rows
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        values = (value for row in rows for value in row)
        return cls(offsets, np.fromiter(values, dtype=np.int64, count=int(offsets[-1])))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> tuple[int, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, ...], ...]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        i = int(index) + (len(self) if index < 0 else 0)
        if not 0 <= i < len(self):
            raise IndexError(index)
        return tuple(self.flat[self.offsets[i] : self.offsets[i + 1]].tolist())

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        flat, ends = self.flat.tolist(), self.offsets.tolist()
        return (tuple(flat[start:end]) for start, end in pairwise(ends))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.flat, other.flat)
        return isinstance(other, Sequence) and tuple(self) == tuple(tuple(row) for row in other)

    def __hash__(self) -> int:
        return hash((self.offsets.tobytes(), self.flat.tobytes()))

    @property
    def owners(self) -> Ints:
        """The row of each entry of ``flat``."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


@dataclass(frozen=True)
class Segments:
    """A commit continues its parent's segment where each is the other's only neighbour on that side.

    So every fork point ends a segment, every merge begins one, and what a segment's head reaches is made of whole
    segments. Parent segments come before child segments.
    """

    of: Ints
    """(n,) segment of each commit."""
    order: Ints
    """(n,) commits by segment, oldest first."""
    place: Ints
    """(n,) where each commit is in that order."""
    first: Ints
    """(segments + 1,) where each segment begins in that order."""
    above: Rows
    """Parent segments of each segment, each once."""
    first_above: Ints
    """(segments,) segment of the head's first parent, -1 where it has none."""

    @property
    def count(self) -> int:
        """How many segments there are."""
        return len(self.first) - 1

    @classmethod
    def cut(cls, parents: Rows) -> "Segments":
        """Segments of a graph; time grows with commits and the logarithm of the longest run's broken pieces."""
        n = len(parents)
        child, parent = _edges_once(parents)
        before = np.full(n, -1, dtype=np.int64)
        before[child] = parent
        single = (np.bincount(child, minlength=n) == 1) & (np.bincount(parent, minlength=n) == 1)[before]
        head = np.flatnonzero(~single)
        segment = _heads_of(np.where(single, before, np.arange(n)), single)
        segment = (np.cumsum(~single) - 1)[segment]
        order = np.argsort(segment, kind="stable")
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        begins = ~single[child]
        lengths = np.bincount(segment[child[begins]], minlength=len(head))
        above = Rows(_offsets(lengths), segment[parent[begins]])
        rooted = np.diff(parents.offsets)[head] > 0
        first_above = np.full(len(head), -1, dtype=np.int64)
        first_above[rooted] = segment[parents.flat[parents.offsets[head[rooted]]]]
        return cls(segment, order, place, _offsets(np.bincount(segment, minlength=len(head))), above, first_above)


def _edges_once(parents: Rows) -> tuple[Ints, Ints]:
    """(child, parent) by child; a parent that is named twice counts once."""
    child, parent = parents.owners, parents.flat
    merge = np.diff(parents.offsets)[child] > 1
    if not merge.any():
        return child, parent
    n = max(len(parents), 1)
    keys = np.unique(child[merge] * n + parent[merge])
    child = np.concatenate([child[~merge], keys // n])
    parent = np.concatenate([parent[~merge], keys % n])
    order = np.argsort(child, kind="stable")
    return child[order], parent[order]


def _heads_of(up: Ints, moves: Bools) -> Ints:
    """(n,) where each commit ends up that follows ``up`` until it points at itself.

    Pieces in which each commit follows the one right before it are passed in one stride, then strides are doubled.
    """
    n = len(up)
    here = np.arange(n)
    begins = ~(moves & (up == here - 1))
    starts = np.flatnonzero(begins)
    piece = np.cumsum(begins) - 1
    target = piece[up[starts]]
    while True:
        further = target[target]
        if np.array_equal(further, target):
            return np.asarray(starts[target][piece])
        target = further


def _offsets(lengths: Ints) -> Ints:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
