"""Does one revision, maybe with a patch, still crash? The decisions of ``firstbad test``.

A clean run says only so much: the answer is how probable so many of them are if the bug is there, at the crash rate
that another job learned where the bug is, that is measured first, or that is assumed.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

from firstbad.errors import BisectionError, UserError
from firstbad.history.base import History
from firstbad.inference import Evidence, Exposure
from firstbad.inference.unseen import (
    assumed_law,
    chance_unseen,
    learned_laws,
    rate_interval,
    runs_until,
    usual_rate,
)
from firstbad.job import Job
from firstbad.session.decide import CONFIRM_SHARE, Decider, Finish, Means, Step
from firstbad.session.outcome import to_event
from firstbad.session.question import Question
from firstbad.session.state import State, Tally, fold
from firstbad.session.view import MODEL
from firstbad.store import Store

_FACES = 20  # of the bug that are taken over from another job
_REASONS = {
    "build": "does not build",
    "boot": "does not boot",
    "lost": "crashes with other bugs only",
    "reach": "does not come near the code of the crash",
}


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
        commit, law = self.question.start, _Law(state, self.job, self.means)
        tally, untestable = state.tally(commit), state.untestable().get(commit)
        patched = bool(self.job.test.patch)
        if tally.crashes:
            return self._crashes(state)
        if untestable and not (patched and untestable == "reach"):
            error = state.builds[commit].error if untestable == "build" else ""
            raise BisectionError(f"{commit[:12]} {_REASONS[untestable]}{f': {error}' if error else ''}")
        here = law.evidence(tally, patched)
        wanted = min(runs_until(law.laws, here, 1 - self.job.target, law.share), self._left(state))
        if wanted:
            return Step("test", commit, wanted, law.data(), seconds=law.seconds)
        chance = chance_unseen(law.laws, here)
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
        crash = next(run for test in state.tests for run in test.runs if run.outcome == "crash")
        why = f"still crashes: {crash.title}, in {tally.crashes} of {tally.useful} runs"
        return Finish("crashes", confidence=crash.same, why=why, more=self._counts(state))

    def _counts(self, state: State) -> dict[str, Any]:
        tally, crashed = state.tally(self.question.start), ""
        for run in (run for test in state.tests for run in test.runs if run.outcome == "crash"):
            crashed = crashed or run.title
        return {
            "tested": self.question.start,
            "patched": bool(self.job.test.patch),
            "crashes": tally.crashes,
            "clean": tally.useful - tally.crashes,
            "other": tally.lost,
            "unreached": tally.unreached,
            "crash_title": crashed,
        }


class _Law:
    """How often the bug shows, from the best that is known of it."""

    def __init__(self, state: State, job: Job, means: Means) -> None:
        self.state, self.job, self.means = state, job, means
        known = state.learned or {}
        self.exposure = Exposure(known.get("crash_seconds", []), means.run_seconds)
        self.seen = Evidence(
            known.get("crashes", 0), known.get("clean", 0), cut=self.exposure.shares(known.get("cut", []))
        )
        took = [*known.get("run_seconds", []), *state.run_seconds]
        # Clean runs are ended early only where they go on to the limit anyway and where crashes told their times.
        cut = known and not means.full_length and any(s >= 0.95 * means.run_seconds for s in took)
        self.share = CONFIRM_SHARE if cut else 1.0
        self.seconds = self.exposure.seconds(CONFIRM_SHARE) if cut else None

    def evidence(self, tally: Tally, patched: bool) -> Evidence:
        """The runs of the revision. A patch may well fix a bug by keeping everybody away from it: then a run that did
        not come near the crash's code is as good as another, elsewhere it has tested nothing."""
        if not patched or not tally.unreached:
            return tally.evidence(self.exposure)
        runs, share = tally.unreached, self.share
        more = Evidence(clean=runs) if share >= 1 else Evidence(cut=((share, runs),))
        return Evidence(tally.crashes, tally.clean, cut=self.exposure.shares(tally.cut)).plus(more)

    @cached_property
    def laws(self) -> Any:
        if self.state.learned is not None:
            return learned_laws(MODEL.laws, self.seen)
        return assumed_law(self.job.test.rate or usual_rate(MODEL))

    def data(self) -> dict[str, Any]:
        """The crash rate (mean and 90% interval), and where it is from."""
        return {"rate": [round(value, 3) for value in rate_interval(self.laws)], "rate_from": self._origin()}

    def _origin(self) -> str:
        known = self.state.learned
        if known is not None:
            runs = known["crashes"] + known["clean"] + len(known["cut"])
            return f"{known['crashes']} of {runs} runs crashed at {known['start'][:12]} in job {known['job']}"
        if self.job.test.rate:
            return "said by you"
        return "assumed: nine in ten bugs of past bisections crash at least as often"


def learned(store: Store, number: int) -> dict[str, Any]:
    """What a job knows of its bug, as event data: the runs at its start commit, with which configuration, the bug's
    faces and its stack.

    Raises UserError where it never saw the bug.
    """
    stored = store.job(number)
    state = fold(store.events(number), stored.job.title)
    start = state.started[0]["start"] if state.started else ""
    tally = state.tally(start)
    if state.bug is None or not tally.crashes:
        raise UserError(f"job {number} did not see the bug at its start commit; measure it with --start")
    faces = [
        to_event(run)
        for test in state.tests
        for run in test.runs
        if test.commit == start and run.outcome == "crash" and run.report is not None
    ]
    return {
        "job": number,
        "start": start,
        "crashes": tally.crashes,
        "clean": tally.clean,
        "cut": tally.cut,
        "crash_seconds": state.crash_seconds,
        "run_seconds": state.run_seconds,
        "config": state.config,
        "crash": state.crash,
        "titles": list(state.bug.titles),
        "faces": list({(face["title"], *face["report"]["frames"]): face for face in faces}.values())[:_FACES],
    }


def percent(chance: float) -> str:
    """``0.3%``, ``12%``, ``0.0004%``: two digits that count."""
    return f"{float(f'{100 * chance:.2g}'):.10f}".rstrip("0").rstrip(".") + "%"
