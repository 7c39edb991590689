"""Git's commit-graph file (gitformat-commit-graph(5)), mapped into memory and read as arrays.

The file is input like any other: every count, offset and position is checked before it is used, and a file that
does not hold together is as good as none.
"""

import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstbad.history.git import Repo

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_HASH_BYTES = {1: 20, 2: 32}  # by the header's hash version: SHA-1, SHA-256
_HEADER, _ENTRY = 8, 12  # bytes of the header and of one entry of the table of chunks
_FANOUT = 1024
_NO_PARENT, _LAST, _MANY = 0x70000000, 0x80000000, 0x80000000
_LAYER = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_MOST_LAYERS, _MOST_ALTERNATES = 1000, 5  # git follows alternates as deep


@dataclass(frozen=True)
class _Layer:
    names: Bytes  # (n, hash bytes), sorted; the file itself
    counts: Ints  # (n,) parents of each commit
    parents: Ints  # positions in the whole chain, commit by commit
    generations: Ints  # (n,)


@dataclass(frozen=True)
class CommitGraph:
    """The commits of a commit-graph file or chain. A commit's position is its place in it, base layers first."""

    layers: tuple[Bytes, ...]
    """Hashes of each layer, (n, bytes of a hash), sorted within the layer."""
    offsets: Ints
    """(n + 1,) where the parents of each commit begin in ``parents``."""
    parents: Ints
    """Positions of parents, in the order of the commit."""
    generations: Ints
    """(n,) topological level: 1 for a root, else one more than the highest parent's. Parents are always lower."""

    @property
    def total(self) -> int:
        """How many commits it holds."""
        return len(self.generations)

    @property
    def hash_bytes(self) -> int:
        """Bytes of a hash: 20 or 32."""
        return int(self.layers[0].shape[1])

    def find(self, hashes: Sequence[str]) -> Ints:
        """Position of each full hash, -1 where the graph does not have it. Binary search in each layer."""
        found = np.full(len(hashes), -1, dtype=np.int64)
        names = [bytes.fromhex(one) for one in hashes]
        wanted = np.array([name for name in names if len(name) == self.hash_bytes], dtype=f"S{self.hash_bytes}")
        which = np.flatnonzero([len(name) == self.hash_bytes for name in names])
        start = 0
        for layer in self.layers:
            keys = layer.view(f"S{self.hash_bytes}")[:, 0]
            place = np.searchsorted(keys, wanted)
            hit = keys[np.minimum(place, len(keys) - 1)] == wanted
            found[which[hit]] = start + place[hit]
            start += len(layer)
        return found

    def names(self, positions: Ints) -> Bytes:
        """(k, bytes of a hash): hashes of the commits at these positions."""
        item = f"V{self.hash_bytes}"
        result = np.empty(len(positions), dtype=item)
        start = 0
        for layer in self.layers:
            here = np.flatnonzero((positions >= start) & (positions < start + len(layer)))
            result[here] = layer.view(item)[:, 0][positions[here] - start]
            start += len(layer)
        return result.view(np.uint8).reshape(-1, self.hash_bytes)


def open_commit_graph(repo: Repo) -> CommitGraph | None:
    """The commit graph of a repository or of one it borrows objects from; None where git itself would not use it.

    Git leaves the file aside where replace refs, grafts or a shallow clone change what a commit's parents are, and
    where ``core.commitGraph`` says so. None too where there is no file, or only one that does not hold together.
    """
    objects, shallow, grafts = (repo.place(name) for name in ("objects", "shallow", "info/grafts"))
    if shallow.exists() or grafts.exists() or repo.git("for-each-ref", "--count=1", "refs/replace/").strip():
        return None
    wanted = repo.git("config", "--type=bool", "--get", "core.commitGraph", check=False).strip()
    return None if wanted == "false" else _search(objects, _MOST_ALTERNATES)


def read_commit_graph(objects: Path) -> CommitGraph:
    """The graph in one object directory: ``info/commit-graph``, else the chain in ``info/commit-graphs``.

    Raises OSError where there is none, ValueError with the reason where it does not hold together.
    """
    single = objects / "info" / "commit-graph"
    if single.exists():
        return _joined([_read_layer(single, [], 0)])
    places = [objects, *_alternates(objects)]
    chain = (objects / "info" / "commit-graphs" / "commit-graph-chain").read_text("ascii").split()
    if not 0 < len(chain) <= _MOST_LAYERS or not all(_LAYER.match(name) for name in chain):
        raise ValueError("the chain must name its layers by their hashes")
    layers: list[_Layer] = []
    for index, name in enumerate(chain):
        files = [place / "info" / "commit-graphs" / f"graph-{name}.graph" for place in places]
        path = next((file for file in files if file.exists()), files[0])
        layers.append(_read_layer(path, chain[:index], sum(len(layer.names) for layer in layers)))
    return _joined(layers)


def _search(objects: Path, depth: int) -> CommitGraph | None:
    try:
        return read_commit_graph(objects)
    except (OSError, ValueError):
        pass
    if not depth:
        return None
    return next((found for place in _alternates(objects) if (found := _search(place, depth - 1))), None)


def _alternates(objects: Path) -> list[Path]:
    """Object directories that this one borrows from; relative ones start at it."""
    try:
        lines = (objects / "info" / "alternates").read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return []
    return [objects / line for line in lines if line and not line.startswith("#") and "\0" not in line]


def offsets_of(lengths: Ints) -> Ints:
    """(n + 1,) where rows of these lengths (n,) begin in one array, and where the last one ends."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def _joined(layers: list[_Layer]) -> CommitGraph:
    counts = np.concatenate([layer.counts for layer in layers])
    parents = np.concatenate([layer.parents for layer in layers])
    generations = np.concatenate([layer.generations for layer in layers])
    if len({layer.names.shape[1] for layer in layers}) > 1:
        raise ValueError("layers with different hashes")
    if (generations < 1).any() or (generations[parents] >= np.repeat(generations, counts)).any():
        raise ValueError("a commit is not above its parents")
    offsets = offsets_of(counts)
    return CommitGraph(tuple(layer.names for layer in layers), offsets, parents, generations)


def _read_layer(path: Path, bases: list[str], before: int) -> _Layer:
    """One file whose positions begin at ``before``, on top of the layers named ``bases``."""
    with path.open("rb") as file:
        data: Bytes = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    chunks, size = _chunks(data, len(bases))
    names = chunks[b"OIDL"]
    count = len(names) // size
    if not count or len(names) != count * size or len(chunks[b"CDAT"]) != count * (size + 16):
        raise ValueError("the chunks of hashes and of commits differ in length")
    fanout = chunks[b"OIDF"].view(">u4").astype(np.int64) if len(chunks[b"OIDF"]) == _FANOUT else np.zeros(1)
    if fanout[-1] != count or (np.diff(fanout) < 0).any():
        raise ValueError("the fanout does not count the hashes")
    if bases and chunks.get(b"BASE", data[:0]).tobytes() != b"".join(bytes.fromhex(base) for base in bases):
        raise ValueError("the layer stands on other layers than the chain says")
    words = np.ascontiguousarray(chunks[b"CDAT"].reshape(count, size + 16)[:, size:]).view(">u4").astype(np.int64)
    counts, parents = _parents(words[:, 0], words[:, 1], chunks.get(b"EDGE", data[:0]))
    if parents.size and parents.max() >= before + count:
        raise ValueError("a parent lies outside the graph")
    return _Layer(names.reshape(count, size), counts, parents, words[:, 2] >> 2)


def _chunks(data: Bytes, bases: int) -> tuple[dict[bytes, Bytes], int]:
    """Chunks by their name, and the bytes of a hash."""
    if len(data) < _HEADER + _ENTRY or data[:4].tobytes() != b"CGPH" or data[4] != 1:
        raise ValueError("not a commit-graph file of version 1")
    size, entries = _HASH_BYTES.get(int(data[5])), int(data[6]) + 1
    table = _HEADER + entries * _ENTRY
    if size is None or data[7] != bases or table + size > len(data):
        raise ValueError("a header that does not fit the file")
    rows = data[_HEADER:table].reshape(entries, _ENTRY)
    starts = np.ascontiguousarray(rows[:, 4:]).view(">u8")[:, 0].tolist()
    if starts != sorted(starts) or starts[0] < table or starts[-1] > len(data) - size:
        raise ValueError("chunks outside the file")
    names = [row[:4].tobytes() for row in rows]
    chunks = {name: data[start:end] for name, (start, end) in zip(names, pairwise(starts), strict=False)}
    if not {b"OIDF", b"OIDL", b"CDAT"} <= chunks.keys() or len(chunks) != entries - 1:
        raise ValueError("a chunk is missing or there twice")
    return chunks, size


def _parents(first: Ints, second: Ints, chunk: Bytes) -> tuple[Ints, Ints]:
    """(counts, positions) of parents; a third parent and more stand in the chunk of edges, after the second."""
    edges = chunk[: len(chunk) // 4 * 4].view(">u4").astype(np.int64)
    many = np.flatnonzero(second & _MANY)
    has_first, has_second = first != _NO_PARENT, second != _NO_PARENT
    if (has_second & ~has_first).any():
        raise ValueError("a second parent without a first")
    ends = np.flatnonzero(edges & _LAST)
    begin = second[many] & ~_MANY
    end = np.searchsorted(ends, begin)
    if (end >= len(ends)).any() or np.sum(ends[end] + 1 - begin) > len(edges):
        raise ValueError("parents outside the chunk of edges")
    counts = has_first.astype(np.int64) + has_second
    counts[many] += ends[end] - begin
    offsets = offsets_of(counts)
    parents = np.empty(int(offsets[-1]), dtype=np.int64)
    parents[offsets[:-1][has_first]] = first[has_first]
    parents[offsets[:-1][has_second] + 1] = second[has_second]
    for commit, start, stop in zip(many.tolist(), begin.tolist(), (ends[end] + 1).tolist(), strict=True):
        parents[offsets[commit] + 1 : offsets[commit + 1]] = edges[start:stop] & ~_LAST
    return counts, parents
