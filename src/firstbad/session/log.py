"""The bisection log of a job, rendered from its events as far as they go."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from firstbad.job import Job
from firstbad.report import LogWriter
from firstbad.session.config_words import config_words
from firstbad.session.outcome import Run
from firstbad.session.reach import REACH_UNKNOWN, reach_line
from firstbad.session.state import State, Test, fold
from firstbad.store import Event


@dataclass
class _Block:
    """One revision as the log shows it: tests of it that followed each other directly are one."""

    tests: list[Test] = field(default_factory=list)

    @property
    def data(self) -> dict[str, Any]:
        return self.tests[0].data

    @property
    def runs(self) -> list[Run]:
        return [run for test in self.tests for run in test.runs]

    @property
    def mark(self) -> dict[str, Any] | None:
        return self.tests[-1].mark


def bisection_log(job: Job, events: Sequence[Event]) -> str:
    """The log in the format that bisection logs of the kernel have had since 2019.

    Lines of our own begin with ``# firstbad:`` and say what was believed before and after a test. For a job that is
    the test of one revision there is no such format: what was run stands between lines of our own.
    """
    state = fold(events, job.title)
    return _Renderer(job, state, events).render()


class _Renderer:
    def __init__(self, job: Job, state: State, events: Sequence[Event]) -> None:
        self.job, self.state, self.events = job, state, events
        self.writer = LogWriter()
        self.flaky = False
        self.searching = False
        self.told: set[str] = set()

    def render(self) -> str:
        if not self.state.started:
            return ""
        started = self.state.started[0]
        if self.job.kind == "test":
            self.writer.note(f"test of {started['start']}{' with a patch' if self.job.test.patch else ''}")
        else:
            self.writer.begin(self.job.kind, started["start"])
        if "syzkaller" in started:
            self.writer.tool(started["syzkaller"])
        if "rewritten" in started:
            self.writer.note(f"{started['rewritten']} does not exist; {started['start']} has its title")
        self._configuration()
        for block in _blocks(self.state.tests):
            self._test(block)
        for opinion in self.state.opinions.said:
            self.writer.note(opinion.words())
        if self.state.finished:
            self._finish(self.state.finished)
        elif self.state.budget:
            self._out_of_time(self.state.budget)
        elif self.events[-1].kind == "failed":
            self._failed(self.events[-1].data["error"])
        return self.writer.text()

    def _configuration(self) -> None:
        """The start commit with the job's own configuration, then what was tried of others."""
        chosen, self.state.builds = self.state.builds, self.state.own_builds
        for block in _blocks(self.state.before):
            self._test(block)
        self.state.builds = chosen
        if self.state.before:
            self._note_configuration()

    def _note_configuration(self) -> None:
        for words in config_words(self.state):
            self.writer.note(words)

    def _test(self, block: _Block) -> None:
        data = block.data
        if data["phase"] == "release":
            self.writer.testing_release(data["release"])
            self._before(data)
        elif data["phase"] == "head":
            self.writer.testing_head(data["commit"])
            self._before(data)
        elif data["phase"] in ("search", "confirm"):
            self._announce(data)
        build = self.state.builds.get(data["commit"])
        if block.tests[0].told:
            self._told(block)
            return
        if build is None:
            return
        outcomes = [run.verdict() for run in block.runs]
        self.writer.test(data["commit"], build.compiler, build.signature or None, outcomes, build.error or None)
        for fix in build.fixes:
            self.writer.note(f"built with the fix {fix}")
        if block.tests[-1].same_as:
            self.writer.note(f"same kernel as {block.tests[-1].same_as}, not run again")
        self._strangers(block)
        self._reach(block)
        self._verdict(block)
        if data["phase"] == "initial" and self.state.trials and not self.state.before:
            self._note_configuration()
        for test in block.tests:
            for built in test.verified:
                self.writer.note(_verification(built))

    def _told(self, block: _Block) -> None:
        """What was run elsewhere and imported: no test of ours, so old readers pass over it."""
        for test in block.tests:
            counts = Counter(run.verdict() for run in test.runs)
            runs = ", ".join(f"{number} x {verdict}" for verdict, number in counts.most_common()) or "no runs"
            self.writer.note(f"imported from {test.data['told']}: {test.commit} {(test.mark or {})['verdict']}: {runs}")

    def _announce(self, data: dict[str, Any]) -> None:
        if not self.searching:
            self.searching = True
            self.writer.bisect_start(*data["bounds"])
            for effect in data["effects"]:
                self.writer.note(f"prior: {effect}")
        left = max(0, data["left90"] - 1)
        self.writer.remaining(left // 2, math.ceil(math.log2(left + 1)) if left else 0, data["commit"], data["title"])
        self._before(data)

    def _before(self, data: dict[str, Any]) -> None:
        """What was believed before a test, and what is hoped for."""
        if "left90" not in data:
            return
        why = f"before: {_belief(data)}"
        if data["phase"] == "confirm":
            why += "; this test confirms the answer"
        elif "bits" in data:
            why += f"; this test: {data['bits']:.2f} bits expected in {data['expected_seconds']:.0f} s"
        self.writer.note(why)

    def _strangers(self, block: _Block) -> None:
        for run in {run.title: run for run in block.runs if run.outcome == "other"}.values():
            self.writer.note(f"not counted: {run.title}: {run.why} (the bug with probability {run.same:.2f})")

    def _reach(self, block: _Block) -> None:
        commit = block.data["commit"]
        away = self.state.probes.get(commit, {}).get("away", [])
        text = reach_line(self.state.aims.get(commit, {}), block.runs, away)
        if text and text not in self.told:
            self.writer.note(text)
        if text.startswith(REACH_UNKNOWN):  # a kernel that can't tell is told of once
            self.told.add(text)

    def _verdict(self, block: _Block) -> None:
        mark = block.mark
        if mark is None or self.job.kind == "test":
            return
        crashed = sum(run.outcome == "crash" for run in block.runs)
        if mark["verdict"] == "bad" and crashed * 2 < len(block.runs) and not self.flaky:
            self.flaky = True
            self.writer.seems_flaky()
        if "p_bug" in mark and block.data["phase"] != "initial":
            belief = f"{_belief(mark)}{_learned(block.data, mark)}"
            self.writer.note(f"after: the bug is here with probability {mark['p_bug']:.4f}; {belief}")
        if mark["verdict"] == "skip" and (why := self.state.why_untestable(block.data["commit"])):
            self.writer.note(f"skipped: it {why}")
        if block.data["phase"] in ("search", "confirm"):
            self.writer.mark(self._word(mark["verdict"]), block.data["commit"])

    def _word(self, verdict: str) -> Literal["good", "bad", "skip"]:
        # In a fix bisection git looks for the first commit without the crash: that is its "bad".
        if self.job.kind == "fix":
            verdict = {"good": "bad", "bad": "good"}.get(verdict, verdict)
        return cast(Literal["good", "bad", "skip"], verdict)

    def _finish(self, data: dict[str, Any]) -> None:
        if self.job.kind == "test":
            if "rate" in data:
                self.writer.note(f"crash rate {data['rate'][0]:.3f} ({data['rate_from']})")
            self.writer.note(data["why"])
            self._totals()
            return
        side: Literal["bad", "good"] = "bad" if self.job.kind == "cause" else "good"
        if data["status"] == "found":
            self.writer.culprit(data["show"])
            self._signatures(data)
        elif len(data["commits"]) > 1 and all(self._untestable(commit) for commit in data["commits"][1:]):
            self.writer.only_skipped(data["commits"])
        self._totals()
        if data["status"] == "found":
            self.writer.note(f"probability {data['confidence']:.6f}")
            if "proof" in data:
                self.writer.note(data["proof"]["why"])
            for claim in data.get("claims", []):
                self.writer.note(f"{claim['commit']} says that it {claim['kind']} this commit: {claim['title']}")
            self.writer.found(data["commits"][0], data["title"], side)
            self.writer.recipients(data["to"], data["cc"])
            self._crash()
        elif data["status"] == "candidates":
            self.writer.candidates(data["commits"], side)
        elif data["status"] == "not_fixed":
            self.writer.not_fixed(self._title(self.state.started[0]["head"]))
        else:
            self.writer.older(self._title(data["boundary"]))
            self._crash()

    def _out_of_time(self, data: dict[str, Any]) -> None:
        self._totals()
        self.writer.note(data["why"])
        if data["commits"] and self.job.kind != "test":
            self.writer.note(f"probability {data['confidence']:.6f} that it is one of these")
            self.writer.candidates(data["commits"], "bad" if self.job.kind == "cause" else "good")

    def _failed(self, error: str) -> None:
        if "wasn't reproduced" in error:
            self.writer.not_reproduced()
        else:
            self.writer.error(error)

    def _signatures(self, data: dict[str, Any]) -> None:
        own = self.state.builds.get(data["commits"][0])
        for parent in data["parents"][:1]:
            other = self.state.builds.get(parent)
            if own and other and other.signature:
                self.writer.signatures(own.signature, other.signature)

    def _totals(self) -> None:
        if self.flaky:
            self.writer.flaky()
        build, test = self.state.build_seconds(), self.state.test_seconds()
        self.writer.totals(self.state.revisions_tested(), build, test)

    def _crash(self) -> None:
        if self.job.kind == "cause" and self.state.crash:
            self.writer.crash(self.state.crash["title"], self.state.crash["report"])

    def _untestable(self, commit: str) -> bool:
        return commit in self.state.untestable()

    def _title(self, commit: str) -> str:
        return next((test.data["title"] for test in self.state.tests if test.commit == commit), commit)


def _blocks(tests: Sequence[Test]) -> list[_Block]:
    blocks: list[_Block] = []
    for test in tests:
        if test is not tests[-1] and not (test.runs or test.mark or test.same_as):
            continue  # a session that was killed had only just begun it, beside others
        if blocks and blocks[-1].data["commit"] == test.commit and blocks[-1].tests[0].told == test.told:
            blocks[-1].tests.append(test)
        else:
            blocks.append(_Block([test]))
    return blocks


def _verification(built: dict[str, Any]) -> str:
    commit = built["commit"]
    if built["same"]:
        return f"verified: a clean build of {commit} has the same signature"
    now = built["signature"] or f"none, it does not build: {built['error']}"
    return (
        f"not verified: the signature of {commit} was {built['before']}, that of a clean build is {now}; "
        "its runs above do not count"
    )


def _belief(data: dict[str, Any]) -> str:
    rate = data["rate"]
    return (
        f"{data['left90']} commits hold 90%, most likely {data['best']} ({data['best_probability']:.4f}), "
        f"crash rate {rate[0]:.3f}"
    )


def _learned(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What a test taught: by how much it brought down what is open. Less than nothing where it surprised."""
    if "open_bits" not in before or "open_bits" not in after:
        return ""
    gained = before["open_bits"] - after["open_bits"]
    return f"; learned {gained:.2f} bits, {after['open_bits']:.2f} are open"
