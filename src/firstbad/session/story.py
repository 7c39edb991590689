"""A job's events and its repository as one story, for every kind of report."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from firstbad.errors import FirstbadError
from firstbad.history.git import Repo
from firstbad.history.graph import titles
from firstbad.home import Home
from firstbad.job import Job
from firstbad.report.maintainers import recipients_of_commit
from firstbad.report.maintainers_file import Maintainers
from firstbad.report.story import Belief, Candidate, Claim, Culprit, Revision, Step, Story, Strip
from firstbad.session.details import details_of
from firstbad.session.narrowing import narrowing
from firstbad.session.outcome import outcome_words
from firstbad.session.reach import reach_line
from firstbad.session.state import State, Test, fold
from firstbad.session.tally import Tally
from firstbad.store import Event, StoredJob

FEW = 5  # candidates whose people are looked up
# Events that tell of what became of an answer; the work on the job ended before them.
AFTERWARDS = ("mail", "told")


def work_events(events: Sequence[Event]) -> list[Event]:
    """The events of the work on a job, without those that tell who was told of it."""
    return [event for event in events if event.kind not in AFTERWARDS]


def wall_seconds(events: Sequence[Event]) -> float:
    """Time from start to end without the breaks between an interruption and the resume after it."""
    total = 0.0
    for before, after in pairwise([event for event in work_events(events) if event.kind != "opinion"]):
        if after.kind not in ("started", "failed"):
            total += after.time - before.time
    return total


def last_failure(events: Sequence[Event]) -> dict[str, Any] | None:
    """What the last session said when it could not give an answer, as event data; None where it did not fail."""
    last = next((event for event in reversed(events) if event.kind in ("started", "failed")), None)
    return last.data if last is not None and last.kind == "failed" else None


def tell(
    home: Home, stored: StoredJob, events: Sequence[Event], picture: bool = True, state: State | None = None
) -> Story:
    """The story of a job as far as it is. ``picture``: with the belief over the history, which takes seconds where the
    events are older than ``session/sketch.py``. ``state``: what the events come to, if that is known.

    A repository that is gone or has changed leaves out what it would have told, with a note.
    """
    return _Teller(home, stored, events, state).story(picture)


class _Teller:
    def __init__(self, home: Home, stored: StoredJob, events: Sequence[Event], state: State | None) -> None:
        self.home, self.stored, self.events = home, stored, work_events(events)
        self.job: Job = stored.job
        self.repo = Repo(self.job.repo)
        self.state: State = state or fold(self.events, self.job.title)
        failed = last_failure(self.events)
        why = {"why": failed["error"]} if failed is not None else {}
        self.finished: dict[str, Any] = self.state.finished or self.state.budget or why
        self.notes: list[str] = []

    def story(self, picture: bool) -> Story:
        """All of it."""
        state, finished, job = self.state, self.finished, self.job
        started = state.started[0] if state.started else {}
        belief, strips = self._belief() if picture else (None, {})
        culprit = self._culprit() if finished.get("status") == "found" else None
        candidates = self._candidates()
        to, cc = self._recipients(candidates)
        crash = state.crash or {}
        proof = finished.get("proof", {})
        first = state.builds.get(str(started.get("start", "")))
        return Story(
            job=self.stored.id,
            kind=job.kind,
            name=job.name,
            repo=job.repo.name,
            arch=job.build.arch,
            private=job.private,
            start=str(started.get("start", "")),
            start_title=self._title(str(started.get("start", ""))),
            status=str(finished.get("status", "unfinished")),
            why=str(finished.get("why", "")),
            confidence=float(finished.get("confidence", 0.0)),
            limit=job.report.confidence,
            boundary=str(finished.get("boundary", "")),
            crash_title=str(
                crash.get("title") or (state.bug.titles[0] if state.bug and state.bug.titles else job.title)
            ),
            crash_report=str(crash.get("report", "")),
            candidates=candidates,
            culprit=culprit,
            crash_rate=self._rate(),
            foreign=job.kind == "fix" and self._foreign(started),
            proof=str(proof.get("verdict", "")),
            proof_why=str(proof.get("why", "")),
            steps=self._steps(strips),
            revisions=self._revisions(),
            belief=belief,
            to=to,
            cc=cc,
            compiler=first.compiler if first else "",
            machines=self._machines(),
            runs=state.runs(),
            tested=state.revisions_tested(),
            wall_seconds=wall_seconds(self.events),
            build_seconds=state.build_seconds(),
            test_seconds=state.test_seconds(),
            rejected=state.opinions.rejected(),
            opinions=tuple(f"{_day(one.time)}: {one.words()}" for one in state.opinions.said),
            notes=tuple(self.notes),
            project=job.project is not None,
        )

    def _belief(self) -> tuple[Belief | None, dict[int, Strip]]:
        try:
            return narrowing(self.home, self.job, self.events)
        except FirstbadError as error:
            self.notes.append(f"no picture of the history: {error}")
            return None, {}

    def _culprit(self) -> Culprit:
        finished = self.finished
        known = Culprit(
            finished["commits"][0],
            finished["title"],
            message=finished.get("show", ""),
            parents=tuple(finished.get("parents", ())),
            is_merge=bool(finished.get("is_merge")),
            noop=bool(finished.get("noop")),
            claims=tuple(Claim(one["commit"], one["kind"], one["title"]) for one in finished.get("claims", ())),
        )
        kept: dict[str, Any] = finished.get("details", {})
        try:
            return _detailed(known, kept or details_of(self.repo, self.job, known.hash))
        except FirstbadError as error:
            self.notes.append(f"no diff of the culprit: {error}")
            return known

    def _candidates(self) -> tuple[Candidate, ...]:
        commits, probabilities = self.finished.get("commits", []), self.finished.get("probabilities", [])
        if not commits or self.job.kind == "test":
            return ()
        names: dict[str, str] = dict(self.finished.get("titles", {}))
        try:
            names = names or titles(self.repo, commits[:1000])
        except FirstbadError as error:
            self.notes.append(f"no titles of the candidates: {error}")
        names.setdefault(commits[0], self.finished.get("title", ""))
        return tuple(Candidate(c, names.get(c, ""), p) for c, p in zip(commits, probabilities, strict=True))

    def _recipients(self, candidates: tuple[Candidate, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Whom the answer names; of a few candidates those whom any of them names."""
        if "to" in self.finished or not 0 < len(candidates) <= FEW:
            return tuple(self.finished.get("to", ())), tuple(self.finished.get("cc", ()))
        to, cc = set[str](), set[str]()
        try:
            text = self.repo.blob(self.state.started[0]["start"], "MAINTAINERS")
            known = Maintainers.parse(text, "") if text else None
            for candidate in candidates:
                one = self.repo.commit(candidate.hash)
                found = recipients_of_commit(one.message, one.author_email, known, self.repo.patch(one.hash))
                to |= set(found[0])
                cc |= set(found[1])
        except FirstbadError as error:
            self.notes.append(f"no recipients: {error}")
        return tuple(sorted(to)), tuple(sorted(cc - to))

    def _foreign(self, started: dict[str, Any]) -> bool:
        try:
            return not self.repo.is_ancestor(started["start"], started["head"])
        except (FirstbadError, KeyError):
            return False

    def _rate(self) -> float | None:
        facts = (test.mark or test.data for test in reversed(self.state.tests))
        return next((float(fact["rate"][0]) for fact in facts if "rate" in fact), None)

    def _machines(self) -> str:
        told = next((event.data for event in reversed(self.events) if event.kind == "machines"), None)
        return f"{told['at_a_time']} machines at a time, {told['acceleration']}" if told else ""

    def _title(self, commit: str) -> str:
        return next((str(test.data["title"]) for test in self.state.tests if test.commit == commit), "")

    def _steps(self, strips: dict[int, Strip]) -> tuple[Step, ...]:
        blocks: list[list[int]] = []
        tests = self.state.tests
        for number, test in enumerate(tests):
            before = tests[number - 1] if number else None
            alike = before and before.commit == test.commit and before.data["phase"] == test.data["phase"]
            if alike:
                blocks[-1].append(number)
            else:
                blocks.append([number])
        return tuple(_step(b[0] + 1, [tests[n] for n in b], strips.get(b[-1])) for b in blocks)

    def _revisions(self) -> tuple[Revision, ...]:
        order = dict.fromkeys(test.commit for test in self.state.tests)
        roles = dict.fromkeys(self.finished.get("parents", ()), "parent")
        roles |= {self.state.started[0]["start"]: "start"} if self.state.started else {}
        if self.finished.get("status") == "found" and self.job.kind != "test":
            roles[self.finished["commits"][0]] = "culprit"
        return tuple(self._revision(commit, roles.get(commit, "")) for commit in order)

    def _revision(self, commit: str, role: str) -> Revision:
        tests = [test for test in self.state.tests if test.commit == commit]
        tally: Tally = self.state.tally(commit)
        runs = [run for test in tests if not test.told for run in test.runs]
        away = self.state.probes.get(commit, {}).get("away", [])
        reach = reach_line(self.state.aims.get(commit, {}), runs, away).removeprefix("reach: ")
        marks = [test.mark for test in tests if test.mark]
        alone = str(marks[-1]["verdict"]) if marks else ""
        contrary = self.finished.get("contrary", {}).get(commit, "")
        return Revision(
            commit,
            str(tests[0].data["title"]),
            role,
            tally.crashes,
            tally.lost,
            tally.clean + len(tally.cut),
            tally.unreached,
            tally.boot + tally.infra,
            contrary or alone,
            reach,
            self._build(commit, tests),
            outcome_words([run for test in tests if test.told for run in test.runs]),
            alone if contrary else "",
        )

    def _build(self, commit: str, tests: Sequence[Test]) -> str:
        build = self.state.builds.get(commit)
        if build is None:
            return ""
        if build.error:
            return f"does not build: {build.error[:200]}"
        words = "built before" if build.cached else f"{build.seconds:.0f} s"
        if tests[-1].same_as:
            words += f"; the same kernel as {tests[-1].same_as[:12]}"
        if commit in self.state.verified:
            words += (
                "; a clean build is the same" if self.state.verified[commit] else "; a clean build is another kernel"
            )
        return words


def _step(first: int, tests: Sequence[Test], strip: Strip | None) -> Step:
    test, last = tests[0], tests[-1]
    mark = last.mark or {}
    runs = [run for one in tests for run in one.runs]
    return Step(
        first,
        first + len(tests) - 1,
        str(test.data.get("release") or test.data["phase"]),
        test.commit,
        str(test.data["title"]),
        str(mark.get("verdict", "")),
        f"same kernel as {last.same_as[:12]}"
        if last.same_as and not runs
        else outcome_words(runs, bool(test.data.get("project"))),
        sum(one.seconds for one in tests),
        mark.get("p_bug"),
        mark.get("left90"),
        str(mark.get("best", "")),
        float(mark.get("best_probability", 0.0)),
        strip,
    )


def _detailed(known: Culprit, said: dict[str, Any]) -> Culprit:
    """With what git says of it (``session/details.py``)."""
    return replace(
        known,
        author=said["author"],
        date=datetime.fromisoformat(said["date"]),
        message=said["message"],
        patch=said["patch"],
        cut=said["cut"],
        files=tuple(said["files"]),
        is_release=said["is_release"],
    )


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")
