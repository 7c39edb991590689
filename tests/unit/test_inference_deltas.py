"""Segments, and what each adds to a parent of its own, against their definitions; limits to the byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbad.inference import deltas
from firstbad.inference.deltas import Deltas
from firstbad.inference.line import Line
from firstbad.inference.segments import Rows, Segments
from firstbad.inference.shapes import linux_shaped


@st.composite
def histories(draw, most=30):
    """Rows of parents: roots, forks, merges, a parent named twice, long runs."""
    rows = []
    for i in range(draw(st.integers(1, most))):
        before = st.integers(0, i - 1)
        rows.append([i - 1] if i and draw(st.booleans()) else draw(st.lists(before, max_size=3)) if i else [])
    return rows


def contained(above):
    """What each segment contains, itself too."""
    found = []
    for segment, parents in enumerate(above):
        found.append({segment}.union(*(found[parent] for parent in parents)))
    return found


def of(rows):
    graph = Segments.cut(Rows.of(rows))
    line = Line.of(graph)
    return graph, line, Deltas.of(graph, line)


@given(histories())
def test_segments_are_runs_without_forks_and_merges(rows):
    graph = Segments.cut(Rows.of(rows))
    parents = [sorted(set(row)) for row in rows]
    children = [[i for i, row in enumerate(parents) if p in row] for p in range(len(rows))]
    heads = []
    for commit, row in enumerate(parents):
        if len(row) == 1 and len(children[row[0]]) == 1:
            assert graph.of[commit] == graph.of[row[0]]
        else:
            assert graph.of[commit] == len(heads), "a new one, numbered by its first commit"
            heads.append(commit)
    assert graph.count == len(heads)
    assert graph.order.tolist() == sorted(range(len(rows)), key=lambda commit: (graph.of[commit], commit))
    assert graph.order[graph.place].tolist() == list(range(len(rows)))
    assert graph.order[graph.first[:-1]].tolist() == heads
    assert graph.first[-1] == len(rows)
    assert [sorted(row) for row in graph.above] == [sorted({graph.of[p] for p in parents[head]}) for head in heads]
    assert graph.first_above.tolist() == [graph.of[rows[head][0]] if rows[head] else -1 for head in heads]


@given(histories())
def test_rows_along_the_forest_are_what_a_segment_contains(rows):
    graph, _, found = of(rows)
    assert found is not None
    assert sorted(found.number.tolist()) == list(range(graph.count))
    for segment, whole in enumerate(contained(graph.above)):
        number = found.number[segment]
        added = [found.rows[row] for row in range(number + 1) if number < found.end[row]]
        assert sorted(member for row in added for member in row) == sorted(whole), "each once"
        assert segment in found.rows[number]
    for member, held in enumerate(found.holders):
        assert sorted(held) == [row for row, members in enumerate(found.rows) if member in members]
    assert found.end[found.by_end].tolist() == sorted(found.end)
    assert found.closed.tolist() == [int((found.end <= row).sum()) for row in range(graph.count)]


@given(histories())
def test_differences_are_the_smallest_that_the_line_allows(rows):
    graph, line, found = of(rows)
    assert found is not None
    whole = contained(graph.above)
    for segment, parents in enumerate(graph.above):
        size = len(found.rows[found.number[segment]])
        if line.on[segment]:
            assert size == (line.entered == line.entered[segment]).sum()
        else:
            close = [p for p in parents if line.based[p] == line.based[segment]]
            assert size == min((len(whole[segment] - whole[p]) for p in close), default=1)


@given(histories(), st.data())
def test_sums(rows, data):
    graph, _, found = of(rows)
    assert found is not None
    whole = contained(graph.above)
    totals = np.random.default_rng(graph.count).integers(1, 9, (graph.count, 2)).astype(float)
    assert found.sums(totals).tolist() == [totals[list(members)].sum(axis=0).tolist() for members in whole]
    some = st.lists(st.integers(0, graph.count - 1), unique=True, min_size=1)
    heavy, wanted = np.array(data.draw(some)), np.array(data.draw(some))
    expected = [totals[[h for h in heavy if h in whole[w]]].sum(axis=0).tolist() for w in wanted]
    assert found.sums_of(heavy, totals[heavy], wanted).tolist() == expected


def kept(graph, line):
    """Bytes of own segments: the most that is kept at one time, and all that is looked at."""
    order = sorted(range(graph.count), key=lambda segment: (line.entered[segment], segment))
    bit = {segment: place for place, segment in enumerate(order)}
    size = {}
    for segment, whole in enumerate(contained(graph.above)):
        explained = int((line.entered <= line.based[segment]).sum())
        own = [bit[member] for member in whole if line.entered[member] > line.based[segment]]
        size[segment] = 0 if line.on[segment] else (max(own) - explained + 1) // 8
    last = {parent: child for child, parents in enumerate(graph.above) for parent in parents}
    alive = [sum(size[s] for s in range(now + 1) if last.get(s, -1) > now) for now in range(graph.count)]
    work = sum(size[s] * (1 + len(parents)) for s, parents in enumerate(graph.above))
    return max(alive), work


@pytest.mark.parametrize("seed", range(3))
def test_limits(monkeypatch, seed):
    """One less than needed, and there are no differences; the caller then takes another way."""
    rng = np.random.default_rng(seed)
    rows = [row[::-1] if rng.random() < 0.3 else row for row in linux_shaped(800, seed, release=200).parents]
    graph, line, found = of(rows)
    assert found is not None
    alive, work = kept(graph, line)
    assert min(alive, work) > 10
    for name, needed in (("_MOST_ENTRIES", len(found.rows.flat)), ("_MOST_ALIVE", alive), ("_MOST_WORK", work)):
        with monkeypatch.context() as patch:
            patch.setattr(deltas, name, needed)
            assert Deltas.of(graph, line) is not None
            patch.setattr(deltas, name, needed - 1)
            assert Deltas.of(graph, line) is None


def test_a_large_history_is_far_from_the_limits():
    graph, _, found = of(linux_shaped(20_000, seed=2).parents)
    assert found is not None
    assert len(found.rows.flat) < 3 * graph.count


def test_rows():
    rows = Rows.of([[3], [], [1, 2]])
    assert Rows.of(rows) is rows
    assert (len(rows), list(rows)) == (3, [(3,), (), (1, 2)])
    assert (rows[0], rows[-1], rows[-3], rows[1:], rows[::-2]) == ((3,), (1, 2), (3,), ((), (1, 2)), ((1, 2), (3,)))
    assert rows.owners.tolist() == [0, 2, 2]
    for index in (3, -4):
        with pytest.raises(IndexError):
            rows[index]
    same, other, regrouped = Rows.of([[3], [], [1, 2]]), Rows.of([[3], [], [1, 1]]), Rows.of([[3], [1], [2]])
    assert rows == same == [[3], [], [1, 2]]
    assert rows != other
    assert rows != regrouped
    assert rows != 3
    assert rows != [[3], []]
    assert (hash(rows) == hash(same), hash(rows) == hash(regrouped)) == (True, False)
