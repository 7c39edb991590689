"""When to stop and what to say: one commit, a set, older, or undecided; and what proof still lacks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .belief import Belief, absent_law
from .dag import Bools, Floats

Status = Literal["found", "candidates", "older_than_oldest", "undecided"]

_MOST_RUNS = 256  # per request; whoever asks again after them is told how many more


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
    chosen = smallest_set(belief, target)
    chances = [float(belief.posterior[commit]) for commit in chosen]
    held = min(sum(chances), 1.0)
    if held < target - 1e-12:
        return Answer("undecided", chosen, chances, held) if final else None
    if len(chosen) == 1:
        return Answer("found", chosen, chances, held)
    if final or _inseparable(belief, chosen, allowed):
        return Answer("candidates", chosen, chances, held)
    return None


def smallest_set(belief: Belief, target: float) -> list[int]:
    """The fewest commits that hold ``target`` probability, most probable first (then by index).

    Where "none of them" leaves less than that, the fewest that hold the share ``target`` of what is left.
    """
    order = np.argsort(-belief.posterior, kind="stable")[: int(belief.candidates.sum())]
    sums = np.cumsum(belief.posterior[order])
    wanted = target if sums[-1] >= target else target * sums[-1]
    count = int(np.searchsorted(sums, wanted - 1e-12)) + 1
    return [int(commit) for commit in order[:count]]


def needs_confirmation(belief: Belief, culprit: int, target: float) -> list[tuple[int, int]]:
    """Revisions whose own runs don't prove ``culprit`` yet, each with a number of further runs wanted.

    A cause is proven where the culprit itself crashed and each of its parents was run clean; a fix the other
    way round. What proves is the ratio of likelihoods of that revision's own runs, present against absent, at
    odds of target : 1 - target (the test of Wald for one revision), the crash rate averaged over what all
    revisions say under this culprit. The mask is left out: no number of runs settles it. Unusable revisions
    are left out too.
    """
    weights = belief.state.joint[belief.state.classes[culprit]]
    if not belief.candidates[culprit] or weights.sum() <= 0:
        raise ValueError(f"commit {culprit} can't be the culprit")
    weights = weights / weights.sum()
    usable = ~belief.unusable()
    wanted = []
    for revision in (culprit, *belief.dag.parents[culprit]):
        crashing = (revision == culprit) == (belief.kind == "cause")
        runs = _runs_lacking(belief, revision, crashing, weights, np.log(target / (1.0 - target)))
        if runs and usable[revision]:
            wanted.append((revision, runs))
    return wanted


def _runs_lacking(belief: Belief, revision: int, crashing: bool, weights: Floats, odds: float) -> int:
    """Further runs until the revision's own likelihood ratio reaches ``odds`` (log), if all goes as expected.

    ``crashing``: its runs should show the bug present; one crash in 1 / rate runs. Otherwise clean runs are
    counted.
    """
    crashes, clean, _ = belief.counts(revision)
    more = np.arange(_MOST_RUNS + 1)
    rates = np.array(belief.model.rates, dtype=float)
    k, m = (crashes + more, clean + 0 * more) if crashing else (crashes + 0 * more, clean + more)
    present = (rates ** k[:, None] * (1.0 - rates) ** m[:, None]) @ weights
    evidence = np.log(np.maximum(present, 1e-300)) - absent_law(belief.model, k.astype(float), m.astype(float))
    enough = (evidence >= odds) & (k > 0) if crashing else (evidence <= -odds) & (m > 0)
    lacking = int(np.argmax(enough)) if enough.any() else _MOST_RUNS
    return min(_MOST_RUNS, int(np.ceil(lacking / (rates @ weights)))) if crashing else lacking


def _inseparable(belief: Belief, commits: list[int], allowed: Bools | None) -> bool:
    """Whether every revision that can be tested contains all of ``commits`` or none of them."""
    members = np.zeros(belief.dag.n)
    members[commits] = 1.0
    contained = belief.dag.ancestor_sums(members)
    testable = ~belief.unusable() if allowed is None else ~belief.unusable() & allowed
    return not (testable & (contained > 0.5) & (contained < len(commits) - 0.5)).any()
