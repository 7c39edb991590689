"""What one run says: the bug, another crash, nothing, or only that something else failed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firstbad.crash import Bug, Report, parse
from firstbad.vm import MachineRun

Outcome = Literal["crash", "other", "ok", "boot", "infra"]
Reached = Literal["absent"] | bool | None

# A report whose probability to be the bug is above this counts as the bug; below, the run is lost to something else. A
# stranger of the same type whose stack is not known comes to .55: about as often the bug as not, and no evidence.
SAME = 0.6

SAYS_NOTHING: tuple[Outcome, ...] = ("infra", "boot")
"""Outcomes of runs that are made again: they said nothing about the bug."""
FIRST = "first crash seen"
"""Why a run counts as the bug while that has no name."""

# How kernel people call a machine that ends a run without a word.
_SILENT = {"hang": "no output from test machine", "lost": "lost connection to test machine"}


@dataclass(frozen=True)
class Run:
    """One run. ``title`` is a crash title or a reason; ``same`` the probability that the crash is the bug."""

    outcome: Outcome
    title: str = ""
    same: float = 0.0
    why: str = ""
    report: Report | None = None
    seconds: float = 0.0
    """Boot left out: to the crash, or to the run's end."""
    cut: bool = False
    """A clean run that was ended before its full length."""
    reached: Reached = None
    """Whether a clean run came to the code of the crash; ``absent``: it does not exist there; None: not known."""
    group: str = ""
    """Runs with the same group began in the same state, from one snapshot; empty: it booted for itself."""

    def verdict(self) -> str:
        """The run as a bisection log says it."""
        words = {
            "crash": "crashed: ",
            "other": "crashed: ",
            "boot": "boot failed: ",
            "infra": "infra problem: ",
        }
        return "OK" if self.outcome == "ok" else words[self.outcome] + self.title


def judge(run: MachineRun, bug: Bug | None) -> Run:
    """Read a run's console. Without a known bug every crash counts as one (the start commit, before its title)."""
    if run.ended == "infrastructure":
        return Run("infra", run.detail or "machine did not start")
    report = parse(run.console)
    if not run.booted:
        return Run("boot", report.title if report else run.detail or "no sign of life", report=report)
    if report is not None:
        return judge_report(report, bug)
    if run.ended in ("finished", "timeout"):
        return Run("ok")
    # An end without a report has one name for all bugs: it is the bug only if that is how the bug shows.
    title = _SILENT.get(run.ended, "kernel died without a report")
    if bug is None:
        return Run("crash", title, 1.0, FIRST)
    known = title in bug.titles
    return Run("crash" if known else "other", title, 0.9 if known else 0.2, "no report to compare")


def judge_report(report: Report, bug: Bug | None) -> Run:
    """Whether a crash is the bug or another one."""
    if bug is None:
        return Run("crash", report.title, 1.0, FIRST, report)
    match = bug.same(report)
    outcome: Outcome = "crash" if match.probability > SAME else "other"
    return Run(outcome, report.title, match.probability, match.why, report)


def to_event(run: Run) -> dict[str, Any]:
    """The run as event data: all that later decisions need."""
    data: dict[str, Any] = {
        "outcome": run.outcome,
        "title": run.title,
        "same": round(run.same, 4),
        "why": run.why,
    }
    if run.cut:
        data["cut"] = True
    if run.reached is not None:
        data["reached"] = run.reached
    if run.report is not None:
        data["report"] = {
            "type": run.report.type,
            "frame": run.report.frame,
            "frames": list(run.report.frames)[:40],
            "alt_titles": list(run.report.alt_titles),
            "text": run.report.report[:20_000],
        }
    return data


def run_event(run: Run, done: MachineRun, wall: float) -> dict[str, Any]:
    """The run as event data, with what it took."""
    return {
        "wall": round(wall, 3),
        "boot_seconds": round(done.boot_seconds, 3),
        "run_seconds": round(done.run_seconds, 3),
        "ended": done.ended,
        **({"group": done.group} if done.group else {}),
        **to_event(run),
    }


def from_event(data: dict[str, Any]) -> Run:
    """Inverse of :func:`to_event`."""
    report = None
    if "report" in data:
        kept = data["report"]
        report = Report(
            title=data["title"],
            alt_titles=tuple(kept.get("alt_titles", ())),
            type=kept["type"],
            frame=kept["frame"],
            frames=tuple(kept["frames"]),
            report=kept["text"],
            start=0,
            skip=0,
            end=0,
            corrupted=False,
            suppressed=False,
            panicked=False,
            executor="",
        )
    return Run(
        data["outcome"],
        data["title"],
        data["same"],
        data["why"],
        report,
        data.get("run_seconds", 0.0),
        data.get("cut", False),
        data.get("reached"),
        data.get("group", ""),
    )


def outcome_words(runs: Sequence[Run], project: bool = False) -> str:
    """Runs in few words: ``3 crashed, 1 other crash, 4 ok (3 reached, 1 not)``; ``project``: ``3 failed``."""
    counts: Counter[str] = Counter(run.outcome for run in runs)
    words = {
        "crash": "crashed",
        "other": "other crash",
        "ok": "ok",
        "boot": "boot failed",
        "infra": "infra problem",
    }
    if project:
        words |= {"crash": "failed", "other": "failed otherwise", "infra": "said nothing"}
    words["ok"] += _reach_words([run.reached for run in runs if run.outcome == "ok"])
    return ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts[key])


def _reach_words(clean: Sequence[Reached]) -> str:
    """What clean runs say of the crash's code, where they say anything."""
    if "absent" in clean:
        return " (code absent)"
    said = [f"{clean.count(value)} {word}" for value, word in ((True, "reached"), (False, "not")) if value in clean]
    return f" ({', '.join(said)})" if said else ""
