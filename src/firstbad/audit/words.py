"""An audit in words: what speaks for the answer, what against it, and what went wrong where."""

import re
from collections.abc import Sequence

from firstbad.audit.contradictions import contradictions
from firstbad.audit.facts import Facts, Revision
from firstbad.audit.judge import Audit, Judged, Suspect
from firstbad.audit.terms import start_rate, touches
from firstbad.errors import UserError
from firstbad.report.log import BisectionLog, read_log

SHORT = 12  # digits of a hash
_WATCHED = 3  # titles of a revision that are told
RESULTS = {
    "candidates": "several commits are left",
    "older_than_oldest": "the oldest tested release has the bug already",
    "not_fixed": "the crash still happens at the head",
    "not_reproduced": "the crash was not reproduced at the start",
    "error": "it ended with an error",
    "unfinished": "the log ends before its result",
}


def log_of(text: str, name: str) -> BisectionLog:
    """What somebody gave as a bisection log. Raises UserError where it can't be one."""
    log = read_log(text)
    if not log.start_commit and not log.tests:
        raise UserError(
            f"{name}: no bisection log: it has no line 'bisecting cause commit starting from HASH' and no test; "
            "a log of `git bisect` tells no runs: `firstbad import` takes it in"
        )
    return log


def doubted_of(judged: Audit) -> list[tuple[Judged, Revision]]:
    """The verdicts that are probably wrong."""
    pairs = zip(judged.revisions, judged.facts.revisions, strict=True)
    return [(one, revision) for one, revision in pairs if one.verdict not in (one.logged, "skip")]


def reasons(judged: Audit) -> list[str]:
    """What the log itself says for and against its answer, a sentence each."""
    facts = judged.facts
    commit = facts.named
    if commit is None:
        return []
    found = [*(f"the log contradicts itself: {text}" for text in contradictions(facts)), _crash_at_the_end(facts)]
    file = touches(facts, commit)
    if file:
        found.append(f"it touches {file}, which is in the crash's stack")
    elif not facts.stack:
        found.append("the log has no stack of source files to compare its files with")
    elif commit.files:
        found.append(f"nothing that it touches ({_list(commit.files)}) is in the crash's stack ({_list(facts.stack)})")
    if facts.noop:
        found.append("its kernel has the signature of its parent's: it changes nothing that was compiled")
    if commit.merge:
        found.append("it is a merge: the change came with one of its parents, or the verdicts contradict each other")
    if facts.walked > 1:
        found.append(
            f"{facts.walked} releases were tested: bugs this old are often missed at the first one that looks good"
        )
    return [text for text in found if text]


def _crash_at_the_end(facts: Facts) -> str:
    end = facts.log.crash_title
    if not end or not facts.titles:
        return ""
    like = facts.like(end)
    if like == "same_title":
        return "the crash at it is the start's"
    if like:
        return f"the crash at it ({end}) is like the start's ({facts.titles[0]})"
    return f"the crash at it ({end}) has nothing in common with the start's ({facts.titles[0]})"


def suspicion(judged: Audit) -> list[str]:
    """What most likely went wrong, and why that is thought."""
    suspect = judged.suspect
    if suspect is None:
        return []
    revision = judged.facts.revisions[suspect.index]
    explain = _silent if suspect.why == "not-triggered" else _stranger
    return [f"{name_of(revision)} was called {revision.logged}: {shown(revision)}", *explain(judged.facts, suspect)]


def _silent(facts: Facts, suspect: Suspect) -> list[str]:
    revision, before = facts.revisions[suspect.index], facts.revisions[: suspect.index]
    found = ["not triggered: the bug may well be there, and not have shown"]
    rate = start_rate(facts)
    if rate < 1:
        missed = (1 - rate) ** max(1, revision.clean)
        found.append(
            f"at the start {rate:.0%} of runs crashed; {revision.clean} clean runs then have a chance of {missed:.2g}"
        )
    crashed = [one for one in before if one.phase == "release" and one.logged == "bad"]
    if crashed and revision.phase == "release":
        found.append(f"all {len(crashed)} releases tested before it crashed, down to {crashed[-1].release}")
    if revision.compiler and before and before[-1].compiler and revision.compiler != before[-1].compiler:
        found.append(f"it was built by {revision.compiler}, the revision before by {before[-1].compiler}")
    return found


def _stranger(facts: Facts, suspect: Suspect) -> list[str]:
    revision = facts.revisions[suspect.index]
    found = ["unrelated crash: another bug was taken for this one"]
    if facts.start is not None and facts.start.crashes:
        found.append(f"the start commit showed {shown(facts.start)}")
    again = [
        one
        for one in facts.revisions[suspect.index + 1 :]
        if one.logged == "bad" and {title for title, _ in one.crashes} <= {title for title, _ in revision.crashes}
    ]
    if again:
        found.append(f"{len(again)} later revision{'s' * (len(again) > 1)} called bad showed nothing else either")
    return found


def shown(revision: Revision) -> str:
    """What the runs of a revision showed: ``WARNING in foo in 1 of 10 runs, 9 clean``."""
    total = revision.crashed + revision.clean + revision.failed
    if not total:
        error = next((line for line in revision.build_error.split("\n") if line.strip()), "")
        return f"it did not build: {error.strip()}" if error else "it was not run"
    crashes = sorted(revision.crashes, key=lambda pair: -pair[1])
    parts = [f"{title} in {runs} of {total} runs" for title, runs in crashes[:_WATCHED]]
    if len(crashes) > _WATCHED:
        parts.append(f"{len(crashes) - _WATCHED} more titles")
    if revision.clean:
        parts.append(f"{revision.clean} clean" if crashes else f"{revision.clean} clean runs of {total}")
    if revision.failed:
        parts.append(f"{revision.failed} failed before the reproducer")
    return ", ".join(parts)


def name_of(revision: Revision) -> str:
    """``v5.11 (f40ddce88593)``, or the hash alone."""
    short = revision.hash[:SHORT]
    return f"{revision.release} ({short})" if re.search(r"\S", revision.release) else short


def _list(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
