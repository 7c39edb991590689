"""The expected information against its definition, and what the choice must never do."""

import time
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_inference_belief import SMALL, belief_on_line, cases, joint_by_definition, laws, likelihood, twin

from firstbad.inference import Belief, Costs, Dag, Evidence, Exposure, choice, next_test
from firstbad.inference.breakage import broken_chance, kept_share
from firstbad.inference.choice import LEAST_BITS
from firstbad.inference.forecast import Option, batch_seconds
from firstbad.inference.shapes import linux_shaped
from firstbad.inference.shares import Shares, shares


def costs_for(belief, build=420.0, run=300.0, machines=10, **kwargs):
    return Costs(np.full(belief.dag.n, build), run, machines, **kwargs)


def entropy(p):
    return 0.0 if p <= 0 or p >= 1 else -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def quiet_by_definition(belief, revision, there, law, option):
    """P(no crash in that many further runs | hypothesis, law, runs so far), the mask included."""
    doubt, seen = belief.doubt[revision], belief.evidence(revision)
    before = likelihood(belief.model, doubt, seen, there, law)
    after = seen.plus(Evidence(cut=((option.share, option.runs),)))
    return likelihood(belief.model, doubt, after, there, law) / before if before else 0.0  # of weight 0


def forecast_by_definition(case, revision, option):
    """Bits about the culprit and chance of no crash, by the joint distribution of hypotheses and laws."""
    rows, belief, _ = case
    every, table = joint_by_definition(rows, belief)
    total = conditional = 0.0
    for (_, _, present), joint in zip(every, table, strict=True):
        chances = [quiet_by_definition(belief, revision, present[revision], law, option) for law in laws(belief.model)]
        if joint.sum() > 0:
            total += joint @ chances
            conditional += joint.sum() * entropy(joint @ chances / joint.sum())
    return entropy(total) - conditional, total


@settings(deadline=None)
@given(cases(), st.data())
def test_information_equals_brute_force(case, data):
    belief = case[1]
    revision = data.draw(st.integers(0, belief.dag.n - 1))
    exposure = data.draw(st.sampled_from([None, Exposure([20.0, 5.0], 300.0)]))
    most = data.draw(st.integers(1, 8))
    costs = costs_for(belief, machines=data.draw(st.integers(1, 8)), exposure=exposure)
    allowed = np.arange(belief.dag.n) == revision
    with patch.object(choice, "_EXCLUDED", 0.0):
        test = next_test(belief, costs, allowed=allowed, max_runs=most)
    kept = kept_share(belief)[revision]
    if test is None:
        if not 1e-6 < belief.p_bug(revision) < 1 - 1e-6:
            return  # its runs could only teach the crash rate; that is not asked for
        least = LEAST_BITS / (1.0 - broken_chance(belief)[revision])
        every = [forecast_by_definition(case, revision, option)[0] * kept for option in costs.options(most)]
        assert max(every) <= least * (1 + 1e-6)
        return
    assert test.revision == revision
    assert test.runs <= most
    share = 1.0 if exposure is None else float(exposure.share(test.run_seconds))
    option = Option(test.runs, share, test.run_seconds)
    bits, quiet = forecast_by_definition(case, revision, option)
    assert test.information == pytest.approx(bits * kept, abs=1e-7)
    assert test.probability == pytest.approx(1 - quiet, abs=1e-8)


@pytest.mark.parametrize("kind", ["cause", "fix"])
@pytest.mark.parametrize("doubts", [None, (0.0, 0.3, 0.1, 0.6, 0.2)])
def test_forecasts_of_what_ran_already_equal_those_of_the_definition(kind, doubts):
    """Every batch at revisions with runs of their own and without, doubt the same everywhere or not."""
    rows = [[], [0], [1], [2], [3]]
    start = 4 if kind == "cause" else 0
    doubt = None if doubts is None else np.array(doubts)
    belief = Belief(Dag(rows), kind=kind, candidates=np.arange(5) > 0, start=start, doubt=doubt, model=SMALL)
    belief.observe(start, crashes=2, clean=1)
    belief.observe(2, clean=1)
    belief.record(3 if kind == "cause" else 1, Evidence(clean=1, lost=1, cut=((0.5, 1),)))
    with patch.object(choice, "_EXCLUDED", 0.0):
        options = costs_for(belief, exposure=Exposure([20.0], 300.0)).options(12)
        field = choice._Field.of(belief, costs_for(belief, exposure=Exposure([20.0], 300.0)), options)
        every = shares(belief, None)
        table = Shares(every.rows, every.present, every.law_given[:, field.use])
        _, information, _, quiet = field.scores(table, list(range(len(options))))
    kept = kept_share(belief)
    for row, revision in enumerate(table.rows):
        for column, option in enumerate(options):
            bits, calm = forecast_by_definition((rows, belief, None), int(revision), option)
            assert quiet[row, column] == pytest.approx(calm, abs=1e-9), (revision, option)
            assert information[row, column] == pytest.approx(max(bits, 0) * kept[revision], abs=1e-9), (
                revision,
                option,
            )


@settings(deadline=None)
@given(cases(), st.data())
def test_expected_seconds_are_those_of_the_batch_under_every_hypothesis(case, data):
    rows, belief, _ = case
    revision = data.draw(st.integers(0, belief.dag.n - 1))
    if belief.evidence(revision).counts:
        return
    costs = costs_for(belief, machines=3, boot_seconds=20.0, exposure=Exposure([20.0], 300.0))
    with patch.object(choice, "_EXCLUDED", 0.0):
        test = next_test(belief, costs, allowed=np.arange(belief.dag.n) == revision)
    if test is None:
        return
    option = Option(test.runs, float(costs.exposure.share(test.run_seconds)), test.run_seconds)
    crashing, clean = (part[0] for part in batch_seconds(belief.model.laws, [option], costs))
    every, table = joint_by_definition(rows, belief)
    expected = costs.build_seconds[revision]
    for (_, _, present), joint in zip(every, table, strict=True):
        triggers = present[revision] * (1 - belief.doubt[revision])
        expected += triggers * (joint @ crashing) + (1 - triggers) * joint.sum() * clean
    assert test.seconds == pytest.approx(expected, rel=1e-7)


def test_laws_that_are_all_but_excluded_are_left_out_and_not_missed():
    belief = belief_on_line(64)
    belief.observe(63, crashes=10)
    belief.observe(40, crashes=2)
    test = next_test(belief, costs_for(belief))
    with patch.object(choice, "_EXCLUDED", 0.0):
        exact = next_test(belief, costs_for(belief))
    assert (test.revision, test.runs) == (exact.revision, exact.runs)
    assert test.information == pytest.approx(exact.information, abs=1e-3)
    assert test.probability == pytest.approx(exact.probability, abs=1e-3)


def test_nothing_beats_the_proposed_test():
    """Whatever revision and batch size is asked for alone is worth no more per second, but for what machines cost."""
    belief = belief_on_line(64)
    belief.observe(63, crashes=4, clean=6)
    belief.observe(20, clean=8)
    costs = costs_for(belief, machines=1)
    best = next_test(belief, costs)
    for revision in range(64):
        for most in (1, 2, 8, 64):
            other = next_test(belief, costs, allowed=np.arange(64) == revision, max_runs=most)
            if other is not None:
                assert other.information / other.seconds <= best.information / best.seconds * 1.08


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
    _, belief, seen = case
    n = belief.dag.n
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    belief.untestable(data.draw(st.integers(0, n - 1)))
    test = next_test(belief, costs_for(belief), allowed=allowed)
    if test is not None:
        assert allowed[test.revision]
        assert test.revision not in belief.broken
        assert test.information >= LEAST_BITS / 2
        assert 0 <= test.probability <= 1
    again = twin(belief)
    for revision in belief.broken:
        again.untestable(revision)
    for revision, evidence in reversed(seen):
        again.record(revision, again.evidence(revision).plus(evidence))
    assert next_test(again, costs_for(again), allowed=allowed) == test


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


@pytest.mark.parametrize("kind", ["cause", "fix"])
def test_on_a_large_graph_few_revisions_are_looked_at_with_nearly_exact_shares(kind):
    graph = linux_shaped(6_000, seed=1, release=2_000)
    start = graph.n - 1 if kind == "cause" else 0
    belief = Belief(graph, kind=kind, candidates=np.arange(graph.n) > 0, start=start)
    has_bug = graph.descendants(3_001) ^ (kind == "fix")
    belief.observe(start, crashes=4)
    for _ in range(8):
        table = shares(belief, None)
        assert len(table.rows) < graph.n / 2
        some = np.random.default_rng(2).choice(len(table.rows), 60)
        expected = [belief.p_bug(int(table.rows[row])) for row in some]
        assert table.present[some].sum(axis=1) == pytest.approx(expected, abs=0.005)
        test = next_test(belief, costs_for(belief))
        if has_bug[test.revision]:
            belief.observe(test.revision, crashes=2)
        else:
            belief.observe(test.revision, clean=test.runs)


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
