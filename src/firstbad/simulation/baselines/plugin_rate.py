"""Information gain per cost on a line with a plug-in rate: the search of ChromiumOS bisect-kit, restated.

What is its own: the chance that a run shows the crash is one number on either side of the change, estimated as
(seen + 1) / (runs + 2) from the runs outside the range that still holds the required confidence, and estimated anew
after each result; a revision that can't be tested takes weight from its neighbours within the square root of the
line's length, by 0.9 exp(-pi x²), and what lies between two such has none; the next revision is the one with the most
expected information per expected cost, which differs by outcome; the end is a commit with the required probability.

What is given to it so that it can use the same lab as well as it can: a step is a batch on all machines, ended at
the first crash that bears a title of the start commit's crashes (others are runs lost), and when the line's answer is a
merge the search goes on in the branch that it merged.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from firstbad.simulation.baselines.bench import Bench, Policy, Stop, policy
from firstbad.simulation.baselines.git_bisect import Verdict
from firstbad.simulation.baselines.line import ends, first_parent_line
from firstbad.simulation.result import Result
from firstbad.simulation.world import RunFact

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_START_RUNS = 100  # or so many that 20 of them crash: with fewer its plug-in rate is often too high, and it errs
_START_CRASHES = 20
_TITLE_SHARE = 0.25  # of the most frequent title's crashes at the start: titles that are taken for the bug's
_LOST_RUNS = 60  # at an end of a range
_GAP = 0.5  # beyond the confidence, candidates stay in the range while they are this share of the last one
_SKIP_FOREVER = 3
_SKIP_SHARE = 0.9
_MOST_TESTS = 1_000


@dataclass
class Line:
    """Beliefs about the first changed revision among 0..n-1 of a line; revision 0 is known to be as before."""

    length: int
    confidence: float
    before: tuple[int, int] | None
    """(crashes, runs) known of revisions before the change; None: they never crash."""
    after: tuple[int, int] | None
    """The same of those with the change."""
    crashes: Ints = field(init=False)
    clean: Ints = field(init=False)
    skips: Ints = field(init=False)
    rate_before: float = field(init=False)
    rate_after: float = field(init=False)
    prob: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.crashes, self.clean, self.skips = (np.zeros(self.length, dtype=np.int64) for _ in range(3))
        self._estimate()

    def add(self, revision: int, crashes: int, clean: int, skips: int) -> None:
        """Tell what a batch showed."""
        self.crashes[revision] += crashes
        self.clean[revision] += clean
        self.skips[revision] += skips
        self._estimate()

    def _estimate(self) -> None:
        """Rates from what lies outside the range, range from the rates, until neither changes."""
        self._rates(0, self.length - 1)
        seen = set()
        while (found := self._range()) not in seen:
            seen.add(found)
            self._rates(*found)

    def _rates(self, left: int, right: int) -> None:
        self.rate_before = self._rate(self.before, slice(0, left + 1))
        self.rate_after = self._rate(self.after, slice(right, None))
        self.prob = self._posterior()

    def _rate(self, known: tuple[int, int] | None, where: slice) -> float:
        if known is None:
            return 0.0
        crashes = self.crashes[where].sum()
        return float((known[0] + crashes + 1) / (known[1] + crashes + self.clean[where].sum() + 2))

    def _posterior(self) -> Floats:
        """P(revision i is the first changed one): runs before it are at the one rate, from it on at the other."""
        crashes, clean = (np.cumsum(counts) - counts for counts in (self.crashes, self.clean))  # before each
        score = _log(self._weights())
        score += _times(crashes, self.rate_before) + _times(clean, 1 - self.rate_before)
        score += _times(self.crashes.sum() - crashes, self.rate_after)
        score += _times(self.clean.sum() - clean, 1 - self.rate_after)
        if not np.isfinite(score).any():
            return np.zeros(self.length)
        likely = np.exp(score - score.max())
        return np.asarray(likely / likely.sum(), dtype=np.float64)

    def _weights(self) -> Floats:
        """Prior: 1 for each revision but the known one, less beside revisions that could not be tested."""
        weight = np.ones(self.length)
        tested = (self.crashes + self.clean) > 0
        failed = np.flatnonzero((self.skips > 0) & ~tested).tolist()
        reach = int(math.sqrt(self.length))
        for i in failed:
            for step in (1, -1):
                for j in range(i + step, min(max(i + step * reach, -1), self.length), step):
                    if tested[j]:
                        break
                    distance = (i - j) / reach
                    weight[j] = min(weight[j], 1 - _SKIP_SHARE * math.exp(-math.pi * distance**2))
        forever = [i for i in failed if self.skips[i] >= _SKIP_FOREVER]
        for i in failed:
            weight[i] *= 0.0 if self.skips[i] >= _SKIP_FOREVER else 0.1 ** self.skips[i]
        for one, other in pairwise(forever):
            if not tested[one:other].any():
                weight[one:other] = 0
        weight[0] = 0
        return weight

    def _range(self) -> tuple[int, int]:
        """(left, right]: candidates that hold the confidence; left has behaved as before, or is the line's end."""
        old = self.clean if self.rate_before < self.rate_after else self.crashes
        order = np.argsort(-self.prob, kind="stable")
        total = np.cumsum(self.prob[order])
        cut = min(int(np.searchsorted(total, self.confidence)), self.length - 1)
        inside = order[(np.arange(self.length) <= cut) | (self.prob[order] >= _GAP * self.prob[order[cut]])]
        inside = inside[self.prob[inside] > 0]
        if not len(inside):
            return 0, self.length - 1
        left = max(int(inside.min()) - 1, 0)
        while left > 0 and not old[left]:
            left -= 1
        return left, int(inside.max())

    def next(self, runs: int, quiet_cost: Floats, crash_cost: Floats) -> int | None:
        """The revision whose batch of ``runs`` is worth most per second; None where none says anything."""
        gain, chance = self.information(runs)
        gain[(self.skips >= _SKIP_FOREVER) & (self.crashes + self.clean == 0)] = 0
        value = gain / (chance * crash_cost + (1 - chance) * quiet_cost)
        best = int(np.argmax(value))
        return best if gain[best] > 1e-9 else None

    def information(self, runs: int) -> tuple[Floats, Floats]:
        """(gain in bits, chance of a crash) of a batch at each revision."""
        after, before = (1 - self.rate_after) ** runs, (1 - self.rate_before) ** runs
        changed = np.cumsum(self.prob)  # P(the change is at or before the revision)
        quiet = changed * after + (1 - changed) * before
        given = changed * _entropy(after) + (1 - changed) * _entropy(before)
        return np.asarray(_entropy(quiet) - given), np.asarray(1 - quiet)


def _log(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


def _times(counts: Ints, chance: float) -> Floats:
    """Log-likelihood of independent events, 0 where there are none."""
    if chance <= 0:
        return np.where(counts > 0, -math.inf, 0.0)
    return np.asarray(counts * math.log(chance))


def _entropy(chance: Floats | float) -> Floats:
    inside = np.clip(chance, 1e-300, 1)
    outside = np.clip(1 - np.asarray(chance), 1e-300, 1)
    return np.asarray(-(inside * np.log2(inside) + outside * np.log2(outside)))


def plugin_rate(clean_end: tuple[int, int] | None) -> Policy:
    """A policy; ``clean_end`` is what is assumed of revisions without the crash, (crashes, runs) or None: never.

    Start check with its crash titles and rate, ends of the range, line after line.
    """

    @policy
    def rule(bench: Bench) -> Result:
        return _Flow(bench, clean_end).run()

    return rule


class _Flow:
    def __init__(self, bench: Bench, clean_end: tuple[int, int] | None) -> None:
        self.bench, self.history, self.world = bench, bench.history, bench.world
        self.clean_end = clean_end
        self.titles: set[str] = set()
        self.rate = 0, 0  # (crashes, runs) at the start commit
        self.crash_seconds: list[float] = []
        self.build_seconds: list[float] = []
        bench.repeats_count = False

    def run(self) -> Result:
        self._start()
        old, tip = ends(self.bench, self._verdict)
        confidence = 1.0
        while True:
            places = first_parent_line(self.history, tip, old)
            if self.history.inside(tip, old)[places[0]]:
                places = [-1, *places]  # a root: nothing lies before it
            found, chances = self._search(places)
            if len(found) > 1:
                return self._candidates(found, [chance * confidence for chance in chances])
            confidence *= chances[0]
            old = (*old, *(self.history.names[p] for p in self.history.dag.parents[found[0]][:1]))
            side = self._changed_side(found[0], old)
            if side is None:
                return self._found(found[0], confidence)
            tip = side

    def _changed_side(self, merge: int, old: Sequence[str]) -> str | None:
        """The merged branch that has the change; None: it is the commit itself. A tip is tested as a range's end."""
        changed = "good" if self.bench.task.kind == "fix" else "bad"
        for parent in self.history.dag.parents[merge][1:]:
            name = self.history.names[parent]
            if not self.history.inside(name, old).any():
                continue
            verdict = self._verdict(name)
            if verdict == "skip":
                left = np.flatnonzero(self.history.inside(self.history.names[merge], old)).tolist()
                raise Stop("candidates", commits=[self.history.names[i] for i in reversed(left)])
            if verdict == changed:
                return name
        return None

    def _found(self, commit: int, confidence: float) -> Result:
        self.bench.search_is_over()
        name = self.history.names[commit]
        return self.bench.answer((name,), confidence, self.bench.same_binary_as_parent(name, build=False))

    def _candidates(self, found: list[int], chances: list[float]) -> Result:
        names = [self.history.names[i] for i in found]
        self.bench.search_is_over()
        return self.bench.result("candidates", names, sum(chances), probabilities=chances)

    def _start(self) -> None:
        """The crash rate at the start commit, from the titles that most crashes there bear. Raises Stop."""
        facts: list[RunFact] = []
        seen: Counter[str] = Counter()
        while len(facts) < _START_RUNS and (not seen or seen.most_common(1)[0][1] < _START_CRASHES):
            batch = self.bench.runs(self.bench.task.start, self.world.machines)
            if batch is None:
                raise Stop("untestable")
            facts += batch
            seen.update(fact.title for fact in batch if fact.outcome == "crash")
        self.bench.start_is_checked()
        clean = sum(fact.outcome == "ok" for fact in facts)
        if not seen:
            raise Stop("not_reproduced" if clean else "untestable")
        most = seen.most_common(1)[0][1]
        self.titles = {title for title, count in seen.items() if count >= _TITLE_SHARE * most}
        self.crash_seconds = [fact.seconds for fact in facts if self._is_bug(fact)]
        self.rate = len(self.crash_seconds), len(self.crash_seconds) + clean

    def _batch(self, commit: str, runs: int) -> tuple[int, int, int] | None:
        """(crashes, clean runs, lost runs) of a batch that ends at the first crash; None where it can't be tested."""
        new = not self.world.built(commit)
        facts = self.bench.runs(commit, runs, until=lambda facts: self._is_bug(facts[-1]))
        if facts is None:
            return None
        if new:
            self.build_seconds.append(self.world.build(commit).seconds)
        if facts and all(fact.outcome == "boot" for fact in facts):
            return None
        crashes = sum(self._is_bug(fact) for fact in facts)
        clean = sum(fact.outcome == "ok" and not fact.cut for fact in facts)
        lost = sum(not fact.cut for fact in facts) - crashes - clean
        return crashes, clean, lost

    def _is_bug(self, fact: RunFact) -> bool:
        return fact.outcome == "crash" and fact.title in self.titles

    def _verdict(self, commit: str) -> Verdict:
        """At an end of a range: so many clean runs that the crash would have shown with the target probability."""
        rate = (self.rate[0] + 1) / (self.rate[1] + 2)
        wanted = max(1, math.ceil(math.log(1 - self.bench.task.target) / math.log1p(-rate)))
        clean = lost = 0
        while clean < wanted and lost < _LOST_RUNS:
            counts = self._batch(commit, min(wanted - clean, self.world.machines))
            if counts is None:
                return "skip"
            if counts[0]:
                return "bad"
            clean += counts[1]
            lost += counts[2]
        return "good" if clean >= wanted else "skip"

    def _search(self, places: Sequence[int]) -> tuple[list[int], list[float]]:
        """Commits of a line (oldest first, the first one known) that may be the change, and their probabilities."""
        target, fix = self.bench.task.target, self.bench.task.kind == "fix"
        names = ["" if i < 0 else self.history.names[i] for i in places]
        if len(places) == 2:
            return [places[1]], [1.0]
        line = Line(len(places), target, *((self.rate, self.clean_end) if fix else (self.clean_end, self.rate)))
        for _ in range(_MOST_TESTS):
            if line.prob.max() > target:
                break
            self.bench.suspects = (names[int(line.prob.argmax())],)
            revision = line.next(self.world.machines, *self._costs(names))
            if revision is None:
                break
            self._observe(line, revision, names[revision])
        order = np.argsort(-line.prob, kind="stable")
        count = int(np.searchsorted(np.cumsum(line.prob[order]), target)) + 1
        taken = [int(i) for i in order[:count] if line.prob[i] > 0]
        if not taken:
            raise Stop("untestable")
        return [places[i] for i in taken], [float(line.prob[i]) for i in taken]

    def _observe(self, line: Line, revision: int, name: str) -> None:
        counts = self._batch(name, self.world.machines)
        if counts is None:
            line.add(revision, 0, 0, _SKIP_FOREVER)
            return
        crashes, clean, lost = counts
        # Where other runs told something, lost ones say nothing about the revision.
        line.add(revision, crashes, clean, 0 if crashes + clean else min(lost, 1))

    def _costs(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """(n,) expected seconds of a batch at each revision if it does not crash, and if it does."""
        build = float(np.mean(self.build_seconds)) if self.build_seconds else 0.0
        builds = np.array([0.0 if self.world.built(name) else build for name in names])
        boot, runs = self.world.boot_seconds, self.world.run_seconds
        return builds + boot + runs, builds + boot + float(np.mean(self.crash_seconds))
