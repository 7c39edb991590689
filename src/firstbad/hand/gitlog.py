"""A bisection by hand as a ``git bisect log``, for ``git bisect replay``; and one of git's as a bisection by hand."""

from firstbad.errors import UserError
from firstbad.hand.bisection import Wanted
from firstbad.hand.search import propose, weigh
from firstbad.hand.state import Hand, Terms
from firstbad.history.git import Repo
from firstbad.history.graph import titles
from firstbad.report.gitlog import GitLog
from firstbad.report.writer import one_line


def git_bisect_log(repo: Repo, hand: Hand) -> str:
    """What ``git bisect log`` would say, with our remarks as comments.

    Where answers may be wrong the verdicts are those of the belief, since git takes each line for certain. A search for
    a fix in plain words is told with git's words turned round, see :mod:`firstbad.session.replay`.
    """
    lines = [f"# firstbad: {note}" for note in _remarks(hand)]
    answers = _believed(repo, hand) if hand.flaky and hand.ready else _said(hand)
    names = titles(repo, dict.fromkeys(commit for _, commit in answers)) if answers else {}
    comments = [f"# {word}: [{commit}] {one_line(names.get(commit, ''))}" for word, commit in answers]
    ends = tuple(hand.start["ends"])
    if tuple(commit for _, commit in answers[: len(ends)]) != ends:  # one of them was taken back
        ends = ()
    lines += [*comments[: len(ends)], _start(hand, ends)]
    for comment, (word, commit) in list(zip(comments, answers, strict=True))[len(ends) :]:
        lines += [comment, f"git bisect {word} {commit}"]
    return "".join(f"{line}\n" for line in [*lines, *_answer(repo, hand)])


def _remarks(hand: Hand) -> list[str]:
    rate = f", one run in {1 / hand.rate:.3g}" if hand.rate else ""
    notes = [f"the test fails only sometimes{rate}; verdicts of the belief, git takes them for certain"]
    fix = ["search for a fix: good means that the bug is there, bad that it is gone"]
    return [*(notes if hand.flaky else []), *(fix if _turned(hand) else [])]


def _turned(hand: Hand) -> bool:
    return (hand.terms.old, hand.terms.new) == ("bad", "good")


def _word(hand: Hand, side: str) -> str:
    if side == "skip" or not _turned(hand):
        return hand.terms.word(side)  # type: ignore[arg-type]  # one of the sides
    return "bad" if side == "new" else "good"


def _start(hand: Hand, ends: tuple[str, ...]) -> str:
    words = ["git", "bisect", "start"]
    if hand.start["own_terms"] and not _turned(hand):
        words += ["--term-new", hand.terms.new, "--term-old", hand.terms.old]
    words += ["--first-parent"] if hand.first_parent else []
    words += ["--no-checkout"] if not hand.start["checkout"] else []
    words += ends
    words += ["--", *hand.paths] if hand.paths else []
    # As git quotes them; it does not read others.
    return " ".join([*words[:3], *("'" + word.replace("'", r"'\''") + "'" for word in words[3:])])


def _said(hand: Hand) -> list[tuple[str, str]]:
    return [(_word(hand, one.side), commit) for one in hand.said for commit in one.commits]


def _believed(repo: Repo, hand: Hand) -> list[tuple[str, str]]:
    """Ends, skipped ones, then each revision as it is believed to be; the deepest new one last."""
    found, belief = weigh(repo, hand)
    ends = [*((hand.terms.new, c) for c in hand.end("new")), *((hand.terms.old, c) for c in hand.end("old"))]
    rows = [(_word(hand, "new" if word == hand.terms.new else "old"), commit) for word, commit in ends]
    tested = [c for c in (*hand.olds, *hand.commits("new")) if c not in dict(map(reversed, ends))]  # type: ignore[arg-type]
    new = []
    for commit in dict.fromkeys(tested):
        if commit in found.index:
            there = belief.p_bug(found.index[commit]) > 0.5
            if there != hand.fix:
                new.append(commit)
            else:
                rows.append((_word(hand, "old"), commit))
    rows += [(_word(hand, "skip"), commit) for commit in hand.skipped]
    new.sort(key=lambda commit: -found.index[commit])
    return rows + [(_word(hand, "new"), commit) for commit in new]


def _answer(repo: Repo, hand: Hand) -> list[str]:
    try:
        proposal = propose(repo, hand)
    except UserError as error:
        return [f"# firstbad: {one_line(str(error))}"]
    if proposal.status == "found":
        title = one_line(repo.commit(proposal.commit).title)
        return [f"# first {_word(hand, 'new')} commit: [{proposal.commit}] {title}"]
    if proposal.status == "candidates":
        names = titles(repo, proposal.commits)
        rows = [f"# possible first {_word(hand, 'new')} commit: [{c}] {one_line(names[c])}" for c in proposal.commits]
        return [f"# {note}" for note in proposal.notes] + rows
    return []


def wanted_of(log: GitLog) -> Wanted:
    """What ``start`` is to be told so that the log can be said again."""
    old, new = log.terms
    plain = (old, new) in (("good", "bad"), ("old", "new"))
    turned = log.fix and (old, new) == ("good", "bad")
    return Wanted(
        revisions=log.ends,
        paths=log.paths,
        terms=Terms("bad", "good") if turned else Terms() if plain else Terms(old, new),
        own_terms=turned or not plain,
        fix=turned,
        first_parent="--first-parent" in log.options,
        checkout="--no-checkout" not in log.options,
    )
