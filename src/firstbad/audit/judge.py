"""How far to trust a bisection log, and where it most likely went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firstbad.audit.contradictions import TRUST, contradictions
from firstbad.audit.facts import Facts, Verdict, facts_of
from firstbad.audit.terms import Hypothesis, Why, hypotheses, weigh, weights
from firstbad.report.log import BisectionLog

Trust = Literal["trust", "doubt", "reject"]
IMPLIED = 0.7
"""How probable it is that a revision tested after a false verdict is what that verdict's correction implies: after a
false good git goes on among commits most of which have the bug, after a false bad among those that do not have it; but
side branches, and a suspicion of the wrong revision, break it. Set by the fewest wrong verdicts on labelled revisions
(benchmarks/audit.py; 224 at .9, 136 at .6, the logs themselves have 206); labels end at the first wrong one."""


@dataclass(frozen=True)
class Judged:
    """A tested revision: ``p_bug`` is the probability that it holds the start's bug."""

    hash: str
    phase: str
    logged: Verdict
    p_bug: float
    verdict: Verdict


@dataclass(frozen=True)
class Suspect:
    """The revision that most likely was the first to get a wrong verdict.

    ``chance``: that it was this one, if the answer is wrong.
    """

    index: int
    hash: str
    why: Why
    chance: float


@dataclass(frozen=True)
class Audit:
    """What an audit says. ``trust``: probability that the named commit is the culprit; None where none is named."""

    facts: Facts
    trust: float | None
    verdict: Trust
    suspect: Suspect | None
    revisions: tuple[Judged, ...]
    ways: tuple[tuple[Hypothesis, float], ...]
    """Each way it can have gone, and how probable it is."""


def audit(log: BisectionLog) -> Audit:
    """Judge a log by itself."""
    return judge(facts_of(log))


def judge(facts: Facts, odds: float = 1.0) -> Audit:
    """Judge what is known of a log. ``odds``: how much more often what else is known is seen where the answer is right
    than where it is wrong."""
    limits = weights()
    found = hypotheses(facts)
    chances = _with_odds(weigh(found, limits.terms), odds)
    contradicted = bool(contradictions(facts))
    if contradicted:
        chances = _with_odds(chances, TRUST)
    trust = chances[0] if facts.named else None
    if trust is not None and contradicted:
        trust = min(trust, TRUST)
    verdict: Trust = "doubt"
    if trust is not None and trust >= limits.trust:
        verdict = "trust"
    elif trust is not None and trust < limits.reject:
        verdict = "reject"
    suspect = None if verdict == "trust" or trust is None else _suspect(facts, found, chances)
    revisions = tuple(_judged(facts, index, found, chances) for index in range(len(facts.revisions)))
    return Audit(facts, trust, verdict, suspect, revisions, tuple(zip(found, chances, strict=True)))


def _with_odds(chances: Sequence[float], odds: float) -> list[float]:
    raw = [chances[0] * odds, *chances[1:]]
    return [value / sum(raw) for value in raw]


def _suspect(facts: Facts, found: Sequence[Hypothesis], chances: Sequence[float]) -> Suspect | None:
    wrong = [(chance, way) for way, chance in zip(found, chances, strict=True) if way.index is not None]
    if not wrong:
        return None
    chance, way = max(wrong, key=lambda pair: pair[0])
    assert way.index is not None  # noqa: S101 - chosen so above
    total = sum(share for share, _ in wrong)
    return Suspect(way.index, facts.revisions[way.index].hash, way.why, chance / total)


def _judged(facts: Facts, index: int, found: Sequence[Hypothesis], chances: Sequence[float]) -> Judged:
    revision = facts.revisions[index]
    if revision is facts.start:
        return Judged(revision.hash, revision.phase, revision.logged, 1.0 if revision.crashes else 0.5, revision.logged)
    chance = p_bug(facts, index, found, chances)
    verdict: Verdict = "bad" if chance > 0.5 else "good"
    if revision.logged == "skip" and not revision.crashes:
        verdict = "skip"
    return Judged(revision.hash, revision.phase, revision.logged, min(1.0, max(0.0, chance)), verdict)


def p_bug(facts: Facts, index: int, found: Sequence[Hypothesis], chances: Sequence[float]) -> float:
    """Probability that the revision at ``index`` has the start's bug, whichever way it went."""
    return sum(chance * _bug(facts, index, way) for way, chance in zip(found, chances, strict=True))


def _bug(facts: Facts, index: int, way: Hypothesis) -> float:
    """P(the bug is at a revision | it went this way)."""
    logged = facts.revisions[index].logged
    if way.index is None or index < way.index:
        own = facts.revisions[index].finding.probability
        return {"bad": 1.0, "good": 0.0, "skip": own}[logged]
    there = way.why == "not-triggered"
    if index == way.index:
        return float(there)
    return IMPLIED if there else 1 - IMPLIED


def to_json(name: str, judged: Audit) -> dict[str, Any]:
    """The object of the machine-readable contract."""
    log, suspect = judged.facts.log, judged.suspect
    return {
        "log": name,
        "kind": log.kind,
        "start_commit": log.start_commit,
        "crash_title": judged.facts.titles[0] if judged.facts.titles else log.crash_title,
        "result": {"status": log.status, "commits": list(log.commits)},
        "trust": None if judged.trust is None else round(judged.trust, 4),
        "verdict": judged.verdict,
        "suspect": {"hash": suspect.hash, "why": suspect.why} if suspect else None,
        "revisions": [
            {
                "hash": one.hash,
                "phase": one.phase,
                "logged": one.logged,
                "p_bug": round(one.p_bug, 4),
                "verdict": one.verdict,
            }
            for one in judged.revisions
        ],
        "revisions_tested": log.revisions or len(judged.revisions),
        "build_seconds": log.build_seconds,
        "test_seconds": log.test_seconds,
    }
