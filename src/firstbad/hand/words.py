"""What a person reads after each answer."""

from firstbad.errors import UserError
from firstbad.hand.search import Proposal
from firstbad.hand.state import Hand
from firstbad.history.git import Repo
from firstbad.history.graph import titles

_SHOWN = 20


def count(number: int, word: str) -> str:
    """``3 commits``, ``1 commit``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def waiting_words(hand: Hand) -> list[str]:
    """Which end is not known yet."""
    old, new = hand.terms.old, hand.terms.new
    if not hand.settled and not hand.new and not hand.olds:
        return [
            "Say where it is and where it is not:",
            "  firstbad bad [REV]     the bug is there (HEAD where no revision is named)",
            "  firstbad good REV...   it is not",
        ]
    if not hand.new:
        known = f"{', '.join(commit[:12] for commit in hand.olds[:3])} {old}; " if hand.olds else ""
        return [
            f"Known: {known}now say which one is {new}: firstbad {new} [REV]"
            if known
            else f"Which one is {new}? firstbad {new} [REV]"
        ]
    return [f"Known: {hand.new[:12]} {new}; now say which one is {old}: firstbad {old} REV..."]


def test_words(repo: Repo, hand: Hand, proposal: Proposal, where: str) -> list[str]:
    """How much is left, and the revision to test. ``where``: how it can be had."""
    lines = [_note(note) for note in proposal.notes]
    if proposal.phase == "search":
        lines += _left_words(repo, proposal)
    commit = repo.commit(proposal.commit)
    again = " (again)" if hand.flaky and proposal.commit == hand.proposed else ""
    lines.append(f"Next: {commit.hash[:12]} {commit.title}{again}{where}")
    if not hand.proposed:
        lines.append(f"Test it, then say: firstbad {hand.terms.old}, {hand.terms.new} or skip")
    if proposal.runs > 1:
        shows, quiet = (hand.terms.old, hand.terms.new) if hand.fix else (hand.terms.new, hand.terms.old)
        lines.append(
            f"Test it up to {proposal.runs} times: `firstbad {shows}` at the first failure, "
            f"`firstbad {quiet} --runs {proposal.runs}` if there is none"
        )
    return lines


def _left_words(repo: Repo, proposal: Proposal) -> list[str]:
    steps = f"about {count(proposal.steps, 'more test')}" if proposal.steps > 1 else "this should be the last test"
    if proposal.probabilities:
        best = repo.commit(proposal.commits[0])
        few = f"{count(proposal.left, 'commit')} {'holds' if proposal.left == 1 else 'hold'} 90% of the probability"
        return [f"{few}; {steps}", f"Likeliest, with {proposal.probabilities[0]:.1%}: {best.hash[:12]} {best.title}"]
    each = f"each as likely as the others ({1 / proposal.left:.1%})" if proposal.left > 1 else "not tested itself"
    after = f"; at most {proposal.after} after this test" if proposal.after and proposal.left > 2 else ""
    return [f"{count(proposal.left, 'commit')} left, {each}{after}; {steps}"]


def _note(text: str) -> str:
    return text[0].upper() + text[1:]


def found_words(repo: Repo, hand: Hand, proposal: Proposal) -> list[str]:
    """The culprit and what the answer rests on."""
    new = hand.terms.new
    if hand.flaky:
        sure = f"probability: {proposal.confidence:.2%}"
    else:
        sure = "probability: 100%, if each answer was right (`firstbad flaky` if the test fails only sometimes)"
    lines = [
        repo.show(proposal.commit),
        "",
        f"first {new} commit: {proposal.commit} {repo.commit(proposal.commit).title}",
        sure,
    ]
    return lines + _unproven_words(repo, hand, proposal)


def _unproven_words(repo: Repo, hand: Hand, proposal: Proposal) -> list[str]:
    lines = []
    for commit, runs in proposal.unproven:
        own = "was not tested itself" if not hand.flaky else f"lacks {count(runs, 'run')} of its own"
        role = "its parent" if commit != proposal.commit else "it"
        lines.append(f"to be sure: {role} {commit[:12]} {repo.commit(commit).title} {own} (firstbad next --confirm)")
    return lines


def candidate_words(repo: Repo, hand: Hand, proposal: Proposal) -> list[str]:
    """The commits of which one is the culprit."""
    names = titles(repo, proposal.commits[:_SHOWN])
    lines = [_note(note) for note in proposal.notes]
    lines.append(f"The first {hand.terms.new} commit is one of these {len(proposal.commits)}:")
    for commit, chance in zip(proposal.commits[:_SHOWN], proposal.probabilities, strict=False):
        skipped = " (skipped)" if commit in hand.skipped else ""
        lines.append(f"  {chance:6.1%} {commit[:12]} {names.get(commit, '')}{skipped}")
    if len(proposal.commits) > _SHOWN:
        lines.append(f"  and {len(proposal.commits) - _SHOWN} more (firstbad view)")
    return lines


def on_words(hand: Hand) -> str:
    """How to go on after the answer."""
    back = hand.start["place"]
    name = back if len(back) != 40 else back[:12]
    return f"go on: firstbad log (what was said), firstbad undo (an answer was wrong), firstbad reset (back to {name})"


def told(repo: Repo, hand: Hand, proposal: Proposal, where: str = "") -> list[str]:
    """The lines for a proposal. Raises UserError for a status of which nothing is known."""
    if proposal.status == "waiting":
        return waiting_words(hand)
    if proposal.status == "test":
        return test_words(repo, hand, proposal, where)
    if proposal.status == "found":
        return [*found_words(repo, hand, proposal), on_words(hand)]
    if proposal.status == "candidates":
        return [*candidate_words(repo, hand, proposal), on_words(hand)]
    raise UserError(f"unknown status {proposal.status}")
