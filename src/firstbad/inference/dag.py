"""The commit graph as arrays: ancestor sets, exact sums over them, distances.

Linear runs of commits are one segment each, so a graph of n commits with m merges needs a bit matrix over
about 3m segments instead of n commits; inside a segment a running sum does. The matrix is kept as columns of
packed bytes, and a sum over ancestors reads it through one table of 256 partial sums per byte (eight
segments).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK_BYTES = 32 << 20  # one block of the bit matrix
_CACHE_BYTES = 256 << 20  # above this the blocks are recomputed at every call instead of kept
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.float64)


class Dag:
    """A commit graph, immutable. Commits are 0..n-1 and parents come before children.

    ``parents[i]`` are the parents of commit i in their order (the first one is the first parent).
    Raises ValueError where a parent is negative or not before its child.
    """

    def __init__(self, parents: Sequence[Sequence[int]]) -> None:
        self.parents: tuple[tuple[int, ...], ...] = tuple(tuple(int(p) for p in row) for row in parents)
        self.n = len(self.parents)
        for child, row in enumerate(self.parents):
            if any(not 0 <= p < child for p in row):
                raise ValueError(f"commit {child}: its parents {row} must be among 0..{child - 1}")
        self._cut_into_segments()
        self._blocks: list[tuple[int, NDArray[np.uint8]]] | None = None
        self._distances: dict[int, Ints] = {}
        self._sizes: Ints | None = None

    def _cut_into_segments(self) -> None:
        """A commit continues its parent's segment where each is the other's only neighbour on that side.

        So every fork point ends a segment and what a segment's head reaches is made of whole segments.
        """
        unique = [tuple(dict.fromkeys(row)) for row in self.parents]
        children = np.bincount([p for row in unique for p in row] or [0], minlength=self.n)
        segment = np.zeros(self.n, dtype=np.int64)
        self._above: list[tuple[int, ...]] = []  # parent segments of each segment
        for commit, row in enumerate(unique):
            if len(row) == 1 and children[row[0]] == 1:
                segment[commit] = segment[row[0]]
            else:
                segment[commit] = len(self._above)
                self._above.append(tuple(int(segment[p]) for p in row))
        self._segment: Ints = segment
        self._order: Ints = np.argsort(segment, kind="stable").astype(np.int64)  # by segment, oldest first
        sizes = np.bincount(segment, minlength=len(self._above))
        self._first: Ints = np.cumsum(sizes) - sizes  # where each segment begins in that order

    def ancestors(self, i: int) -> Bools:
        """The commits that i contains: bool (n,), i itself included."""
        self._check(i)
        reached = np.zeros(len(self._above), dtype=bool)
        stack = list(self._above[self._segment[i]])
        while stack:
            segment = stack.pop()
            if not reached[segment]:
                reached[segment] = True
                stack.extend(self._above[segment])
        own = self._segment == self._segment[i]
        own[i + 1 :] = False
        result: Bools = reached[self._segment] | own
        return result

    def descendants(self, i: int) -> Bools:
        """The commits that contain i: bool (n,), i itself included."""
        self._check(i)
        home = int(self._segment[i])
        reached = [False] * len(self._above)
        reached[home] = True
        for segment in range(home + 1, len(reached)):
            reached[segment] = any(reached[above] for above in self._above[segment])
        result: Bools = np.array(reached, dtype=bool)[self._segment]
        result[:i] &= self._segment[:i] != home
        return result

    def ancestor_sums(self, weights: NDArray[np.floating]) -> Floats:
        """For each commit the sum of ``weights`` over its ancestors and itself, each ancestor counted once.

        ``weights`` is (n,) or (n, k) for k sums in one pass; the answer has the same shape. Raises ValueError
        for any other length. Byte columns whose eight segments weigh nothing are skipped.
        """
        values = np.asarray(weights, dtype=np.float64)
        if values.ndim not in (1, 2) or values.shape[0] != self.n:
            raise ValueError(f"weights of shape {values.shape} for {self.n} commits")
        if not self.n:
            return values.copy()
        columns = values.reshape(self.n, -1)
        running = np.cumsum(columns[self._order], axis=0)
        before = np.vstack([np.zeros((1, columns.shape[1])), running])[self._first]
        last = np.append(self._first[1:], self.n) - 1
        totals = running[last] - before
        offset = self._sums_above(totals) - before
        result = np.empty_like(columns)
        result[self._order] = running + offset[self._segment[self._order]]
        return result.reshape(values.shape)

    def distance(self, i: int) -> Ints:
        """(n,) how many commits lie between i and each commit: what one of the two contains and the other
        does not.

        0 at i itself, along a line the difference of the indices. Remembered, because the choice of tests
        asks again.
        """
        if i not in self._distances:
            if self._sizes is None:
                self._sizes = np.rint(self.ancestor_sums(np.ones(self.n))).astype(np.int64)
            common = np.rint(self.ancestor_sums(self.ancestors(i).astype(np.float64))).astype(np.int64)
            self._distances[i] = self._sizes + self._sizes[i] - 2 * common
        return self._distances[i]

    def _sums_above(self, totals: Floats) -> Floats:
        """(segments, k): for each segment the sum of ``totals`` over all segments that its head reaches."""
        count, width = totals.shape
        padded = np.zeros((-(-count // 8) * 8, width))
        padded[:count] = totals
        octets = padded.reshape(-1, 8, width)
        weighty: Bools = np.asarray(octets.any(axis=(1, 2)))
        sums = np.zeros((count, width))
        for start, block in self._bit_blocks():
            for byte in np.flatnonzero(weighty[start : start + len(block)]):
                first = (start + int(byte)) * 8  # segments before the eight can't contain them
                sums[first:] += (_BITS @ octets[start + byte]).take(block[byte, first:], axis=0)
        return sums

    def _bit_blocks(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Blocks (first byte column, bits (byte columns, segments)) of "column is above row"."""
        if self._blocks is not None:
            yield from self._blocks
            return
        count = len(self._above)
        octets = -(-count // 8)
        step = max(1, _BLOCK_BYTES // max(count, 1))
        keep = octets * count <= _CACHE_BYTES
        made = []
        for start in range(0, octets, step):
            block = start, self._bit_block(start, min(start + step, octets))
            if keep:
                made.append(block)
            yield block
        if keep:
            self._blocks = made

    def _bit_block(self, start: int, end: int) -> NDArray[np.uint8]:
        """Byte columns start..end-1 of the bit matrix, transposed so that a column lies in one piece."""
        rows = np.zeros((len(self._above), end - start), dtype=np.uint8)
        for segment in range(8 * start, len(self._above)):
            row = rows[segment]
            for above in self._above[segment]:
                row |= rows[above]
                if 8 * start <= above < 8 * end:
                    row[above // 8 - start] |= 1 << (above % 8)
        return np.ascontiguousarray(rows.T)

    def _check(self, i: int) -> None:
        if not 0 <= i < self.n:
            raise ValueError(f"commit {i} is not among 0..{self.n - 1}")
