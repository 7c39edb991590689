"""A job's events as the record that other programs read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from firstbad.errors import FirstbadError
from firstbad.history.git import Repo
from firstbad.job import Job
from firstbad.report.record import BuildRecord, JobRecord, RevisionRecord, RunRecord, Verdict
from firstbad.session.outcome import Run
from firstbad.session.state import State, Test, fold
from firstbad.session.story import last_failure, wall_seconds, work_events
from firstbad.store import Event, StoredJob

_URL = re.compile(r"https://(?:[^@/\s]*@)?([^\s\x00-\x1f]{1,500})")


def record_of(stored: StoredJob, events: Sequence[Event], answer: Mapping[str, Any]) -> JobRecord:
    """The record of a job as far as it is. ``answer``: what is printed of it as JSON."""
    return _Recorder(stored, work_events(events)).record(answer)


class _Recorder:
    def __init__(self, stored: StoredJob, events: Sequence[Event]) -> None:
        self.stored, self.events = stored, events
        self.job: Job = stored.job
        self.state: State = fold(events, self.job.title)

    def record(self, answer: Mapping[str, Any]) -> JobRecord:
        state, job = self.state, self.job
        crash = state.crash or {}
        failed = last_failure(self.events)
        machines = next((event.data for event in self.events if event.kind == "machines"), {})
        return JobRecord(
            job=self.stored.id,
            kind=job.kind,
            name=job.name,
            arch=job.build.arch,
            began=self.stored.created,
            start=str(state.started[0]["start"]) if state.started else job.commit,
            crash_title=str(crash.get("title") or (state.bug.titles[0] if state.bug else job.title)),
            crash_report=str(crash.get("report", "")),
            answer=answer,
            seconds=wall_seconds(self.events),
            revisions=tuple(self._revision(commit) for commit in dict.fromkeys(test.commit for test in self._tests())),
            error=str(failed["error"]) if failed is not None else "",
            version=self.events[-1].seq if self.events else 0,
            repository=_public_url(Repo(job.repo)),
            patch=job.test.patch.encode("latin-1"),
            cpus=job.machine.cpus,
            memory_mb=job.machine.memory_mb,
            machines=str(machines.get("acceleration", "")),
            project=job.project is not None,
        )

    def _tests(self) -> list[Test]:
        return [test for test in self.state.tests if test.data["phase"] != "evidence"]

    def _revision(self, commit: str) -> RevisionRecord:
        tests = [test for test in self._tests() if test.commit == commit]
        runs = [run for test in tests if not test.void for run in test.runs]
        marks = [test.mark for test in tests if test.mark is not None]
        verdict, reason = self._verdict(commit, marks[-1] if marks else None, runs)
        build = self._build(commit)
        return RevisionRecord(
            hash=commit,
            title=str(tests[0].data["title"]),
            verdict=verdict,
            reason=reason,
            p_bug=(marks[-1] if marks else {}).get("p_bug"),
            release=next((str(test.data["release"]) for test in tests if "release" in test.data), ""),
            build=build,
            runs=self._runs(commit, runs),
            seconds=sum(test.seconds for test in tests) + (build.seconds if build else 0.0),
            began=next((e.time for e in self.events if e.kind == "test" and e.data["commit"] == commit), None),
        )

    def _verdict(self, commit: str, mark: Mapping[str, Any] | None, runs: Sequence[Run]) -> tuple[Verdict, str]:
        if runs and all(run.outcome == "infra" for run in runs) and commit not in self.state.skipped:
            return "error", runs[0].title
        if mark is None:
            return "", ""
        if mark["verdict"] != "skip":
            same = self.state.same.get(commit, "")
            return mark["verdict"], f"the same kernel as {same[:12]}" if same and not runs else ""
        return "skip", self.state.why_untestable(commit) or "its runs gave no verdict"

    def _build(self, commit: str) -> BuildRecord | None:
        fact = self.state.builds.get(commit)
        if fact is None:
            return None
        found = [e for e in self.events if e.kind in ("build", "verify") and e.data["commit"] == commit]
        event = next((e for e in reversed(found) if e.data.get("signature") == fact.signature), None)
        return BuildRecord(
            ok=not fact.error,
            compiler=fact.compiler,
            signature=fact.signature,
            error=fact.error,
            seconds=0.0 if fact.cached else fact.seconds,
            began=event.time - fact.seconds if event is not None and not event.data["cached"] else None,
            config=str(event.data.get("config", "")) if event is not None else "",
            fixes=tuple(fact.fixes),
        )

    def _runs(self, commit: str, runs: Sequence[Run]) -> tuple[RunRecord, ...]:
        """The runs, with when each began where the events tell: not for those of a try with another configuration."""
        told = [e for e in self.events if e.kind == "run" and e.data["commit"] == commit]
        times: list[float | None] = [None] * len(runs)
        if len(told) == len(runs):
            times = [e.time - e.data["boot_seconds"] - e.data["run_seconds"] for e in told]
        return tuple(
            RunRecord(run.outcome, run.title, run.why, run.report.report if run.report else "", run.seconds, began)
            for run, began in zip(runs, times, strict=True)
        )


def _public_url(repo: Repo) -> str:
    """Where the repository was cloned from, if everybody may: https, and nothing of a user's name or password."""
    try:
        found = _URL.fullmatch(repo.git("config", "--get", "remote.origin.url", check=False).strip())
    except FirstbadError:
        return ""
    return f"https://{found[1]}" if found else ""
