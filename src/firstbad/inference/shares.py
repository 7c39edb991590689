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
_FEW = 200  # rows that are summed one by one


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
    split = np.zeros((belief.dag.n, law_given.shape[0] - 1))
    split[np.arange(belief.dag.n), column[belief.state.classes]] = belief.state.posterior
    rows, inside = _sums(belief, split, allowed)
    present = inside if belief.kind == "cause" else np.maximum(split.sum(axis=0) - inside, 0.0)
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


def _sums(belief: Belief, split: Floats, allowed: Bools | None) -> tuple[Ints, Floats]:
    """Rows, and for each the sums of ``split`` over its ancestors and itself."""
    dag = belief.dag
    if allowed is not None and int(allowed.sum()) <= _FEW:
        rows = np.flatnonzero(allowed)
        sums = np.array([split[dag.ancestors(int(row))].sum(axis=0) for row in rows])
        return rows, sums.reshape(len(rows), split.shape[1])
    if dag.n <= _SMALL:
        rows, sums = np.arange(dag.n), np.maximum(dag.ancestor_sums(split), 0.0)
    else:
        rows, sums = _sums_of_large(belief, split)
    if allowed is None:
        return rows, sums
    return rows[allowed[rows]], sums[allowed[rows]]


def _sums_of_large(belief: Belief, split: Floats) -> tuple[Ints, Floats]:
    dag = belief.dag
    found = np.full((dag.n, split.shape[1]), -1.0)
    line = dag.mainline_sums(split)
    window = _window(belief, line.sum(axis=1))
    if window is not None:
        sub, index = dag.within(window)
        # What lies outside the window, as far as the newest first-parent commit below says: exact but for the little
        # that side branches share without it.
        outside = np.where(window[:, None], 0.0, split)
        below = np.vstack([np.zeros((1, split.shape[1])), dag.mainline_sums(outside)])
        found[index] = sub.ancestor_sums(split[index]) + below[dag.based_on[index] + 1]
    found[dag.mainline] = line
    tested = belief.state.tested
    found[tested] = _of_tested(belief, split)
    rows = np.flatnonzero(found[:, 0] >= 0)
    return rows, np.maximum(found[rows], 0.0)


def _window(belief: Belief, line: Floats) -> Bools | None:
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
    brought = np.diff(line, prepend=0.0)
    pull = int(np.argmax(brought))
    members = belief.dag.entered == pull
    if brought[pull] > _WEIGHTY_PULL and 1 < members.sum() <= _PULL:
        return members
    return None


def _of_tested(belief: Belief, split: Floats) -> Floats:
    """Sums at the tested revisions, from the classes: they contain a class wholly or not at all."""
    state = belief.state
    inside = state.present[:-1] if belief.kind == "cause" else ~state.present[:-1]
    by_class = np.zeros((len(inside) + 1, split.shape[1]))
    np.add.at(by_class, state.classes, split)
    return np.asarray(inside.T.astype(float) @ by_class[:-1])
