"""The rivals' rules, each where it is right and where it is known to be wrong."""

import dataclasses

import numpy as np
import pytest

from firstbad.errors import UserError
from firstbad.simulation import Evidence, EvidenceRun, Lab, RunFact, Scenario, SimHistory, Task, Unrelated, World, run
from firstbad.simulation.baselines import NAMES, baseline
from firstbad.simulation.baselines.any_crash import any_crash
from firstbad.simulation.baselines.plugin_rate import Line

N = 200
LINE = SimHistory(
    [f"c{i}" for i in range(N)],
    [[i - 1] if i else [] for i in range(N)],
    {"v1.0": "c0", "v1.1": "c50", "v1.2": "c100", "v1.3": "c150", "v1.4-rc1": "c160"},
)
# A side branch s1..s4 from c10, merged at m.
BRANCHED = SimHistory(
    [*(f"c{i}" for i in range(11)), "s1", "s2", "s3", "s4", "d1", "d2", "m", "e1", "e2"],
    [[i - 1] if i else [] for i in range(11)] + [[10], [11], [12], [13], [10], [15], [16, 14], [17], [18]],
)
SURE = ("git-bisect-3", "syzbot-2021", "syzbot", "plugin-rate")


def scenario(history=LINE, introduced="c123", fixed=None, lab=None, seed=0, **task) -> Scenario:
    last = history.names[-1]
    asked = Task("t", history, **{"start": last, "head": last, **task})
    return Scenario(asked, introduced, fixed, lab or Lab(), seed)


def only(*indices: int, history=LINE) -> np.ndarray:
    flags = np.zeros(history.dag.n, dtype=bool)
    flags[list(indices)] = True
    return flags


@pytest.mark.parametrize("policy", SURE)
def test_a_sure_bug_is_found_after_a_walk_over_the_releases(policy):
    result = run(scenario(), policy)
    assert (result.status, result.commits, result.boundary) == ("found", ("c123",), None)
    assert not result.noop
    assert not result.is_release
    assert 5 < result.revisions_tested <= 12
    assert result.builds >= result.revisions_tested
    assert result.search_seconds + result.start_seconds <= result.wall_seconds
    assert run(scenario(introduced="c100"), policy).is_release


@pytest.mark.parametrize("policy", SURE)
def test_with_a_known_good_commit_there_is_no_walk_and_it_is_not_tested(policy):
    world = World(asked := scenario(good=("c110",)))
    result = baseline(policy)(asked.task, world)
    assert result.commits == ("c123",)
    assert not world.built("c110")
    assert not world.built("c150")


@pytest.mark.parametrize("policy", SURE)
def test_a_fix_is_found(policy):
    result = run(scenario(introduced=None, kind="fix", start="c20", fixed="c123"), policy)
    assert (result.status, result.commits) == ("found", ("c123",))


@pytest.mark.parametrize("policy", SURE)
def test_culprits_on_a_merged_branch_and_the_merge_itself(policy):
    for culprit in ("s1", "s3", "s4", "d2", "m", "e1", "c10", "c1"):
        result = run(scenario(BRANCHED, culprit, good=("c0",)), policy)
        assert (culprit, result.status, result.commits) == (culprit, "found", (culprit,))
        assert result.is_merge == (culprit == "m")


@pytest.mark.parametrize("policy", SURE)
def test_how_a_bisection_ends_without_a_commit(policy):
    assert run(scenario(introduced=None), policy).status == "older_than_oldest"
    assert run(scenario(introduced=None), policy).boundary == "c0"
    assert run(scenario(introduced="c199", start="c198"), policy).status == "not_reproduced"
    assert run(scenario(lab=Lab(broken_build=only(199))), policy).status == "untestable"
    assert run(scenario(lab=Lab(broken_boot=only(199))), policy).status == "untestable"
    unfixed = run(scenario(introduced=None, kind="fix", start="c20"), policy)
    assert (unfixed.status, unfixed.boundary) == ("not_fixed", "c199")
    assert run(scenario(budget_seconds=3000), policy).status == "budget"


@pytest.mark.parametrize("policy", SURE)
def test_what_can_not_be_tested_around_the_culprit_is_named_with_it(policy):
    lab = Lab(broken_boot=only(*range(120, 126)))
    result = run(scenario(lab=lab, good=("c110",)), policy)
    if policy == "plugin-rate":  # gives untestable revisions next to no weight
        assert result.commits[0] in {f"c{i}" for i in range(120, 127)}
    else:
        assert (result.status, set(result.commits)) == ("candidates", {f"c{i}" for i in range(120, 127)})
        assert sum(result.probabilities) == pytest.approx(1)


def test_one_crash_of_another_bug_misleads_those_who_do_not_compare():
    other = Unrelated("WARNING in bar", 1.0, where=only(*range(100, 115)))
    lab = Lab(unrelated=(other,), time_to_crash=0.001)
    misled = run(scenario(lab=lab, good=("c50",)), "git-bisect-10")
    assert misled.status == "found"
    assert misled.commits != ("c123",)
    assert run(scenario(lab=lab, good=("c50",)), "plugin-rate").commits == ("c123",)


def test_many_runs_find_what_few_miss():
    asked = scenario(lab=Lab(crash_rate=0.2), good=("c0",))
    found = {
        policy: sum(run(dataclasses.replace(asked, seed=seed), policy).commits == ("c123",) for seed in range(20))
        for policy in ("git-bisect-3", "git-bisect-50", "plugin-rate")
    }
    assert found["git-bisect-3"] < 8
    assert min(found["git-bisect-50"], found["plugin-rate"]) >= 17


def test_a_known_binary_is_a_no_op():
    groups = np.full(N, -1)
    groups[[122, 123]] = 0
    for policy in ("syzbot", "syzbot-2021"):
        assert run(scenario(lab=Lab(binaries=groups)), policy).noop


def test_evidence_stands_for_a_test():
    given = (Evidence("c199", (EvidenceRun("crash", "crash occurs"),) * 20),)
    one, other = (run(scenario(good=("c100",), evidence=evidence), "git-bisect-10") for evidence in ((), given))
    assert one.commits == other.commits
    assert other.builds == one.builds - 1
    assert other.runs < one.runs


def test_any_crash_is_bad_and_any_clean_run_else_is_good():
    runs = {name: RunFact(name) for name in ("ok", "crash", "boot", "infra")}
    assert any_crash([runs["ok"], runs["crash"]]) == "bad"
    assert any_crash([runs["ok"], runs["boot"]]) == "good"
    assert any_crash([runs["infra"], runs["boot"]]) == "skip"
    assert any_crash(None) == "skip"


def test_the_lines_posterior_is_bayes_rule():
    line = Line(6, 0.99, before=(0, 8), after=(5, 8))  # rates .1 and .6
    assert line.prob == pytest.approx([0, 0.2, 0.2, 0.2, 0.2, 0.2])
    line.add(3, crashes=1, clean=0, skips=0)
    assert (line.rate_before, line.rate_after) == pytest.approx((0.1, 0.6))
    assert line.prob == pytest.approx(np.array([0, 6, 6, 6, 1, 1]) / 20)
    line.add(1, crashes=0, clean=2, skips=0)
    expected = np.array([0, 6 * 0.4**2, 6 * 0.9**2, 6 * 0.9**2, 0.9**2, 0.9**2])
    assert line.prob == pytest.approx(expected / expected.sum())


def test_the_lines_rates_come_from_outside_its_range():
    line = Line(10, 0.9, before=(0, 8), after=(8, 8))
    line.add(5, crashes=6, clean=0, skips=0)
    line.add(4, crashes=0, clean=6, skips=0)
    assert line.prob.argmax() == 5
    assert line.rate_after == pytest.approx((8 + 6 + 1) / (8 + 6 + 2))
    assert line.rate_before == pytest.approx((0 + 1) / (8 + 6 + 2))


def test_revisions_that_fail_take_weight_from_their_neighbours():
    line = Line(101, 0.99, before=(0, 8), after=(8, 8))
    line.add(50, crashes=0, clean=0, skips=3)
    line.add(53, crashes=0, clean=0, skips=3)
    assert line.prob[50:54] == pytest.approx(0)
    assert 0 < line.prob[49] < line.prob[46] < line.prob[30]
    line.add(55, crashes=0, clean=1, skips=0)
    assert line.prob[56] > line.prob[54]


def test_information_of_a_batch_at_the_ends_is_none_and_most_in_the_middle():
    line = Line(101, 0.99, before=None, after=(98, 98))
    gain, chance = line.information(10)
    assert gain[0] == pytest.approx(0, abs=1e-9)
    assert gain[100] == pytest.approx(0, abs=1e-9)
    assert gain.max() == pytest.approx(1, abs=1e-6)
    assert abs(int(gain.argmax()) - 50) <= 1
    assert chance[50] == pytest.approx(0.5, abs=0.01)


def test_names():
    assert baseline("nonsense") is None
    with pytest.raises(UserError, match="K must be from 1"):
        baseline("git-bisect-0")
    assert all(baseline(name.replace("K", "10")) for name in NAMES)


def test_git_bayesect_says_what_it_needs_or_finds_the_culprit():
    pytest.importorskip("scipy")
    pytest.importorskip("git_bayesect")
    result = run(scenario(good=("c0",)), "git-bayesect")
    assert (result.status, result.commits) == ("found", ("c123",))
    merged = run(scenario(BRANCHED, "s3", good=("c0",)), "git-bayesect")
    assert merged.commits == ("m",)  # it knows the first-parent line only


def test_a_missing_package_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr("firstbad.simulation.baselines.bayesect.importlib.import_module", absent)
    with pytest.raises(UserError, match="needs the package git_bayesect"):
        run(scenario(), "git-bayesect")


@pytest.mark.parametrize("policy", SURE)
def test_a_scenario_gives_the_same_result_again(policy):
    asked = scenario(lab=Lab(crash_rate=0.3, infra_rate=0.1), seed=5)
    assert run(asked, policy) == run(asked, policy)


@pytest.mark.parametrize("policy", SURE)
def test_a_fix_that_never_came_to_the_starts_branch(policy):
    names = [*(f"c{i}" for i in range(30)), "b1", "b2"]
    history = SimHistory(names, [[i - 1] if i else [] for i in range(30)] + [[5], [30]])
    task = {"kind": "fix", "start": "b2", "head": "c29", "cross_tree": True}
    found = run(scenario(history, introduced=None, fixed="c17", **task), policy)
    assert (found.status, found.commits) == ("found", ("c17",))
    own = run(scenario(history, introduced="b1", **task), policy)
    assert (own.status, own.boundary) == ("not_reproduced", "c5")
