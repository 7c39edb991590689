"""What was run, revision by revision, and the crashes beside each other: made of a job's events for its pages."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from firstbad.crash import Bug, Report
from firstbad.crash.frames import clean_function
from firstbad.crash.likeness import Face, compare, core, face_of
from firstbad.session import State
from firstbad.session.outcome import FIRST, SAME, Outcome, Run, from_event
from firstbad.store import Event

MOST_RUNS = 200  # of a revision that are shown
_RUNS = ("run", "trial-run", "proof-run")
_WORD = re.compile(r"[A-Za-z_$][\w$.]{2,255}")
_COUNTED = {
    "crash": "the bug",
    "other": "another crash: its run says nothing",
    "boot": "boot failed",
    "infra": "infra problem",
    "ok": "",
}


@dataclass(frozen=True)
class RunLine:
    """One run. ``seq`` of its event; ``same`` the probability that its crash is the bug, None without a crash;
    ``of``: the job that it was made for, where that is another one, else 0."""

    seq: int
    words: str
    outcome: str
    seconds: float
    reached: str
    why: str
    same: float | None
    report: bool
    of: int = 0


@dataclass
class RevisionRuns:
    """The runs of one revision, and under which names its consoles may be."""

    commit: str
    title: str
    runs: list[RunLine] = field(default_factory=list)
    more: int = 0
    consoles: list[str] = field(default_factory=list)


def judged(event: Event, bug: Bug | None) -> Run:
    """A run as it counts now: what crashed before the bug had a name is compared with what it was then taken to be."""
    run = from_event(event.data)
    if run.outcome != "crash" or run.why != FIRST or run.report is None or bug is None or run.title == bug.titles[0]:
        return run
    match = bug.same(run.report)
    outcome: Outcome = "crash" if match.probability > SAME else "other"
    return replace(run, outcome=outcome, same=match.probability, why=match.why)


def revisions(events: Sequence[Event], consoles: Iterable[str], bug: Bug | None) -> list[RevisionRuns]:
    """All runs by revision, in the order of the tests; ``consoles``: names of the files there are."""
    found: dict[str, RevisionRuns] = {}
    current = {"trial": "", "proof": ""}
    for event in events:
        if event.kind in ("test", "trial", "proof"):
            commit = str(event.data["commit"])
            current[event.kind] = commit
            found.setdefault(commit, RevisionRuns(commit, str(event.data.get("title", ""))))
        elif event.kind in _RUNS:
            commit = str(event.data.get("commit") or current[event.kind.removesuffix("-run")])
            _add(found.setdefault(commit, RevisionRuns(commit, "")), event, bug)
    names = sorted(consoles)
    for one in found.values():
        one.consoles = [name for name in names if name.startswith(one.commit[:12])]
    return list(found.values())


def _add(revision: RevisionRuns, event: Event, bug: Bug | None) -> None:
    if len(revision.runs) >= MOST_RUNS:
        revision.more += 1
        return
    run = judged(event, bug)
    kinds = {"trial-run": "another configuration: ", "proof-run": "confirmation: "}
    reached = {True: "reached the code", False: "did not come near the code", "absent": "code absent", None: ""}
    revision.runs.append(
        RunLine(
            event.seq,
            kinds.get(event.kind, "") + run.verdict(),
            run.outcome,
            run.seconds,
            reached[run.reached] if run.outcome in ("ok", "crash") else "",
            run.why,
            run.same if run.outcome in ("crash", "other") and run.why != FIRST else None,
            run.report is not None,
            int(event.data.get("reused", {}).get("job", 0)),
        )
    )


@dataclass(frozen=True)
class Seen:
    """Crashes with one title that were counted alike. ``seq``: of the first one's event. ``same`` None: they are what
    the bug is known by."""

    seq: int
    title: str
    outcome: str
    counted: str
    runs: int
    commits: tuple[str, ...]
    same: float | None
    why: str


def crashes(events: Sequence[Event], bug: Bug | None) -> list[Seen]:
    """Every kind of crash that the job saw, the bug's first."""
    groups: dict[tuple[str, str], list[tuple[Event, Run]]] = {}
    for event in events:
        if event.kind in _RUNS and "report" in event.data:
            run = judged(event, bug)
            groups.setdefault((run.outcome, run.title), []).append((event, run))
    found = [_seen(title, outcome, rows) for (outcome, title), rows in groups.items()]
    return sorted(found, key=lambda one: (one.outcome != "crash", -one.runs, one.seq))


def _seen(title: str, outcome: str, rows: Sequence[tuple[Event, Run]]) -> Seen:
    compared = [run for _, run in rows if run.why != FIRST]
    why = Counter(run.why for run in compared or [run for _, run in rows]).most_common(1)[0][0]
    commits = dict.fromkeys(str(event.data["commit"])[:12] for event, _ in rows if event.data.get("commit"))
    same = median(run.same for run in compared) if compared else None
    return Seen(rows[0][0].seq, title, outcome, _COUNTED[outcome], len(rows), tuple(commits), same, why)


@dataclass(frozen=True)
class Fact:
    """What two crashes say of one thing."""

    name: str
    known: str
    seen: str
    alike: bool


@dataclass(frozen=True)
class Comparison:
    """A crash beside the bug's own. Lines of the reports: whether they hold a function that both stacks have."""

    facts: tuple[Fact, ...]
    words: tuple[str, ...]
    known: tuple[tuple[bool, str], ...]
    seen: tuple[tuple[bool, str], ...]


def bug_report(state: State, events: Sequence[Event]) -> Report | None:
    """The report that the bug is known by: its first one, symbolized; before that, the first crash."""
    shown = [event for event in events if event.kind in _RUNS and "report" in event.data]
    crash = state.crash or {}
    first = next((event for event in shown if event.data["outcome"] == "crash"), None)
    named = next((event for event in shown if event.data["title"] == crash.get("title")), first)
    if named is None:
        return None
    report = from_event(named.data).report
    text = str(crash.get("report") or "")
    return replace(report, report=text) if report and text else report


def beside(known: Report, seen: Report) -> Comparison:
    """Two crashes side by side, as :mod:`firstbad.crash.likeness` sees them."""
    ours, theirs = face_of(known), face_of(seen)
    common = set(ours.stack) & set(theirs.stack)
    return Comparison(
        _facts(ours, theirs),
        compare(ours, theirs).words,
        tuple(_lines(known.report, common)),
        tuple(_lines(seen.report, common)),
    )


def _facts(ours: Face, theirs: Face) -> tuple[Fact, ...]:
    rows = [
        ("title", ours.title, theirs.title),
        ("type", ours.type, theirs.type),
        ("guilty function", ours.function, theirs.function),
        ("its file", ours.file, theirs.file),
    ]
    facts = [Fact(name, one, other, bool(one) and one == other) for name, one, other in rows if one or other]
    shared = set(ours.stack) & set(theirs.stack)
    one, other = (", ".join(stack) for stack in (ours.stack, theirs.stack))
    return (*facts, Fact("stack", one, other, bool(shared))) if one or other else tuple(facts)


def _lines(text: str, common: set[str]) -> Iterable[tuple[bool, str]]:
    for line in text.split("\n"):
        words = _WORD.findall(line[:500]) if common else ()
        yield any(core(clean_function(word)) in common for word in words), line
