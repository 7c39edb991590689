"""The task of the first seed log, and what history's knowledge is worth in it.

Run: ``uv run python -m benchmarks.seed_task [--parts walk,files,masked] [--culprits N] [--jobs N]``. All on a
Linux-shaped history: a bug is seen some 190,000 commits after v5.0, nothing is known to be good, and the culprit lies
between v5.0 and v5.1. A crash in every run, no noise; builds 432 s, runs of at most 300 s, 10 machines.

- ``walk``: culprits uniform in that range, revision tests with and without priors. Syzbot tested 28 revisions in 2021.
- ``files``: the same, but 86% of the culprits touch a file of the crash's stack, as 3% of all commits do; and what the
  priors do to the time, for such culprits and for ones that touch what everybody touches.
- ``masked``: releases that hide the bug (30% of those that have it, the newest two left out; 60% of them hardly ever
  come near its code, 40% always do), 30% of the good ones without that code; smaller releases.
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.statistics import Interval, mean, wilson
from benchmarks.trials import Row, each, play
from firstbad.inference.shapes import linux_shaped
from firstbad.simulation import Lab, Scenario, SimHistory, Task

SEED = 5_000
RELEASE = 14_149  # commits between v5.0 and v5.1, as between any two releases here
BELOW = ("v4.19", "v4.20")  # releases older than the range
TAGS = (*BELOW, *(f"v5.{minor}" for minor in range(13)))
AFTER = 20_000  # commits from the newest release to the start; 190,000 from v5.0
FILES = 33  # each touched by 3% of all commits
TOUCH = 0.86  # of real culprits, a file of the stack
MASKED, UNREACHED, ABSENT = 0.3, 0.6, 0.3
NEWEST_KEPT = 2  # newest releases that hide nothing
SMALL = 1_000  # commits per release in the ``masked`` part
BUG = "KASAN: use-after-free Read in victim_read"


@dataclass(frozen=True)
class Ground:
    """A history with its releases."""

    history: SimHistory
    releases: tuple[int, ...]
    """Indices of the tagged commits, oldest first."""
    touched: tuple[int, ...]
    """Number of the file that each commit touches, -1 for merges."""

    def between(self, old: str, new: str) -> range:
        """Indices of the commits of release ``new`` that ``old`` does not contain: a pull is contained by its merge."""
        return range(self.history.index[self.history.tags[old]] + 1, self.history.index[self.history.tags[new]] + 1)


@cache
def ground(release: int) -> Ground:
    """The history with so many commits a release; the last 1.4 releases' worth is untagged."""
    after = round(AFTER / RELEASE * release)
    dag = linux_shaped(release * len(TAGS) + after, seed=SEED, release=release)
    line = [dag.n - 1]
    while dag.parents[line[-1]]:
        line.append(dag.parents[line[-1]][0])
    line_up = np.array(line[::-1])
    # Everything before a commit of the first-parent line in order is contained in it.
    places: list[int] = []
    for _ in TAGS:
        wanted = (places[-1] if places else 0) + release
        places.append(int(line_up[np.argmin(np.abs(line_up - wanted))]))
    rng = np.random.default_rng(SEED)
    single = np.array([len(row) < 2 for row in dag.parents])
    touched = np.where(single, rng.integers(0, FILES, size=dag.n), -1).tolist()
    sets = [frozenset([_path(number)]) for number in range(FILES)]
    names = [f"c{i}" for i in range(dag.n)]
    tags = {tag: names[place] for tag, place in zip(TAGS, places, strict=True)}
    files = [None if number < 0 else sets[number] for number in touched]
    return Ground(SimHistory(names, dag, tags, files), tuple(places), tuple(touched))


def _path(number: int) -> str:
    return f"subsystem{number}/part.c"


def _task(known: Ground, name: str) -> Task:
    last = known.history.names[-1]
    return Task(name, known.history, start=last, head=last)


def seed_scenario(number: int, realistic: bool) -> Scenario:
    """A culprit between v5.0 and v5.1. ``realistic``: the stack's file is the culprit's with 86%; else any file."""
    known = ground(RELEASE)
    rng = np.random.default_rng([SEED, number])
    inside = known.between("v5.0", "v5.1")
    culprit = inside[int(rng.integers(len(inside)))]
    own, other = known.touched[culprit], int(rng.integers(FILES))
    hit = realistic and own >= 0 and rng.random() < TOUCH
    lab = Lab(titles={BUG: 1.0}, frames=(_path(own if hit else other),))
    task = _task(known, f"seed#{number}")
    return Scenario(task, known.history.names[culprit], lab=lab, seed=int(rng.integers(2**31)))


def masked_scenario(number: int) -> Scenario:
    """A culprit anywhere above the oldest release, releases that hide the bug, code that did not exist yet."""
    known = ground(SMALL)
    rng = np.random.default_rng([SEED, 1, number])
    n, releases = known.history.dag.n, np.array(known.releases)
    culprit = int(rng.integers(releases[0] + 1, n))
    hidden = np.zeros(n, dtype=bool)
    reach = np.ones(n)
    for place in releases[:-NEWEST_KEPT]:
        if place >= culprit and rng.random() < MASKED:
            hidden[place] = True
            reach[place] = rng.uniform(0.0, 0.1) if rng.random() < UNREACHED else rng.uniform(0.9, 1.0)
        elif place < culprit and rng.random() < ABSENT:
            reach[place] = math.nan
    lab = Lab(titles={BUG: 1.0}, masked=hidden, reach=reach)
    present = known.history.dag.descendants(culprit)
    lab = replace(lab, masked=hidden & present)
    task = _task(known, f"masked#{number}")
    return Scenario(task, known.history.names[culprit], lab=lab, seed=int(rng.integers(2**31)))


def seed_rows(realistic: bool, number: int) -> list[Row]:
    """One culprit, without and with priors."""
    made, name = seed_scenario(number, realistic), "realistic" if realistic else "uniform"
    return [
        replace(play(name, number, "bayes", made, on), policy=f"priors {'on' if on else 'off'}") for on in (False, True)
    ]


def masked_rows(number: int) -> list[Row]:
    """One culprit, ours with priors and syzbot."""
    made = masked_scenario(number)
    return [play("masked", number, "bayes", made, True), play("masked", number, "syzbot", made)]


def say(rows: Sequence[Row]) -> str:
    """One line per policy."""
    said = []
    for policy in dict.fromkeys(row.policy for row in rows):
        own = [row for row in rows if row.policy == policy]
        kinds = [row.kind for row in own]
        right, wrong = (wilson(kinds.count(kind), len(own)) for kind in ("right", "wrong"))
        tests, minutes = mean([float(row.revisions) for row in own]), mean([row.wall / 60 for row in own])
        said.append(
            f"  {policy:12s} {len(own):4d} trials, right {_share(right)}, wrong {_share(wrong)}, "
            f"revision tests {tests.value:.1f} ± {tests.high - tests.value:.1f}, wall {minutes.value:.0f} min, "
            f"real {sum(row.real for row in own) / len(own):.1f} s"
        )
    return "\n".join(said)


def ratio(rows: Sequence[Row]) -> str:
    """Time with the priors against without, all of it and the search alone."""
    off, on = ([row for row in rows if row.policy == f"priors {way}"] for way in ("off", "on"))
    apart = _ratio([row.wall for row in on], [row.wall for row in off])
    search = _ratio([row.search for row in on], [row.search for row in off])
    return f"  time with priors / without: {_times(apart)}; search alone: {_times(search)}"


def _ratio(one: Sequence[float], other: Sequence[float]) -> Interval:
    """Ratio of two means of pairs, with its 95% interval by the delta method."""
    a, b = np.asarray(one), np.asarray(other)
    value = float(a.mean() / b.mean())
    half = 1.96 * float(np.std(a - value * b, ddof=1)) / math.sqrt(len(a)) / float(b.mean())
    return Interval(value, value - half, value + half)


def _times(found: Interval) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _share(found: Interval) -> str:
    return f"{100 * found.value:.1f}% [{100 * found.low:.1f}, {100 * found.high:.1f}]"


_WORK: Mapping[str, Callable[[int], list[Row]]] = {
    "walk": partial(seed_rows, False),
    "files": partial(seed_rows, True),
    "masked": masked_rows,
}


def _describe(release: int) -> str:
    known = ground(release)
    inside = len(known.between("v5.0", "v5.1"))
    above = known.history.dag.n - known.releases[len(BELOW)] - 1
    return (
        f"history of {known.history.dag.n:,} commits, {len(TAGS)} releases; {above:,} from v5.0 to the start "
        f"(log2: {math.log2(above):.1f}), {inside:,} from v5.0 to v5.1 (log2: {math.log2(inside):.1f})"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The first seed's task, and what the priors are worth in it.")
    parser.add_argument("--parts", default="walk,files,masked", metavar="A,B", help="default: %(default)s")
    parser.add_argument("--culprits", type=int, default=200, metavar="N", help="per part (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write what is printed there too")
    options = parser.parse_args()
    began, text = time.perf_counter(), []
    for part in options.parts.split(","):
        work = _WORK[part]
        text.append(f"{part}: {_describe(SMALL if part == 'masked' else RELEASE)}")
        rows = [row for found in each(work, range(options.culprits), options.jobs) for row in found]
        text.append(say(rows))
        if part != "masked":
            text.append(ratio(rows))
        print(*text[-3 if part != "masked" else -2 :], sep="\n", flush=True)
    print(f"{(time.perf_counter() - began) / 60:.1f} min of real time, {options.jobs} processes")
    if options.output is not None:
        options.output.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
