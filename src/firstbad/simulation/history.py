"""A history that is data: commits named by their titles, the graph in memory, no git."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from firstbad.errors import NotFoundError, UserError
from firstbad.history.graph import Range
from firstbad.history.releases import parse_tag
from firstbad.inference import Dag

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_KEPT_SETS = 256  # ancestor sets kept; one of 15,000 commits is 15 kB


class SimHistory:
    """Commits in topological order with their tags and files. Implements ``firstbad.history.base.History``.

    ``names[i]`` is the title of commit i, unique; ``parents[i]`` its parents' indices in order, all before i (or a
    ``Dag`` of them); ``tags`` are tag -> title; ``files[i]`` the paths that commit i changes, None where nobody said.
    One history serves any number of scenarios: whatever it computes it keeps. Raises ValueError for names that are
    not unique, for parents that are not before their children and for tags of unknown commits.
    """

    def __init__(
        self,
        names: Sequence[str],
        parents: Dag | Sequence[Sequence[int]],
        tags: Mapping[str, str] | None = None,
        files: Sequence[frozenset[str] | None] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.dag = parents if isinstance(parents, Dag) else Dag(parents)
        self.index = {name: i for i, name in enumerate(self.names)}
        self.tags = dict(tags or {})
        self.files = tuple(files) if files is not None else None
        if len(self.index) != len(self.names) or len(self.names) != self.dag.n:
            raise ValueError(f"{self.dag.n} commits need as many unique names, got {len(self.index)}")
        unknown = [title for title in self.tags.values() if title not in self.index]
        if unknown:
            raise ValueError(f"tag of an unknown commit: {unknown[0]}")
        self._ranges: dict[tuple[str, ...], Range] = {}
        self._touched: dict[tuple[str, ...], Mapping[str, frozenset[str]]] = {}
        self._sets: dict[int, Bools] = {}
        self._edges: tuple[Ints, Ints] | None = None

    def resolve(self, revision: str) -> str:
        """The commit that a title or a tag names. Raises NotFoundError."""
        found = revision if revision in self.index else self.tags.get(revision)
        if found is None:
            raise NotFoundError(f"unknown revision: {revision}")
        return found

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or one of its ancestors."""
        return bool(self.ancestors(self.index[new])[self.index[old]])

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """The best common ancestors of two commits, in topological order; empty where they share none."""
        common = self.ancestors(self.index[one]) & self.ancestors(self.index[other])
        # Whatever lies between two common ancestors is one too, so the best ones are those without a common child.
        child, parent = self.edges()
        best = common.copy()
        best[parent[common[child]]] = False
        return tuple(self.names[i] for i in np.flatnonzero(best))

    def releases(self, commit: str) -> tuple[tuple[str, str], ...]:
        """(tag, commit) of the final releases that ``commit`` contains and is not itself, newest first."""
        below = self.ancestors(self.index[commit])
        found = [release for tag in self.tags if (release := parse_tag(tag)) and release.final]
        rows = [(release.tag, self.tags[release.tag]) for release in sorted(found, reverse=True)]
        return tuple((tag, title) for tag, title in rows if title != commit and below[self.index[title]])

    def tag(self, commit: str) -> str:
        """The version tag that points at a commit (a final release's rather than a candidate's), or empty."""
        found = [release for tag, title in self.tags.items() if title == commit and (release := parse_tag(tag))]
        return max(found).tag if found else ""

    def by_title(self, title: str, tip: str) -> str:
        """The commit with this title, which is its name, if ``tip`` contains it; empty otherwise."""
        return title if title in self.index and self.is_ancestor(title, tip) else ""

    def title(self, commit: str) -> str:
        """First line of the commit's message: its name."""
        return commit

    def range(self, tip: str, excluded: Sequence[str]) -> Range:
        """The commits of ``tip`` that are not in ``excluded``, with their boundary. Raises UserError if empty.

        The same question gets the same object, so that callers may keep what they derive from it by its identity.
        """
        key = (tip, *excluded)
        if key not in self._ranges:
            self._ranges[key] = self._range(tip, excluded)
        return self._ranges[key]

    def touched(self, tip: str, excluded: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Files that each commit of the range changes, merges left out; empty where the scenario doesn't tell."""
        key = (tip, *excluded)
        if self.files is None:
            return {}
        if key not in self._touched:
            inside = np.flatnonzero(self.inside(tip, excluded)).tolist()
            rows = ((i, self.files[i]) for i in inside if len(self.dag.parents[i]) < 2)
            self._touched[key] = {self.names[i]: names for i, names in rows if names is not None}
        return self._touched[key]

    def ancestors(self, i: int) -> Bools:
        """The commits that commit i contains: bool (n,), i itself included. Not to be written to."""
        found = self._sets.get(i)
        if found is None:
            if len(self._sets) >= _KEPT_SETS:
                self._sets.pop(next(iter(self._sets)))
            found = self._sets[i] = self.dag.ancestors(i)
        return found

    def inside(self, tip: str, excluded: Sequence[str]) -> Bools:
        """The commits of ``tip`` that are not in any of ``excluded``: bool (n,)."""
        found = self.ancestors(self.index[tip]).copy()
        for commit in excluded:
            found &= ~self.ancestors(self.index[commit])
        return found

    def edges(self) -> tuple[Ints, Ints]:
        """(children, parents): two arrays with one entry per parent of each commit."""
        if self._edges is None:
            pairs = [(child, p) for child, row in enumerate(self.dag.parents) for p in row]
            both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            self._edges = both[:, 0].copy(), both[:, 1].copy()
        return self._edges

    def first_parents(self, tip: str) -> list[int]:
        """Indices of the first-parent line, from ``tip`` back to a root."""
        line = [self.index[tip]]
        while self.dag.parents[line[-1]]:
            line.append(self.dag.parents[line[-1]][0])
        return line

    def _range(self, tip: str, excluded: Sequence[str]) -> Range:
        inside = self.inside(tip, excluded)
        rows = np.flatnonzero(inside).tolist()
        if not rows:
            raise UserError(f"no commits to search: {tip} is contained in {', '.join(excluded)}")
        outside = [p for i in rows for p in self.dag.parents[i] if not inside[p]]
        order = [*dict.fromkeys([*(self.index[commit] for commit in excluded), *outside]), *rows]
        place = {i: k for k, i in enumerate(order)}
        count = len(order) - len(rows)
        parents: list[tuple[int, ...]] = [()] * count
        parents += [tuple(place[p] for p in self.dag.parents[i]) for i in rows]
        names = tuple(self.names[i] for i in order)
        index = {name: k for k, name in enumerate(names)}
        return Range(names, tuple(parents), frozenset(range(count)), index)
