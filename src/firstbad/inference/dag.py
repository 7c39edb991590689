"""The commit graph as arrays: ancestor sets, exact sums over them, distances.

Linear runs of commits are one segment each (`segments`). Inside a segment a running sum does; between segments
sums are taken along a forest of differences (`deltas`), which costs a few operations per segment whatever the
size of the graph, or by a bit matrix (`bitmatrix`) where the graph has no first-parent line to speak of. Sets are
found from that line: most of what a commit contains is what the line contained where its branch left it.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bitmatrix import BitMatrix
from .deltas import Deltas
from .line import Line
from .segments import Bools, Floats, Ints, Rows, Segments

__all__ = ["Bools", "Dag", "Floats", "Ints"]

_REMEMBERED = 8_000_000  # distances kept, in all


class Dag:
    """A commit graph, immutable. Commits are 0..n-1 and parents come before children.

    ``parents[i]`` are the parents of commit i in their order (the first one is the first parent).
    Raises ValueError where a parent is negative or not before its child.
    """

    def __init__(self, parents: Sequence[Sequence[int]]) -> None:
        self.parents = Rows.of(parents)
        self.n = len(self.parents)
        child = self.parents.owners
        wrong = np.flatnonzero((self.parents.flat < 0) | (self.parents.flat >= child))
        if wrong.size:
            commit = int(child[wrong[0]])
            raise ValueError(f"commit {commit}: its parents {self.parents[commit]} must be among 0..{commit - 1}")
        self._graph = Segments.cut(self.parents)
        self._distances: dict[int, Ints] = {}

    @classmethod
    def from_arrays(cls, offsets: ArrayLike, flat: ArrayLike) -> "Dag":
        """The graph whose commit i has the parents ``flat[offsets[i]:offsets[i + 1]]``; integers of any width.

        Raises ValueError where ``offsets`` (n + 1,) don't rise from 0 to the length of ``flat``.
        """
        ends, values = np.asarray(offsets, dtype=np.int64), np.asarray(flat, dtype=np.int64)
        fits = ends.ndim == values.ndim == 1 and ends.size and ends[0] == 0 and ends[-1] == len(values)
        if not fits or (np.diff(ends) < 0).any():
            raise ValueError(f"offsets must rise from 0 to {values.size}, the number of parents")
        return cls(Rows(ends, values))

    @cached_property
    def mainline(self) -> Ints:
        """(m,) the first-parent line of the last commit, oldest first; that commit is its last."""
        return np.flatnonzero(self._line.on[self._graph.of]) if self.n else np.zeros(0, dtype=np.int64)

    @cached_property
    def entered(self) -> Ints:
        """(n,) which commit of ``mainline``, as an index of it, is the first to contain each commit; m where the
        last commit does not contain it. On the line itself: its own index."""
        return self._of_commits(self._line_starts[self._line.entered])

    @cached_property
    def based_on(self) -> Ints:
        """(n,) which commit of ``mainline``, as an index of it, is the last that each commit contains; -1 where it
        contains none. On the line itself: its own index."""
        return self._of_commits(self._line_starts[self._line.based + 1] - 1)

    def ancestors(self, i: int) -> Bools:
        """The commits that i contains: bool (n,), i itself included."""
        self._check(i)
        result: Bools = self.entered <= self.based_on[i]
        home, line = int(self._graph.of[i]), self._line
        if line.on[home]:
            return result
        stack, seen = list(self._graph.above[home]), set()
        while stack:
            segment = stack.pop()
            if segment not in seen and line.entered[segment] > line.based[home]:
                seen.add(segment)
                stack.extend(self._graph.above[segment])
        for segment in seen:
            result[self._commits(segment)] = True
        own = self._commits(home)
        result[own[own <= i]] = True
        return result

    def descendants(self, i: int) -> Bools:
        """The commits that contain i: bool (n,), i itself included."""
        self._check(i)
        entered, home, line = int(self.entered[i]), int(self._graph.of[i]), self._line
        result: Bools = self.based_on >= entered
        if line.on[home]:
            return result
        stack, seen = list(self._below[home]), set()
        while stack:
            segment = stack.pop()
            if segment not in seen and line.based[segment] < line.entered[home]:
                seen.add(segment)
                stack.extend(self._below[segment])
        for segment in seen:
            result[self._commits(segment)] = True
        own = self._commits(home)
        result[own[own >= i]] = True
        return result

    def ancestor_sums(self, weights: NDArray[np.floating]) -> Floats:
        """For each commit the sum of ``weights`` over its ancestors and itself, each ancestor counted once.

        ``weights`` is (n,) or (n, k) for k sums in one pass; the answer has the same shape, exact but for rounding
        (relative to the sum of all weights). Raises ValueError for any other length.
        """
        values = self._weights(weights, self.n)
        if not self.n:
            return values.copy()
        columns, graph = _columns(values), self._graph
        running = np.cumsum(columns[graph.order], axis=0)
        last = running[graph.first[1:] - 1]
        totals = np.diff(last, axis=0, prepend=0.0)
        # What a segment contains up to its end, less what comes after the commit in the segment.
        offset = self._segment_sums(totals) - last
        running += np.repeat(offset, np.diff(graph.first), axis=0)
        return running[graph.place].reshape(values.shape)

    def sums_at(self, rows: Ints, commits: Ints, weights: NDArray[np.floating]) -> Floats:
        """For each of the commits ``rows`` the sum over its ancestors and itself where only ``commits`` weigh anything.

        ``weights`` is (len(commits),) or (len(commits), k), a commit that is named twice counts twice; the answer
        is (len(rows),) or (len(rows), k). Costs as much as rows and commits, whatever the size of the graph. Exact
        for any set, however it lies. Raises ValueError for other lengths and indices.
        """
        rows, commits = self._indices(rows), self._indices(commits)
        values = self._weights(weights, len(commits))
        columns = _columns(values)
        shape = (len(rows), *values.shape[1:])
        if not len(rows) or not len(commits):
            return np.zeros(shape)
        if self._deltas is None:
            spread = np.zeros((self.n, columns.shape[1]))
            np.add.at(spread, commits, columns)
            return self.ancestor_sums(spread)[rows].reshape(shape)
        graph = self._graph
        place = graph.place[commits]
        order = np.argsort(place, kind="stable")
        place, running = place[order], np.zeros((len(commits) + 1, columns.shape[1]))
        np.cumsum(columns[order], axis=0, out=running[1:])
        segments, begin = np.unique(graph.of[commits[order]], return_index=True)
        totals = np.diff(running[np.append(begin, len(commits))], axis=0)
        home = graph.of[rows]
        upto = np.searchsorted(place, graph.place[rows], side="right")
        end = np.searchsorted(place, graph.first[home + 1])
        sums = self._deltas.sums_of(segments, totals, home) - (running[end] - running[upto])
        return np.asarray(sums.reshape(shape))

    def grouped_sums(self, rows: Ints, weights: Floats, groups: Ints, count: int) -> Floats:
        """(len(rows), count): for each of the commits ``rows`` the sum of ``weights`` (n,) over its ancestors and
        itself, each group 0..count-1 of commits by itself; ``groups`` (n,) says to which one each commit belongs.

        What `ancestor_sums` gives for one column per group, at a fraction of its cost. Raises ValueError for other
        lengths, groups and indices.
        """
        rows, graph = self._indices(rows), self._graph
        values = self._weights(weights, self.n)
        if (
            values.ndim != 1
            or np.shape(groups) != (self.n,)
            or (self.n and not 0 <= groups.min() <= groups.max() < count)
        ):
            raise ValueError(f"groups must be {self.n} numbers among 0..{count - 1}")
        if not len(rows):
            return np.zeros((0, count))
        keys = graph.of * count + groups
        totals: Floats = np.bincount(keys, weights=values, minlength=graph.count * count).astype(np.float64)
        # A segment's sum is that of its last commit: take off what comes after the row in its own segment.
        homes, which = np.unique(graph.of[rows], return_inverse=True)
        lengths = np.diff(graph.first)[homes]
        ends = np.cumsum(lengths)
        commits = graph.order[np.arange(ends[-1]) + np.repeat(graph.first[homes] - (ends - lengths), lengths)]
        running = np.zeros((len(commits) + 1, count))
        running[np.arange(1, len(running)), groups[commits]] = values[commits]
        np.cumsum(running, axis=0, out=running)
        upto = (ends - lengths)[which] + graph.place[rows] - graph.first[homes][which] + 1
        sums = self._segment_sums(totals.reshape(graph.count, count))[graph.of[rows]]
        return np.asarray(sums - (running[ends[which]] - running[upto]))

    def mainline_sums(self, weights: NDArray[np.floating]) -> Floats:
        """(m,) or (m, k): the sums of `ancestor_sums` at the commits of ``mainline`` alone, at a fraction of its cost.

        Raises ValueError where ``weights`` is not (n,) or (n, k).
        """
        values = self._weights(weights, self.n)
        count = len(self.mainline)
        columns = _columns(values).T
        brought = [np.bincount(self.entered, weights=column, minlength=count)[:count] for column in columns]
        sums = np.cumsum(np.array(brought).reshape(len(columns), count).T, axis=0)
        return np.asarray(sums.reshape(count, *values.shape[1:]))

    def within(self, members: Bools) -> tuple["Dag", Ints]:
        """The graph of ``members`` (n,) alone, and the commit of this graph for each of its own, in order of index.

        One member contains another there exactly where it does here. A parent that is no member but contains some
        stands for the nearest of them, after the parents that are members; in a set that has no such parent (the
        ancestors of some commits less those of others) the edges are the same. Raises ValueError for another length.
        """
        if np.shape(members) != (self.n,):
            raise ValueError(f"members of shape {np.shape(members)} for {self.n} commits")
        index = np.flatnonzero(members)
        starts, lengths = self.parents.offsets[index], np.diff(self.parents.offsets)[index]
        child = np.repeat(np.arange(len(index)), lengths)
        parent = self.parents.flat[np.arange(len(child)) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)]
        inside = np.asarray(members, dtype=bool)[parent]
        outside = np.flatnonzero(~inside)
        if outside.size:
            holds = self.sums_at(parent[outside], index, np.ones(len(index))) > 0.5
            extra = self._nearest(outside[holds], child, parent, np.asarray(members, dtype=bool))
            child = np.concatenate([child[inside], extra[0]])
            parent = np.concatenate([parent[inside], extra[1]])
            order = np.argsort(child, kind="stable")
            child, parent = child[order], parent[order]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(child, minlength=len(index)))])
        return Dag.from_arrays(offsets, np.searchsorted(index, parent)), index

    def distance(self, i: int) -> Ints:
        """(n,) how many commits lie between i and each commit: what one of the two contains and the other
        does not.

        0 at i itself, along a line the difference of the indices. Remembered, because the choice of tests
        asks again.
        """
        if i not in self._distances:
            common = np.rint(self.ancestor_sums(self.ancestors(i).astype(np.float64))).astype(np.int64)
            while self._distances and (len(self._distances) + 1) * self.n > _REMEMBERED:
                del self._distances[next(iter(self._distances))]
            self._distances[i] = self._sizes + self._sizes[i] - 2 * common
        return self._distances[i]

    @cached_property
    def _sizes(self) -> Ints:
        """(n,) commits that each commit contains, itself included."""
        return np.rint(self.ancestor_sums(np.ones(self.n))).astype(np.int64)

    @cached_property
    def _line(self) -> Line:
        return Line.of(self._graph)

    @cached_property
    def _line_starts(self) -> Ints:
        """(segments of the line + 1,) where each begins in ``mainline``; the last entry is its length."""
        lengths = np.diff(self._graph.first)[self._line.segments]
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])

    @cached_property
    def _below(self) -> Rows:
        """Child segments of each segment."""
        above = self._graph.above
        order = np.argsort(above.flat, kind="stable")
        lengths = np.bincount(above.flat, minlength=self._graph.count)
        return Rows(np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]), above.owners[order])

    @cached_property
    def _deltas(self) -> Deltas | None:
        return Deltas.of(self._graph, self._line)

    @cached_property
    def _matrix(self) -> BitMatrix:
        return BitMatrix(self._graph.above)

    def _of_commits(self, positions: Ints) -> Ints:
        """(n,) the position of each commit in ``mainline``, given that of its segment; on the line its own."""
        result = positions[self._graph.of]
        result[self.mainline] = np.arange(len(self.mainline))
        return np.asarray(result)

    def _segment_sums(self, totals: Floats) -> Floats:
        return self._matrix.sums(totals) if self._deltas is None else self._deltas.sums(totals)

    def _commits(self, segment: int) -> Ints:
        """The commits of a segment, oldest first."""
        graph = self._graph
        return graph.order[graph.first[segment] : graph.first[segment + 1]]

    def _nearest(self, edges: Ints, child: Ints, parent: Ints, members: Bools) -> tuple[Ints, Ints]:
        """(child, member) edges instead of those whose parent is no member but contains some."""
        oldest = int(np.argmax(members))
        found: list[tuple[int, int]] = []
        for edge in edges.tolist():
            stack, seen = [int(parent[edge])], set()
            while stack:
                commit = stack.pop()
                if commit in seen or commit < oldest:
                    continue
                seen.add(commit)
                if members[commit]:
                    found.append((int(child[edge]), commit))
                else:
                    stack.extend(self.parents[commit])
        pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _indices(self, commits: Ints) -> Ints:
        indices = np.asarray(commits, dtype=np.int64)
        if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < self.n:
            raise ValueError(f"commits must be among 0..{self.n - 1}")
        return indices

    def _weights(self, weights: NDArray[np.floating], count: int) -> Floats:
        values = np.asarray(weights, dtype=np.float64)
        if values.ndim not in (1, 2) or values.shape[0] != count:
            raise ValueError(f"weights of shape {values.shape} for {count} commits")
        return values

    def _check(self, i: int) -> None:
        if not 0 <= i < self.n:
            raise ValueError(f"commit {i} is not among 0..{self.n - 1}")


def _columns(values: Floats) -> Floats:
    return values[:, None] if values.ndim == 1 else values
