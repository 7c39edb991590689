"""One bisection by hand: each word of the person is an event before anything follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstbad.errors import NotFoundError, UserError
from firstbad.hand.journal import Event, Journal
from firstbad.hand.search import Contradiction, Proposal, propose
from firstbad.hand.state import Hand, Side, Terms, fold
from firstbad.hand.worktree import WorkTree

_MOST_SKIPPED = 200_000  # commits of all ranges of one `skip`
NONE = "no bisection by hand is under way here: `firstbad start [BAD [GOOD...]]` begins one"


@dataclass(frozen=True)
class Wanted:
    """What ``start`` was told."""

    revisions: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    terms: Terms = field(default_factory=Terms)
    own_terms: bool = False
    fix: bool = False
    first_parent: bool = False
    checkout: bool = True
    target: float = 0.99


class ByHand:
    """The bisection in the work tree at ``path``. Raises UserError outside of a repository."""

    def __init__(self, path: Path) -> None:
        self.tree = WorkTree(path)
        self.repo = self.tree.repo
        self.repo.check()
        self.journal = Journal(self.tree.directory() / "firstbad")

    def events(self) -> list[Event]:
        """What was recorded. Raises NotFoundError where nothing is under way."""
        events = self.journal.events()
        if not events:
            raise NotFoundError(NONE)
        return events

    def hand(self) -> Hand:
        """Where it stands. Raises NotFoundError where nothing is under way."""
        return fold(self.events())

    def propose(self) -> Proposal:
        """What is next."""
        return propose(self.repo, self.hand())

    def start(self, wanted: Wanted) -> None:
        """Begin (anew), from where the user was when the first one began. Raises UserError; then nothing changed."""
        if self.tree.git_bisects():
            raise UserError(
                "`git bisect` is under way here; end it with `git bisect reset`, or take it over: "
                "git bisect log > FILE; git bisect reset; firstbad replay FILE"
            )
        commits = [self._resolve(revision) for revision in wanted.revisions]
        place = self.hand().start["place"] if self.journal.under_way else self.tree.place()
        data = {
            "place": place,
            "ends": commits,
            "old": wanted.terms.old,
            "new": wanted.terms.new,
            "own_terms": wanted.own_terms,
            "fix": wanted.fix,
            "paths": [self.tree.from_top(path) for path in wanted.paths],
            "first_parent": wanted.first_parent,
            "checkout": wanted.checkout and not self.tree.bare,
            "target": wanted.target,
        }
        said = _ends(wanted.terms, commits)
        # Ends that can't be right are refused before anything is begun, as git does it.
        rows = [("start", data), *(("say", row) for row in said)]
        try:
            hand = fold(Event(number, 0.0, *row) for number, row in enumerate(rows))
            propose(self.repo, hand)
        except Contradiction as error:
            first = f"{wanted.terms.new} comes first, then {wanted.terms.old}"
            raise UserError(f"{error.words}; nothing was begun ({first}; for what was mended say --fix)") from None
        if hand.ready:
            self.repo.check_depth(hand.new, hand.olds)
        if self.journal.under_way and data["checkout"]:
            self.tree.checkout(place)
        self.tree.unpoint()
        self.journal.begin(data, said)

    def say(self, word: str, revisions: Sequence[str], runs: int = 1) -> None:
        """Record an answer. Raises UserError for a word that is not one of the terms."""
        hand = self.hand()
        side = _side(hand, word)
        if side == "new" and len(revisions) > 1:
            raise UserError(f"`firstbad {word}` takes one revision")
        commits = [self._resolve(revision) for revision in revisions] or [self.tree.current()]
        if not hand.ready:  # it is with this one, perhaps
            new = commits[0] if side == "new" else hand.new
            olds = [*hand.olds, *commits] if side == "old" else hand.olds
            if new and olds:
                self.repo.check_depth(new, olds)
        self._record(side, word, commits, runs)

    def skip(self, revisions: Sequence[str]) -> list[str]:
        """Record revisions that can't be tested, ranges (A..B) among them; returns them."""
        self.hand()
        commits: list[str] = []
        for revision in revisions:
            commits += self._range(revision) if ".." in revision else [self._resolve(revision)]
        if len(commits) > _MOST_SKIPPED:
            raise UserError(f"these are {len(commits)} commits, more than {_MOST_SKIPPED}: name a smaller range")
        if revisions and not commits:
            raise UserError(f"no commit is in {' '.join(revisions)}")
        commits = commits or [self.tree.current()]
        self._record("skip", "skip", list(dict.fromkeys(commits)), 1)
        return commits

    def flaky(self, rate: float | None) -> None:
        """From here on the test is known to fail only sometimes."""
        self.hand()
        self.journal.append("flaky", {"rate": rate})

    def undo(self, number: int) -> list[Event]:
        """Take back the last answers; returns them, the last first. Raises UserError where there are fewer."""
        events = self.events()
        undoable = fold(events).undoable
        if not undoable:
            raise UserError("nothing was said yet: there is nothing to take back")
        if number > len(undoable):
            raise UserError(f"only {len(undoable)} answers were given; `firstbad start` begins anew")
        seqs = undoable[-number:]
        self.journal.append("undo", {"seqs": seqs})
        return [events[seq] for seq in reversed(seqs)]

    def go(self, commit: str, phase: str) -> bool:
        """Check a revision out, or have FIRSTBAD_HEAD name it; returns whether files changed. Raises UserError."""
        hand = self.hand()
        if (hand.proposed, hand.phase) != (commit, phase):
            self.journal.append("next", {"commit": commit, "phase": phase})
        if not hand.start["checkout"]:
            self.tree.point(commit)
            return False
        try:
            self.tree.checkout(commit)
        except UserError as error:
            raise UserError(f"{error}\nyour answers are kept; then: firstbad next") from None
        return True

    def reset(self, revision: str = "") -> str:
        """End it and go back to where the user was, or to ``revision``; returns its name. Raises UserError."""
        hand = self.hand()
        back = revision or hand.start["place"]
        if revision:
            self._resolve(revision)
        if hand.start["checkout"]:
            try:
                self.tree.checkout(back)
            except UserError as error:
                raise UserError(f"{error}\nor name another commit: firstbad reset REV") from None
        self.tree.unpoint()
        self.journal.append("reset", {"to": back})
        self.journal.end()
        return str(back)

    def _record(self, side: Side, word: str, commits: list[str], runs: int) -> None:
        self.journal.append("say", {"side": side, "word": word, "commits": commits, "runs": runs})

    def _resolve(self, revision: str) -> str:
        return self.repo.resolve(revision)

    def _range(self, text: str) -> list[str]:
        if text.startswith("-"):
            raise UserError(f"not a revision: {text!r}")
        done = self.repo.run("rev-list", "--end-of-options", text, "--", check=False)
        if done.returncode:
            raise NotFoundError(f"unknown range: {text}")
        return done.stdout.decode().split()


def _side(hand: Hand, word: str) -> Side:
    by_age: dict[str, Side] = {"old": "old", "new": "new"}
    side = hand.terms.side(word)
    if side is None and not hand.settled:
        side = by_age.get(word)
    if side is None:
        raise UserError(
            f"'{word}' is no word of this bisection: {hand.terms.old} is before the change, {hand.terms.new} after it"
        )
    return side


def _ends(terms: Terms, commits: Sequence[str]) -> list[dict[str, Any]]:
    """The answers in a start's line: the first revision is new, the others are old."""
    sides: list[tuple[Side, str]] = [("old" if number else "new", commit) for number, commit in enumerate(commits)]
    return [{"side": side, "word": terms.word(side), "commits": [commit], "runs": 1} for side, commit in sides]
