"""What to do next: a pure function of the state and of what git says."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from firstbad.errors import BisectionError, UserError
from firstbad.history.git import Repo
from firstbad.history.releases import previous_releases
from firstbad.inference import Costs, answer, needs_confirmation, next_test, smallest_set
from firstbad.job import Job
from firstbad.session.state import State
from firstbad.session.view import View, Views

Phase = Literal["initial", "head", "release", "search", "confirm"]

START_CRASHES = 4  # crashes at the start commit that say enough about the crash rate
START_RUNS = 20  # runs after which one crash is enough
START_LIMIT = 60  # clean runs after which the crash does not reproduce: a rate of .05 would have shown with 95%
SURE = 0.05  # an end of the range is taken for good or bad when the other is less probable than this


@dataclass(frozen=True)
class Step:
    """Run the reproducer ``runs`` times at ``commit``; stop at the first crash unless ``all_runs``."""

    phase: Phase
    commit: str
    runs: int
    data: dict[str, Any] = field(default_factory=dict)
    all_runs: bool = False


@dataclass(frozen=True)
class Finish:
    """The bisection is over: ``status`` as in the machine-readable contracts."""

    status: str
    commits: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    confidence: float = 0.0
    boundary: str = ""
    why: str = ""


Bounds = tuple[str, tuple[str, ...]]  # tip of a range and what is excluded from it, full hashes


@dataclass(frozen=True)
class Ends:
    """The revisions that the question is about: full hashes. ``head`` is empty for a cause bisection."""

    start: str
    head: str
    good: tuple[str, ...]


def find_ends(repo: Repo, job: Job) -> Ends:
    """Resolve what the job names. Raises UserError, NotFoundError before anything is built."""
    start = repo.resolve(job.commit)
    if job.kind == "fix":
        head = repo.resolve(job.head or "HEAD")
        if head == start:
            raise UserError(f"head is the start commit {start[:12]}: there is nothing between them to search")
        if not repo.is_ancestor(start, head):
            raise UserError(f"head {head[:12]} does not contain the start commit {start[:12]}")
        return Ends(start, head, ())
    good = tuple(dict.fromkeys(repo.resolve(revision) for revision in job.good))
    for name, commit in zip(job.good, good, strict=False):
        if commit == start or not repo.is_ancestor(commit, start):
            raise UserError(
                f"good revision {name} is not contained in the start commit {start[:12]}; "
                f"try a release that is, or their merge base"
            )
    if not good and not previous_releases(repo, start):
        raise UserError(f"no release tags before {start[:12]}: name a revision without the bug with --good")
    return Ends(start, "", good)


class Decider:
    """Proposes the next step. Keeps only what git said, nothing about the job."""

    def __init__(
        self,
        repo: Repo,
        job: Job,
        ends: Ends,
        machines: int,
        compiled: Callable[[str], frozenset[str]] = lambda _: frozenset(),
    ) -> None:
        self.repo, self.job, self.ends, self.machines = repo, job, ends, machines
        self.views = Views(repo, job)
        self._compiled = compiled
        releases = [] if job.kind == "fix" or ends.good else previous_releases(repo, ends.start)
        self._releases = [(release.tag, repo.resolve(release.tag)) for release in releases]  # newest first

    def propose(self, state: State) -> Step | Finish:
        """The next step. Raises BisectionError when the question can't be answered."""
        step = self._initial(state)
        if step is not None:
            return step
        edge = self._fix_edge(state) if self.job.kind == "fix" else self._cause_edge(state)
        if isinstance(edge, Step | Finish):
            return edge
        return self._search(state, self._view(state, *edge))

    def start_is_known(self, state: State) -> bool:
        """Whether the runs at the start commit say enough about the bug."""
        return self._initial(state) is None

    def judge(self, state: State, step: Step) -> dict[str, Any]:
        """What a test that has just ended says: verdict, probability of the bug, and what is left to search."""
        tally = state.tally(step.commit)
        tested = tally.crashes + tally.clean or step.commit in state.same
        if step.commit in state.untestable() or not tested:
            return {"verdict": "skip"}
        if step.phase == "initial":
            return {"verdict": "bad" if state.tally(step.commit).crashes else "good"}
        fix = self.job.kind == "fix"
        bounds = (self.ends.head, (self.ends.start,)) if fix else (self.ends.start, self._floors(state, step))
        view = self._view(state, *bounds, hints=step.phase in ("search", "confirm"))
        probability = float(view.belief.p_bug()[view.range.index[step.commit]])
        return {
            "verdict": "bad" if probability > 0.5 else "good",
            "p_bug": round(probability, 4),
            **self._why(view),
        }

    def _floors(self, state: State, step: Step) -> tuple[str, ...]:
        """The lower ends of the range as the search stands: the given ones, or the oldest release tried."""
        if self.ends.good:
            return self.ends.good
        tried = {test.commit for test in state.tests} - set(state.untestable()) | {step.commit}
        return ([commit for _, commit in self._releases if commit in tried][-1],)

    def _initial(self, state: State) -> Step | None:
        start, tally = self.ends.start, state.tally(self.ends.start)
        build = state.builds.get(start)
        if build is not None and build.error:
            raise BisectionError(f"the start commit {start[:12]} does not build: {build.error}")
        if start in state.untestable():
            raise BisectionError(f"the start commit {start[:12]} does not boot")
        useful = tally.crashes + tally.clean
        # Until the bug has a name all crashes count; then the title seen most often must be seen often enough.
        crashes = tally.crashes if state.bug else state.leading(start)[1]
        if crashes >= START_CRASHES or (crashes and useful >= START_RUNS):
            return None
        if useful + tally.lost >= START_LIMIT:
            seen = f"; {tally.lost} runs ended in another crash" if tally.lost else ""
            raise BisectionError(
                f"the crash wasn't reproduced on the start commit {start[:12]} in {useful + tally.lost} runs{seen}"
            )
        # By turns, so that a sure crash costs four runs and only a rare one many.
        runs = self.machines * 2 if not useful else max(self.machines, min(START_RUNS - useful, START_CRASHES * 2))
        if not tally.crashes and useful >= START_RUNS:
            runs = START_LIMIT - useful
        return Step("initial", start, runs, all_runs=bool(tally.crashes) or not useful)

    def _fix_edge(self, state: State) -> Step | Finish | Bounds:
        bounds = (self.ends.head, (self.ends.start,))
        view = self._view(state, *bounds, hints=False)
        if self.ends.head in state.untestable():
            raise BisectionError(f"the head {self.ends.head[:12]} does not build or boot; name another with --head")
        step = self._edge(state, view, self.ends.head, "head", {})
        if step is not None:
            return step
        if view.belief.older < 0.5:
            return bounds
        return Finish("not_fixed", boundary=self.ends.head, confidence=view.belief.older, why="the head still crashes")

    def _cause_edge(self, state: State) -> Step | Finish | Bounds:
        if self.ends.good:
            view = self._view(state, self.ends.start, self.ends.good, hints=False)
            for commit in self.ends.good:
                step = self._edge(state, view, commit, "release", {"release": self._name(commit)})
                if step is not None:
                    return step
                if state.tally(commit).crashes and view.belief.older > 0.5:
                    raise BisectionError(
                        f"{commit[:12]} was said to be good, but crashes; name an older one with --good"
                    )
            return self.ends.start, self.ends.good
        oldest = ""
        for position, (tag, commit) in enumerate(self._releases):
            if commit in state.untestable() or self._looked_below(state, position):
                continue
            view = self._view(state, self.ends.start, (commit,), hints=False)
            step = self._edge(state, view, commit, "release", {"release": tag})
            if step is not None:
                return step
            if view.belief.older < 0.5:
                return self.ends.start, (commit,)
            oldest = commit
        if not oldest:
            raise BisectionError(
                "no release before the start commit builds and boots; name a good revision with --good"
            )
        return Finish(
            "older_than_oldest",
            boundary=oldest,
            confidence=view.belief.older,
            why="the oldest tested release already has the bug",
        )

    def _looked_below(self, state: State, position: int) -> bool:
        """Whether an older release was tried although this one was good: then the range begins there."""
        older = {commit for _, commit in self._releases[position + 1 :]}
        good = state.tally(self._releases[position][1]).clean > 0
        return good and any(test.commit in older for test in state.tests) and not older <= set(state.untestable())

    def _below(self, state: State, view: View) -> Step | None:
        """A test of the next older release, where only a bug hidden in the oldest tested one stands in the way."""
        if view.belief.older < (1 - self.job.target) / 4 or self.job.kind == "fix" or self.ends.good:
            return None
        floor = view.hash(0)
        commits = [commit for _, commit in self._releases]
        if floor in commits:
            for tag, commit in self._releases[commits.index(floor) + 1 :]:
                if commit not in state.untestable():
                    return Step("release", commit, self._edge_runs(view), {"release": tag})
        return None

    def _edge(self, state: State, view: View, commit: str, phase: Phase, data: dict[str, Any]) -> Step | None:
        """A step at an end of the range while it is open whether the bug is there; None when that is known."""
        index = view.range.index[commit]
        if commit in state.untestable():
            raise BisectionError(f"{commit[:12]} does not build or boot; name another end of the range")
        probability = float(view.belief.p_bug()[index])
        tally = state.tally(commit)
        if tally.crashes + tally.clean == 0 and tally.lost < START_RUNS:
            return Step(phase, commit, self._edge_runs(view), data)
        if not SURE < probability < 1 - SURE or tally.total >= START_LIMIT:
            return None
        return Step(phase, commit, max(self.machines, self._edge_runs(view) // 2), data)

    def _edge_runs(self, view: View) -> int:
        """Runs after which clean means good with about 95%, at the crash rate as it is believed to be."""
        rate = min(view.belief.rate()[0], 0.999)
        return int(min(START_LIMIT, max(1, math.ceil(math.log(SURE / 2) / math.log1p(-rate)))))

    def _search(self, state: State, view: View) -> Step | Finish:
        found = answer(view.belief, self.job.target)
        data = {"bounds": self._bounds(state, view), "effects": list(view.effects), **self._why(view)}
        if found is not None and found.status == "found":
            wanted = needs_confirmation(view.belief, found.commits[0], self.job.target)
            for index, runs in wanted:
                commit = view.hash(index)
                if commit not in state.untestable():
                    return Step("confirm", commit, max(1, runs), data)
        if found is None or found.status != "found":
            test = next_test(view.belief, self._costs(state, view))
            if test is not None:
                left = self._left(view, test.information, test.seconds)
                data |= {
                    "bits": round(test.information, 4),
                    "expected_seconds": round(test.seconds, 1),
                    "p_crash": round(test.probability, 4),
                    "left_seconds": left,
                }
                return Step("search", view.hash(test.revision), test.runs, data)
            below = self._below(state, view)
            if below is not None:
                return below
        return self._finish(view)

    def _finish(self, view: View) -> Finish:
        found = answer(view.belief, self.job.target)
        if found is None or found.status == "undecided":
            commits = smallest_set(view.belief, self.job.target)
            probabilities = [float(view.belief.posterior[i]) for i in commits]
            return Finish(
                "candidates",
                [view.hash(i) for i in commits],
                probabilities,
                sum(probabilities),
                why="no further test can tell these commits apart",
            )
        status = "not_fixed" if found.status == "older_than_oldest" and self.job.kind == "fix" else found.status
        why = "" if status == "found" else "no further test can tell these commits apart"
        return Finish(
            status,
            [view.hash(i) for i in found.commits],
            list(found.probabilities),
            found.confidence,
            why=why,
        )

    def _view(self, state: State, tip: str, excluded: tuple[str, ...], hints: bool = True) -> View:
        return self.views.view(state, self.ends.start, tip, excluded, self._compiled(self.ends.start), hints)

    def _costs(self, state: State, view: View) -> Costs:
        fresh = [build.seconds for build in state.builds.values() if not build.cached and not build.error]
        # The first build is a clean one and says little about the incremental ones that follow.
        build = float(np.median(fresh[1:])) if len(fresh) > 1 else min([*fresh, 30.0])
        seconds = np.full(len(view.range.hashes), build)
        for commit, fact in state.builds.items():
            if commit in view.range.index and not fact.error:
                seconds[view.range.index[commit]] = 0.0
        run = float(np.median(state.run_seconds)) if state.run_seconds else self.job.machine.run_seconds
        return Costs(build_seconds=seconds, run_seconds=run, machines=self.machines)

    def _why(self, view: View) -> dict[str, Any]:
        """What is believed before the test, for people and for the log."""
        posterior = view.belief.posterior
        best = int(np.argmax(posterior))
        return {
            "left90": len(smallest_set(view.belief, 0.9)),
            "best": view.hash(best),
            "best_probability": round(float(posterior[best]), 4),
            "older": round(view.belief.older, 4),
            "rate": [round(value, 3) for value in view.belief.rate()],
        }

    def _left(self, view: View, bits: float, seconds: float) -> float:
        """Seconds until the target, if each test teaches as much per second as the next one is expected to."""
        weights = view.belief.posterior[view.belief.posterior > 0]
        entropy = float(-(weights * np.log2(weights)).sum())
        return round(entropy / max(bits, 1e-3) * seconds + 2 * seconds, 1)

    def _bounds(self, state: State, view: View) -> list[str]:
        """What ``git bisect start`` would be told: the known end and the other one."""
        if self.job.kind == "fix":
            return [self.ends.head, self.ends.start]
        good = view.hash(0)
        bad = [
            test.commit
            for test in state.tests
            if test.data["phase"] == "release" and test.commit != good and test.commit not in state.untestable()
        ]
        return [bad[-1] if bad else self.ends.start, good]

    def _name(self, commit: str) -> str:
        tag = self.repo.git("tag", "--list", "v*", "--points-at", commit).split()
        return tag[0] if tag else commit[:12]
