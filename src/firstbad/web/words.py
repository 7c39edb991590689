"""Words of the dashboard's pages, the same as the command line's."""

import datetime
from collections.abc import Iterable

from firstbad.job import Job
from firstbad.store import StoredJob

_STATUS = {
    "found": "found",
    "candidates": "not sure enough for one commit",
    "older_than_oldest": "older than the oldest release that was tested",
    "not_fixed": "not fixed on the head",
    "not_reproduced": "the crash was not reproduced",
    "untestable": "can't be tested",
    "infra_failure": "the machine failed",
    "budget": "the deadline passed",
    "not_seen": "not seen",
    "crashes": "crashes",
}


def kind_of(stored: StoredJob) -> str:
    """``cause``, ``fix``, ``test``, and for any project ``run``."""
    return stored.job.kind if stored.job.project is None else f"run ({stored.job.kind})"


def what(stored: StoredJob) -> str:
    """What a job does, in a few words."""
    job = stored.job
    if job.kind == "test":
        return f"crash rate at {job.commit}" if job.test.measure else f"test of {job.commit}"
    if job.project is not None:
        return f"{job.kind} of a failing test, from {short(job.commit)}"
    return f"{job.kind} bisection from {short(job.commit)}"


def bug_of(stored: StoredJob) -> str:
    """What the bug is called, as far as that is known."""
    return stored.title or stored.job.title or test_of(stored.job) or "crash not seen yet"


def test_of(job: Job) -> str:
    """The command that a project's job runs; empty for kernels."""
    words = job.project.command if job.project is not None else []
    return " ".join(words[2:] if words[:2] == ["sh", "-c"] else words)[:200]


def short(revision: str) -> str:
    """A full hash cut to twelve letters; names stay."""
    full = len(revision) == 40 and set(revision) <= set("0123456789abcdef")
    return revision[:12] if full else revision


def status_words(status: str) -> str:
    """What an answer's status says."""
    return _STATUS.get(status, status)


def age(seconds: float) -> str:
    """``5 min``, ``3 h``, ``12 days``."""
    for length, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {name}"
    return f"{max(0, int(seconds))} s"


def date(seconds: float) -> str:
    """A time, to the minute."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso(seconds: float) -> str:
    """A time as programs read it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Values of a choice that are shown as they are."""
    return [(name, name) for name in names]


HELPERS = {
    "pairs": pairs,
    "kind_of": kind_of,
    "what": what,
    "bug_of": bug_of,
    "short": short,
    "status_words": status_words,
    "age": age,
    "date": date,
    "iso": iso,
}
