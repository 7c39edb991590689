"""What speaks for each way a bisection can have gone: the answer is right, or some verdict was the first wrong one.

Terms with their values, as facts; what a term is worth is in audit.toml, fitted by ``benchmarks/fit_audit.py``.
"""

import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from firstbad.audit.facts import Facts, Named, Revision
from firstbad.crash.likeness import face_of, face_of_title, subject_words
from firstbad.packaged import read_toml

Why = Literal["right", "not-triggered", "unrelated-crash"]
_MOST, _LEAST = 6.0, -4.0  # evidence of one revision, in nats, beyond which it is no surer
_EVERY = 0.99  # share of runs
_SAME = ("same_title", "same_function")
_FIX = re.compile(r"\bfix", re.IGNORECASE)


@dataclass(frozen=True)
class Hypothesis:
    """One way it can have gone. ``index``: the first revision whose verdict was wrong; None: none was."""

    index: int | None
    why: Why
    terms: Mapping[str, float]


def hypotheses(facts: Facts) -> list[Hypothesis]:
    """All ways: first that the named commit is the culprit, then each verdict after the start's in the log's order.

    Revisions that were skipped told git nothing, and can't have misled it.
    """
    found = [Hypothesis(None, "right", right_terms(facts))]
    for index, revision in enumerate(facts.revisions):
        if revision is facts.start or revision.logged == "skip":
            continue
        if revision.logged == "good":
            found.append(Hypothesis(index, "not-triggered", silent_terms(facts, index)))
        else:
            found.append(Hypothesis(index, "unrelated-crash", other_terms(facts, index)))
    return found


# ---------------------------------------------------------------- the answer is right


def right_terms(facts: Facts) -> dict[str, float]:
    """Terms of the named commit.

    ``untold``: its files or the stack's are not told; ``hit``: it touches a file of the crash's stack (of logs that
    only tell top directories: one of those, and its subject names what the crash is about); ``clear_deep``: such a file
    for certain, and the start's crash in all runs of all revisions called bad: logarithm of 1 + the releases of them;
    ``end_strange``: the crash at it is nothing like the start's; ``end_once``: it was seen in one run of several;
    ``end_rarer``: share of runs that crashed at the start, less that at the named commit; ``merge``, ``kconfig``,
    ``fix``: what kind of commit it is; ``insertions``: logarithm of 1 + the lines that it adds.
    """
    terms = {"right": 1.0}
    commit = facts.named
    if commit is None:
        return terms
    hit = touches(facts, commit)
    end = facts.like(facts.log.crash_title) if facts.log.crash_title else ""
    last = next((one for one in reversed(facts.revisions) if one.hash == commit.hash), None)
    terms["untold"] = float(not commit.files or not facts.stack)
    terms["hit"] = float(bool(hit))
    clear = hit in facts.stack and end in _SAME and _always(facts)
    terms["clear_deep"] = math.log1p(_releases(facts.revisions, "bad")) if clear else 0.0
    terms["end_strange"] = float(bool(facts.log.crash_title) and not end)
    if last is not None and last.crashes:
        terms["end_once"] = float(last.crashed == 1 and last.clean > 0)
        terms["end_rarer"] = max(0.0, start_rate(facts) - last.rate)
    terms["merge"] = float(commit.merge or not (commit.files or commit.directories))
    terms["kconfig"] = float(any(path.endswith(("Kconfig", "Makefile")) for path in commit.files))
    terms["fix"] = float(bool(_FIX.search(commit.title)))
    terms["insertions"] = math.log1p(commit.insertions) if commit.insertions else 0.0
    return terms


def _always(facts: Facts) -> bool:
    """Whether all revisions called bad showed the start's crash in all of their runs."""
    bad = [one for one in facts.revisions if one.logged == "bad"]
    return all(one.rate > _EVERY and one.like in _SAME for one in bad)


def _releases(revisions: Sequence[Revision], logged: str = "") -> int:
    return sum(one.phase == "release" and (not logged or one.logged == logged) for one in revisions)


def touches(facts: Facts, commit: Named) -> str:
    """The file of the crash's stack that a commit touches; of a commit whose files are not told, the top directory if
    its words are about the crash; empty: none."""
    for file in commit.files:
        if file in facts.stack:
            return file
        if file.startswith("..."):
            for path in facts.stack:
                if path.endswith(file[3:]):
                    return path
    tops = {path.split("/")[0] for path in facts.stack}
    top = next((name for name in commit.directories if name.split("/")[0] in tops), "")
    return top if top and about(facts, commit) else ""


def about(facts: Facts, commit: Named) -> bool:
    """Whether a commit's subject names what the crash is about: words of its stack's files or of its functions."""
    crash = {posixpath.splitext(path)[0] for path in facts.stack}
    for title in facts.titles:
        crash.add(face_of_title(title).function)
    if facts.report is not None:
        face = face_of(facts.report)
        crash |= {face.function, *face.stack}
    return bool(subject_words(commit.title) & subject_words(" ".join(sorted(crash))))


def start_rate(facts: Facts) -> float:
    """Share of the start's runs that crashed."""
    return facts.start.rate if facts.start else 1.0


# ---------------------------------------------------------------- a verdict was wrong


def silent_terms(facts: Facts, index: int) -> dict[str, float]:
    """Terms of a revision that was called good: the bug was there and did not show.

    ``silent_release``: it is a release; ``silent_depth``: logarithm of 1 + the releases tested before it;
    ``silent_rate``: share of clean runs at the start (what crashes seldom is missed often); of other commits
    ``silent_bads_after``: logarithm of 1 + the revisions called bad after it; ``silent_flaky``: some revision called
    bad crashed in fewer runs than not.
    """
    terms = {"silent_rate": 1 - start_rate(facts)}
    if facts.revisions[index].phase == "release":
        depth = math.log1p(_releases(facts.revisions[:index]))
        return terms | {"silent_release": 1.0, "silent_depth": depth}
    after = math.log1p(_after(facts, index, "bad"))
    return terms | {"silent_bads_after": after, "silent_flaky": float(flaky(facts))}


def other_terms(facts: Facts, index: int) -> dict[str, float]:
    """Terms of a revision that was called bad: its crash was another bug's.

    ``other_release``, ``other_commit``: which it is; ``..._new``: no revision called bad before showed any of its
    titles; ``..._new_stranger``: nor are they like the start's; ``other_bads_after``: logarithm of 1 + the revisions
    called bad after it; of releases ``other_evidence``: what the runs say for the bug, in nats; ``other_rarer``: share
    of runs that crashed at the start, less that here; of other commits ``other_same``: the start's own title.
    """
    revision, before = facts.revisions[index], facts.revisions[:index]
    kind = "other_release" if revision.phase == "release" else "other_commit"
    seen = {title for one in before if one.logged == "bad" for title, _ in one.crashes}
    new = not any(title in seen for title, _ in revision.crashes)
    terms = {
        kind: 1.0,
        f"{kind}_new": float(new),
        f"{kind}_new_stranger": float(new and not revision.like),
        "other_bads_after": math.log1p(_after(facts, index, "bad")),
    }
    if revision.phase == "release":
        terms["other_evidence"] = min(_MOST, max(_LEAST, revision.finding.evidence))
        terms["other_rarer"] = max(0.0, start_rate(facts) - revision.rate)
    else:
        terms["other_same"] = float(revision.like == "same_title")
    return terms


def flaky(facts: Facts) -> bool:
    """Whether a revision that was called bad crashed in fewer runs than not."""
    return facts.log.flaky or any(one.logged == "bad" and one.rate < 0.5 for one in facts.revisions)


def _after(facts: Facts, index: int, verdict: str) -> int:
    return sum(one.logged == verdict for one in facts.revisions[index + 1 :])


# ---------------------------------------------------------------- how much they weigh


@dataclass(frozen=True)
class Weights:
    """audit.toml."""

    terms: Mapping[str, float]
    """What each term adds, in nats."""
    trust: float
    """A log is trusted from this probability on."""
    reject: float
    """A log is rejected below this one."""


@cache
def weights() -> Weights:
    """Reads audit.toml (once a process)."""
    data = read_toml(__package__, "audit.toml")
    return Weights(data["terms"], **data["verdict"])


def weigh(found: Sequence[Hypothesis], given: Mapping[str, float]) -> list[float]:
    """How probable each of these ways is: one of them happened (a multinomial logit; McFadden 1974)."""
    scores = [sum(given.get(name, 0.0) * value for name, value in one.terms.items()) for one in found]
    most = max(scores)
    raw = [math.exp(score - most) for score in scores]
    return [value / sum(raw) for value in raw]
