"""Which commits a range holds: from git's commit-graph file where there is one, else from ``git rev-list``."""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np

from firstbad.history.commit_graph import Bytes, CommitGraph, Ints, offsets_of, open_commit_graph
from firstbad.history.git import Repo

_CHUNK = 1 << 16  # edges between two looks at whether the walk is done
_NEWEST = (1_000, 30_000)  # commits asked of git for what the file does not have yet
_SEEN, _EXCLUDED = 1, 2


@dataclass(frozen=True)
class Part:
    """Commits that one commit contains and some others don't."""

    names: Bytes
    """(n, bytes of a hash) parents before children."""
    outside: Bytes
    """(k, bytes of a hash) parents of these commits that are not among them, each once."""
    offsets: Ints
    """(n + 1,) where the parents of each commit begin in ``parents``."""
    parents: Ints
    """Indices of ``names``, or -1 - an index of ``outside``."""


def read_part(repo: Repo, tip: str, excluded: Sequence[str]) -> Part:
    """Everything that ``tip`` contains and none of ``excluded`` does; full hashes. Raises InfrastructureError."""
    graph = open_commit_graph(repo)
    part = _from_file(repo, graph, tip, excluded) if graph else None
    return part or _from_git(repo, tip, excluded)


def _from_git(repo: Repo, tip: str, excluded: Sequence[str]) -> Part:
    text = repo.git("rev-list", "--topo-order", "--reverse", "--parents", tip, *(f"^{commit}" for commit in excluded))
    size = len(tip) // 2
    words = np.frombuffer(bytes.fromhex(text), dtype=np.uint8).reshape(-1, size)
    ends = np.flatnonzero(np.frombuffer(text.encode(), dtype=np.uint8) == ord("\n")) + 1
    offsets = offsets_of(np.diff(ends, prepend=0) // (2 * size + 1) - 1)
    heads = offsets[:-1] + np.arange(len(ends))
    is_parent = np.ones(len(words), dtype=bool)
    is_parent[heads] = False
    names, wanted = words[heads], words[is_parent]
    place = _places(names, wanted)
    outside, which = _once(wanted[place < 0])
    place[place < 0] = -1 - which
    return Part(names, outside, offsets, place)


def _from_file(repo: Repo, graph: CommitGraph, tip: str, excluded: Sequence[str]) -> Part | None:
    """None where the file lacks more than the newest commits."""
    asked = [tip, *excluded]
    if any(len(one) != 2 * graph.hash_bytes for one in asked):
        return None
    newer = _newer(repo, graph, asked)
    if newer is None:
        return None
    extra = {name: graph.total + i for i, name in enumerate(newer)}
    known = graph.find([*asked, *(parent for row in newer.values() for parent in row)])
    positions = iter(known.tolist())

    def position(name: str) -> int:
        found = next(positions)
        return found if found >= 0 else extra[name]

    start = [position(name) for name in asked]
    rows = [[position(parent) for parent in row] for row in newer.values()]
    offsets = np.concatenate([graph.offsets, graph.offsets[-1] + np.cumsum([len(row) for row in rows], dtype=np.int64)])
    parents = np.concatenate([graph.parents, np.array([p for row in rows for p in row], dtype=np.int64)])
    # A stable sort by level puts parents first; what the file lacks is above all that it has.
    order = np.concatenate([np.argsort(graph.generations, kind="stable"), graph.total + np.arange(len(rows))])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ends, flat = take_rows(offsets, parents, order)
    inside = _inside(ends, rank[flat], rank[start[0]], rank[start[1:]])
    return _cut(graph, list(newer), order, ends, rank[flat], inside)


def _newer(repo: Repo, graph: CommitGraph, asked: list[str]) -> dict[str, tuple[str, ...]] | None:
    """Parents of the commits that the file lacks and ``asked`` contain, parents first; None if there are too many."""
    missing = [name for name, place in zip(asked, graph.find(asked).tolist(), strict=True) if place < 0]
    if not missing:
        return {}
    for count in _NEWEST:
        rows = repo.git("rev-list", "--parents", f"--max-count={count}", *dict.fromkeys(missing)).split("\n")
        listed = {name: tuple(parents) for name, *parents in (row.split() for row in rows if row)}
        have = set(listed) | {parent for row in listed.values() for parent in row}
        lacking = _lacking(graph, list(have))
        found: dict[str, tuple[str, ...]] = {}
        stack = list(missing)
        while stack and stack[-1] in listed:
            name = stack.pop()
            if name not in found:
                found[name] = listed[name]
                stack.extend(parent for parent in listed[name] if parent in lacking)
        if not stack:
            order = TopologicalSorter({name: [p for p in row if p in found] for name, row in found.items()})
            return {name: found[name] for name in order.static_order()}
    return None


def _lacking(graph: CommitGraph, names: list[str]) -> set[str]:
    return {name for name, place in zip(names, graph.find(names).tolist(), strict=True) if place < 0}


def _inside(ends: Ints, parents: Ints, tip: int, excluded: Ints) -> Ints:
    """Ranks that the tip reaches and ``excluded`` don't. Every rank is above its parents', so one pass down does."""
    marks = bytearray(len(ends) - 1)
    marks[tip] = _SEEN
    for one in excluded.tolist():
        marks[one] |= _EXCLUDED
    view = np.frombuffer(marks, dtype=np.uint8)
    high = 1 + max([int(tip), *excluded.tolist()])
    while high > 0 and (view[:high] == _SEEN).any():
        # Whole commits, about a chunk of edges.
        low = min(high - 1, int(np.searchsorted(ends, ends[high] - _CHUNK)))
        children = np.repeat(np.arange(low, high), np.diff(ends[low : high + 1]))[::-1].tolist()
        for child, parent in zip(children, parents[ends[low] : ends[high]][::-1].tolist(), strict=True):
            if marks[child]:
                marks[parent] |= marks[child]
        high = low
    return np.flatnonzero(view == _SEEN)


def _cut(graph: CommitGraph, newer: list[str], order: Ints, ends: Ints, parents: Ints, inside: Ints) -> Part:
    """The part of the ranks ``inside``."""

    def named(ranks: Ints) -> Bytes:
        positions = order[ranks]
        old = positions < graph.total
        result = np.empty((len(ranks), graph.hash_bytes), dtype=np.uint8)
        result[old] = graph.names(positions[old])
        late = [bytes.fromhex(newer[i]) for i in (positions[~old] - graph.total).tolist()]
        result[~old] = np.frombuffer(b"".join(late), dtype=np.uint8).reshape(-1, graph.hash_bytes)
        return result

    offsets, flat = take_rows(ends, parents, inside)
    place = np.full(len(order), -1, dtype=np.int64)
    place[inside] = np.arange(len(inside))
    local = place[flat]
    outside, which = np.unique(flat[local < 0], return_inverse=True)
    local[local < 0] = -1 - which
    return Part(named(inside), named(outside), offsets, local)


def take_rows(offsets: Ints, flat: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Offsets and entries of some rows, in the order in which they are named."""
    lengths = np.diff(offsets)[rows]
    ends = offsets_of(lengths)
    return ends, flat[np.arange(int(ends[-1])) + np.repeat(offsets[rows] - ends[:-1], lengths)]


def _keys(names: Bytes) -> np.ndarray[tuple[int], np.dtype[np.bytes_]]:
    """Hashes as one value each, in the same order. Zeros at the end don't matter: all are equally long."""
    return np.ascontiguousarray(names).view(f"S{names.shape[1]}")[:, 0]


def _places(names: Bytes, wanted: Bytes) -> Ints:
    """Index of each wanted hash among ``names``, -1 where it isn't there."""
    if not len(names):
        return np.full(len(wanted), -1, dtype=np.int64)
    keys, sought = _keys(names), _keys(wanted)
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys, sought, sorter=order), len(names) - 1)]
    return np.where(keys[place] == sought, place, -1)


def _once(names: Bytes) -> tuple[Bytes, Ints]:
    """Each hash once, and which of these each one is."""
    _, first, which = np.unique(_keys(names), return_index=True, return_inverse=True)
    return names[first], which
