"""What `git bisect` would do: its choice of the next commit, and how it steps away from skipped ones.

Facts of git (bisect.c, revision.c of 2.39), none of its code: commits get the number of suspects they contain;
the one nearest to half of all is next. Without skipped commits git takes the first it meets within half a commit of
the middle: commits that contain two suspects directly first, then the others as their numbers become known, oldest
first; else the best of all, the oldest of equals. With skipped ones it sorts all, equals by hash (here: by age), drops
the skipped and, if the best one was among them, walks down the list by a pseudo-random step.
"""

import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from firstbad.inference import Dag
from firstbad.simulation.history import Bools, SimHistory

Ints = NDArray[np.int64]
Verdict = Literal["good", "bad", "skip"]

_REMEMBERED = 4_000_000  # commits in remembered searches; the first steps of all searches of a range are the same


@dataclass(frozen=True)
class _Suspects:
    """Suspects of one state of a search; arrays have one entry per suspect, oldest first as git lists them."""

    commits: Ints
    distance: Ints  # min(contained, all - contained)
    best: int  # git's choice while nothing is skipped


_memory: "weakref.WeakKeyDictionary[SimHistory, dict[tuple[int, frozenset[int]], _Suspects]]" = (
    weakref.WeakKeyDictionary()
)


class GitBisect:
    """One search between ``bad`` and ``good`` commits (new and old: for a fix what is gone is "bad").

    Commits are indices of the history.
    """

    def __init__(self, history: SimHistory, bad: int, good: Sequence[int]) -> None:
        self.history, self.bad = history, bad
        self.good = frozenset(good)
        self.skipped: set[int] = set()

    def mark(self, commit: int, verdict: Verdict) -> None:
        """Tell what a test said."""
        if verdict == "bad":
            self.bad = commit
        elif verdict == "good":
            self.good |= {commit}
        else:
            self.skipped.add(commit)

    def next(self) -> int | None:
        """The commit to test next; None when the search is over."""
        suspects = self._suspects()
        if not self.skipped:
            return suspects.best if suspects.best != self.bad else None
        order = np.argsort(-suspects.distance, kind="stable")
        ranked = [int(i) for i in suspects.commits[order]]
        left = [commit for commit in ranked if commit not in self.skipped]
        chosen = left[0] if ranked[0] == left[0] else _step_away(left, self.bad)
        return chosen if chosen != self.bad else None

    def answer(self) -> list[int]:
        """What may be the first bad commit when the search is over: it and what was skipped."""
        skipped = [int(i) for i in self._suspects().commits if int(i) in self.skipped]
        return [self.bad, *reversed(skipped)]

    def left(self) -> list[int]:
        """Every commit that could still be the first bad one, newest first."""
        return [int(i) for i in self._suspects().commits[::-1]]

    def middling(self, commit: int) -> int:
        """How near a suspect is to the middle: the smaller of what is left after either verdict."""
        suspects = self._suspects()
        return int(suspects.distance[suspects.commits == commit][0])

    def _suspects(self) -> _Suspects:
        memory = _memory.setdefault(self.history, {})
        key = self.bad, self.good
        if key not in memory:
            if sum(len(item.commits) for item in memory.values()) > _REMEMBERED:
                memory.clear()
            memory[key] = _find(self.history, self.bad, self.good)
        return memory[key]


def _find(history: SimHistory, bad: int, good: frozenset[int]) -> _Suspects:
    inside = history.ancestors(bad).copy()
    for commit in good:
        inside &= ~history.ancestors(commit)
    rows = np.flatnonzero(inside)
    place = np.full(history.dag.n, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    parents = [[int(place[p]) for p in history.dag.parents[i] if inside[p]] for i in rows.tolist()]
    contained = np.rint(Dag(parents).ancestor_sums(np.ones(len(rows)))).astype(np.int64)
    listed = place[_listed(history, bad, inside)]
    distance = np.minimum(contained, len(rows) - contained)
    best = _best(parents, contained, distance, listed)
    return _Suspects(rows[listed], distance[listed], int(rows[best]))


def _listed(history: SimHistory, bad: int, inside: Bools) -> list[int]:
    """Suspects, oldest first: the reverse of how git walks back when all commits have one date."""
    seen, waiting, order = {bad}, deque([bad]), []
    while waiting:
        commit = waiting.popleft()
        order.append(commit)
        for parent in history.dag.parents[commit]:
            if inside[parent] and parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return order[::-1]


def _best(parents: Sequence[Sequence[int]], contained: Ints, distance: Ints, listed: Ints) -> int:
    count = len(parents)
    halfway = np.abs(2 * contained - count) <= 1
    for several in (True, False):
        for row in listed.tolist():
            if halfway[row] and parents[row] and (len(parents[row]) > 1) == several:
                return int(row)
    return int(listed[np.argmax(distance[listed])])


def _step_away(left: list[int], bad: int) -> int:
    """git's way out of a region of skipped commits: a step down the list whose length looks random."""
    count = len(left)
    draw = ((count * 1103515245 + 12345) % 2**32 // 65536) % 32768
    step = (count * draw // 32768) * _rough_root(draw) // _rough_root(32768)
    step = min(step, count - 1)
    if left[step] != bad:
        return left[step]
    return left[step - 1] if step else left[0]


def _rough_root(value: int) -> int:
    """A square root as git takes it: Newton's steps from the value down, ended by one below a half."""
    root, step = float(value), 1.0
    while value and step >= 0.5:
        better = (root + value / root) / 2
        root, step = better, abs(root - better)
    return int(root)


def verdicts(search: GitBisect, limit: int = 10_000) -> Iterator[int]:
    """The commits to test, one after the other; the caller marks each before it asks for the next one."""
    for _ in range(limit):
        commit = search.next()
        if commit is None:
            return
        yield commit
