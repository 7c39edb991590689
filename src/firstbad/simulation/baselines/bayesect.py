"""The package `git_bayesect`, driven as its own `run` command does: one run at a time on the first-parent line.

The package is not a dependency of ours; it is asked for when the policy is used.
"""

import importlib
from typing import Any

from firstbad.errors import UserError
from firstbad.simulation.baselines.any_crash import any_crash
from firstbad.simulation.baselines.bench import Bench, Stop, crashed, policy
from firstbad.simulation.baselines.git_bisect import Verdict
from firstbad.simulation.baselines.line import ends, first_parent_line
from firstbad.simulation.result import Result, Status

_RUNS = 10  # at the start commit (told to it, so that it begins with an idea of the rate) and at ends of a range
_START_BATCHES = 6  # without a crash after which it does not reproduce
_RETRIES = 3  # of a run that the infrastructure spoilt
_MOST_RUNS = 5_000


@policy
def git_bayesect(bench: Bench) -> Result:
    """Any crash is a failure. Runs go on until one commit has the target probability.

    A revision that doesn't build or boot is skipped as the package's core has it: its prior becomes zero. It is told
    what the start check showed. Raises UserError where the package is not installed.
    """
    package = _package()
    bench.repeats_count = False
    check = _start(bench)
    fix = bench.task.kind == "fix"
    old, new = ends(bench, lambda commit: _verdict(bench, commit))
    line = first_parent_line(bench.history, new, old)[::-1]  # the package counts from the newest
    names = [bench.history.names[i] for i in line]
    bisector = package.Bisector([1.0] * len(line))
    if not fix:
        for crash in check:
            bisector.record(0, crash)
    for _ in range(_MOST_RUNS):
        likely = bisector.distribution
        if likely.max() >= bench.task.target:
            break
        bench.suspects = (names[int(likely.argmax())],)
        commit = int(bisector.select())
        seen = _one_run(bench, names[commit])
        bisector.record(commit, seen if seen is None else seen != fix)
        if not (bisector.prior_weights > 0).any():
            raise Stop("untestable")
    return _answer(bench, names, bisector.distribution)


def _package() -> Any:
    try:
        module = importlib.import_module("git_bayesect")
        importlib.import_module("scipy.special")
    except ImportError:
        raise UserError("policy git-bayesect: needs the package git_bayesect (pip install git-bayesect)") from None
    return module


def _start(bench: Bench) -> list[bool]:
    """The runs at the start commit as crashed or not: batches until one crashes. Raises Stop."""
    seen: list[bool] = []
    for _ in range(_START_BATCHES):
        facts = bench.runs(bench.task.start, _RUNS)
        if any_crash(facts) == "skip":
            raise Stop("untestable")
        seen += [fact.outcome == "crash" for fact in facts or () if fact.outcome in ("ok", "crash")]
        if any(seen):
            break
    bench.start_is_checked()
    if not any(seen):
        raise Stop("not_reproduced")
    return seen


def _verdict(bench: Bench, commit: str) -> Verdict:
    return any_crash(bench.runs(commit, _RUNS, until=crashed))


def _one_run(bench: Bench, commit: str) -> bool | None:
    """Whether one run crashes; None where the revision can't be tested."""
    for _ in range(_RETRIES):
        facts = bench.runs(commit, 1)
        if facts is None or facts[0].outcome == "boot":
            return None
        if facts[0].outcome != "infra":
            return facts[0].outcome == "crash"
    return None


def _answer(bench: Bench, names: list[str], likely: Any) -> Result:
    bench.search_is_over()
    order = (-likely).argsort(kind="stable")
    total, taken = 0.0, []
    for i in order.tolist():
        taken.append(i)
        total += float(likely[i])
        if total >= bench.task.target:
            break
    status: Status = "found" if len(taken) == 1 else "candidates"
    commits = [names[i] for i in taken]
    return bench.result(status, commits, total, probabilities=[float(likely[i]) for i in taken])
