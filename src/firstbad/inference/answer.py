"""When the search may stop, what it then says, and what must still be confirmed."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .belief import Belief
from .breakage import broken_chance
from .dag import Bools, Floats, Ints
from .evidence import Evidence, absent_law, trigger_law

Status = Literal["found", "candidates", "older_than_oldest", "undecided"]

_MOST_RUNS = 256  # per request; whoever asks again after them is told how many more
_MOST_SEPARATE = 400  # sets above this size are not looked at for tests that would split them: there are some
_AS_GOOD_AS_BROKEN = 0.9  # a revision this sure not to build isn't worth a try to narrow a set that is an answer


@dataclass(frozen=True)
class Answer:
    """The result of a bisection; ``commits`` with their ``probabilities``, most probable first."""

    status: Status
    """"found": one commit. "candidates": a set. "older_than_oldest": none of the candidates (for a fix: not
    fixed). "undecided": candidates and "none of them" can't be told apart."""
    commits: list[int]
    probabilities: list[float]
    confidence: float
    """Probability that the answer as a whole is right."""


def answer(belief: Belief, target: float, *, allowed: Bools | None = None, final: bool = False) -> Answer | None:
    """The answer that holds ``target`` probability, or None where further tests can still narrow it.

    A set is an answer before ``final`` only if no usable revision (among ``allowed``) separates its commits.
    With ``final`` (no test is left, or no time) the answer is what is known. Raises ValueError unless 0 <
    target < 1.
    """
    if not 0 < target < 1:
        raise ValueError(f"target {target} must lie strictly between 0 and 1")
    if belief.older >= target:
        return Answer("older_than_oldest", [], [], belief.older)
    if not final and allowed is None and not belief.unusable().any() and float(belief.posterior.max()) < target:
        return None  # where all revisions can be tested some test separates any two commits
    chosen = smallest_set(belief, target)
    chances = [float(belief.posterior[commit]) for commit in chosen]
    held = min(sum(chances), 1.0)
    if held < target - 1e-12:
        return Answer("undecided", chosen, chances, held) if final else None
    if len(chosen) == 1:
        return Answer("found", chosen, chances, held)
    if final or (len(chosen) <= _MOST_SEPARATE and _inseparable(belief, chosen, allowed)):
        return Answer("candidates", chosen, chances, held)
    return None


def smallest_set(belief: Belief, target: float) -> list[int]:
    """The fewest commits that hold ``target`` probability, most probable first (then by index).

    Where "none of them" leaves less than that, the fewest that hold the share ``target`` of what is left.
    """
    posterior = belief.posterior
    order = _largest(posterior, min(_MOST_SEPARATE, len(posterior)))
    sums = np.cumsum(posterior[order])
    total = float(posterior.sum())
    wanted = target if total >= target else target * total
    if sums[-1] < wanted - 1e-12:
        order = np.argsort(-posterior, kind="stable")[: int(belief.candidates.sum())]
        sums = np.cumsum(posterior[order])
    count = int(np.searchsorted(sums, wanted - 1e-12)) + 1
    return [int(commit) for commit in order[:count]]


def _largest(values: Floats, count: int) -> Ints:
    """Indices of the ``count`` largest values, largest first, then by index; without sorting them all."""
    if count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
        top = np.flatnonzero(values >= least)
    else:
        top = np.arange(len(values))
    return np.asarray(top[np.argsort(-values[top], kind="stable")][:count])


def needs_confirmation(belief: Belief, culprit: int, target: float, share: float = 1.0) -> list[tuple[int, int]]:
    """Revisions whose own runs don't prove ``culprit`` yet, each with a number of further runs wanted.

    A cause is proven where the culprit itself crashed and each of its parents was run clean; a fix the other
    way round. What proves is the ratio of likelihoods of that revision's own runs, present against absent, at
    odds of target : 1 - target (the test of Wald for one revision), the crash rate averaged over what all
    revisions say under this culprit. The mask is left out: no number of runs settles it. Unusable revisions
    are left out too. A further clean run counts as ``share`` of a full one.
    """
    weights = belief.state.joint[belief.state.classes[culprit]]
    if not belief.candidates[culprit] or weights.sum() <= 0:
        raise ValueError(f"commit {culprit} can't be the culprit")
    weights = weights / weights.sum()
    usable = ~belief.unusable()
    wanted = []
    for revision in (culprit, *belief.dag.parents[culprit]):
        crashing = (revision == culprit) == (belief.kind == "cause")
        runs = _runs_lacking(belief, revision, crashing, weights, float(np.log(target / (1.0 - target))), share)
        if runs and usable[revision]:
            wanted.append((revision, runs))
    return wanted


def _runs_lacking(belief: Belief, revision: int, crashing: bool, weights: Floats, odds: float, share: float) -> int:
    """Further runs until the revision's own likelihood ratio reaches ``odds`` (log), if all goes as expected.

    ``crashing``: its runs should show the bug present; one crash in 1 / rate runs. Otherwise clean runs are
    counted.
    """
    seen = belief.evidence(revision).without_reach()
    laws = belief.model.laws

    def proven(more: int) -> bool:
        clean = Evidence(cut=((share, more),))
        then = replace(seen, crashes=seen.crashes + more) if crashing else seen.plus(clean)
        present = float(np.logaddexp.reduce(trigger_law(laws, then) + np.log(np.maximum(weights, 1e-300))))
        evidence = present - absent_law(belief.model, then)
        return evidence >= odds and then.crashes > 0 if crashing else evidence <= -odds and then.exposure > 0

    if proven(0):
        return 0
    high = 1
    while high < _MOST_RUNS and not proven(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proven(middle) else (middle, high)
    return min(_MOST_RUNS, int(np.ceil(high / float(laws.rate @ weights)))) if crashing else high


def _inseparable(belief: Belief, commits: list[int], allowed: Bools | None) -> bool:
    """Whether every revision that can be tested contains all of ``commits`` or none of them."""
    members = np.zeros(belief.dag.n)
    members[commits] = 1.0
    contained = belief.dag.ancestor_sums(members)
    testable = ~belief.unusable() & (broken_chance(belief) < _AS_GOOD_AS_BROKEN)
    if allowed is not None:
        testable &= allowed
    return not (testable & (contained > 0.5) & (contained < len(commits) - 0.5)).any()
