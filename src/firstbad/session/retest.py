"""Does one revision, maybe with a patch, still crash? The decisions of ``firstbad test``.

A clean run says only so much: the answer is how probable so many of them are if the bug is there, at the crash rate
that another job learned where the bug is, that is measured first, or that is assumed.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from firstbad.errors import BisectionError, UserError
from firstbad.history.base import History
from firstbad.job import Job
from firstbad.session.decide import Decider
from firstbad.session.outcome import Run, to_event
from firstbad.session.question import Question
from firstbad.session.rate import CrashRate, percent, seen_at
from firstbad.session.result import Jobs
from firstbad.session.state import State, fold
from firstbad.session.steps import Finish, Means, Step

_FACES = 20  # of the bug that are taken over from another job


class Tester:
    """Proposes the next runs of a test, as `Decider` does for a bisection."""

    def __init__(self, history: History, question: Question, means: Means, job: Job) -> None:
        self.question, self.means, self.job = question, means, job
        # What is asked of a start commit is the same; no history is looked at for that.
        self._start = Decider(history, replace(question, good=(question.start,)), means)

    def propose(self, state: State) -> Step | Finish:
        """The next step. Raises BisectionError when the revision can't be tested."""
        if self.job.test.measure:
            return self._start.check_start(state) or self._measured(state)
        return self._test(state)

    def start_is_known(self, state: State) -> bool:
        """Whether the runs so far say which bug this is."""
        if self.job.test.measure:
            return self._start.start_is_known(state)
        return bool(state.tally(self.question.start).crashes)

    def so_far(self, state: State) -> Finish:
        """What the runs say where the time is over: nothing that is sure enough."""
        tally = state.tally(self.question.start)
        why = f"no time left after {tally.useful} runs that say something; nothing follows"
        return Finish("budget", why=why, more=self._counts(state))

    def judge(self, state: State, step: Step) -> dict[str, Any]:
        """What the runs of a step say."""
        tally = state.tally(step.commit)
        if step.commit in state.untestable() or not tally.useful:
            return {"verdict": "skip"}
        return {"verdict": "bad" if tally.crashes else "good"}

    def _measured(self, state: State) -> Finish:
        tally = state.tally(self.question.start)
        why = f"crashed in {tally.crashes} of {tally.useful} runs"
        return Finish("crashes", confidence=1.0, why=why, more=self._counts(state))

    def _test(self, state: State) -> Step | Finish:
        commit = self.question.start
        law = CrashRate(state.learned, self.means, state.run_seconds, self.job.test.rate)
        tally, untestable = state.tally(commit), state.untestable().get(commit)
        patched = bool(self.job.test.patch)
        if tally.crashes:
            return self._crashes(state)
        if untestable and not (patched and untestable == "reach"):
            raise BisectionError(f"{commit[:12]} {state.why_untestable(commit)}")
        wanted = min(law.runs_until(tally, 1 - self.job.target, patched), self._left(state))
        if wanted:
            return Step("test", commit, wanted, law.data(), seconds=law.seconds)
        chance = law.chance_unseen(tally, patched)
        enough = chance <= 1 - self.job.target
        seen = tally.useful + patched * tally.unreached
        why = f"not seen in {seen} runs; if the bug were there, the chance of that is {percent(chance)}"
        more = {**self._counts(state), **law.data(), "chance": float(f"{chance:.3g}")}
        if not enough:
            why += f"; no more than {self.job.test.runs} runs were allowed, so that nothing follows"
        return Finish("not_seen" if enough else "unsure", confidence=1 - chance, why=why, more=more)

    def _left(self, state: State) -> int:
        """Runs that may still be made; those lost to something else count half."""
        tally = state.tally(self.question.start)
        return max(0, self.job.test.runs - tally.useful - tally.unreached - (tally.lost + tally.boot) // 2)

    def _crashes(self, state: State) -> Finish:
        tally = state.tally(self.question.start)
        crash = next(_crashed(state))
        why = f"still crashes: {crash.title}, in {tally.crashes} of {tally.useful} runs"
        return Finish("crashes", confidence=crash.same, why=why, more=self._counts(state))

    def _counts(self, state: State) -> dict[str, Any]:
        tally = state.tally(self.question.start)
        return {
            "tested": self.question.start,
            "patched": bool(self.job.test.patch),
            "crashes": tally.crashes,
            "clean": tally.useful - tally.crashes,
            "other": tally.lost,
            "unreached": tally.unreached,
            "crash_title": next((run.title for run in _crashed(state) if run.title), ""),
        }


def _crashed(state: State) -> Iterator[Run]:
    """The runs that showed the bug."""
    return (run for test in state.tests for run in test.runs if run.outcome == "crash")


def learned(store: Jobs, number: int) -> dict[str, Any]:
    """What a job knows of its bug, as event data: the runs at its start commit, with which configuration, the bug's
    faces and its stack.

    Raises UserError where it never saw the bug.
    """
    stored = store.job(number)
    state = fold(store.events(number), stored.job.title)
    start = state.started[0]["start"] if state.started else ""
    if state.bug is None or not state.tally(start).crashes:
        raise UserError(f"job {number} did not see the bug at its start commit; measure it with --start")
    faces = [
        to_event(run)
        for test in state.tests
        for run in test.runs
        if test.commit == start and run.outcome == "crash" and run.report is not None
    ]
    return {
        "job": number,
        **seen_at(state, start),
        "config": state.config,
        "crash": state.crash,
        "probe": state.probes.get(start),
        "titles": list(state.bug.titles),
        "faces": list({(face["title"], *face["report"]["frames"]): face for face in faces}.values())[:_FACES],
    }
