"""What others found out, as the evidence of a new job: read from their logs, judged, made into events.

Each source gives what it knows of the question (where the crash was seen, a title, good revisions) and what was run at
which revision. ``session/opinions.py`` says what that is worth.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from firstbad.crash import Bug, Shown
from firstbad.errors import NotFoundError, UserError
from firstbad.history.base import History
from firstbad.report import read_log
from firstbad.report.gitlog import read_git_log
from firstbad.report.log import BisectionLog, Tested
from firstbad.session.outcome import SAME, Outcome, Run, to_event

Verdict = Literal["good", "bad", "skip"]
Kind = Literal["cause", "fix"]

UNIFORM_RUNS = 10  # of a revision of which a log says only that all runs were alike, where no other test tells
MOST_SKIPPED = 1000  # revisions of a range that somebody skipped
_MOST_REVISIONS = 5000
_MOST_RUNS = 100  # of one revision; more say no more
_RUN = re.compile(r"(OK)|crashed: (.*)|(boot failed|basic kernel testing failed): ?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Told:
    """What was run at a revision elsewhere. ``revision``: any name; ``verdict``: of the crash, whatever git was told;
    ``runs``: outcome and title of each; ``release``: its tag, where it was tested as one."""

    revision: str
    verdict: Verdict
    runs: tuple[tuple[Outcome, str], ...]
    release: str = ""


@dataclass(frozen=True)
class Gathered:
    """What one source holds. ``job``: fields of a job file that it says; ``notes``: what is not taken, and why."""

    source: str
    form: str
    kind: Kind | None = None
    job: dict[str, Any] = field(default_factory=dict)
    told: tuple[Told, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """A revision of a source that the repository has: ``commit`` is its full hash."""

    commit: str
    title: str
    told: Told
    source: str


def from_git_log(text: str, source: str, fix: bool | None = None) -> Gathered:
    """A ``git bisect log``. ``fix``: whether its later end is where the crash is gone; None: as its words say.

    A verdict there has no number of runs: each is taken for one run. Raises UserError where no revision is named.
    """
    log = read_git_log(text)
    if not log.said:
        raise UserError(f"{source}: a git bisect log without any revision")
    fix = log.fix if fix is None else fix
    words: dict[str, Verdict] = {"new": "good", "old": "bad"} if fix else {"new": "bad", "old": "good"}
    told = {revision: words.get(side, "skip") for revision, side in log.said}
    job: dict[str, Any] = {"commit": log.old[0] if log.old else "", "head": log.new} if fix else {"commit": log.new}
    if not fix:
        job["good"] = list(log.old[:1])
    if log.paths:
        job["path"] = list(log.paths)
    rows = (Told(revision, verdict, _one_run(verdict)) for revision, verdict in told.items())
    found = {key: value for key, value in job.items() if value}
    return Gathered(source, "git bisect log", "fix" if fix else "cause", found, tuple(rows))


def _one_run(verdict: Verdict) -> tuple[tuple[Outcome, str], ...]:
    outcome: Outcome = {"good": "ok", "bad": "crash"}.get(verdict, "boot")  # type: ignore[assignment]
    return ((outcome, "could not be tested there" if verdict == "skip" else ""),)


def from_bisection_log(text: str, source: str, title: str = "") -> Gathered:
    """A bisection log of syzbot or of ours. ``title``: of the crash that is searched for; by default what the start
    commit showed most often. Raises UserError where it names no start commit."""
    log = read_log(text)
    if not log.start_commit:
        raise UserError(f"{source}: this bisection log does not say which commit it starts from")
    title = title or _title(log)
    bug = Bug([title] if title else [])
    job: dict[str, Any] = {"commit": log.start_commit}
    job |= {"title": title} if title else {}
    job |= {"commit_title": log.rewritten} if log.rewritten else {}
    job |= {"reproducer": {"syzkaller_commit": log.tool}} if log.tool else {}
    tests = [test for test in log.tests if test.phase != "parent"]
    sizes = _sizes(tests)
    rows = [_judged(test, size, bug) for test, size in zip(tests, sizes, strict=True)]
    head = next((test.hash for test in tests if test.phase == "head"), "")
    job |= {"head": head} if log.kind == "fix" and head else {}
    return Gathered(source, "bisection log", log.kind, job, _pooled(row for row in rows if row.runs))


def _title(log: BisectionLog) -> str:
    """The title that the start commit's runs showed: the one at the end may be another bug's, if it went wrong."""
    starts = [test for test in log.tests if test.hash == log.start_commit or test.phase == "initial"]
    titles = Counter(text.removeprefix("crashed: ") for test in starts for text in test.outcomes if "crashed: " in text)
    return titles.most_common(1)[0][0] if titles else log.crash_title


def _sizes(tests: Sequence[Tested]) -> list[int]:
    """Runs of each test. Where a log says only that all were alike, as many as the nearest test before it that lists
    them, the first one left out: it has more."""
    sizes, usual = [], UNIFORM_RUNS
    for place, test in enumerate(tests):
        sizes.append(usual if test.uniform else len(test.outcomes))
        if place and not test.uniform and test.outcomes:
            usual = len(test.outcomes)
    return sizes


def _judged(test: Tested, size: int, bug: Bug) -> Told:
    """A test with each run's outcome: by the likeness of its crash to the bug, and of all runs together."""
    texts = (test.outcomes * size if test.uniform else test.outcomes)[:_MOST_RUNS]
    if not texts:
        why = test.build_error.strip().partition("\n")[0] or test.failure
        return Told(test.hash, "skip", (("boot", f"does not build: {why}"[:200]),) if why else (), test.release)
    runs = [_outcome(text) for text in texts]
    crashed = Counter(title for outcome, title in runs if outcome == "crash")
    clean = sum(outcome == "ok" for outcome, _ in runs)
    shown = Shown(tuple(crashed.items()), clean, len(runs) - clean - crashed.total(), test.phase == "release")
    finding = bug.holds(shown) if bug.titles else None
    # All runs that crash in another way are mostly the bug in another coat; one of them is mostly a stranger.
    whole = finding is None or finding.verdict == "bad"
    mine = {title for title in crashed if whole or bug.same(title).probability > SAME}
    if test.phase == "initial":
        mine |= {title for title in crashed if title in bug.titles}
    judged: list[tuple[Outcome, str]] = [
        ("other" if outcome == "crash" and title not in mine else outcome, title) for outcome, title in runs
    ]
    kinds = {outcome for outcome, _ in judged}
    verdict: Verdict = "bad" if "crash" in kinds else "good" if "ok" in kinds else "skip"
    return Told(test.hash, verdict, tuple(judged), test.release)


def _outcome(text: str) -> tuple[Outcome, str]:
    found = _RUN.fullmatch(text.strip())
    if found is None:
        return "infra", text[:200]
    if found[1]:
        return "ok", ""
    return ("crash", found[2][:500]) if found[2] is not None else ("boot", found[4][:200])


def _pooled(rows: Iterable[Told]) -> tuple[Told, ...]:
    """One row a revision: what several tests of it showed, together."""
    found: dict[str, Told] = {}
    for row in rows:
        known = found.get(row.revision)
        if known is None:
            found[row.revision] = row
            continue
        order: tuple[Verdict, ...] = ("bad", "good", "skip")
        verdict = min(known.verdict, row.verdict, key=order.index)
        found[row.revision] = replace(
            known, verdict=verdict, runs=known.runs + row.runs, release=known.release or row.release
        )
    return tuple(found.values())


def known_to(history: History, gathered: Gathered) -> tuple[list[Known], list[str]]:
    """The revisions that a repository has, and words on those that it does not have."""
    found, missing = [], []
    for told in gathered.told[:_MOST_REVISIONS]:
        try:
            commits = _skipped(history, told) if ".." in told.revision else [history.resolve(told.revision)]
        except (NotFoundError, UserError):
            missing.append(f"{told.revision[:80]}: not in this repository, left out")
            continue
        found += [Known(commit, history.title(commit), told, gathered.source) for commit in commits]
    return found, missing


def _skipped(history: History, told: Told) -> list[str]:
    """The commits of a range ``A..B``; only a skip may be of one. Raises UserError, NotFoundError."""
    old, _, new = told.revision.partition("..")
    if told.verdict != "skip" or not old or not new:
        raise UserError(f"not a revision: {told.revision}")
    excluded, tip = history.resolve(old), history.resolve(new.lstrip("."))
    if excluded == tip or history.is_ancestor(tip, excluded):
        return []
    hashes = history.range(tip, (excluded,)).hashes
    return [commit for commit in hashes if commit != excluded][:MOST_SKIPPED]


def evidence_events(known: Sequence[Known]) -> list[tuple[str, dict[str, Any]]]:
    """The revisions as events of a job, to be kept with it before anything is run."""
    events: list[tuple[str, dict[str, Any]]] = []
    for one in known:
        release = {"release": one.told.release} if one.told.release else {}
        words = {"commit": one.commit, "phase": "evidence", "title": one.title, "told": one.source, **release}
        events.append(("test", words))
        for outcome, title in one.told.runs:
            spent = {"wall": 0.0, "boot_seconds": 0.0, "run_seconds": 0.0, "ended": "finished"}
            events.append(("run", {"commit": one.commit, **spent, **to_event(Run(outcome, title))}))
        events.append(("mark", {"commit": one.commit, "verdict": one.told.verdict}))
    return events
