"""Decisions for any project: as cheap as `git bisect` while the test always says the same, careful once it does not.

While nothing contradicts, one run tells of one revision, the one that git itself would test next, and the ends are
taken as they are given. That the last revision that failed and the newest one that passed are neighbours ends this;
then the one more in doubt is run until the answer is as probable as was asked for. Where one
revision shows both outcomes, or a run contradicts another, the ends have to show what they are, and from there on
`Decider` chooses.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from firstbad.errors import BisectionError
from firstbad.history.repository import GitHistory
from firstbad.inference import Model
from firstbad.session.decide import Decider
from firstbad.session.question import Question
from firstbad.session.state import State
from firstbad.session.steps import Finish, Means, Step
from firstbad.session.view import View

# How often a test of any project fails where the bug is: half of them always do. The other half is spread evenly over
# all rates, thinner below one in ten, where nobody calls it a regression of one commit.
_FLAKY = (0.999, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_RARE = (0.07, 0.05, 0.03, 0.02, 0.01)
_SURE_WEIGHT, _RARE_WEIGHT = 0.5, 0.02
_FALSE = 0.002  # chance per run that the test fails in the same way where the bug is not
# Chance that a revision with the bug passes whatever the number of runs. For all that is older than a revision that
# passed it adds up, and no run of that revision can tell: so it has to be small beside one in all commits.
_MASKED = 1e-8
_MOST_PROOF = 100  # runs of culprit and parents, after which other revisions may say more
_GIVEN_UP = 400  # runs at the bad end without a failure


def project_model(false_rate: float = _FALSE) -> Model:
    """What is believed of a test before its first run. ``false_rate``: chance of a failure where the bug is not."""
    flaky = (1 - _SURE_WEIGHT - _RARE_WEIGHT) / len(_FLAKY)
    weights = (_SURE_WEIGHT, *(flaky,) * len(_FLAKY), *(_RARE_WEIGHT / len(_RARE),) * len(_RARE))
    rates = (1.0, *_FLAKY, *_RARE)
    return Model(rates=rates, rate_weights=weights, uniform_floor=1e-9, false_rate=false_rate, mask=_MASKED)


class ProjectHistory(GitHistory):
    """A repository whose tags say nothing of where a bug may be."""

    def releases(self, commit: str) -> tuple[tuple[str, str], ...]:
        """None: they are what people test in kernels."""
        return ()


class Steady:
    """Proposes steps as `Decider` does, several at once where there are workers for them."""

    def __init__(
        self, history: GitHistory, question: Question, means: Means, model: Model | None = None, confirm: bool = True
    ) -> None:
        """``confirm``: prove culprit and parents by runs of their own before one commit is the answer."""
        self.history, self.question, self.means, self.confirm = history, question, means, confirm
        self.decider = Decider(history, question, means, model or project_model())
        self.fix = question.kind == "fix"
        self.new = question.head if self.fix else question.start
        """The newest revision: the good one where a fix is searched."""

    def propose(self, state: State) -> list[Step] | Finish:
        """The next steps, to be made at the same time. Raises BisectionError when the question can't be answered."""
        base = self._base(state)
        if base is not None:
            return [base]
        view = self.decider.view(state)
        if self._contradicts(state, view):
            return self._careful(state)
        left = self._left(state, view)
        if len(left) > 1:
            return self._halve(state, view, left) or self.decider.finish(state, view)
        return self._ended(state, view, left[0])

    def judge(self, state: State, step: Step) -> dict[str, Any]:
        """What a test that has just ended says, see `Decider.judge`."""
        return self.decider.judge(state, step)

    def contrary(self, state: State) -> dict[str, str]:
        """As `Decider.contrary`."""
        return self.decider.contrary(state)

    def so_far(self, state: State) -> Finish:
        """The answer where the time is over."""
        best = self.decider.best(state)
        return Finish("budget", best.commits, best.probabilities, best.confidence, why="no time or no runs left")

    # While the test says the same every time.

    def _contradicts(self, state: State, view: View) -> bool:
        """Whether the test is known not to say the same every time."""
        if any(tally.crashes and tally.clean for tally in state.tallies.values()) or len(state.opinions.said):
            return True
        with_bug, without = _shown(state)
        with_bug.add(self.question.start)
        without.update(self._ends_without())
        if with_bug & without:
            return True
        old, new = (without, with_bug) if not self.fix else (with_bug, without)
        return not any(view.belief.candidates[i] for i in self._between(view, old, new))

    def _ends_without(self) -> tuple[str, ...]:
        return (self.question.head,) if self.fix else self.question.good

    def _between(self, view: View, old: set[str], new: set[str]) -> list[int]:
        """Commits that all of ``new`` contain and none of ``old``."""
        index, dag = view.range.index, view.belief.dag
        inside = view.belief.candidates.copy()
        for commit in new:
            if commit in index:
                inside &= dag.ancestors(index[commit])
        for commit in old:
            if commit in index:
                inside &= ~dag.ancestors(index[commit])
        return [int(i) for i in np.flatnonzero(inside)]

    def _left(self, state: State, view: View) -> list[int]:
        with_bug, without = _shown(state)
        return self._between(view, *((with_bug, without) if self.fix else (without, with_bug)))

    def _base(self, state: State) -> Step | None:
        """Where the old end is not below the new one, the merge base that stands for it is tested first, as git does.

        Raises BisectionError where it is not what it has to be.
        """
        for base in self.question.bases:
            tally = state.tally(base)
            if base in state.untestable():
                continue
            if not tally.useful:
                return Step("base", base, 1)
            if self.fix != bool(tally.crashes) and not (tally.crashes and tally.clean):
                what = "does not have the bug" if self.fix else "already has the bug"
                other = "never had it there" if self.fix else "was fixed on the other side"
                raise BisectionError(f"the merge base {base[:12]} {what}: it {other}; name another good revision")
        return None

    def _halve(self, state: State, view: View, left: list[int]) -> list[Step] | Finish:
        """One run each of the revisions that cut what is left in parts, as many as there are workers.

        For one worker and while nothing has to be skipped that is what `git bisect` would test.
        """
        untestable = state.untestable()
        broken = any(view.hash(i) in untestable for i in left)
        if self.means.machines == 1 and not broken:
            chosen = [view.range.index[self._gits_choice(state, view)]]
        elif broken:
            # What can't be told apart is the answer as soon as that is sure; no number of runs beside it parts it.
            found = self.decider.search(state, view)
            if isinstance(found, Finish):
                return found
            chosen = [view.range.index[found.commit]]
        else:
            chosen = _cuts(view, left, self.means.machines)
        data = self.decider.step_data(state, view)
        rounds = int(np.ceil(np.log(max(len(left), 2)) / np.log(1 + max(len(chosen), 1)))) + 2
        data["left_seconds"] = round(rounds * self._seconds(state), 1)
        return [Step("search", view.hash(i), 1, {**data, "left": len(left)}) for i in chosen]

    def _seconds(self, state: State) -> float:
        builds = [build.seconds for build in state.builds.values() if not build.cached]
        return float(sum(np.median(times) for times in (builds, state.run_seconds) if times))

    def _gits_choice(self, state: State, view: View) -> str:
        tallies = state.tallies.items()
        shows_new = [c for c, tally in tallies if (tally.clean if self.fix else tally.crashes)]
        shows_old = [c for c, tally in tallies if (tally.crashes if self.fix else tally.clean)]
        index = view.range.index
        new = max((c for c in shows_new if c in index), key=lambda c: -_contained(view, index[c]), default=self.new)
        old = [*((self.decider.origin(),) if self.fix else self.question.good), *shows_old]
        return self.history.halfway(new, old)

    def _ended(self, state: State, view: View, culprit: int) -> list[Step] | Finish:
        """One commit is left: prove it, or tell what is in the way."""
        probability = float(view.belief.posterior[culprit])
        name = view.hash(culprit)
        if not self.confirm:
            return Finish("found", [name], [probability], probability)
        asked = self._to_prove(state, view, culprit)
        if not asked or sum(state.tally(commit).total for commit in asked) >= _MOST_PROOF:
            return self._careful(state)
        lacking = [commit for commit, doubt in asked.items() if doubt >= 1]
        if not lacking and probability >= self.question.target:
            return Finish("found", [name], [probability], probability)
        order = sorted(asked, key=lambda commit: (self._told(state, commit, name), -asked[commit]))
        data, many = self.decider.step_data(state, view), self.means.machines
        if len(lacking) < 2 or many == 1:
            return [Step("confirm", order[0], many, data)]
        return [Step("confirm", commit, 1, data) for commit in order[:many]]

    def _told(self, state: State, commit: str, culprit: str) -> int:
        """Runs that speak for what a revision is taken for. All failures anywhere say how often the test fails, and so
        what clean runs are worth: with as many of the one as of the other the fewest runs do."""
        own = state.tally(commit)
        failing = (commit == culprit) != self.fix
        return sum(one.crashes for one in state.tallies.values()) if failing and own.useful else own.useful

    def _to_prove(self, state: State, view: View, culprit: int) -> dict[str, float]:
        """The culprit and its parents, each with the chance that it is not what the answer takes it for; 1 and more for
        one without runs of its own."""
        found = {}
        for revision in (culprit, *view.belief.dag.parents[culprit]):
            commit, chance = view.hash(revision), view.belief.p_bug(revision)
            wrong = 1 - chance if (revision == culprit) != self.fix else chance
            if commit not in state.untestable():
                found[commit] = wrong if state.tally(commit).useful else 1 + wrong
        return found

    # Once it does not.

    def _careful(self, state: State) -> list[Step] | Finish:
        """As with a kernel's crash: what the bug does at the bad end, then the search that weighs all runs."""
        step = self._start(state)
        if step is not None:
            return [step]
        found = self.decider.search(state, self.decider.view(state))
        if isinstance(found, Step):
            return [found, *self._beside(state, found)]
        if found.status in ("older_than_oldest", "not_fixed"):
            why = "by all runs together, the test fails at the good revision too"
            return replace(found, boundary=self._furthest_failing(state), why=why)
        return found

    def _furthest_failing(self, state: State) -> str:
        """The end without the bug where it failed itself, else the failing revision that is nearest to it."""
        failing = [commit for commit in self._ends_without() if state.crashed(commit)]
        if failing or self.fix:
            return failing[0] if failing else self.new
        view = self.decider.view(state)
        inside = [commit for commit in state.tallies if state.crashed(commit) and commit in view.range.index]
        return min(inside, key=lambda commit: _contained(view, view.range.index[commit]), default=self.new)

    def _beside(self, state: State, step: Step) -> list[Step]:
        """Revisions to build and test at the same time: those that are likely to come next, where that their builds
        are waited for now and not later is worth more than runs that may turn out to be in vain."""
        if self.means.machines < 2 or step.commit in state.builds:
            return []
        builds = state.build_times()
        if not builds or not state.run_seconds:
            return []
        # Half of them: a batch ends at its first failure.
        runs = 0.5 * step.runs * float(np.median(state.run_seconds)) / self.means.machines
        unbuilt = ((one, chance) for one, chance in self.decider.ahead(state, step) if one.commit not in state.builds)
        likely = islice(unbuilt, self.means.machines - 1)
        worth = [one.commit for one, chance in likely if chance * float(np.median(builds)) > runs]
        return [replace(step, commit=commit) for commit in worth]

    def _start(self, state: State) -> Step | None:
        """Runs at the bad end, until it showed the bug. Raises BisectionError where it does not."""
        start = self.question.start
        if start in state.untestable() or state.opinions.settled(start):
            return None
        tally = state.tally(start)
        seen = sum(one.crashes for one in state.tallies.values())
        if tally.crashes or (seen >= 4 and tally.useful):
            return None
        left = (_GIVEN_UP if seen else _GIVEN_UP // 2) - tally.useful
        if left <= 0:
            raise BisectionError(
                f"the test did not fail at the bad revision {start[:12]} in {tally.useful} runs: "
                "does it in a clean checkout, with nothing before it but --build?",
                "not_reproduced",
            )
        # As many again, for a batch ends at its first failure: a test that never fails is not told of four by four.
        runs = max(4, self.means.machines, min(tally.useful, left))
        seconds = float(np.median(state.run_seconds)) if state.run_seconds else 0.0
        return Step("initial", start, runs, {"left_seconds": round(left * seconds / self.means.machines, 1)})


def _shown(state: State) -> tuple[set[str], set[str]]:
    """Revisions that failed, and those that passed; one may be both."""
    tallies = state.tallies.items()
    return {c for c, tally in tallies if tally.crashes}, {c for c, tally in tallies if tally.clean}


def _contained(view: View, index: int) -> int:
    return int(view.belief.dag.ancestors(index).sum())


def _cuts(view: View, left: Sequence[int], parts: int) -> list[int]:
    """Revisions among ``left`` that contain about 1/(parts + 1), 2/(parts + 1), ... of them; each once."""
    members = np.zeros(view.belief.dag.n)
    members[list(left)] = 1.0
    contained = view.belief.dag.ancestor_sums(members)[list(left)]
    chosen: list[int] = []
    for part in range(1, parts + 1):
        wanted = part * len(left) / (parts + 1)
        for place in np.argsort(np.abs(contained - wanted), kind="stable"):
            # What contains all of them says nothing: it is known to be where the bug is, or where it is gone.
            if left[place] not in chosen and contained[place] < len(left):
                chosen.append(left[place])
                break
    return chosen
