"""Scenarios as JSON: defaults, order, and errors that name file, field and reason."""

import json

import numpy as np
import pytest

from firstbad.errors import NotFoundError, UserError
from firstbad.simulation import SimHistory, read_scenarios

SMALL = {
    "name": "small",
    "commits": [
        {"title": "c", "parents": ["b", "x"]},
        {"title": "b", "parents": ["a"], "files": ["f.c"]},
        {"title": "x", "parents": ["a"], "date": "2020-01-01"},
        {"title": "a", "parents": []},
        {"title": "d", "parents": ["c"]},
    ],
    "tags": {"v1.0": "a", "v1.1": "c", "v1.1-rc1": "b", "next": "d"},
}


def read(**changes):
    return read_scenarios(json.dumps({**SMALL, **changes}), "f.json")[0]


def test_defaults_are_those_of_the_contract():
    scenario = read()
    task, lab = scenario.task, scenario.lab
    assert (task.kind, task.head, task.start, task.cross_tree) == ("cause", "d", "d", False)
    assert (task.target, task.budget_seconds, scenario.seed) == (0.99, None, 0)
    assert (scenario.introduced, scenario.fixed, task.evidence, task.good) == (None, None, (), ())
    assert (lab.titles, lab.crash_rate, lab.time_to_crash) == ({"crash occurs": 1.0}, 1.0, 60)
    assert (lab.build_seconds, lab.incremental_seconds, lab.boot_seconds, lab.run_seconds) == (432, None, 30, 300)
    assert (lab.vms, lab.builders, lab.false_rate, lab.infra_rate, lab.reach) == (10, 1, 0, 0, None)


def test_commits_may_come_in_any_order():
    history = read().history
    assert all(p < i for i, row in enumerate(history.dag.parents) for p in row)
    place = history.index
    assert history.dag.parents[place["c"]] == (place["b"], place["x"])


def test_a_list_holds_scenarios_in_order():
    text = json.dumps([SMALL, {**SMALL, "name": "other"}])
    assert [scenario.name for scenario in read_scenarios(text, "f")] == ["small", "other"]
    assert read_scenarios("[]", "f") == []


def test_the_labs_facts_become_arrays():
    lab = read(
        lab={
            "crash_rate": 0.5,
            "rate_by_commit": [{"commits": ["a", "b"], "crash_rate": 0.2}, {"commits": ["b"], "crash_rate": 0.1}],
            "masked": ["b"],
            "reach": [{"commits": ["a"], "reach": "absent"}, {"commits": ["x"], "reach": 0.3}],
            "unrelated": [{"title": "W", "rate": 0.1, "commits": ["a"]}, {"title": "V", "rate": 0.2, "commits": None}],
            "same_binary": [["a", "b"]],
            "build_seconds": 100,
        }
    ).lab
    place = read().history.index
    assert [lab.rates[place[c]] for c in "abc"] == [0.2, 0.1, 0.5]
    assert np.flatnonzero(lab.masked).tolist() == [place["b"]]
    assert np.isnan(lab.reach[place["a"]])
    assert [lab.reach[place[c]] for c in "xd"] == [0.3, 1.0]
    assert np.flatnonzero(lab.unrelated[0].where).tolist() == [place["a"]]
    assert lab.unrelated[1].where is None
    assert lab.binaries[place["a"]] == lab.binaries[place["b"]] == 0
    assert lab.build_seconds == 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 1}, "colour: unknown field"),
        ({"lab": {"colour": 1}}, "lab.colour: unknown field"),
        ({"name": None}, "name: input should be a valid string"),
        ({"kind": "both"}, "kind: input should be 'cause' or 'fix'"),
        ({"commits": []}, "commits: list should have at least 1 item"),
        ({"commits": [{"title": "a"}]}, "commits.0.parents: missing"),
        ({"commits": [{"title": "a", "parents": []}] * 2}, "commits.1.title: not unique: 'a'"),
        ({"commits": [{"title": "a", "parents": ["z"]}]}, "commits.0.parents.0: no such commit: 'z'"),
        ({"commits": [{"title": "a", "parents": ["a"]}]}, "commits.0.parents: the commit is among its own ancestors"),
        ({"tags": {"v1.0": "z"}}, "tags.v1.0: no such commit: 'z'"),
        ({"head": "z"}, "head: no such commit: 'z'"),
        ({"start": "z"}, "start: no such commit: 'z'"),
        ({"introduced": "z"}, "introduced: no such commit: 'z'"),
        ({"fixed": "z"}, "fixed: no such commit: 'z'"),
        ({"good": ["d"]}, "good.0: not contained in the start commit 'd'"),
        ({"kind": "fix", "start": "a", "good": ["a"]}, "good: is for cause bisections only"),
        ({"kind": "fix", "start": "d", "head": "b"}, "start: not contained in the head 'b'"),
        ({"cross_tree": True}, "cross_tree: is for fix bisections only"),
        ({"lab": {"crash_rate": 1.5}}, "lab.crash_rate: input should be less than or equal to 1"),
        ({"lab": {"masked": ["a", "z"]}}, "lab.masked.1: no such commit: 'z'"),
        ({"lab": {"titles": {}}}, "lab.titles: at least one title"),
        ({"lab": {"titles": {"t": 0}}}, "lab.titles: at least one title, with a weight above 0"),
        ({"lab": {"reach": [{"commits": [], "reach": 2}]}}, "lab.reach.0.reach"),
        ({"lab": {"same_binary": [["a", "b"], ["b"]]}}, "lab.same_binary.1: holds a commit of another list"),
        ({"lab": {"vms": 0}}, "lab.vms: input should be greater than or equal to 1"),
        ({"lab": {"run_seconds": 0}}, "lab.run_seconds"),
        ({"evidence": [{"commit": "z", "runs": []}]}, "evidence.0.commit: no such commit: 'z'"),
        ({"evidence": [{"commit": "a", "runs": [{"outcome": "bad"}]}]}, "evidence.0.runs.0.outcome"),
        ({"target": 1}, "target: input should be less than 1"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
    ],
)
def test_errors_name_file_field_and_reason(changes, words):
    with pytest.raises(UserError) as caught:
        read(**changes)
    assert str(caught.value).startswith(f"f.json: {words}")
    assert "\n" not in str(caught.value)


def test_errors_in_a_list_name_the_scenario_and_text_that_is_not_json_its_line():
    with pytest.raises(UserError, match=r"^f: 1\.head: no such commit"):
        read_scenarios(json.dumps([SMALL, {**SMALL, "head": "z"}]), "f")
    with pytest.raises(UserError, match=r"^f: line 2 column 1: not JSON"):
        read_scenarios("{\n", "f")
    with pytest.raises(UserError, match=r"^f: scenario: must be an object"):
        read_scenarios("3", "f")


def test_a_cycle_is_an_error():
    rows = [{"title": "a", "parents": ["c"]}, {"title": "b", "parents": ["a"]}, {"title": "c", "parents": ["b"]}]
    with pytest.raises(UserError, match="among its own ancestors"):
        read(commits=rows, tags={})


def test_history_answers_what_a_repository_would():
    history = read().history
    assert history.resolve("v1.1") == "c"
    assert history.resolve("b") == "b"
    with pytest.raises(NotFoundError, match="unknown revision: zz"):
        history.resolve("zz")
    assert history.is_ancestor("x", "d")
    assert not history.is_ancestor("x", "b")
    assert history.merge_bases("b", "x") == ("a",)
    assert history.merge_bases("b", "d") == ("b",)
    assert history.releases("d") == (("v1.1", "c"), ("v1.0", "a"))
    assert history.releases("c") == (("v1.0", "a"),)
    assert (history.tag("c"), history.tag("b"), history.tag("d")) == ("v1.1", "v1.1-rc1", "")
    assert history.touched("d", ["a"]) == {"b": frozenset({"f.c"})}


def test_two_merge_bases():
    names = ["r", "a", "b", "m", "n"]
    history = SimHistory(names, [[], [0], [0], [1, 2], [1, 2]])
    assert history.merge_bases("m", "n") == ("a", "b")


def test_a_range_is_the_candidates_with_their_boundary():
    history = read().history
    found = history.range("d", ("b",))
    assert {found.hashes[i] for i in found.boundary} == {"a", "b"}
    assert found.hashes[:1] == ("b",)
    assert set(found.hashes) == {"b", "a", "x", "c", "d"}
    assert [found.hashes[p] for p in found.parents[found.index["c"]]] == ["b", "x"]
    assert found.hashes[found.tip] == "d"
    assert history.range("d", ("b",)) is found
    with pytest.raises(UserError, match="no commits to search: b is contained in c"):
        history.range("b", ("c",))
