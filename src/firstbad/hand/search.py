"""What to test next, a pure function of what was said and of the repository.

While each answer is taken for certain, halving is all there is to do, and the revision is the one that ``git bisect``
would test: no more steps than git takes, whatever the history. Where that one was skipped, or answers may be wrong
(``flaky``), the belief decides (:mod:`firstbad.inference`), as it does for every other job.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from firstbad.errors import UserError
from firstbad.hand.graph import Commits, Halving, halve, read_commits
from firstbad.hand.state import Hand
from firstbad.history.git import Repo
from firstbad.inference import Belief, Costs, Model, answer, needs_confirmation, next_test, smallest_set

_CERTAIN = Model(
    rates=(1.0,), rate_weights=(1.0,), spreads=(), spread_weight=0.0, false_rate=1e-6, mask=0.0, older=0.0,
    uniform_floor=1.0,
)  # fmt: skip
_OLDER = 1e-4  # chance that an end of the range was said wrongly
_FALSE = 5e-4  # chance that a person sees the failure where the bug is not
_MASK = 1e-4
_ALWAYS = 0.98  # a test that shows the bug more often than that is not what anybody calls flaky
_MOST_RUNS = 40  # asked of a person at a time
# What a person's test takes, in seconds: nobody measures it. A new revision costs about three runs.
_NEW_REVISION, _RUN = 120.0, 60.0

Status = Literal["waiting", "test", "found", "candidates"]


@dataclass(frozen=True)
class Proposal:
    """What is next, or the answer."""

    status: Status
    commit: str = ""
    phase: Literal["search", "base"] = "search"
    runs: int = 1
    """How often to test it, as long as the bug does not show."""
    left: int = 0
    """Commits that may be the culprit; those that hold nine tenths of the probability where answers may be wrong."""
    after: int | None = None
    """Of these, how many are left after this test at most; None where that is not known."""
    steps: int = 0
    """About how many tests are still to be made, this one included."""
    commits: tuple[str, ...] = ()
    """Most probable first."""
    probabilities: tuple[float, ...] = ()
    confidence: float = 0.0
    unproven: tuple[tuple[str, int], ...] = ()
    """Revisions that the answer rests on without a test of their own, each with how many runs it lacks."""
    notes: tuple[str, ...] = ()


class Contradiction(UserError):
    """Answers that can't all be right; ``words`` says which."""

    def __init__(self, words: str, ways: Sequence[str]) -> None:
        super().__init__(f"{words}: {'; '.join(ways)}")
        self.words = words


def propose(repo: Repo, hand: Hand) -> Proposal:
    """The next test or the answer. Raises UserError where the answers contradict each other."""
    if not hand.ready:
        return Proposal("waiting")
    if hand.flaky:
        return _weighed(repo, hand)
    base = None if hand.searching else _base(repo, hand)
    if base is not None:
        return base
    return _halved(repo, hand)


def _base(repo: Repo, hand: Hand) -> Proposal | None:
    """Where an old revision is not below the new one, both may have got what they differ in since they parted: the
    merge base tells (git asks for it too)."""
    new, terms = hand.new, hand.terms
    if not repo.git("rev-list", "-n1", *hand.olds, f"^{new}", "--").strip():
        return None
    for base in repo.git("merge-base", "--all", new, *hand.olds, check=False).split():
        if base == new:
            raise _contradiction(repo, hand)
        if base not in (*hand.olds, *hand.skipped):
            note = f"not all that is {terms.old} is below what is {terms.new}: first, is their merge base {terms.old}?"
            return Proposal("test", base, "base", notes=(note,))
    return None


def _contradiction(repo: Repo, hand: Hand) -> Contradiction:
    new, terms = hand.new, hand.terms
    above = next((old for old in hand.olds if repo.is_ancestor(new, old)), hand.olds[-1])
    words = f"{above[:12]} is {terms.old} but contains {new[:12]}, which is {terms.new}"
    if above == new:
        words = f"{new[:12]} is said to be both {terms.old} and {terms.new}"
    ways = ["`firstbad undo` if an answer was wrong", "`firstbad flaky` if the test fails only sometimes"]
    if above != new and terms.old == "good":
        ways.append("`firstbad start --fix` if it was mended in between and you search for that")
    return Contradiction(words, ways)


def _halved(repo: Repo, hand: Hand) -> Proposal:
    half = halve(repo, hand.new, hand.olds, hand.first_parent, hand.paths)
    if not half.count:
        if any(repo.is_ancestor(hand.new, old) for old in hand.olds):
            raise _contradiction(repo, hand)
        raise UserError(
            f"no commit between {hand.terms.old} and {hand.terms.new} touches {' '.join(hand.paths)}: "
            "`firstbad start` without paths, or `firstbad undo`"
        )
    if half.count == 1 and half.commit == hand.new:
        return Proposal(
            "found", half.commit, left=1, commits=(half.commit,), probabilities=(1.0,), confidence=1.0,
            unproven=_untested_parents(repo, hand, half.commit),
        )  # fmt: skip
    if half.commit in hand.skipped:
        return _around(repo, hand, half)
    return Proposal("test", half.commit, left=half.count, after=half.after, steps=_steps(half.count))


def _untested_parents(repo: Repo, hand: Hand, culprit: str) -> tuple[tuple[str, int], ...]:
    parents = repo.commit(culprit).parents
    return tuple((parent, 1) for parent in parents[: 1 if hand.first_parent else None] if parent not in hand.olds)


def _around(repo: Repo, hand: Hand, half: Halving) -> Proposal:
    """The revision that halves best was skipped: one that is likely to work and still says much."""
    found = read_commits(repo, (), hand.new, hand.olds, hand.first_parent, hand.paths)
    belief = Belief(found.dag, kind="cause", candidates=found.candidates, start=found.index[hand.new], model=_CERTAIN)
    for commit in hand.skipped:
        if commit in found.index:
            belief.untestable(found.index[commit], "skip")
    test = next_test(belief, _costs(found), allowed=found.candidates, max_runs=1)
    if test is not None:
        return Proposal("test", found.names[test.revision], left=half.count, steps=_steps(half.count))
    commits = tuple(found.names[i] for i in np.flatnonzero(found.candidates)[::-1].tolist())
    return Proposal(
        "candidates", left=len(commits), commits=commits, probabilities=(1 / len(commits),) * len(commits),
        confidence=1.0, notes=("only skipped commits are left to test",),
    )  # fmt: skip


def _steps(count: int) -> int:
    return max(1, math.ceil(math.log2(count)))


def _costs(found: Commits, built: str = "") -> Costs:
    seconds = np.full(found.dag.n, _NEW_REVISION)
    if built in found.index:
        seconds[found.index[built]] = 0.0
    return Costs(seconds, _RUN, 1)


# Answers that may be wrong.


def weigh(repo: Repo, hand: Hand) -> tuple[Commits, Belief]:
    """What is believed where an answer that saw no failure is one run's word. Raises UserError."""
    shows = "old" if hand.fix else "new"
    tip, olds = (hand.end("new") or hand.commits("new"))[-1], hand.end("old") or hand.olds[:1]
    said = [*hand.olds, *hand.commits("new"), *hand.skipped]
    found = read_commits(repo, said, tip, olds, hand.first_parent, hand.paths)
    if not found.candidates.any():
        raise _contradiction(repo, hand)
    model = _flaky_model(hand.rate)
    start = found.index[olds[0] if hand.fix else tip]
    belief = Belief(
        found.dag, kind="fix" if hand.fix else "cause", candidates=found.candidates, start=start, model=model
    )
    for one in hand.said:
        for commit in one.commits:
            place = found.index.get(commit)
            if place is None or commit in olds:
                continue
            if one.side == "skip":
                belief.untestable(place, "skip")
            elif one.side == shows:
                belief.observe(place, crashes=one.runs)
            elif not one.end:
                belief.observe(place, clean=one.runs)
    return found, belief


def _flaky_model(rate: float | None) -> Model:
    """What is believed of a test of which a person says that it fails only sometimes: no rate near one."""
    # Imported here: all of session takes longer to import than an answer that is taken for certain takes.
    from firstbad.session.steady import project_model

    model = replace(project_model(_FALSE), mask=_MASK, older=_OLDER)
    if rate is not None:
        return replace(model, rates=(rate,), rate_weights=(1.0,), spreads=(), spread_weight=0.0)
    rows = [row for row in zip(model.rates, model.rate_weights, strict=True) if row[0] < _ALWAYS]
    return replace(model, rates=tuple(rate for rate, _ in rows), rate_weights=tuple(weight for _, weight in rows))


def _weighed(repo: Repo, hand: Hand) -> Proposal:
    found, belief = weigh(repo, hand)
    target = float(hand.start["target"])
    known = answer(belief, target, allowed=found.candidates)
    if known is None:
        test = next_test(belief, _costs(found, hand.proposed), max_runs=_MOST_RUNS)
        if test is not None:
            posterior = belief.posterior
            best = int(np.argmax(posterior))
            bits = float(-(posterior[posterior > 0] * np.log2(posterior[posterior > 0])).sum())
            return Proposal(
                "test", found.names[test.revision], runs=test.runs, left=len(smallest_set(belief, 0.9)),
                steps=max(1, round(bits / max(test.information, 1e-3))), commits=(found.names[best],),
                probabilities=(float(posterior[best]),),
            )  # fmt: skip
        known = answer(belief, target, final=True)
    chosen = known.commits if known is not None else smallest_set(belief, target)
    chances = tuple(float(belief.posterior[i]) for i in chosen)
    unproven: tuple[tuple[str, int], ...] = ()
    if len(chosen) == 1:
        rows = needs_confirmation(belief, chosen[0], target)
        ends = (*hand.end("old"), *hand.end("new"))
        unproven = tuple((found.names[i], runs) for i, runs in rows if found.names[i] not in ends)
    return Proposal(
        "found" if len(chosen) == 1 else "candidates", found.names[chosen[0]] if len(chosen) == 1 else "",
        left=len(chosen), commits=tuple(found.names[i] for i in chosen), probabilities=chances,
        confidence=min(sum(chances), 1.0), unproven=unproven,
        notes=() if len(chosen) == 1 else ("no further test can tell these commits apart",),
    )  # fmt: skip
