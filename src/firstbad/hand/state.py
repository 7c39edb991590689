"""What was said so far: a pure fold over the journal's events.

=========  ==========================================================================================
``start``  where the user was, terms, paths, what ``git checkout`` may do
``say``    ``side`` (old, new, skip) of ``commits``, in which ``word``, after how many ``runs``
``flaky``  from here on the test is known to fail only sometimes; ``rate`` where that is known too
``undo``   the events ``seqs`` are taken back
``next``   a revision is about to be checked out; ``phase`` search, base (a merge base) or confirm
=========  ==========================================================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from firstbad.hand.journal import Event
from firstbad.report.gitlog import FIX_TERMS

Side = Literal["old", "new", "skip"]
PLAIN = ("good", "bad")
BY_AGE = ("old", "new")


@dataclass(frozen=True)
class Terms:
    """The words for the two sides, in the order of time."""

    old: str = "good"
    new: str = "bad"

    def side(self, word: str) -> Side | None:
        """The side that a word is for."""
        return "old" if word == self.old else "new" if word == self.new else None

    def word(self, side: Side) -> str:
        """The word for a side."""
        return {"old": self.old, "new": self.new, "skip": "skip"}[side]


@dataclass(frozen=True)
class Said:
    """One answer; ``end``: given before anything was proposed, so it is one of the ends and not a result of a test."""

    seq: int
    side: Side
    commits: tuple[str, ...]
    runs: int
    end: bool


@dataclass
class Hand:
    """A bisection by hand as it stands."""

    start: dict[str, Any]
    terms: Terms = field(default_factory=Terms)
    settled: bool = False
    """Whether the terms can't change any more."""
    said: list[Said] = field(default_factory=list)
    flaky: bool = False
    rate: float | None = None
    """Chance that the test shows the bug where it is; None where nobody said it."""
    searching: bool = False
    """Whether a revision between the ends was proposed."""
    proposed: str = ""
    phase: str = ""
    undoable: list[int] = field(default_factory=list)
    """Events that can be taken back, in order."""

    @property
    def fix(self) -> bool:
        """Whether the commit that took the bug away is searched for: then the old side is the one that fails."""
        return bool(self.start["fix"]) or self.terms.new in FIX_TERMS[0] or self.terms.old in FIX_TERMS[1]

    @property
    def new(self) -> str:
        """The revision last said to be new; as git takes it, the others don't matter."""
        return next((one.commits[-1] for one in reversed(self.said) if one.side == "new"), "")

    @property
    def olds(self) -> tuple[str, ...]:
        """All revisions said to be old, each once, in order."""
        return self.commits("old")

    @property
    def skipped(self) -> tuple[str, ...]:
        """All revisions that can't be tested."""
        return self.commits("skip")

    def commits(self, side: Side) -> tuple[str, ...]:
        """The revisions said to be on a side, each once, in order."""
        return tuple(dict.fromkeys(commit for one in self.said if one.side == side for commit in one.commits))

    def end(self, side: Side) -> tuple[str, ...]:
        """Those said before anything was proposed."""
        return tuple(dict.fromkeys(c for one in self.said if one.side == side and one.end for c in one.commits))

    @property
    def paths(self) -> tuple[str, ...]:
        """Only commits that touch these are looked for; empty: all."""
        return tuple(self.start["paths"])

    @property
    def first_parent(self) -> bool:
        """Whether only the first parents of merges are followed."""
        return bool(self.start["first_parent"])

    @property
    def ready(self) -> bool:
        """Whether both ends are known."""
        return bool(self.new and self.olds)


def fold(events: Iterable[Event]) -> Hand:
    """The state after these events, the first of which is the start."""
    rows = list(events)
    undone = {seq for event in rows if event.kind == "undo" for seq in event.data["seqs"]}
    start = rows[0].data
    hand = Hand(start, Terms(start["old"], start["new"]), bool(start["own_terms"]))
    for event in rows[1:]:
        if event.kind in ("say", "flaky") and event.seq not in undone:
            hand.undoable.append(event.seq)
            _apply(hand, event)
        elif event.kind == "next":
            hand.proposed, hand.phase = event.data["commit"], event.data["phase"]
            hand.searching |= hand.phase == "search"
    return hand


def _apply(hand: Hand, event: Event) -> None:
    data = event.data
    if event.kind == "flaky":
        hand.flaky, hand.rate = True, data["rate"]
        return
    if not hand.settled and data["side"] != "skip":
        hand.terms = Terms(*BY_AGE) if data["word"] in BY_AGE else Terms(*PLAIN)
        hand.settled = True
    hand.said.append(Said(event.seq, data["side"], tuple(data["commits"]), int(data["runs"]), not hand.proposed))
