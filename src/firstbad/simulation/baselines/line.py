"""Searches on a line: what a line is in a graph, and where the known good end lies on it."""

from collections.abc import Sequence

from firstbad.simulation.baselines.any_crash import Test, fix_range, walk
from firstbad.simulation.baselines.bench import Bench
from firstbad.simulation.history import SimHistory


def first_parent_line(history: SimHistory, tip: str, excluded: Sequence[str]) -> list[int]:
    """First parents from what ``excluded`` contains (first, the old end) to ``tip``; indices, oldest first.

    The old end is left out where the line ends at a root.
    """
    old = ~history.inside(tip, excluded)
    line = []
    for commit in history.first_parents(tip):
        line.append(commit)
        if old[commit]:
            break
    return line[::-1]


def ends(bench: Bench, test: Test) -> tuple[tuple[str, ...], str]:
    """(commits where it is as it was, the commit where it changed): for a fix the old ones crash. Raises Stop."""
    task = bench.task
    if task.kind == "fix":
        return fix_range(bench, test)
    if task.good:
        return task.good, task.start
    return walk([commit for _, commit in bench.history.releases(task.start)], task.start, test)
