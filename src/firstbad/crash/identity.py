"""Is this the bug we hunt?  Asked of one crash, and of all the runs of a revision together.

A bug has several faces; a stranger has another function, kind and stack.  Both answers are log-odds turned into a
probability: what the best of the bug's faces and the crash have in common adds its coefficient.  The coefficients
(identity.toml) were learned from labelled bisections of the past by ``benchmarks/fit_identity.py``; docs/crashes.md
says how well they do.

How many of the runs show a stranger matters as much as what it looks like: in one run of ten it is noise, in all of
ten mostly the bug in another coat.  So :meth:`Bug.same` weighs one crash among others, :meth:`Bug.holds` all runs.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from firstbad.crash.likeness import STACKS, WHERE, Face, Likeness, compare, face_of, face_of_title
from firstbad.crash.parse import Report

Verdict = Literal["good", "bad", "skip"]
_LEAST = 0.005  # no crash proves or excludes a bug by itself


@dataclass(frozen=True, slots=True)
class Match:
    """How probable it is that a crash is the bug, and why in words."""

    probability: float
    why: str
    evidence: float = 0.0
    """log of: how much more often a revision with the bug shows such a crash than one without (nats)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What all the runs of one revision showed."""

    crashes: Sequence[tuple[Report | str, int]] = ()
    """Distinct crashes (a report, or a title where no more is known) and in how many runs each was seen."""
    clean: int = 0
    """Runs that came to their end without a crash."""
    failed: int = 0
    """Runs that never came to the reproducer, or were lost to the machine."""
    release: bool = False
    """A release, far from the start: bugs may wear another coat there; among neighbours they rarely do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a revision has the bug, as its runs tell it."""

    probability: float
    """P(the bug is here | what the runs showed)."""
    evidence: float
    """log P(the runs show this | bug) - log P(... | no bug), in nats: for whoever has a prior of their own."""
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What identity.toml says; log-odds in nats. In both tables ``base`` is always added."""

    crash: Mapping[str, float]
    """What each term of one crash's likeness adds (:func:`firstbad.crash.likeness.compare`)."""
    runs: Mapping[str, float]
    """What each term of a revision's runs adds (:meth:`Bug.terms`)."""
    clean: float
    """Evidence of a revision none of whose runs crashed."""
    prior: float
    """Share of the tested revisions that had the bug."""
    bad: float
    """A revision is called bad from this probability on."""
    good: float
    """A revision is called good up to this probability."""


@cache
def coefficients() -> Coefficients:
    """Reads identity.toml (once a process)."""
    data = tomllib.loads(files(__package__).joinpath("identity.toml").read_text(encoding="utf-8"))
    return Coefficients(data["crash"], data["runs"], **data["revision"])


class Bug:
    """The bug's known faces, learned as the search goes on; two questions about it: ``same`` and ``holds``."""

    def __init__(
        self, titles: Iterable[str], reports: Iterable[Report] = (), given: Coefficients | None = None
    ) -> None:
        """Takes titles and reports for faces of the bug. ``given`` stands in for the shipped coefficients."""
        self._faces = list(dict.fromkeys(face_of_title(title) for title in titles))
        self._given = given
        for report in reports:
            self.learn(report)

    @property
    def titles(self) -> tuple[str, ...]:
        """Every title the bug has shown, in the order in which they were learned."""
        return tuple(dict.fromkeys(face.title for face in self._faces))

    def learn(self, report: Report) -> None:
        """Takes ``report`` for a face of the bug: one of the start commit, or of a revision known to be bad."""
        self.add(face_of(report))

    def add(self, face: Face) -> None:
        """Takes ``face`` for one of the bug's."""
        if face not in self._faces:
            self._faces.append(face)

    def same(self, crash: Report | str) -> Match:
        """How probable it is that ``crash`` (a report, or its title) shows this bug; the best face decides.

        The probability is an excess: of the crashes of that likeness, the share that is more than what is seen where
        the bug is not, at a revision as likely to have the bug as not: (r - 1) / (r + 1), r = exp(evidence).
        A bug without any known face gives 0.5: then nothing can be said.
        """
        if not self._faces:
            return Match(0.5, "nothing is known about the bug yet")
        likeness = self.likeness(crash)
        evidence = _sum((self._given or coefficients()).crash, likeness.terms)
        excess = min(max(math.tanh(evidence / 2), _LEAST), 1 - _LEAST)
        return Match(excess, ", ".join(likeness.words) or "nothing in common", evidence)

    def holds(self, shown: Shown, prior: float | None = None) -> Finding:
        """Whether a revision has the bug, judged by all of its runs together.

        ``prior`` is the probability before the runs (0 < prior < 1); without it, that of any tested revision. Runs
        that never came to the reproducer say nothing: with no other runs the verdict is ``skip``. Without a crash the
        verdict is ``good`` or ``skip``; whether the runs did reach the code is for the caller to ask.
        """
        weigh = self._given or coefficients()
        before = weigh.prior if prior is None else prior
        if not shown.crashes and not shown.clean:
            return Finding(before, 0.0, "skip", "no run came to the reproducer")
        if not shown.crashes:
            evidence, why = weigh.clean, "no run crashed"
        elif not self._faces:
            return Finding(before, 0.0, "skip", "nothing is known about the bug yet")
        else:
            terms, why = self.terms(shown)
            evidence = _sum(weigh.runs, terms)
        probability = _sigmoid(evidence + math.log(before / (1 - before)))
        verdict: Verdict = "good" if probability <= weigh.good else "skip"
        return Finding(probability, evidence, "bad" if shown.crashes and probability >= weigh.bad else verdict, why)

    def terms(self, shown: Shown) -> tuple[dict[str, float], str]:
        """What the runs of a revision with a crash say: terms with their values (1, or shares of runs), and words.

        The terms of the crash that is most like the bug (:func:`firstbad.crash.likeness.compare`), those of STACKS left
        out (the bug in another coat has another stack too), and:
        ``all`` (1 or 0): no run was clean, and most runs of several crashed;
        ``clean``: share of the started runs that were clean, where some crash is like the bug;
        ``clean_weak``: the same, where that likeness is less than the same title;
        ``all_near``: the same, where all crashes are strangers and the revision is no release;
        ``failed``: share of all runs that never came to the reproducer, where all crashes are strangers.
        """
        each = [(self.likeness(crash), runs) for crash, runs in shown.crashes]
        best, _ = min(each, key=lambda pair: (_rank(pair[0]), -pair[1]))
        place = place_of(best)
        crashed = sum(runs for _, runs in each)
        started = crashed + shown.clean
        everywhere = not shown.clean and 2 * crashed > max(2, started + shown.failed)
        terms = {name: value for name, value in best.terms.items() if name not in STACKS}
        terms["all"] = float(everywhere)
        words = ", ".join(best.words) or "nothing in common"
        if not place:
            terms["all_near"] = float(everywhere and not shown.release)
            terms["failed"] = shown.failed / (started + shown.failed)
            return terms, f"strangers only, in {'all' if everywhere else crashed} of {started} runs: {words}"
        like = sum(runs for likeness, runs in each if place_of(likeness))
        terms["clean"] = shown.clean / started
        terms["clean_weak"] = 0.0 if place == "same_title" else terms["clean"]
        return terms, f"{words}, in {like} of {started} runs"

    def likeness(self, crash: Report | str) -> Likeness:
        """What a crash has in common with the face that fits it best.

        A title whose function was lost is weak evidence beside faces that tell theirs; a bug that never tells more is
        known by it.
        """
        seen = face_of_title(crash) if isinstance(crash, str) else face_of(crash)
        best = min((compare(known, seen) for known in self._faces), key=_rank)
        if place_of(best) == "same_lost_title" and not any(face.function for face in self._faces):
            rest = {name: value for name, value in best.terms.items() if name != "same_lost_title"}
            return Likeness({"same_title": 1.0, **rest}, best.words)
        return best


def place_of(likeness: Likeness) -> str:
    """The term of WHERE that holds: what two crashes share; empty for strangers."""
    return next((name for name in WHERE if name in likeness.terms), "")


def _rank(likeness: Likeness) -> tuple[int, float]:
    """Less is more alike: by place, then by the share of the stack."""
    place = place_of(likeness)
    return WHERE.index(place) if place else len(WHERE), -likeness.terms.get("same_stack", 0.0)


def _sum(weights: Mapping[str, float], terms: Mapping[str, float]) -> float:
    return weights["base"] + sum(weights.get(name, 0.0) * value for name, value in terms.items())


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
