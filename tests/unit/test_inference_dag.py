"""Ancestor sets and sums against brute force on random graphs."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbad.inference import Dag, bitmatrix, deltas
from firstbad.inference.shapes import Shape, linear, linux_shaped, shape


@st.composite
def graphs(draw, most=24):
    """Random graphs, roots, merges, octopuses and long runs included."""
    n = draw(st.integers(1, most))
    rows = []
    for i in range(n):
        if i and draw(st.booleans()):
            rows.append([i - 1])
        else:
            rows.append(draw(st.lists(st.integers(0, i - 1), max_size=3, unique=True)) if i else [])
    return rows


def contains(rows):
    """(n, n) matrix by definition: [i, j] whether i contains j."""
    matrix = np.zeros((len(rows), len(rows)), dtype=bool)
    for i, row in enumerate(rows):
        matrix[i, i] = True
        for p in row:
            matrix[i] |= matrix[p]
    return matrix


@given(graphs(), st.integers(0, 2**32 - 1))
def test_sets_sums_and_distances_equal_brute_force(rows, seed):
    graph, matrix = Dag(rows), contains(rows)
    weights = np.random.default_rng(seed).random((graph.n, 3))
    assert np.allclose(graph.ancestor_sums(weights), matrix @ weights, atol=1e-12)
    assert np.allclose(graph.ancestor_sums(weights[:, 0]), matrix @ weights[:, 0], atol=1e-12)
    for i in range(graph.n):
        assert (graph.ancestors(i) == matrix[i]).all()
        assert (graph.descendants(i) == matrix[:, i]).all()
        assert (graph.distance(i) == (matrix ^ matrix[i]).sum(axis=1)).all()


@given(graphs(), st.integers(0, 2**32 - 1))
def test_mainline_equals_brute_force(rows, seed):
    graph, matrix = Dag(rows), contains(rows)
    line = [graph.n - 1]
    while rows[line[-1]]:
        line.append(rows[line[-1]][0])
    line.reverse()
    assert graph.mainline.tolist() == line
    inside = matrix[line]
    assert graph.entered.tolist() == [int(np.argmax(c)) if c.any() else len(line) for c in inside.T]
    upto = matrix[:, line]
    assert graph.based_on.tolist() == [int(np.flatnonzero(c).max(initial=-1)) for c in upto]
    weights = np.random.default_rng(seed).random((graph.n, 3))
    assert np.allclose(graph.mainline_sums(weights), inside @ weights, atol=1e-12)
    assert np.allclose(graph.mainline_sums(weights[:, 1]), inside @ weights[:, 1], atol=1e-12)


@given(graphs(), st.data())
def test_sums_of_a_few_at_a_few_equal_brute_force(rows, data):
    graph, matrix = Dag(rows), contains(rows)
    some = st.lists(st.integers(0, graph.n - 1))
    asked, heavy = data.draw(some), data.draw(some)  # in any order, named twice
    weights = np.random.default_rng(len(asked)).random((len(heavy), 2))
    expected = matrix[np.ix_(asked, heavy)].astype(float) @ weights
    assert np.allclose(graph.sums_at(asked, heavy, weights), expected, atol=1e-12)
    assert np.allclose(graph.sums_at(asked, heavy, weights[:, 0]), expected[:, 0], atol=1e-12)


@given(graphs(), st.data())
def test_grouped_sums_equal_brute_force(rows, data):
    graph, matrix = Dag(rows), contains(rows)
    asked = data.draw(st.lists(st.integers(0, graph.n - 1)))
    rng = np.random.default_rng(len(asked))
    weights, groups = rng.random(graph.n), rng.integers(0, 3, graph.n)
    split = np.zeros((graph.n, 3))
    split[np.arange(graph.n), groups] = weights
    assert np.allclose(graph.grouped_sums(asked, weights, groups, 3), (matrix @ split)[asked], atol=1e-12)


@given(graphs(), st.data())
def test_within_keeps_who_contains_whom(rows, data):
    graph, matrix = Dag(rows), contains(rows)
    members = np.array(data.draw(st.lists(st.booleans(), min_size=graph.n, max_size=graph.n)))
    sub, index = graph.within(members)
    assert index.tolist() == np.flatnonzero(members).tolist()
    assert (contains(sub.parents) == matrix[np.ix_(index, index)]).all()


@given(graphs(), st.data())
def test_within_keeps_edges_of_a_difference_of_ancestors(rows, data):
    graph = Dag(rows)
    bad, good = (data.draw(st.integers(0, graph.n - 1)) for _ in range(2))
    members = graph.ancestors(bad) & ~graph.ancestors(good)
    sub, index = graph.within(members)
    place = {int(commit): i for i, commit in enumerate(index)}
    kept = [[place[p] for p in rows[commit] if p in place] for commit in index]
    assert sub.parents == kept


@given(graphs())
def test_from_arrays(rows):
    flat = [p for row in rows for p in row]
    offsets = np.cumsum([0, *map(len, rows)])
    graph = Dag.from_arrays(offsets.astype(np.int32), np.array(flat, dtype=np.uint32))
    assert graph.parents == Dag(rows).parents == rows
    assert [graph.parents[i] for i in range(graph.n)] == [tuple(row) for row in rows] == list(graph.parents)
    assert graph.parents[-1] == tuple(rows[-1])
    assert graph.parents[: graph.n] == tuple(graph.parents)


@pytest.mark.parametrize(
    ("offsets", "flat"), [([], []), ([1, 1], [0]), ([0, 2], [0]), ([0, 1, 0, 1], [0]), ([[0, 0]], [])]
)
def test_odd_arrays(offsets, flat):
    with pytest.raises(ValueError, match="offsets must rise"):
        Dag.from_arrays(offsets, flat)


@pytest.mark.parametrize("cache", [0, 1 << 30])
def test_sums_without_differences_do_not_depend_on_blocks(monkeypatch, cache):
    monkeypatch.setattr(deltas, "_MOST_ENTRIES", 0)
    monkeypatch.setattr(bitmatrix, "_BLOCK_BYTES", 100)  # one byte column per block
    monkeypatch.setattr(bitmatrix, "_CACHE_BYTES", cache)
    graph = linux_shaped(600, seed=3, release=200)
    weights = np.random.default_rng(0).integers(0, 9, graph.n).astype(float)
    expected = contains(graph.parents) @ weights
    assert (graph.ancestor_sums(weights) == expected).all()
    assert (graph.ancestor_sums(weights) == expected).all()
    rows, heavy = np.arange(0, graph.n, 7), np.flatnonzero(weights > 4)
    matrix = contains(graph.parents)[np.ix_(rows, heavy)]
    assert (graph.sums_at(rows, heavy, weights[heavy]) == matrix @ weights[heavy]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(100, 700), st.integers(0, 99), st.floats(0, 1))
def test_merges_either_way_round(n, seed, share):
    """The first parent need not be the line that people mean; the sums stay exact."""
    rng = np.random.default_rng(seed)
    shaped = linux_shaped(n, seed, release=100)
    rows = [row[::-1] if rng.random() < share else row for row in shaped.parents]
    graph, weights = Dag(rows), rng.integers(0, 9, shaped.n).astype(float)
    expected = contains(rows) @ weights
    assert (graph.ancestor_sums(weights) == expected).all()
    assert (graph.mainline_sums(weights) == expected[graph.mainline]).all()
    assert (graph.sums_at(np.arange(graph.n), np.arange(graph.n), weights) == expected).all()


@pytest.mark.parametrize("rows", [[[0]], [[], [2], []], [[], [-1]]])
def test_parents_must_come_first(rows):
    with pytest.raises(ValueError, match="must be among"):
        Dag(rows)


def test_wrong_arguments():
    graph = linear(3)
    with pytest.raises(ValueError, match="3 commits"):
        graph.ancestor_sums(np.ones(4))
    with pytest.raises(ValueError, match="commit 3"):
        graph.ancestors(3)
    with pytest.raises(ValueError, match="3 commits"):
        graph.mainline_sums(np.ones(2))
    with pytest.raises(ValueError, match="3 commits"):
        graph.within(np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="2 commits"):
        graph.sums_at([0], [0, 1], np.ones(3))
    with pytest.raises(ValueError, match=r"among 0\.\.2"):
        graph.sums_at([3], [0], np.ones(1))
    with pytest.raises(ValueError, match="3 commits"):
        graph.grouped_sums([0], np.ones(2), np.zeros(2, dtype=int), 1)
    with pytest.raises(ValueError, match="3 numbers among"):
        graph.grouped_sums([0], np.ones(3), np.array([0, 1, 2]), 2)


def test_no_commits():
    empty = Dag([])
    assert empty.ancestor_sums(np.ones(0)).size == empty.mainline_sums(np.ones((0, 2))).size == 0
    assert empty.mainline.size == empty.entered.size == empty.within(np.zeros(0, dtype=bool))[1].size == 0


def test_distances_kept_are_bounded(monkeypatch):
    monkeypatch.setattr("firstbad.inference.dag._REMEMBERED", 100)
    graph = linear(30)
    for i in range(30):
        assert graph.distance(i)[0] == i
    assert len(graph._distances) == 3


def test_parent_named_twice_counts_once():
    assert Dag([[], [0, 0]]).ancestor_sums(np.ones(2)).tolist() == [1, 2]


def test_ninety_thousand_commits_take_well_under_a_second():
    shaped = linux_shaped(90_000, seed=1).parents
    begun = time.process_time()
    graph = Dag.from_arrays(shaped.offsets, shaped.flat)
    sums = graph.ancestor_sums(np.ones(graph.n))
    assert time.process_time() - begun < 0.5
    assert sums[-1] == graph.n
    half = graph.n // 2
    assert sums[half] == graph.ancestors(half).sum()
    assert graph.distance(half)[-1] == graph.n - sums[half]


@settings(max_examples=20)
@given(st.integers(2, 300), st.integers(0, 99))
def test_generator_is_seeded_and_whole(n, seed):
    first, second = (linux_shaped(n, seed, release=100) for _ in range(2))
    assert first.parents == second.parents
    assert first.n >= n
    assert first.ancestors(first.n - 1).all()
    assert not first.parents[0]


def test_linux_shape():
    figures = [shape(linux_shaped(14_000, seed)) for seed in range(5)]
    assert np.mean([figure.merges for figure in figures]) == pytest.approx(0.07, abs=0.006)
    assert all(figure.mainline < figure.commits / 20 for figure in figures)


def test_the_figures_of_a_graph():
    assert shape(linear(5)) == Shape(5, 0.0, 5)
    merged = Dag([[], [0], [0], [2], [1, 3], [4]])
    assert shape(merged) == Shape(6, 1 / 6, 4)
    assert shape(Dag([[]])) == Shape(1, 0.0, 1)


def test_a_pull_began_up_to_two_releases_back_and_brings_topics():
    """What the generator says of itself, counted in what it made."""
    release, graph = 400, linux_shaped(12_000, seed=7, release=400)
    parents = [list(row) for row in graph.parents]
    mainline = set(graph.mainline.tolist())
    merges = [row for row in parents if len(row) == 2]
    # On the line each commit is a pull, and brings one first series and 3 topics (Poisson) of which .95 are merged.
    line = [commit for commit in mainline if parents[commit]]
    assert all(len(parents[commit]) == 2 for commit in line)
    inside = (len(merges) - len(line)) / len(line)
    assert inside == pytest.approx(3 * 0.95, abs=4 * (3 / len(line)) ** 0.5)
    # A branch that starts on the line: its base is no older than two releases, and often not the last commit.
    reach = [
        commit - row[0]
        for commit, row in enumerate(parents)
        if len(row) == 1 and row[0] in mainline and commit not in mainline
    ]
    assert max(reach) <= 2 * release + 400, "a longest topic may lie between"
    assert np.mean(reach) > release / 2
    # Lengths of series: lognormal with median 5 and mean 13, from 1 to 400.
    runs, length = [], 0
    for commit, row in enumerate(parents[1:], 1):
        starts = len(row) == 2 or row[0] != commit - 1
        if starts and length:
            runs.append(length)
        length = 0 if len(row) == 2 else (1 if starts else length + 1)
    assert min(runs) == 1
    assert max(runs) <= 400 + 400
    assert np.median(runs) == pytest.approx(5, abs=1)
    assert np.mean(runs) == pytest.approx(13, abs=3)
