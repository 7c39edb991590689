"""Ancestor sums by differences: what each segment contains beyond one parent of its own.

Let base(s) be a parent of segment s. The ancestors of s are those of base(s) and a difference, so a sum over
ancestors is a sum of differences along the forest that ``base`` makes. With the right parents the differences
are small: a merge adds the topic that it merges, a side branch that merges the first-parent line adds what it has
of its own. They are found from the first-parent line: s contains all that entered the line up to the last commit
of the line that s contains, and besides only its *own* segments, kept as bits of one integer while they are needed.

A sum along the forest is a difference of two running sums in preorder: all that began before s less all that
ended before s. So one pass over the differences gives the sums for all segments, and where only a few segments
weigh anything, one pass over the differences that hold these.
"""

from dataclasses import dataclass

import numpy as np

from .line import Line
from .segments import Floats, Ints, Rows, Segments

_MOST_ENTRIES = 16_000_000  # in all differences together; above it (or the next two) the caller needs another way
_MOST_ALIVE = 512 << 20  # bytes of own segments kept at one time
_MOST_WORK = 16 << 30  # bytes of own segments looked at


@dataclass(frozen=True)
class Deltas:
    """Differences by row; row r belongs to the segment whose preorder number is r."""

    number: Ints
    """(segments,) preorder number of each segment."""
    end: Ints
    """(rows,) one past the last row of the subtree that begins at each row."""
    rows: Rows
    """The segments that each row adds, its own among them."""
    holders: Rows
    """The rows that add each segment."""
    by_end: Ints
    """(rows,) rows in order of their end."""
    closed: Ints
    """(rows,) how many rows end at or before each row."""

    @classmethod
    def of(cls, graph: Segments, line: Line) -> "Deltas | None":
        """None where the differences would take too much: graphs whose first-parent line explains little."""
        found = _Finder(graph, line).run()
        if found is None:
            return None
        base, owner, member = found
        number, end = _preorder(base)
        row = number[owner]
        order = np.argsort(row, kind="stable")
        count = graph.count
        rows = Rows(_offsets(row, count), member[order])
        row = row[order]
        order = np.argsort(rows.flat, kind="stable")
        holders = Rows(_offsets(rows.flat, count), row[order])
        by_end = np.argsort(end, kind="stable")
        closed = np.searchsorted(end[by_end], np.arange(count), side="right")
        return cls(number, end, rows, holders, by_end, closed)

    def sums(self, totals: Floats) -> Floats:
        """(segments, k): for each segment the sum of ``totals`` (segments, k) over all that it contains, itself too."""
        added = np.add.reduceat(totals[self.rows.flat], self.rows.offsets[:-1], axis=0)
        ended = np.zeros((len(added) + 1, added.shape[1]))
        np.cumsum(added[self.by_end], axis=0, out=ended[1:])
        along = np.cumsum(added, axis=0)
        along -= ended[self.closed]
        return np.asarray(along[self.number])

    def sums_of(self, segments: Ints, totals: Floats, wanted: Ints) -> Floats:
        """(wanted, k): the same for the segments ``wanted`` where only ``segments`` weigh anything: ``totals``."""
        starts, lengths = self.holders.offsets[segments], np.diff(self.holders.offsets)[segments]
        source = np.repeat(np.arange(len(segments)), lengths)
        skip = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        row = self.holders.flat[np.arange(len(source)) + skip]
        moment = np.concatenate([row, self.end[row]])
        change = np.concatenate([totals[source], -totals[source]])
        order = np.argsort(moment, kind="stable")
        along = np.zeros((len(order) + 1, totals.shape[1]))
        np.cumsum(change[order], axis=0, out=along[1:])
        return np.asarray(along[np.searchsorted(moment[order], self.number[wanted], side="right")])


def _offsets(sorted_keys: Ints, count: int) -> Ints:
    lengths = np.bincount(sorted_keys, minlength=count)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def _preorder(base: list[int]) -> tuple[Ints, Ints]:
    """Preorder number of each node of a forest whose parents come first (-1: a root); end of subtree by number."""
    size = [1] * len(base)
    for node in range(len(base) - 1, -1, -1):
        if base[node] >= 0:
            size[base[node]] += size[node]
    number, free, roots = [0] * len(base), [0] * len(base), 0
    for node, parent in enumerate(base):
        if parent < 0:
            begin, roots = roots, roots + size[node]
        else:
            begin = free[parent]
            free[parent] = begin + size[node]
        number[node], free[node] = begin, begin + 1
    numbers = np.array(number, dtype=np.int64)
    ends = np.empty(len(base), dtype=np.int64)
    ends[numbers] = numbers + np.array(size, dtype=np.int64)
    return numbers, ends


class _Finder:
    """Walks the segments from old to new. Bits are numbered by where a segment enters the line, so that all which
    the line up to some point explains are the low ones and one shift drops them."""

    def __init__(self, graph: Segments, line: Line) -> None:
        self.graph, self.line = graph, line
        self.by_bit = np.argsort(line.entered, kind="stable")
        bit = np.empty(graph.count, dtype=np.int64)
        bit[self.by_bit] = np.arange(graph.count)
        self.bit: list[int] = bit.tolist()
        starts = np.searchsorted(line.entered[self.by_bit], np.arange(len(line.segments) + 2))
        self.starts: list[int] = starts.tolist()  # first bit of what enters at each segment of the line
        self.own: list[int] = [0] * graph.count  # bits from starts[based + 1] on
        self.left: list[int] = np.bincount(graph.above.flat, minlength=graph.count).tolist()
        self.alive = self.work = self.entries = 0
        self.base = [-1] * graph.count
        self.packed: list[tuple[int, int, bytes]] = []  # segment, its lowest bit, its difference from there on
        self.alone: list[int] = []  # segments that add nothing but themselves

    def run(self) -> tuple[list[int], Ints, Ints] | None:
        """base of each segment; (segment, segment that it adds) as two arrays."""
        offsets, flat = self.graph.above.offsets.tolist(), self.graph.above.flat.tolist()
        based, on, entered = self.line.based.tolist(), self.line.on.tolist(), self.line.entered.tolist()
        previous = self.graph.first_above.tolist()
        self.based = based
        for segment in range(self.graph.count):
            parents = flat[offsets[segment] : offsets[segment + 1]]
            if on[segment]:
                self.base[segment] = previous[segment]
                self.entries += self.starts[entered[segment] + 1] - self.starts[entered[segment]]
            else:
                self._off_line(segment, parents)
            for parent in parents:
                self.left[parent] -= 1
                if not self.left[parent]:
                    self.alive -= self.own[parent].bit_length() >> 3
                    self.own[parent] = 0
            if self.entries > _MOST_ENTRIES or self.alive > _MOST_ALIVE or self.work > _MOST_WORK:
                return None
        owner, member = self._entries()
        return self.base, owner, member

    def _off_line(self, segment: int, parents: list[int]) -> None:
        start = self.starts[self.based[segment] + 1]
        itself = 1 << (self.bit[segment] - start)
        together, kept, most = itself, 0, -1
        for parent in parents:
            drop = start - self.starts[self.based[parent] + 1]
            own = self.own[parent] >> drop
            together |= own
            # The parent that holds most of it, of those that contain as much of the line as the segment itself.
            if not drop:
                weight = own.bit_count() if len(parents) > 1 else 0
                if weight > most:
                    self.base[segment], kept, most = parent, own, weight
        size = together.bit_length() >> 3
        if self.left[segment]:
            self.own[segment] = together
            self.alive += size
        self.work += size * (1 + len(parents))
        added = together ^ kept
        if added == itself:
            self.alone.append(segment)
            self.entries += 1
            return
        low = (added & -added).bit_length() - 1
        added >>= low
        self.entries += added.bit_count()
        self.packed.append((segment, start + low, added.to_bytes((added.bit_length() + 7) // 8, "little")))

    def _entries(self) -> tuple[Ints, Ints]:
        """(segment, segment that it adds), one pair per entry."""
        alone = np.array(self.alone, dtype=np.int64)
        members = np.flatnonzero(self.line.entered < len(self.line.segments))  # what the line adds at each segment
        owners = [self.line.segments[self.line.entered[members]], alone]
        added = [members, alone]
        lengths = np.array([len(bits) for _, _, bits in self.packed], dtype=np.int64)
        begins = np.cumsum(lengths) - lengths
        segment = np.array([one[0] for one in self.packed], dtype=np.int64)
        low = np.array([one[1] for one in self.packed], dtype=np.int64)
        data = np.frombuffer(b"".join(bits for _, _, bits in self.packed), dtype=np.uint8)
        byte = np.flatnonzero(data)
        where, bit = np.nonzero(np.unpackbits(data[byte][:, None], axis=1, bitorder="little"))
        source = np.repeat(np.arange(len(lengths)), lengths)[byte[where]]
        owners.append(segment[source])
        added.append(self.by_bit[low[source] + 8 * (byte[where] - begins[source]) + bit])
        return np.concatenate(owners), np.concatenate(added)
