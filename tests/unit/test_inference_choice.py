"""The expected information against its definition, and what the choice must never do."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_inference_belief import belief_on_line, cases, joint_by_definition

from firstbad.inference import Belief, Costs, next_test
from firstbad.inference.breakage import broken_chance, kept_share
from firstbad.inference.choice import LEAST_BITS, _Forecast
from firstbad.inference.lab import linux_shaped


def costs_for(belief, build=420.0, run=300.0, machines=10):
    return Costs(np.full(belief.dag.n, build), run, machines)


def entropy(p):
    return 0.0 if p <= 0 or p >= 1 else -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def quiet_by_definition(belief, present, revision, rate, runs):
    """P(no crash in that many further runs | hypothesis, rate, runs so far), its mask included."""
    q = belief.model.false_rate
    if not present:
        return (1 - q) ** runs
    k, m, _ = belief.counts(revision)
    doubt = belief.doubt[revision]
    masked, works = doubt * q**k * (1 - q) ** m, (1 - doubt) * rate**k * (1 - rate) ** m
    if masked + works == 0:
        return 0.0  # of weight 0
    return (masked * (1 - q) ** runs + works * (1 - rate) ** runs) / (masked + works)


@settings(deadline=None)
@given(cases(), st.sampled_from([1, 3, 8]))
def test_information_equals_brute_force(case, runs):
    rows, belief, _ = case
    every, table = joint_by_definition(rows, belief)
    everywhere = np.arange(belief.dag.n)
    forecast = _Forecast.of(belief, everywhere, 8)
    ours = forecast.information(np.array([runs]))[:, 0]
    for revision in everywhere:
        total = conditional = 0.0
        for (_, _, present), joint in zip(every, table, strict=True):
            chances = [
                quiet_by_definition(belief, present[revision], revision, rate, runs) for rate in belief.model.rates
            ]
            if joint.sum() > 0:
                total += joint @ chances
                conditional += joint.sum() * entropy(joint @ chances / joint.sum())
        assert forecast.quiet[revision, runs] == pytest.approx(total, abs=1e-8)
        assert ours[revision] == pytest.approx(max(entropy(total) - conditional, 0.0), abs=1e-7)


def test_expected_time_of_rounds():
    belief = belief_on_line()
    belief.observe(31, crashes=20)
    forecast = _Forecast.of(belief, np.array([16]), 24)
    waiting, machine = forecast.run_time(np.array([1, 10, 24]), Costs(np.zeros(32), 100.0, 10))
    quiet = forecast.quiet[0]
    assert waiting[0].tolist() == pytest.approx([100.0, 100.0, 100 * (1 + quiet[10] + quiet[20])])
    assert machine[0].tolist() == pytest.approx([100.0, 1000.0, 100 * (10 + 10 * quiet[10] + 4 * quiet[20])])


def test_first_test_halves_the_range_with_few_runs_where_every_run_crashes():
    belief = belief_on_line(1024)
    belief.observe(1023, crashes=10)
    test = next_test(belief, costs_for(belief))
    assert abs(test.revision - 512) < 100
    assert test.runs <= 3
    assert test.seconds == pytest.approx(720, abs=60)


def test_seldom_crashes_need_more_runs():
    belief = belief_on_line(1024)
    belief.observe(1023, crashes=4, clean=16)
    assert 6 <= next_test(belief, costs_for(belief)).runs <= 32
    assert next_test(belief, costs_for(belief), max_runs=5).runs <= 4


def test_an_existing_build_is_preferred_to_a_slightly_better_one():
    belief = belief_on_line(1024)
    belief.observe(1023, crashes=10)
    costs = costs_for(belief)
    costs.build_seconds[400] = 0.0
    test = next_test(belief, costs)
    assert test.revision == 400
    assert test.seconds < 420


@settings(deadline=None)
@given(cases(), st.data())
def test_same_observations_same_test_and_only_allowed_usable_ones(case, data):
    _, belief, runs = case
    n = belief.dag.n
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    belief.untestable(data.draw(st.integers(0, n - 1)))
    test = next_test(belief, costs_for(belief), allowed=allowed)
    if test is not None:
        assert allowed[test.revision]
        assert test.revision not in belief.broken
        assert test.information >= LEAST_BITS / 2
        assert 0 <= test.probability <= 1
    twin = Belief(belief.dag, kind=belief.kind, candidates=belief.candidates, start=belief.start, model=belief.model)
    twin.prior = belief.prior
    for revision in belief.broken:
        twin.untestable(revision)
    for revision, crashes, clean in reversed(runs):
        twin.observe(revision, clean=clean)
        twin.observe(revision, crashes=crashes)
    assert next_test(twin, costs_for(twin), allowed=allowed) == test


def test_none_when_nothing_is_left_to_learn():
    belief = belief_on_line(8)
    for revision in range(1, 7):
        belief.untestable(revision)
    belief.observe(7, crashes=10)
    belief.observe(0, clean=10)
    for _ in range(20):  # a few more runs at the lower end may still pay, but not for ever
        test = next_test(belief, costs_for(belief))
        if test is None:
            break
        assert test.revision == 0
        belief.observe(0, clean=test.runs)
    assert test is None
    assert next_test(belief, costs_for(belief), allowed=np.zeros(8, dtype=bool)) is None


def test_steps_out_of_a_broken_stretch():
    belief = belief_on_line(1024)
    belief.observe(1023, crashes=10)
    stretch = range(400, 600)
    tried = []
    for _ in range(40):
        test = next_test(belief, costs_for(belief))
        tried.append(test.revision)
        if test.revision not in stretch:
            break
        belief.untestable(test.revision)
    assert tried[-1] not in stretch
    assert len(tried) <= 7
    assert len(set(tried)) == len(tried)


def test_broken_chance():
    belief = belief_on_line(1024)
    assert broken_chance(belief).max() < 0.05
    belief.untestable(500)
    alone = broken_chance(belief)
    assert alone[500] == 1.0
    assert alone[501] > alone[520] > alone[600] > alone[900] > 0
    belief.untestable(560)
    assert broken_chance(belief)[600] > alone[600]  # a longer stretch reaches further
    belief.observe(610, clean=1)
    assert broken_chance(belief)[610] == 0.0
    assert broken_chance(belief)[605] < alone[605]


def test_revisions_whose_runs_get_lost_are_left_in_the_end():
    belief = belief_on_line(256)
    belief.observe(255, crashes=10)
    first = next_test(belief, costs_for(belief)).revision
    for _ in range(20):
        test = next_test(belief, costs_for(belief))
        if test.revision != first:
            break
        belief.observe(test.revision, lost=test.runs)
    assert test.revision != first
    assert kept_share(belief)[first] < kept_share(belief)[test.revision]


def test_a_step_at_fifteen_thousand_commits_is_fast():
    graph = linux_shaped(15_000, seed=1)
    belief = Belief(graph, kind="cause", candidates=np.arange(graph.n) > 0, start=graph.n - 1)
    for revision in (14_000, 9_000, 8_500, 4_000):
        belief.observe(revision, clean=1, lost=1)
        belief.untestable(revision // 2)
    next_test(belief, costs_for(belief))  # fills what is remembered between steps
    belief.observe(5_000, crashes=1)
    begun = time.process_time()
    assert next_test(belief, costs_for(belief)) is not None
    assert time.process_time() - begun < 0.5


def test_wrong_arguments():
    belief = belief_on_line()
    with pytest.raises(ValueError, match="machine"):
        Costs(np.zeros(3), 1.0, 0)
    with pytest.raises(ValueError, match="max_runs"):
        next_test(belief, costs_for(belief), max_runs=0)
    with pytest.raises(ValueError, match="allowed"):
        next_test(belief, costs_for(belief), allowed=np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="build_seconds"):
        next_test(belief, Costs(np.zeros(3), 1.0, 1))
