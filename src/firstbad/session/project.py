"""The loop for any project (`firstbad run`): the decisions of `steady.py`, runs by `firstbad.project`."""

import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Any, Protocol

from firstbad.errors import BisectionError, InfrastructureError, UserError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.inference import Model
from firstbad.job import Job, Project
from firstbad.project.bench import Bench, Tested
from firstbad.project.trees import Made
from firstbad.session.details import details_of, titles_of
from firstbad.session.lease import Hold
from firstbad.session.outcome import Run, to_event
from firstbad.session.question import Question
from firstbad.session.reading import Level, Reader, level
from firstbad.session.reuse import Reuse, command_key, key_of
from firstbad.session.steady import ProjectHistory, Steady, project_model
from firstbad.session.steps import Finish, Means, Step
from firstbad.session.work import Observer, OutOfTime, Work
from firstbad.store import Result, Store

REFERENCE = 10  # runs at each end from which the level of a number is learned
UNCLEAR = 0.01  # numbers of both ends that differ less clearly than this are not bisected
_INFRA = 12  # runs in a row that said nothing, after which going on makes no sense
_TIMEOUTS = 2  # of one revision, with no other run, after which it can't be tested


class Lab(Protocol):
    """What builds and tests."""

    def build(self, commit: str) -> "Future[tuple[Made, bool]]":
        """Build a revision, or find that it was."""

    def test(self, commit: str, run: int) -> "Future[Tested]":
        """Run the test once."""

    def close(self) -> None:
        """End everything that is under way."""


class _NoMoreRuns(Exception):
    """As many runs were made as the job allows."""


def project_question(repo: Repo, job: Job) -> Question:
    """Resolve the ends of a job. Raises UserError, NotFoundError before anything is built."""
    history = ProjectHistory(repo)
    bad = history.resolve(job.commit)
    fix = job.kind == "fix"
    good = [history.resolve(name) for name in (job.good or [job.head])]
    if bad in good:
        raise UserError(f"{bad[:12]} is said to be both good and bad")
    olds, new = ([bad], good[0]) if fix else (good, bad)
    repo.check_depth(new, olds)
    if fix and len(good) > 1:
        raise UserError("--fix has one good revision: where the bug is gone")
    ends: list[str] = []
    bases: list[str] = []
    for old in olds:
        if history.is_ancestor(old, new):
            ends.append(old)
            continue
        found = history.merge_bases(old, new)
        if not found:
            raise UserError(f"{old[:12]} and {new[:12]} share no history: nothing lies between them")
        if new in found:
            swap = "without --fix" if fix else "with --fix, if the bug was fixed between them"
            raise UserError(f"{old[:12]} is newer than {new[:12]}: {swap}, or exchange --good and --bad")
        ends += found
        bases += found
    common = {"bases": tuple(dict.fromkeys(bases)), "trusted": True, "target": job.target, "priors": False}
    if fix:
        return Question("fix", ends[0], head=new, **common)  # type: ignore[arg-type]
    return Question("cause", new, good=tuple(dict.fromkeys(ends)), **common)  # type: ignore[arg-type]


class ProjectSession(Work):
    """One job of any project from where its events left off to its end."""

    def __init__(
        self,
        store: Store,
        number: int,
        home: Home,
        observer: Observer,
        deadline: float | None = None,
        lab: Lab | None = None,
        hold: Hold | None = None,
    ) -> None:
        super().__init__(store, number, home, observer, deadline, hold)
        assert self.job.project is not None  # noqa: S101 - the caller looked
        self.project: Project = self.job.project
        self.repo = Repo(self.job.repo)
        started = next((event.data for event in self.events if event.kind == "started"), None)
        pinned = self.job
        if started:
            pinned = pinned.model_copy(update={"commit": started["bad"], "good": started["good"], "head": ""})
        self.question = project_question(self.repo, pinned)
        self.given = started or {
            "bad": self.repo.resolve(self.job.commit),
            "good": [self.repo.resolve(name) for name in (self.job.good or [self.job.head])],
        }
        self.lab: Lab = lab or Bench(home, self.repo, self.project, number)
        self.level = self._known_level()
        self.decider = self._make_decider()
        self._lost = 0
        self.reuse = Reuse(store, number, self.events)

    def run(self) -> dict[str, Any]:
        """Go on until the answer; returns the data of the ``finished`` event, or of ``budget``.

        Raises BisectionError, InfrastructureError, UserError, Cancelled. Nothing is left running.
        """
        try:
            with self.alone():
                if self.state.finished is None:
                    question = self.question
                    self.begin({"start": question.start, "head": question.head, "kind": question.kind, **self.given})
                    self._learn_level()
                while self.hear() or self.state.finished is None:
                    steps = self.decider.propose(self.state)
                    if isinstance(steps, Finish):
                        self.record("finished", self._answer(steps))
                    else:
                        self._evaluate(steps)
                return self.state.finished
        except (OutOfTime, _NoMoreRuns) as why:
            return self._so_far("no time left" if isinstance(why, OutOfTime) else "no more runs are allowed")
        finally:
            self.lab.close()

    # What is asked.

    def _make_decider(self) -> Steady:
        model: Model = project_model()
        if self.level is not None:
            model = project_model(min(max(self.level.false_rate, 0.002), 0.4))
        # No run is ended early: a test takes as long as it takes.
        means = Means(self.project.jobs, self.project.timeout or 3600.0, full_length=True)
        return Steady(ProjectHistory(self.repo), self.question, means, model, self.project.confirm)

    def _known_level(self) -> Level | None:
        found = next((event.data for event in self.events if event.kind == "level"), None)
        return Level(**{name: found[name] for name in Level.__dataclass_fields__}) if found else None

    def _learn_level(self) -> None:
        """With a metric: what numbers the two ends give, before anything is searched."""
        if not self.project.metric or self.level is not None:
            return
        numbers: dict[str, list[float]] = {}
        good = self.question.head if self.question.kind == "fix" else self.question.good[0]
        for commit in (good, self.question.start):
            made = [event.data for event in self.events if event.kind == "reference" and event.data["commit"] == commit]
            numbers[commit] = [float(data["title"]) for data in made if data["outcome"] == "ok"]
            lacking = REFERENCE - len(made)
            if lacking > 0:
                self._build(commit)
                if commit in self.state.untestable():
                    raise BisectionError(f"{commit[:12]} does not build: {self.state.builds[commit].error}")
            for run, wall in self._runs(commit, lacking, self.state.runs()):
                self.record("reference", {"commit": commit, **_run_event(run, wall)})
                if run.outcome == "ok":
                    numbers[commit].append(float(run.title))
            if len(numbers[commit]) < REFERENCE // 2:
                raise BisectionError(f"{commit[:12]} gives no number in most runs of the test")
        found = level(numbers[good], numbers[self.question.start])
        if found.p > UNCLEAR:
            raise BisectionError(
                f"the numbers at both ends hardly differ (Mann-Whitney p = {found.p:.2g} with {REFERENCE} runs each): "
                "there is no change of level to find",
                "not_reproduced",
            )
        self.record("level", {name: getattr(found, name) for name in Level.__dataclass_fields__})
        self.level = found
        self.decider = self._make_decider()

    @property
    def _reader(self) -> Reader:
        return Reader(self.project, self.job.title, self._cut)

    @property
    def _cut(self) -> tuple[float, bool] | None:
        """Of numbers: where bad ones begin, and whether those are the higher ones."""
        return (self.level.cut, self.level.above) if self.level is not None else None

    # What is done.

    def _evaluate(self, steps: list[Step]) -> None:
        """Build and run what was proposed, all at the same time; each fact is recorded when it comes."""
        self.check_end()
        for step in steps:
            title = self.repo.commit(step.commit).title
            self.record(
                "test", {"commit": step.commit, "phase": step.phase, "title": title, "project": True, **step.data}
            )
        self._build(*(step.commit for step in steps))
        whole = [step for step in steps if step.commit not in self.state.untestable()]
        self._run(whole)
        for step in steps:
            self.record("mark", {"commit": step.commit, **self.decider.judge(self.state, step)})

    def _build(self, *commits: str) -> None:
        """Build revisions at the same time."""
        self.observer.activity(f"building {', '.join(commit[:12] for commit in commits)}")
        pending = {self.lab.build(commit): commit for commit in commits}
        while pending:
            done, _ = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                commit = pending.pop(future)
                made, cached = future.result()
                if commit not in self.state.builds:
                    self.record("build", {"commit": commit, **_build_event(self.repo, commit, made, cached)})
            self.check_end()
        if isinstance(self.lab, Bench):
            self.lab.collect(frozenset(commits))

    def _run(self, steps: list[Step]) -> None:
        """The runs of each step, until one of a step's fails; those under way are let finish."""
        left = {step.commit: step.runs - self._take_over(step) for step in steps}
        number = self.state.runs()
        pending: dict[Future[Tested], tuple[str, float]] = {}
        while pending or any(left.values()):
            for commit in [commit for commit, runs in left.items() for _ in range(runs)]:
                if len(pending) >= self.project.jobs:
                    break
                if self.project.runs_max and number - self.state.runs_before >= self.project.runs_max:
                    left = dict.fromkeys(left, 0)
                    break
                number += 1
                left[commit] -= 1
                pending[self.lab.test(commit, number)] = (commit, time.monotonic())
            if not pending:
                raise _NoMoreRuns
            self.observer.activity(f"testing {', '.join(sorted({commit[:12] for commit, _ in pending.values()}))}")
            done, _ = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                commit, since = pending.pop(future)
                run = self._tell(commit, future.result(), time.monotonic() - since)
                if run.outcome == "infra" and commit not in self.state.untestable():
                    left[commit] += 1
                elif run.outcome == "crash" or commit in self.state.untestable():
                    left[commit] = 0
            self.check_end()

    def _take_over(self, step: Step) -> int:
        """Take the runs that other jobs made at a revision; how many of the step's are not needed any more."""
        taken = 0
        for earlier in self.reuse.runs(self._key(step.commit), step.phase)[: step.runs]:
            data = {**earlier.event, "commit": step.commit, "wall": 0.0, "reused": self.reuse.take(earlier)}
            self.record("run", data)
            taken += 1
            if data["title"].startswith("skip") and step.commit not in self.state.skipped:
                self.record("skip", {"commit": step.commit, "why": data["title"]})
            if data["outcome"] == "crash" or step.commit in self.state.untestable():
                return step.runs
            self.check_end()
        return taken

    def _key(self, commit: str) -> str:
        """Of runs of this test at a revision, read as this job reads them; none of a command at a terminal."""
        if not self.reuse.queued:
            return ""
        how = self.project.model_dump(mode="json", exclude={"jobs", "runs_max", "confirm"})
        files = command_key(self.project.command, self.project.directory)
        return key_of("project", commit, how, files, self.job.title, self._cut)

    def _tell(self, commit: str, tested: Tested, wall: float) -> Run:
        """Record a run and what it says of its revision."""
        run = replace(self._reader.read(tested), seconds=tested.test.seconds)
        data = _run_event(run, wall)
        if run.outcome != "ok":
            data["text"] = tested.test.output[-4000:]
        if tested.changed:
            data["changed"] = tested.changed[:20]
        if tested.test.left:
            data["left"] = tested.test.left
        said, key = run.outcome != "infra" or run.title.startswith("skip"), self._key(commit)
        self.record("run", {"commit": commit, **data}, Result("run", key, {}) if said and key else None)
        self._lost = self._lost + 1 if run.outcome == "infra" and not run.title.startswith("skip") else 0
        tally = self.state.tally(commit)
        timeouts = run.title.startswith("timeout") and not tally.useful and tally.infra >= _TIMEOUTS
        if (run.title.startswith("skip") or timeouts) and commit not in self.state.skipped:
            self.record("skip", {"commit": commit, "why": run.title})
        elif self._lost >= _INFRA or run.title == "the disk is full":
            raise InfrastructureError(f"{self._lost} runs in a row said nothing: {run.title}")
        return run

    def _runs(self, commit: str, wanted: int, first: int) -> list[tuple[Run, float]]:
        """Plain runs of a revision, for numbers."""
        found: list[tuple[Run, float]] = []
        while len(found) < wanted:
            self.check_end()
            some = [self.lab.test(commit, first + len(found) + i) for i in range(self.project.jobs)]
            for future in some[: wanted - len(found)]:
                since = time.monotonic()
                found.append((self._reader.read(self.wait(future)), time.monotonic() - since))
        return found

    # What is told.

    def _so_far(self, why: str) -> dict[str, Any]:
        self.observer.activity(f"{why}: what is under way is ended")
        self.lab.close()
        with self.alone():
            best = replace(self.decider.so_far(self.state), why=why)
            return self.record("budget", self._answer(best)).data

    def _answer(self, finish: Finish) -> dict[str, Any]:
        data = finish.to_event(len(self.state.opinions.said))
        notes = self._notes()
        if notes:
            data["notes"] = notes
        if finish.commits:
            data["titles"] = titles_of(self.repo, finish.commits)
        if finish.status != "found":
            return data
        culprit = self.repo.commit(finish.commits[0])
        told: dict[str, Any] = {
            "title": culprit.title,
            "show": self.repo.show(culprit.hash),
            "parents": list(culprit.parents),
        }
        told |= {
            "details": details_of(self.repo, self.job, culprit.hash),
            "contrary": self.decider.contrary(self.state),
        }
        return data | told | {"is_merge": len(culprit.parents) > 1, "noop": False, "to": [], "cc": []}

    def _notes(self) -> list[str]:
        """What people should know of the runs: failures that don't look alike, work trees that were changed."""
        events = [event.data for event in self.store.events(self.number) if event.kind == "run"]
        notes = []
        titles = sorted({data["title"] for data in events if data["outcome"] == "crash"})
        if len(titles) > 1 and not self.project.metric:
            shown = "; ".join(titles[:3])
            notes.append(f"the failures don't all look alike ({shown}): --title or --match keeps others out")
        changed = sorted({name for data in events for name in data.get("changed", [])})
        if changed:
            notes.append(f"the test changed its work tree, which was put right: {', '.join(changed[:5])}")
        left = sum(bool(data.get("left")) for data in events)
        if left:
            notes.append(f"{left} runs left processes behind, which were ended")
        return notes


def _build_event(repo: Repo, commit: str, made: Made, cached: bool) -> dict[str, Any]:
    tree = repo.tree(commit)
    facts = {"key": tree, "signature": tree, "compiler": "", "fixes": []}
    return facts | {"seconds": round(made.seconds, 3), "error": made.error, "cached": cached}


def _run_event(run: Run, wall: float) -> dict[str, Any]:
    times = {"wall": round(wall, 3), "boot_seconds": 0.0, "run_seconds": round(run.seconds, 3), "ended": "finished"}
    return {**times, **to_event(run)}
