"""The bisection by hand of this work tree, as other commands tell of it and take it over."""

from pathlib import Path
from typing import Any

from firstbad.cli.output import say
from firstbad.errors import FirstbadError, UserError
from firstbad.hand.bisection import ByHand
from firstbad.hand.words import told


def by_hand() -> ByHand | None:
    """The bisection by hand that is under way in this work tree, if any."""
    try:
        found = ByHand(Path.cwd())
    except FirstbadError:
        return None
    return found if found.journal.under_way else None


def print_lines(lines: list[str]) -> None:
    """What is next stands out."""
    for line in lines:
        bold = line.startswith(("Next: ", "first ", "The first "))
        say(line, style="bold" if bold else "dim" if line.startswith("go on: ") else None)


def hand_json(work: ByHand) -> dict[str, Any]:
    """Where it stands, with the fields that other jobs have."""
    hand, proposal = work.hand(), work.propose()
    answered = proposal.status in ("found", "candidates")
    tests = [one for one in hand.said if one.side != "skip"]
    found: dict[str, Any] = {
        "job": "here",
        "kind": "fix" if hand.fix else "cause",
        "status": proposal.status if answered else "unfinished",
        "commits": list(proposal.commits) if answered else [],
        "probabilities": list(proposal.probabilities) if answered else [],
        "confidence": proposal.confidence,
        "revisions_tested": len({commit for one in tests for commit in one.commits}),
        "builds": 0,
        "runs": sum(one.runs * len(one.commits) for one in tests),
        "terms": [hand.terms.old, hand.terms.new],
        "flaky": hand.flaky,
        "state": "finished" if answered else "running",
        "left": proposal.left,
    }
    if proposal.status == "test":
        found |= {"next": proposal.commit, "times": proposal.runs, "steps": proposal.steps}
    return found


def ends_by_hand() -> dict[str, Any]:
    """What the bisection under way here knows, as `firstbad run` is told it: ``good``, ``bad`` and ``fix``. Raises
    UserError where it does not know both ends, or searches among some commits only."""
    work = by_hand()
    if work is None:
        raise UserError("name the ends with --good and --bad, or begin with `firstbad start`")
    hand = work.hand()
    if not hand.ready:
        raise UserError("the bisection by hand under way here lacks an end; name both with --good and --bad")
    if hand.paths or hand.first_parent:
        raise UserError("`firstbad run` takes all commits: name the ends with --good and --bad")
    if hand.fix:
        return {"good": (hand.new,), "bad": hand.olds[-1], "fix": True}
    return {"good": hand.olds, "bad": hand.new, "fix": False}


def print_hand(work: ByHand) -> None:
    """``status`` and ``show`` of the bisection by hand: what was said and what is next. Nothing is checked out."""
    hand = work.hand()
    kind = "fix" if hand.fix else "cause"
    say(f"bisection by hand of this work tree, for a {kind} ({hand.terms.old} before, {hand.terms.new} after)")
    for one in hand.said[-8:]:
        title = work.repo.commit(one.commits[0]).title
        more = f" and {len(one.commits) - 1} more" if len(one.commits) > 1 else ""
        runs = f" {one.runs} runs" if one.runs > 1 else ""
        say(f"  {hand.terms.word(one.side):5} {one.commits[0][:12]} {title}{more}{runs}")
    if hand.flaky:
        say(f"the test fails only sometimes{f', at a rate of {hand.rate:g}' if hand.rate else ''}")
    print_lines(told(work.repo, hand, work.propose()))
