"""What to do next: a pure function of the state and of what the history says."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from firstbad.errors import BisectionError
from firstbad.history.base import History
from firstbad.inference import Costs, Model, answer, needs_confirmation, next_test, smallest_set
from firstbad.inference.answer import Answer
from firstbad.inference.choice import Test
from firstbad.session.ahead import likely
from firstbad.session.question import Question
from firstbad.session.sketch import sketch
from firstbad.session.state import State
from firstbad.session.state import Test as Tested
from firstbad.session.steps import Finish, Means, Phase, Step
from firstbad.session.view import MODEL, Bools, Floats, View, Views

START_CRASHES = 4  # crashes at the start commit that say enough about a crash rate of a half or more
START_SELDOM = 6  # the same for a lower one
START_RUNS = 300  # runs after which one crash is enough; what is not known of a low rate costs more time later
EDGE_RUNS = 20  # runs lost to other bugs after which an end of the range is given up
START_LIMIT = 80  # runs after which a crash that never came does not reproduce: at a rate of .05 98% show it
SURE = 0.05  # an end of the range is taken for good or bad when the other is less probable than this
MOST_RELEASES = 40  # releases below the start that are looked at: some eight years
CONFIRM_DOUBT = 0.2  # share of the doubt that the target leaves, for the culprit's own runs and for its parents' each
MOST_TESTS = 400  # a bisection of a rare crash takes about 60
STUCK, STUCK_BUT = 16, 2  # revisions tried last, and how many of them may have worked, when the search gives up
CONFIRM_RUNS = 500  # of one revision
CONFIRM_SHARE = 0.9  # share of a full run's crashes after which a clean run of the confirmation ends


class Decider:
    """Proposes the next step. Keeps only what the history said, nothing about the job."""

    def __init__(self, history: History, question: Question, means: Means, model: Model = MODEL) -> None:
        """``model``: what is believed of the bug before the first run."""
        self.history, self.question, self.means = history, question, means
        self.views = Views(history, question, model)
        walk = question.kind == "cause" and not question.good
        self._releases = history.releases(question.start)[:MOST_RELEASES] if walk else ()  # newest first

    def propose(self, state: State) -> Step | Finish:
        """The next step. Raises BisectionError when the question can't be answered."""
        step = self.check_start(state)
        if step is not None:
            return step
        return self._edges(state) or self.search(state, self.view(state))

    def ahead(self, state: State, step: Step) -> Iterator[tuple[Step, float]]:
        """Steps at other revisions that are likely to be taken after ``step``, each with the chance of that, the more
        probable first. While the start commit is tested it is taken for granted that it crashes."""
        if step.phase not in ("initial", "search", "release", "confirm"):
            return
        view = self.view(state)
        if step.phase == "initial":
            first = self._first(state, view)
            if first is None:
                return
            yield first, 1.0
            step = first
        if step.commit in view.range.index:
            yield from likely(view.belief, step, view.range.index.__getitem__, lambda: self._next(state, view))

    def _first(self, state: State, view: View) -> Step | None:
        """The first step of the search, or at an end of the range, as far as that can be told."""
        try:
            first = self._edges(state) or self.search(state, view)
        except BisectionError:
            return None
        return first if isinstance(first, Step) else None

    def _next(self, state: State, view: View) -> Step | None:
        try:
            found = self.search(state, view)
        except BisectionError:
            return None
        return found if isinstance(found, Step) and found.commit in view.range.index else None

    def start_is_known(self, state: State) -> bool:
        """Whether the runs at the start commit say enough about the bug."""
        return self.check_start(state) is None

    def judge(self, state: State, step: Step) -> dict[str, Any]:
        """What a test that has just ended says: verdict, probability of the bug, and what is left to search."""
        tally = state.tally(step.commit)
        tested = tally.useful or tally.unreached or step.commit in state.same
        if step.commit in state.untestable() or not tested:
            return {"verdict": "skip"}
        if step.phase in ("initial", "base"):
            return {"verdict": "bad" if tally.crashes else "good"}
        view = self.view(state)
        probability = view.belief.p_bug(view.range.index[step.commit])
        verdict = "bad" if probability > 0.5 else "good"
        drawn = sketch(view, (test.commit for test in state.tests), step.commit)
        return {"verdict": verdict, "p_bug": round(probability, 4), **self._why(view), "sketch": drawn}

    def verdicts(self, state: State) -> dict[str, Literal["good", "bad", "skip"]]:
        """What is believed now of each revision of the range that was tested, in order of the tests, then of those that
        people marked."""
        view = self.view(state)
        index, tested = view.range.index, set(view.belief.state.tested.tolist())
        found: dict[str, Literal["good", "bad", "skip"]] = {}
        marked = (one.commit for one in state.opinions if one.says != "wrong")
        for commit in dict.fromkeys([*(test.commit for test in state.tests), *marked]):
            if commit not in index:
                continue
            known = index[commit] in tested or (commit in state.same and state.same[commit] in index)
            word: Literal["good", "bad"] = "bad" if view.belief.p_bug(index[commit]) > 0.5 else "good"
            found[commit] = word if known else "skip"
        return found

    def contrary(self, state: State) -> dict[str, str]:
        """Revisions that are taken for bad now and were for good by their last test, or the other way round: a flaky
        bug's clean runs beyond the culprit."""
        last = {test.commit: test.mark["verdict"] for test in state.tests if test.mark}
        now = self.verdicts(state)
        return {commit: now[commit] for commit in last if {last[commit], now.get(commit)} == {"good", "bad"}}

    def best(self, state: State) -> Finish:
        """The smallest set that holds the target, with what is known so far; for a bisection without time left."""
        view = self.view(state)
        commits = smallest_set(view.belief, self.question.target)
        probabilities = [float(view.belief.posterior[i]) for i in commits]
        return Finish("candidates", [view.hash(i) for i in commits], probabilities, min(sum(probabilities), 1.0))

    def so_far(self, state: State) -> Finish:
        """The answer where the time is over: the smallest set that holds the target, as far as that is known."""
        try:
            best = self.best(state) if self.start_is_known(state) else None
        except BisectionError:
            best = None
        if best is None:
            return Finish("budget", why="no time left; what the bug does at the start commit is not known yet")
        older, why = self.view(state).belief.older, "no time left"
        if older > 1 - self.question.target:
            cause = self.question.kind == "cause"
            other = "the bug is older than what was tested" if cause else "the crash is not fixed at the head"
            why += f"; with probability {older:.2%} it is none of these: {other}"
        return replace(best, status="budget", why=why, more={"older": round(older, 6)})

    # The start commit.

    def check_start(self, state: State) -> Step | None:
        """Runs at the start commit, until they say enough about the bug. Raises BisectionError if it is not there."""
        start, tally = self.question.start, state.tally(self.question.start)
        if why := state.why_untestable(start):
            raise BisectionError(f"the start commit {start[:12]} {why}")
        crashes, rival = self._start_crashes(state)
        wanted = START_CRASHES if 2 * crashes >= tally.useful else START_SELDOM
        leads = crashes >= 2 * rival
        if leads and (crashes >= wanted or (crashes and tally.useful >= START_RUNS)):
            return None
        if tally.total - tally.infra >= (2 * START_RUNS if crashes else START_LIMIT):
            if crashes > rival:
                return None
            seen = f"; {tally.lost} runs ended in another crash" if tally.lost else ""
            raise BisectionError(
                f"the crash wasn't reproduced on the start commit {start[:12]} in {tally.total} runs{seen}",
                "not_reproduced",
            )
        # By turns, so that a sure crash costs four runs and only a rare one many.
        runs = START_CRASHES if not tally.useful else max(self.means.machines, START_CRASHES)
        # No crash cuts these short, or the quick crashes would be seen too often.
        return Step("initial", start, runs, all_runs=True)

    def _start_crashes(self, state: State) -> tuple[int, int]:
        """Crashes of the bug at the start, and of its rival. Until the bug has a name it is the title that is seen most
        often; that it is not a stranger's takes a lead."""
        if state.bug is not None:
            return state.tally(self.question.start).crashes, 0
        _, crashes, rival = state.leading(self.question.start)
        return crashes, rival

    # The ends of the range.

    def _edges(self, state: State) -> Step | Finish | None:
        """A step at an end of the range, or that there is nothing to search; None where the ends are known."""
        if self.question.kind == "fix":
            return self._base(state) or self._head(state)
        return self._goods(state)

    def origin(self) -> str:
        """Where the range begins: the start, or for a fix on another branch the merge base with it."""
        question = self.question
        if question.kind == "cause" or self.history.is_ancestor(question.start, question.head):
            return question.start
        bases = self.history.merge_bases(question.start, question.head)
        if len(bases) != 1:
            raise BisectionError(f"the start and the head have {len(bases)} merge bases: name another head")
        return bases[0]

    def _base(self, state: State) -> Step | Finish | None:
        """Fix on another branch: whether the bug is at the merge base, from where the head may have inherited it."""
        base = self.origin()
        if base == self.question.start:
            return None
        if untestable := state.why_untestable(base):
            why = f"whether the head ever had the bug is open: the merge base {untestable}"
            return Finish("not_fixed", boundary=base, why=why)
        tally = state.tally(base)
        if state.crashed(base):
            return None
        wanted = self._enough_runs(state) - tally.useful
        if wanted > 0 and tally.total < START_LIMIT and not state.opinions.settled(base):
            return Step("base", base, wanted)
        why = "the crash does not show at the merge base: the head may never have had the bug"
        return Finish("not_fixed", boundary=base, why=why)

    def _enough_runs(self, state: State) -> int:
        """Runs after which clean means good, at the crash rate of the start commit."""
        tally = state.tally(self.question.start)
        return _clean_runs((tally.crashes + 0.5) / (tally.useful + 1))

    def _head(self, state: State) -> Step | Finish | None:
        head = self.question.head
        if why := state.why_untestable(head):
            return Finish("not_fixed", boundary=head, why=f"the head {why}; name another with --head")
        step = self._edge(state, self.view(state), head, "head", {})
        if step is not None:
            return step
        older = self.view(state).belief.older
        if older <= 0.5:
            return None
        return Finish("not_fixed", boundary=head, confidence=older, why="the head still crashes")

    def _goods(self, state: State) -> Step | Finish | None:
        if not self.question.good:
            if self._releases:
                return None
            return Finish(
                "older_than_oldest", boundary=self.question.start, confidence=1.0, why="no release is below the start"
            )
        for commit in () if self.question.trusted else self.question.good:
            view = self.view(state)
            if why := state.why_untestable(commit):
                raise BisectionError(f"{commit[:12]} {why}; name another good revision")
            step = self._edge(state, view, commit, "release", {"release": self._name(commit)})
            if step is not None:
                return step
            if state.crashed(commit) and view.belief.older > 0.5:
                raise BisectionError(f"{commit[:12]} was said to be good, but crashes; name an older one with --good")
        return None

    def _edge(self, state: State, view: View, commit: str, phase: Phase, data: dict[str, Any]) -> Step | None:
        """A step at an end of the range while it is open whether the bug is there; None when that is known."""
        probability = view.belief.p_bug(view.range.index[commit])
        tally = state.tally(commit)
        if state.opinions.settled(commit):
            return None
        # What was run elsewhere may do for an end of the range: the answer does not rest on it alone.
        if not tally.useful and not tally.told["ok"] + tally.told["crash"] and tally.lost < EDGE_RUNS:
            return Step(phase, commit, self._edge_runs(view), data)
        if not SURE < probability < 1 - SURE or tally.total >= START_LIMIT:
            return None
        return Step(phase, commit, max(self.means.machines, self._edge_runs(view) // 2), data)

    def _edge_runs(self, view: View) -> int:
        """Runs after which clean means good, at the crash rate as it is believed to be."""
        return _clean_runs(view.belief.rate()[0])

    # The search.

    def view(self, state: State) -> View:
        """What is believed about the range of history; good until the next view."""
        question = self.question
        excluded: tuple[str, ...]
        if question.kind == "fix":
            origin = self.origin()
            tip, excluded = question.head, (origin,)
        else:
            origin = tip = question.start
            excluded = question.good or (self._releases[-1][1],)
        hinted = self._hinted(state) if question.priors else None
        compiled = self.means.compiled(question.start)
        return self.views.view(state, origin, tip, excluded, self.means.run_seconds, hinted, compiled)

    def _hinted(self, state: State) -> tuple[str, tuple[str, ...]] | None:
        """The range in which files are looked at: the whole one if its ends were named, else between two releases."""
        question = self.question
        if question.kind == "fix":
            return question.head, (self.origin(),)
        if question.good:
            return question.start, question.good
        bad, good = question.start, ""
        for test in state.tests:
            if _is_release(test) and test.mark is not None:
                if test.mark["verdict"] == "bad":
                    bad = test.commit
                elif test.mark["verdict"] == "good":
                    good = test.commit
                    break
        return (bad, (good,)) if good and self.history.is_ancestor(good, bad) else None

    def search(self, state: State, view: View) -> Step | Finish:
        """The next step where the start commit and the ends of the range are known."""
        found = answer(view.belief, self.question.target)
        if found is not None and found.status == "found":
            return self._confirm(state, view, found) or self.finish(state, view)
        if found is None and not self._stuck(state):
            step = self.next_test(state, view)
            if step is not None:
                return step
        return self.finish(state, view)

    def _stuck(self, state: State) -> bool:
        """Whether going on makes no sense: nearly all revisions that were tried last can't be built or booted, and the
        rest are no better; or so many tests were made that they must contradict each other."""
        if len(state.tests) >= MOST_TESTS:
            return True
        tried = list(dict.fromkeys(test.commit for test in state.tests if test.data["phase"] == "search"))[-STUCK:]
        untestable = state.untestable()
        return len(tried) == STUCK and sum(commit not in untestable for commit in tried) <= STUCK_BUT

    def _confirm(self, state: State, view: View, found: Answer) -> Step | None:
        """A test that the culprit or a parent of it still lacks."""
        share = CONFIRM_SHARE if self._shorter(state) else 1.0
        sure = 1 - CONFIRM_DOUBT * (1 - self.question.target)
        for index, runs in needs_confirmation(view.belief, found.commits[0], sure, share):
            commit = view.hash(index)
            # A parent beside the bug's history can't be made to crash, and no proof is worth any number of runs.
            proves = self.question.kind == "cause" or view.belief.doubt[index] <= SURE or index == found.commits[0]
            if commit not in state.untestable() and proves and state.tally(commit).total < CONFIRM_RUNS:
                seconds = view.exposure.seconds(share) if share < 1 else None
                return Step("confirm", commit, max(1, runs), self.step_data(state, view), seconds=seconds)
        return None

    def next_test(self, state: State, view: View) -> Step | None:
        """The most telling test. While nothing is known to be good only releases are tested: they are what builds
        and boots best in old trees, and by their weights the walk over them gallops."""
        costs = self._costs(state, view)
        releases = self._only_releases(state, view)
        phase: Phase = "search" if releases is None else "release"
        test = next_test(view.belief, costs, allowed=releases)
        if test is None and releases is not None and self._last_crash(state, view) != self.question.start:
            phase, test = "search", next_test(view.belief, costs)
        if test is None:
            return None
        return self._base_of(state, view, test) or self._step(state, view, phase, test)

    def _step(self, state: State, view: View, phase: Phase, test: Test) -> Step:
        data = self.step_data(state, view) | {
            "bits": round(test.information, 4),
            "expected_seconds": round(test.seconds, 1),
            "p_crash": round(test.probability, 4),
            "left_seconds": self._left(view, test.information, test.seconds),
        }
        if phase == "release":
            data["release"] = view.releases[test.revision]
        # Where runs end by themselves their usual length is no limit: the next one may take longer.
        seconds = test.run_seconds if self._shorter(state) else None
        return Step(phase, view.hash(test.revision), test.runs, data, seconds=seconds)

    def _only_releases(self, state: State, view: View) -> Bools | None:
        if self.question.kind == "fix" or self.question.good:
            return None
        if any(view.belief.p_bug(int(revision)) < 0.5 for revision in view.belief.state.tested):
            return None
        allowed = np.zeros(view.belief.dag.n, dtype=bool)
        allowed[list(view.releases)] = True
        return allowed

    def _base_of(self, state: State, view: View, test: Test) -> Step | None:
        """Fix: before a revision beside all that crashed, the merge base that tells whether it ever had the bug."""
        if self.question.kind != "fix" or view.belief.doubt[test.revision] <= SURE:
            return None
        for base in self.history.merge_bases(view.hash(test.revision), self.origin()):
            tally = state.tally(base)
            if state.opinions.settled(base):
                continue
            if base in view.range.index and base not in state.untestable() and tally.total < START_LIMIT:
                wanted = self._enough_runs(state) - tally.useful
                if wanted > 0 and not tally.crashes:
                    return Step("base", base, wanted, self.step_data(state, view))
        return None

    def finish(self, state: State, view: View) -> Finish:
        """The answer where no further test is worth its time. Raises BisectionError where there can be none."""
        found = answer(view.belief, self.question.target, final=True)
        cause = self.question.kind == "cause"
        if found is not None and found.status == "older_than_oldest":
            why = "the oldest tested release already has the bug" if cause else "the head still crashes"
            return self._older(state, view, why)
        if cause and not self.question.good and self._only_releases(state, view) is not None:
            if self._last_crash(state, view) == self.question.start:
                raise BisectionError(
                    "no release before the start commit builds and boots; name a good revision with --good"
                )
            return self._older(state, view, "what is older can't be tested")
        best = self.best(state)
        if found is not None and found.status == "found":
            return replace(best, status="found")
        return replace(best, why="no further test can tell these commits apart")

    def _older(self, state: State, view: View, why: str) -> Finish:
        fix = self.question.kind == "fix"
        boundary = self.question.head if fix else self._last_crash(state, view)
        status = "not_fixed" if fix else "older_than_oldest"
        return Finish(status, boundary=boundary, confidence=view.belief.older, why=why)

    def _last_crash(self, state: State, view: View) -> str:
        """The oldest release that crashed, the start if none did."""
        crashed = [index for index in view.releases if state.crashed(view.hash(index))]
        return view.hash(crashed[-1]) if crashed else self.question.start

    def _shorter(self, state: State) -> bool:
        """Whether clean runs may be ended early: only where they would go on to the limit anyway."""
        if self.means.full_length:
            return False
        return self.means.fixed_length or any(s >= 0.95 * self.means.run_seconds for s in state.run_seconds)

    def _costs(self, state: State, view: View) -> Costs:
        fresh = state.build_times()
        # The first build is a clean one and says little about the incremental ones that follow.
        build = float(np.median(fresh[1:])) if len(fresh) > 1 else max([*fresh, 1.0])
        seconds = np.full(len(view.range.hashes), build)
        for commit, fact in state.builds.items():
            if commit in view.range.index and not fact.error:
                seconds[view.range.index[commit]] = 0.0
        for commit, left in self.means.under_way().items():
            if commit in view.range.index:
                seconds[view.range.index[commit]] = min(left, build)
        shorter = self._shorter(state)
        run = float(np.median(state.run_seconds)) if state.run_seconds else self.means.run_seconds
        return Costs(
            build_seconds=seconds,
            run_seconds=self.means.run_seconds if shorter else run,
            machines=self.means.machines,
            boot_seconds=float(np.median(state.boot_seconds)) if state.boot_seconds else 0.0,
            exposure=view.exposure if shorter else None,
        )

    # What is told.

    def step_data(self, state: State, view: View) -> dict[str, Any]:
        """What is told when a test begins, as event data: the ends, what history hints at, what is believed."""
        return {"bounds": self._bounds(state, view), "effects": list(view.effects), **self._why(view)}

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
            "open_bits": round(_entropy(posterior), 4),
        }

    def _left(self, view: View, bits: float, seconds: float) -> float:
        """Seconds until the target, if each test teaches as much per second as the next one is expected to."""
        entropy = _entropy(view.belief.posterior)
        return round(entropy / max(bits, 1e-3) * seconds + 2 * seconds, 1)

    def _bounds(self, state: State, view: View) -> list[str]:
        """What ``git bisect start`` would be told: the known end and the other one."""
        if self.question.kind == "fix":
            return [self.question.head, self.origin()]
        bad, good = self.question.start, self.question.good[0] if self.question.good else ""
        for test in state.tests:
            if _is_release(test) and test.mark is not None and not good:
                verdict = test.mark["verdict"]
                bad, good = (test.commit if verdict == "bad" else bad), (test.commit if verdict == "good" else "")
        return [bad, good or view.hash(0)]

    def _name(self, commit: str) -> str:
        return self.history.tag(commit) or commit[:12]


def _clean_runs(rate: float) -> int:
    """Runs after which clean means good with about 97%, where the bug shows in this share of them."""
    return int(min(START_LIMIT, max(1, math.ceil(math.log(SURE / 2) / math.log1p(-min(rate, 0.999))))))


def _entropy(posterior: Floats) -> float:
    """Bits that are missing until the culprit is known."""
    weights = posterior[posterior > 0]
    return float(-(weights * np.log2(weights)).sum())


def _is_release(test: Tested) -> bool:
    """A test of the walk over the releases, here or elsewhere."""
    return bool(test.data["phase"] == "release" or (test.told and test.data.get("release")))
