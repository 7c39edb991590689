"""The commits that are left, as git lists them for a bisection: with paths, and with first parents only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstbad.history.git import Repo
from firstbad.inference import Dag

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Halving:
    """What git says of a range: the revision that halves it best, ``count`` commits in all, and how many are left
    ``after`` the worse of its two answers."""

    commit: str
    count: int
    after: int


@dataclass(frozen=True)
class Commits:
    """The commits of a range with the ends they stand on; ``candidates`` (n,) are those that may be the culprit."""

    names: tuple[str, ...]
    index: dict[str, int]
    dag: Dag
    candidates: Bools


def halve(repo: Repo, new: str, olds: Sequence[str], first_parent: bool, paths: Sequence[str]) -> Halving:
    """Which revision ``git bisect`` would have tested next, were nothing skipped: asked of git, so that it is the same
    one, ties included."""
    below = [f"^{old}" for old in olds]
    # Its exit status is 1 where nothing is left.
    text = repo.git("rev-list", "--bisect-vars", *_flags(first_parent), new, *below, "--", *at_top(paths), check=False)
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if int(found.get("bisect_all", 0)) <= 0:
        return Halving("", 0, 0)
    # git counts what is left to test; one more than that may be the culprit.
    return Halving(found["bisect_rev"].strip("'"), int(found["bisect_all"]), max(int(found["bisect_nr"]), 0) + 1)


def read_commits(
    repo: Repo, tips: Sequence[str], tip: str, excluded: Sequence[str], first_parent: bool, paths: Sequence[str]
) -> Commits:
    """What ``tips`` contain and ``excluded`` don't; candidates are what ``tip`` contains of it and ``paths`` keep."""
    below = [f"^{commit}" for commit in excluded]
    flags = _flags(first_parent)
    text = repo.git("rev-list", "--topo-order", "--reverse", "--parents", *flags, *dict.fromkeys([tip, *tips]), *below)
    rows = [line.split() for line in text.splitlines()]
    if first_parent:
        rows = [row[:2] for row in rows]
    inside = {row[0] for row in rows}
    ends = dict.fromkeys([*excluded, *(parent for row in rows for parent in row[1:] if parent not in inside)])
    names = (*ends, *(row[0] for row in rows))
    index = {name: i for i, name in enumerate(names)}
    parents: list[list[int]] = [[] for _ in ends]
    parents += [[index[parent] for parent in row[1:]] for row in rows]
    candidates = np.zeros(len(names), dtype=bool)
    candidates[[index[c] for c in repo.git("rev-list", *flags, tip, *below, "--", *at_top(paths)).split()]] = True
    return Commits(names, index, Dag(parents), candidates)


def at_top(paths: Sequence[str]) -> list[str]:
    """Paths from the top of the work tree, wherever in it git runs."""
    return [path if path.startswith(":") else f":(top){path}" for path in paths]


def _flags(first_parent: bool) -> tuple[str, ...]:
    return ("--first-parent",) if first_parent else ()
