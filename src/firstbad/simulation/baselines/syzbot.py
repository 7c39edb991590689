"""syzbot as it bisects now: verdicts from 10 or 20 runs by counts and crash types, a thinned release walk, fix searches
that ask merge bases whether the bug was there already.

The rules are those of syzkaller's bisection (2023 to 2025), restated; where its code does something its log texts don't
say (a skipped revision counts as one that crashed when a later one asks whether the bug was there), so does this.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from firstbad.history.releases import parse_tag
from firstbad.simulation.baselines.any_crash import turned
from firstbad.simulation.baselines.bench import Bench, Stop, policy
from firstbad.simulation.baselines.git_bisect import GitBisect, Verdict, verdicts
from firstbad.simulation.result import Result
from firstbad.simulation.world import RunFact

RUNS = 10
RUNS_FIRST_OR_FLAKY = 20
HARNESS = ("SYZ_FAILURE", "LOST_CONNECTION")  # types that count only if the bug is of that type
_MOST_TYPES = 3


@dataclass(frozen=True)
class Representative:
    """The report that stands for a test's crashes."""

    title: str
    types: tuple[str, ...]
    """The types taken for the bug's, the most frequent first."""
    others: bool
    """Some crashes are of none of them."""


@dataclass(frozen=True)
class Tested:
    """One revision test."""

    verdict: Verdict
    crashes: int = 0
    clean: int = 0

    @property
    def ratio(self) -> float:
        """Share of crashes among the runs that say something."""
        return self.crashes / max(1, self.crashes + self.clean)


def verdict(total: int, good: int, bad: int, infra: int, skip: int, flaky: bool) -> Literal[Verdict, "abort"]:
    """What ``total`` runs say; ``abort``: the test machinery is broken, give up the whole bisection."""
    if bad == 0 and good >= (3 * total // 4 if flaky else total // 2):
        return "good"
    if bad >= max(2, (total - infra) // 6) and good + bad >= total // 2:
        return "bad"
    return "abort" if infra > skip else "skip"


def representative(reports: Sequence[tuple[str, str]]) -> Representative:
    """The report and the types that stand for crashes, given as (title, type) in order. Raises ValueError for none."""
    if not reports:
        raise ValueError("no reports")
    counts = Counter(kind for _, kind in reports)  # most_common keeps the order of first sight among equals
    ranked = [kind for kind, count in counts.most_common() if _counts(kind, count, len(counts), len(reports))]
    taken, wanted = [], (len(reports) + 2) * 2 // 3
    for kind in (ranked or list(counts))[:_MOST_TYPES]:
        taken.append(kind)
        if sum(counts[each] for each in taken) >= wanted:
            break
    title = next(title for title, kind in reports if kind == taken[0])
    return Representative(title, tuple(taken), len(taken) != len(counts))


def _counts(kind: str, count: int, kinds: int, reports: int) -> bool:
    if kind == "HANG":
        return 2 * count >= reports
    return kind != "LOST_CONNECTION" or kinds == 1


def pick_tags(tags: Sequence[str]) -> list[str]:
    """Which of the releases (newest first) a walk tests: the further back, the fewer."""
    versions = [parse_tag(tag) for tag in tags]
    first = next((i for i, found in enumerate(versions) if found and not found.version[2]), len(tags))
    points, releases = tags[:first], [tag for tag, found in zip(tags, versions, strict=True) if not _point(found)]
    picked = [tag for i, tag in enumerate(points) if i < 2 or (len(points) > 5 and i == len(points) // 2)]
    for i, tag in enumerate(releases):
        step = 1 if i < 3 else 2 if i <= 10 else 3
        if i % step == 0 or i == len(releases) - 1:
            picked.append(tag)
    return picked


def _point(found: object) -> bool:
    return bool(getattr(found, "version", (0, 0, 0))[2])


@policy
def syzbot(bench: Bench) -> Result:
    """The whole flow: start, range, git's bisection, no-op check."""
    return _Flow(bench).run()


class _Flow:
    def __init__(self, bench: Bench) -> None:
        self.bench, self.task, self.history = bench, bench.task, bench.history
        self.types: tuple[str, ...] = ()
        self.flaky = False
        self.chance = 0.0  # of a crash in one run, as the bad revisions show it
        self.confidence = 1.0
        self.results: dict[str, Tested] = {}
        self.first = True

    def run(self) -> Result:
        start = self.test(self.task.start)
        self.bench.start_is_checked()
        if start.verdict != "bad":
            raise Stop("not_reproduced" if start.crashes + start.clean else "untestable")
        old, new = self.fix_range() if self.task.kind == "fix" else self.cause_range()
        return self.bisect(old, new)

    def test(self, commit: str) -> Tested:
        """One revision test, 20 runs for the first and once the bug is known to be flaky, else 10. Raises Stop."""
        count = RUNS_FIRST_OR_FLAKY if self.first or self.flaky else RUNS
        facts = self.bench.runs(commit, count)
        found = Tested("skip") if facts is None else self.judge(facts)
        self.first = False
        if found.verdict == "bad":
            self.flaky = self.flaky or found.ratio < 0.5
            self.chance = min(self.chance, (self.chance + found.ratio) / 2) if self.results else found.ratio
        self.results[commit] = found
        return found

    def judge(self, facts: Sequence[RunFact]) -> Tested:
        crashes = [fact for fact in facts if fact.outcome == "crash" and self.is_bug(fact)]
        clean, infra = (sum(fact.outcome == outcome for fact in facts) for outcome in ("ok", "infra"))
        lost = len(facts) - len(crashes) - clean - infra
        said = verdict(len(facts), clean, len(crashes), infra, lost, self.flaky)
        if said == "abort":
            raise Stop("infra_failure")
        if self.first and crashes:
            self.types = representative([(fact.title, fact.type) for fact in crashes]).types
        return Tested(said, len(crashes), clean)

    def is_bug(self, fact: RunFact) -> bool:
        return fact.type not in HARNESS or not self.types or fact.type in self.types

    def cause_range(self) -> tuple[str, str]:
        """(good, bad). Raises Stop."""
        if self.task.good:
            return self.task.good[0], self.task.start
        releases = self.history.releases(self.task.start)
        commit_of = dict(releases)
        bad, last = self.task.start, "skip"
        for tag in pick_tags([tag for tag, _ in releases]):
            last = self.test(commit_of[tag]).verdict
            if last == "good":
                return commit_of[tag], bad
            if last == "bad":
                bad = commit_of[tag]
        if last == "bad":
            raise Stop("older_than_oldest", bad)
        raise Stop("untestable")  # no release, or the oldest one does not work

    def fix_range(self) -> tuple[str, str]:
        """(still crashing, fixed). Raises Stop."""
        old = self.task.start
        if self.task.cross_tree:
            bases = self.history.merge_bases(old, self.task.head)
            if len(bases) != 1:
                raise Stop("untestable")
            old = bases[0]
            if self.test(old).verdict != "bad":
                raise Stop("not_reproduced", old)
        if self.test(self.task.head).verdict != "good":
            raise Stop("not_fixed", self.task.head)
        if self.history.is_ancestor(self.task.head, old):
            raise Stop("untestable")
        return old, self.task.head

    def bisect(self, old: str, new: str) -> Result:
        index, names = self.history.index, self.history.names
        goods = [index[commit] for commit in (self.task.good or (old,))] if self.task.kind == "cause" else [index[old]]
        search = GitBisect(self.history, index[new], goods)
        for commit in verdicts(search):
            self.bench.suspects = tuple(names[i] for i in search.left())
            search.mark(commit, self.verdict_of(names[commit], old))
        self.bench.search_is_over()
        commits = [names[i] for i in search.answer()]
        noop = len(commits) == 1 and self.bench.same_binary_as_parent(commits[0], build=True)
        return self.bench.answer(commits, self.confidence, noop)

    def verdict_of(self, commit: str, old: str) -> Verdict:
        """What git is told of a revision; in a fix search "bad" is where the crash is gone."""
        if self.task.kind == "fix" and not self.had_bug(commit, old):
            return "good"  # from before the bug: as if it crashed
        found = self.test(commit)
        if found.verdict == "good":
            self.confidence *= 1 - (1 - self.chance) ** found.clean
        return turned(found.verdict) if self.task.kind == "fix" else found.verdict

    def had_bug(self, commit: str, old: str) -> bool:
        """Whether the bug was there already: a revision that crashed is contained, or a merge base crashes."""
        reported = [name for name, found in self.results.items() if found.verdict != "good"]
        if any(self.history.is_ancestor(name, commit) for name in reported):
            return True
        bases = self.history.merge_bases(commit, old)
        return any((self.results.get(base) or self.test(base)).verdict == "bad" for base in bases)
