"""Ancestor sets and sums against brute force on random graphs."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbad.inference import Dag, dag
from firstbad.inference.lab import linear, linux_shaped, shape


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


@pytest.mark.parametrize("cache", [0, 1 << 30])
def test_sums_do_not_depend_on_blocks(monkeypatch, cache):
    monkeypatch.setattr(dag, "_BLOCK_BYTES", 100)  # one byte column per block
    monkeypatch.setattr(dag, "_CACHE_BYTES", cache)
    graph = linux_shaped(600, seed=3, release=200)
    weights = np.random.default_rng(0).integers(0, 9, graph.n).astype(float)
    expected = contains(graph.parents) @ weights
    assert (graph.ancestor_sums(weights) == expected).all()
    assert (graph.ancestor_sums(weights) == expected).all()


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
    assert Dag([]).ancestor_sums(np.ones(0)).size == 0


def test_parent_named_twice_counts_once():
    assert Dag([[], [0, 0]]).ancestor_sums(np.ones(2)).tolist() == [1, 2]


def test_fifteen_thousand_commits_take_well_under_a_second():
    graph = linux_shaped(15_000, seed=1)
    begun = time.process_time()
    sums = graph.ancestor_sums(np.ones(graph.n))
    assert time.process_time() - begun < 0.5
    assert sums[-1] == graph.n


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
