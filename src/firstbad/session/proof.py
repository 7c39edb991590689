"""The proof of an answer: the start commit without the culprit (or with the fix) no longer crashes.

It is told beside the answer and changes no probability: a culprit that can't be reverted there is no less the
culprit, and one that a later commit repeats still crashes without it. Each fact is in the event log before it counts.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstbad.history.git import Commit
from firstbad.session.outcome import Run, run_event
from firstbad.session.pool import Batch, make_runs
from firstbad.session.rate import CrashRate, percent, seen_at
from firstbad.session.state import Trial, build_event
from firstbad.session.tally import Tally
from firstbad.vm import MachineRun

if TYPE_CHECKING:
    from firstbad.kernel.artifacts import Built
    from firstbad.session.bisection import Bisection

MOST_RUNS = 300  # of the proof; a bug that shows once in a hundred runs is not worth more time here


class Proof:
    """Proves one answer; what was done already is in the session's state."""

    def __init__(self, session: "Bisection", culprit: Commit) -> None:
        self.session, self.state, self.culprit = session, session.state, culprit
        self.start = session.question.start
        self.fix = session.job.kind == "fix"

    def make(self) -> None:
        """Build the start commit without the culprit, run it, and record what came of it as ``proof-mark``.

        Raises what the session raises.
        """
        if not self.state.proofs or self.state.proofs[-1].data["of"] != self.culprit.hash:
            self.session.record("proof", {"commit": self.start, "of": self.culprit.hash, "what": self._what()})
        proof = self.state.proofs[-1]
        if proof.mark is None:
            self.session.record("proof-mark", self._outcome(proof))

    def _what(self) -> str:
        return "fix" if self.fix else "revert"

    def _outcome(self, proof: Trial) -> dict[str, Any]:
        if len(self.culprit.parents) != 1:
            return _impossible("a merge is not reverted: all that it merged would go with it")
        built = self.session.make(replace(self.session.request(self.start), patch=self._patch()))
        if proof.build is None:
            self.session.record("proof-build", build_event(built))
        if built.error:
            return _impossible(built.error)
        rate = CrashRate(seen_at(self.state, self.start), self.session.means)
        self._run(proof, built, lambda: self._wanted(proof.tally, rate), rate.seconds)
        return self._verdict(proof.tally, rate)

    def _patch(self) -> bytes:
        parent, commit = self.culprit.parents[0], self.culprit.hash
        return self.session.repo.difference(*((parent, commit) if self.fix else (commit, parent)))

    def _wanted(self, tally: Tally, rate: CrashRate) -> int:
        if tally.crashes or tally.boots is False or tally.drowned:
            return 0
        return min(rate.runs_until(tally, 1 - self.session.question.target, True), MOST_RUNS - tally.total)

    def _run(self, proof: Trial, built: "Built", wanted: Callable[[], int], seconds: float | None) -> None:
        def judged(done: MachineRun, wall: float, _: Path) -> Run:
            run = self.session.read(done, seconds)
            self.session.record("proof-run", run_event(run, done, wall))
            return run

        console = f"{self.start[:12]}-{self._what()}-{self.culprit.hash[:8]}"
        while (runs := wanted()) > 0:
            batch = Batch(built, console, self.session.machine(seconds), judged)
            make_runs(self.session, batch, proof.tally.total, runs, lambda _: wanted() <= 0)

    def _verdict(self, tally: Tally, rate: CrashRate) -> dict[str, Any]:
        how = "with the fix" if self.fix else "with the culprit reverted"
        if tally.crashes:
            why = f"{how} the start commit still crashes ({tally.crashes} of {tally.useful} runs)"
            return {"verdict": "still", "why": why}
        if tally.boots is False or not tally.useful:
            return _impossible(
                f"{how} the start commit " + ("does not boot" if tally.boots is False else "has no runs")
            )
        chance = rate.chance_unseen(tally, True)
        enough = chance <= 1 - self.session.question.target
        why = f"{how} the start commit did not crash in {tally.useful} runs; "
        why += f"if the bug were there, the chance of that is {percent(chance)}"
        return {"verdict": "gone" if enough else "unsure", "why": why, "chance": float(f"{chance:.3g}")}


def _impossible(why: str) -> dict[str, Any]:
    return {"verdict": "impossible", "why": f"not proved by a revert: {why}"}
