"""Rules by which any crash is bad: `git bisect run` with K runs a revision, and syzbot as it was until 2023."""

from collections.abc import Callable, Sequence

from firstbad.simulation.baselines.bench import Bench, Policy, Stop, crashed, policy
from firstbad.simulation.baselines.git_bisect import GitBisect, Verdict, verdicts
from firstbad.simulation.result import Result
from firstbad.simulation.world import RunFact

Test = Callable[[str], Verdict]


def git_bisect(runs: int) -> Policy:
    """`git bisect run` with a script that runs the reproducer ``runs`` times and gives up at the first crash."""

    @policy
    def rule(bench: Bench) -> Result:
        return search(bench, lambda commit: any_crash(bench.runs(commit, runs, until=crashed)), noop=False)

    return rule


@policy
def syzbot_2021(bench: Bench) -> Result:
    """syzbot's rule of 2021, as its logs of that time show it.

    10 runs, any crash is bad whatever its title, all previous releases one by one; from the first bad revision on that
    crashes in fewer runs than it doesn't, 20 runs. Skip where more than two thirds of the runs failed otherwise.
    """
    flaky = False

    def test(commit: str) -> Verdict:
        nonlocal flaky
        facts = bench.runs(commit, 20 if flaky else 10)
        verdict = _two_thirds(facts)
        flaky = flaky or (verdict == "bad" and _count(facts, "crash") < _count(facts, "ok"))
        return verdict

    return search(bench, test, noop=True)


def any_crash(facts: Sequence[RunFact] | None) -> Verdict:
    """Bad for any crash, good for any clean run without one, else skip (no build: None)."""
    outcomes = {fact.outcome for fact in facts or ()}
    return "bad" if "crash" in outcomes else "good" if "ok" in outcomes else "skip"


def _two_thirds(facts: Sequence[RunFact] | None) -> Verdict:
    failed = _count(facts, "boot") + _count(facts, "infra")
    if facts is None or (not _count(facts, "crash") and 3 * failed > 2 * len(facts)):
        return "skip"
    return any_crash(facts)


def _count(facts: Sequence[RunFact] | None, outcome: str) -> int:
    return sum(fact.outcome == outcome for fact in facts or ())


def search(bench: Bench, test: Test, noop: bool) -> Result:
    """Start check, ends of the range, git's bisection; ``noop`` builds the culprit's parent to compare signatures."""
    check_start(bench, test)
    old, new = fix_range(bench, test) if bench.task.kind == "fix" else cause_range(bench, test)
    index, names = bench.history.index, bench.history.names
    found = GitBisect(bench.history, index[new], [index[commit] for commit in old])
    for commit in verdicts(found):
        bench.suspects = tuple(names[i] for i in found.left())
        verdict = test(names[commit])
        found.mark(commit, turned(verdict) if bench.task.kind == "fix" else verdict)
    bench.search_is_over()
    commits = [names[i] for i in found.answer()]
    same = len(commits) == 1 and bench.same_binary_as_parent(commits[0], build=noop)
    return bench.answer(commits, noop=same)


def turned(verdict: Verdict) -> Verdict:
    """What git is told in a fix bisection: "bad" is where the crash is gone."""
    return {"good": "bad", "bad": "good", "skip": "skip"}[verdict]  # type: ignore[return-value]


def check_start(bench: Bench, test: Test) -> None:
    """The crash has to be seen at the start commit. Raises Stop."""
    verdict = test(bench.task.start)
    bench.start_is_checked()
    if verdict != "bad":
        raise Stop("not_reproduced" if verdict == "good" else "untestable")


def cause_range(bench: Bench, test: Test) -> tuple[tuple[str, ...], str]:
    """(known good commits, known bad one): as given, or by a walk back over all releases. Raises Stop."""
    if bench.task.good:
        return bench.task.good, bench.task.start
    releases = [commit for _, commit in bench.history.releases(bench.task.start)]
    return walk(releases, bench.task.start, test)


def walk(releases: Sequence[str], start: str, test: Test) -> tuple[tuple[str, ...], str]:
    """Test releases, newest first, until one is good. Raises Stop where none is."""
    bad, verdict = start, "skip"
    for commit in releases:
        verdict = test(commit)
        if verdict == "good":
            return (commit,), bad
        if verdict == "bad":
            bad = commit
    if bad == start:
        raise Stop("untestable")  # no releases, or none that works: nothing to compare with
    raise Stop("older_than_oldest", bad)


def fix_range(bench: Bench, test: Test) -> tuple[tuple[str, ...], str]:
    """(still crashing, fixed): the start (across trees: the merge base) and the head. Raises Stop."""
    task = bench.task
    old: tuple[str, ...] = (task.start,)
    if task.cross_tree:
        old = bench.history.merge_bases(task.start, task.head)
        if len(old) != 1:
            raise Stop("untestable")
        verdict = test(old[0])
        if verdict != "bad":
            raise Stop("untestable" if verdict == "skip" else "not_reproduced", old[0])
    verdict = test(task.head)
    if verdict != "good":
        raise Stop("not_fixed" if verdict == "bad" else "untestable", task.head)
    if bench.history.is_ancestor(task.head, old[0]):
        raise Stop("untestable")  # a start that crashes, and its own head that does not
    return old, task.head
