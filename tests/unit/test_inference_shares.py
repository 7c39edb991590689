"""Which revisions of a large graph are looked at, with thresholds brought down to graphs counted by hand."""

import sys

import numpy as np
import pytest

from firstbad.inference import Belief, Dag, Evidence
from firstbad.inference.shapes import linear
from firstbad.inference.shares import shares

CRASH, CLEAN = Evidence(crashes=20), Evidence(clean=200)


@pytest.fixture
def module(monkeypatch):
    found = sys.modules["firstbad.inference.shares"]
    monkeypatch.setattr(found, "_SMALL", 40)
    monkeypatch.setattr(found, "_PULL", 200)
    return found


def pulls(*lengths: int) -> tuple[Dag, list[int]]:
    """A root, then pulls of so many commits each that started there; and the merges of the first-parent line."""
    parents: list[list[int]] = [[]]
    line = [0]
    for length in lengths:
        tip = 0
        for _ in range(length):
            parents.append([tip])
            tip = len(parents) - 1
        parents.append([line[-1], tip])
        line.append(len(parents) - 1)
    return Dag(parents), line


def belief(dag: Dag, *seen: tuple[int, Evidence]) -> Belief:
    made = Belief(dag, kind="cause", candidates=np.ones(dag.n, dtype=bool), start=dag.n - 1)
    made.record(dag.n - 1, CRASH)
    for revision, evidence in seen:
        made.record(revision, evidence)
    return made


def test_the_window_holds_nearly_all_of_the_posterior_and_no_more(module):
    wide = belief(linear(100), (50, CRASH))
    assert module._window(wide) is None, "51 commits are too many, and no pull has more than one"
    narrow = belief(linear(100), (50, CRASH), (30, CLEAN))
    assert np.flatnonzero(module._window(narrow)).tolist() == list(range(31, 51))
    assert narrow.posterior[31:51].sum() > 0.995


@pytest.mark.parametrize(("most", "fits"), [(20, True), (19, False)])
def test_a_window_of_as_many_as_are_looked_at_fits(module, monkeypatch, most, fits):
    monkeypatch.setattr(module, "_SMALL", most)
    narrow = belief(linear(100), (50, CRASH), (30, CLEAN))
    assert (module._window(narrow) is not None) == fits


def test_one_pull_of_many_commits_is_looked_at_whole(module):
    dag, line = pulls(10, 60, 10)
    inside = belief(dag, (line[2], CRASH), (line[1], CLEAN))
    expected = list(range(line[1] + 1, line[2] + 1))
    assert len(expected) == 61
    assert np.flatnonzero(module._window(inside)).tolist() == expected


@pytest.mark.parametrize(("name", "value"), [("_PULL", 60), ("_WEIGHTY_PULL", 1.0)])
def test_a_pull_too_large_or_too_light_is_not(module, monkeypatch, name, value):
    dag, line = pulls(10, 60, 10)
    inside = belief(dag, (line[2], CRASH), (line[1], CLEAN))
    monkeypatch.setattr(module, name, value)
    assert module._window(inside) is None


def test_a_pull_as_large_as_may_be_is(module, monkeypatch):
    dag, line = pulls(10, 60, 10)
    monkeypatch.setattr(module, "_PULL", 61)
    assert module._window(belief(dag, (line[2], CRASH), (line[1], CLEAN))) is not None


def test_of_several_pulls_the_heaviest_counts(module):
    dag, line = pulls(70, 60, 80, 10)
    both = belief(dag, (line[3], CRASH))
    chosen = np.flatnonzero(module._window(both)).tolist()
    assert chosen == list(range(line[2] + 1, line[3] + 1))


def test_rows_of_a_large_graph(module):
    dag, line = pulls(10, 60, 10)
    beside = 5  # in the first pull, not on the first-parent line
    inside = belief(dag, (line[2], CRASH), (line[1], CLEAN), (beside, CLEAN))
    table = shares(inside, None)
    expected = {*line, beside, *range(line[1] + 1, line[2] + 1)}
    assert table.rows.tolist() == sorted(expected)
    dag, line = pulls(*[15] * 6)
    assert shares(belief(dag), None).rows.tolist() == line, "no window: the first-parent line"


def test_rows_of_a_small_graph_are_all(module, monkeypatch):
    dag, _ = pulls(10, 10)
    monkeypatch.setattr(module, "_SMALL", dag.n)
    assert shares(belief(dag), None).rows.tolist() == list(range(dag.n))
    monkeypatch.setattr(module, "_SMALL", dag.n - 1)
    assert len(shares(belief(dag), None).rows) < dag.n


def test_few_that_are_allowed_are_all_looked_at_and_many_only_where_they_are_rows(module, monkeypatch):
    dag, line = pulls(*[15] * 6)
    undecided = belief(dag)
    allowed = np.zeros(dag.n, dtype=bool)
    allowed[[3, 7, line[1]]] = True
    assert shares(undecided, allowed).rows.tolist() == [3, 7, line[1]]
    monkeypatch.setattr(module, "_FEW", 3)
    assert shares(undecided, allowed).rows.tolist() == [3, 7, line[1]]
    monkeypatch.setattr(module, "_FEW", 2)
    assert shares(undecided, allowed).rows.tolist() == [line[1]]


@pytest.mark.parametrize("columns", [1, 2, 7])
def test_columns_add_up_whatever_their_number(module, monkeypatch, columns):
    """Classes that share a column lose their own crash law, and nothing of their probability."""
    monkeypatch.setattr(module, "_COLUMNS", columns)
    dag, line = pulls(8, 8, 8)
    some = belief(dag, (line[2], Evidence(crashes=1, clean=3)), (line[1], Evidence(clean=4)), (4, Evidence(clean=2)))
    table = shares(some, None)
    for row, revision in enumerate(table.rows):
        inside = dag.ancestors(int(revision))
        assert table.present[row, :-1].sum() == pytest.approx(some.posterior[inside].sum(), abs=1e-12)
        assert table.present[row, -1] == pytest.approx(some.older)
    column, law_given = module._columns(some)
    joint = some.state.joint
    for number in range(law_given.shape[0] - 1):
        members = joint[:-1][column[:-1] == number].sum(axis=0)
        if members.sum() > 0:
            assert law_given[number] == pytest.approx(members / members.sum())
    assert law_given[-1] == pytest.approx(joint[-1] / joint[-1].sum())
    mass = joint[:-1].sum(axis=1)
    kept = min(columns, len(mass))
    own = [c for c in range(kept) if (column[:-1] == c).sum() == 1]
    assert own == list(range(kept))
    heaviest = sorted(mass, reverse=True)[:kept]
    assert [mass[np.flatnonzero(column[:-1] == c)[0]] for c in range(kept)] == pytest.approx(heaviest)
    assert column[-1] == kept
