"""How much of the posterior each revision contains: the revisions worth asking, and the sums over their ancestors.

On a small graph every revision is a row. On a large one only those are that can split the posterior well: the
first-parent line, whose sums cost next to nothing, and, once the posterior sits in a window of a few thousand
commits or in one pull of many, the revisions of that window.
"""

from dataclasses import dataclass

import numpy as np

from .belief import Belief
from .dag import Bools, Floats, Ints

_COLUMNS = 7  # classes that keep a crash law of their own; the others, of least mass, share one
_SMALL = 3_000  # commits of a graph, or of a window, that are all looked at
_PULL = 20_000  # commits of one pull that are all looked at
_HEAVY = 0.995  # share of the posterior that a window must hold
_WEIGHTY_PULL = 0.2  # share of the posterior that makes one pull worth a look of its own
_FEW = 200  # revisions that are looked at wherever they are, if no others are allowed


@dataclass(frozen=True)
class Shares:
    """Rows and columns: revisions, and groups of hypotheses (the heaviest classes, the others, "no candidate")."""

    rows: Ints
    """(r,) revisions."""
    present: Floats
    """(r, c) P(column, bug present at the revision)."""
    law_given: Floats
    """(c, laws) P(crash law | column)."""


def shares(belief: Belief, allowed: Bools | None) -> Shares:
    """The table of rows for the choice of a test; rows are in order of index, tested revisions among them."""
    column, law_given = _columns(belief)
    count = law_given.shape[0] - 1
    rows = _rows(belief)
    if allowed is not None:
        rows = np.flatnonzero(allowed) if int(allowed.sum()) <= _FEW else rows[allowed[rows]]
    groups = column[belief.state.classes]
    inside = np.maximum(belief.dag.grouped_sums(rows, belief.posterior, groups, count), 0.0)
    whole = np.bincount(groups, weights=belief.posterior, minlength=count)
    present = inside if belief.kind == "cause" else np.maximum(whole - inside, 0.0)
    present = np.column_stack([present, np.full(len(rows), belief.older)])
    present /= np.maximum(present.sum(axis=1, keepdims=True), 1.0)
    return Shares(rows, present, law_given)


def _columns(belief: Belief) -> tuple[Ints, Floats]:
    """(classes + 1,) the column of each class, its last entry for commits that are no candidates; P(law | column)."""
    state = belief.state
    mass = state.joint[:-1].sum(axis=1)
    heaviest = np.argsort(-mass, kind="stable")[:_COLUMNS]
    column = np.full(len(mass) + 1, len(heaviest))
    column[heaviest] = np.arange(len(heaviest))
    joint = np.zeros((len(heaviest) + 2, state.joint.shape[1]))
    np.add.at(joint, column[:-1], state.joint[:-1])
    joint[-1] = state.joint[-1]
    totals = joint.sum(axis=1, keepdims=True)
    spread = state.joint.sum(axis=0)  # of a column without mass; it weighs nothing
    return column, np.where(totals > 0, joint / np.where(totals > 0, totals, 1.0), spread)


def _rows(belief: Belief) -> Ints:
    """All revisions of a small graph; of a large one the first-parent line, the window and what was tested."""
    dag = belief.dag
    if dag.n <= _SMALL:
        return np.arange(dag.n)
    use = np.zeros(dag.n, dtype=bool)
    use[dag.mainline] = True
    use[belief.state.tested] = True
    window = _window(belief)
    if window is not None:
        use |= window
    return np.flatnonzero(use)


def _window(belief: Belief) -> Bools | None:
    """The commits that hold nearly all of the posterior, or the one pull that holds much of it, if not too many."""
    state = belief.state
    mass = state.joint[:-1].sum(axis=1)
    order = np.argsort(-mass, kind="stable")
    enough = int(np.searchsorted(np.cumsum(mass[order]), _HEAVY * mass.sum())) + 1
    heavy = np.zeros(len(mass) + 1, dtype=bool)
    heavy[order[:enough]] = True
    members: Bools = heavy[state.classes]
    if members.sum() <= _SMALL:
        return members
    brought = np.bincount(belief.dag.entered, weights=belief.posterior)
    pull = int(np.argmax(brought))
    members = belief.dag.entered == pull
    if brought[pull] > _WEIGHTY_PULL and 1 < members.sum() <= _PULL:
        return members
    return None
