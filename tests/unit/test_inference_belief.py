"""The posterior against its definition on tiny graphs."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_inference_dag import contains, graphs

from firstbad.inference import Belief, Dag, Model
from firstbad.inference.lab import linear

SMALL = Model(rates=(1.0, 0.6, 0.1), rate_weights=(2, 1, 1), false_rate=0.01, mask=0.05, older=0.1)


@st.composite
def cases(draw):
    """A graph, a kind, some runs at some revisions, and a belief that has seen them."""
    rows = draw(graphs(most=7))
    n = len(rows)
    kind = draw(st.sampled_from(["cause", "fix"]))
    start = draw(st.integers(0, n - 1))
    candidates = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    held = contains(rows)[start]
    assume((candidates & (held if kind == "cause" else ~held)).any())
    prior = np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=float)
    runs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, 2), st.integers(0, 3)), max_size=6))
    belief = Belief(Dag(rows), kind=kind, candidates=candidates, start=start, prior=prior, model=SMALL)
    for revision, crashes, clean in runs:
        belief.observe(revision, crashes=crashes, clean=clean)
    return rows, belief, runs


def hypotheses(rows, belief):
    """By definition: list of (commit or None, prior, presence (n,))."""
    matrix = contains(rows)
    found = [
        (h, belief.prior[h], matrix[:, h] if belief.kind == "cause" else ~matrix[:, h])
        for h in np.flatnonzero(belief.candidates)
    ]
    return [*found, (None, belief.model.older, np.ones(len(rows), dtype=bool))]


def likelihood(belief, present, rate):
    """By definition, in plain numbers."""
    value, q = 1.0, belief.model.false_rate
    for r in range(belief.dag.n):
        k, m, _ = belief.counts(r)
        gone = q**k * (1 - q) ** m
        doubt = belief.doubt[r]
        value *= doubt * gone + (1 - doubt) * rate**k * (1 - rate) ** m if present[r] else gone
    return value


def joint_by_definition(rows, belief):
    """(hypotheses, rates) joint probability, and the hypotheses."""
    weights = np.array(belief.model.rate_weights) / sum(belief.model.rate_weights)
    every = hypotheses(rows, belief)
    table = np.array(
        [
            [prior * w * likelihood(belief, present, p) for p, w in zip(belief.model.rates, weights, strict=True)]
            for _, prior, present in every
        ]
    )
    return every, table / table.sum()


@settings(deadline=None)
@given(cases())
def test_posterior_equals_brute_force(case):
    rows, belief, _ = case
    every, table = joint_by_definition(rows, belief)
    expected = np.zeros(belief.dag.n)
    has_bug = np.zeros(belief.dag.n)
    for (h, _, present), mass in zip(every, table.sum(axis=1), strict=True):
        has_bug += mass * present
        if h is not None:
            expected[h] = mass
    assert np.allclose(belief.posterior, expected, atol=1e-9)
    assert belief.older == pytest.approx(table[-1].sum(), abs=1e-9)
    assert np.allclose(belief.p_bug(), has_bug, atol=1e-9)
    assert belief.rate()[0] == pytest.approx(table.sum(axis=0) @ belief.model.rates, abs=1e-9)


@settings(deadline=None)
@given(cases(), st.randoms())
def test_probabilities(case, random):
    _, belief, runs = case
    assert belief.posterior.sum() + belief.older == pytest.approx(1.0)
    assert (belief.posterior[~belief.candidates] == 0).all()
    mean, low, high = belief.rate()
    assert 0 < low <= high <= 1
    assert 0 < mean <= 1
    # one run at a time, in any order, among lost ones
    again = Belief(belief.dag, kind=belief.kind, candidates=belief.candidates, start=belief.start, model=SMALL)
    again.prior = belief.prior
    single = [(r, *one) for r, k, m in runs for one in [(1, 0, 1)] * k + [(0, 1, 0)] * m]
    random.shuffle(single)
    for revision, crashes, clean, lost in single:
        again.observe(revision, crashes=crashes, clean=clean, lost=lost)
        again.posterior  # noqa: B018 - asking in between changes nothing
    assert (again.posterior == belief.posterior).all()
    assert again.older == belief.older


def belief_on_line(n=32, **kwargs):
    return Belief(linear(n), kind="cause", candidates=np.arange(n) > 0, start=n - 1, **kwargs)


def test_prior_is_mixed_with_uniform():
    weights = np.zeros(32)
    weights[7] = 1.0
    belief = belief_on_line(prior=weights)
    floor = belief.model.uniform_floor * (1 - belief.model.older) / 31
    assert belief.posterior[8] == pytest.approx(floor)
    assert belief.posterior[7] == pytest.approx(floor + (1 - belief.model.uniform_floor) * (1 - belief.model.older))
    assert belief_on_line(prior=np.zeros(32)).posterior[7] == pytest.approx((1 - belief.model.older) / 31)


def test_no_number_of_clean_runs_outweighs_the_mask():
    belief = belief_on_line()
    belief.observe(31, crashes=10)
    for runs in (10, 10_000):
        belief.observe(16, clean=runs)
        assert belief.p_bug()[16] == pytest.approx(belief.model.mask, rel=1.5)


def test_doubt_of_a_side_branch_weakens_its_clean_runs():
    rows = [[], [0], [0], [1, 2], [3]]
    doubt = np.array([0.002, 0.002, 0.9, 0.002, 0.002])
    sure, doubtful = (
        Belief(Dag(rows), kind="fix", candidates=np.arange(5) > 0, start=0, doubt=d) for d in (None, doubt)
    )
    for belief in (sure, doubtful):
        belief.observe(0, crashes=5)
        belief.observe(2, clean=10)
    assert sure.posterior[2] > 0.9
    assert doubtful.posterior[2] < 0.5


def test_one_false_crash_can_be_revised():
    belief = belief_on_line()
    belief.observe(31, crashes=10)
    belief.observe(10, crashes=1)
    wrong = belief.p_bug()[10]
    belief.observe(10, clean=9)
    belief.observe(20, clean=10)
    assert wrong > 0.95
    assert belief.p_bug()[10] < 0.05


def test_several_good_and_bad_ends():
    belief = Belief(Dag([[], [0], [1], [0], [3], [2, 4], [5], [5]]), kind="cause", candidates=np.arange(8) > 0, start=6)
    assert not belief.candidates[7]
    belief.observe(6, crashes=3)
    belief.observe(7, crashes=3)  # a second bad end that holds the candidates 1 to 5
    belief.observe(2, clean=3)
    belief.observe(0, clean=3)
    assert belief.posterior[6] < 0.01
    assert belief.posterior[[3, 4, 5]].sum() > 0.95


def test_lost_runs_say_nothing():
    belief = belief_on_line()
    before = belief.posterior.copy()
    belief.observe(16, lost=5)
    assert (belief.posterior == before).all()
    assert belief.counts(16) == (0, 0, 5)


def test_state_grows_with_the_tests_only():
    belief = belief_on_line(4096)
    for revision in (100, 2000, 3000):
        belief.observe(revision, clean=1)
    assert belief.state.joint.shape == (5, len(belief.model.rates))


def test_unusable():
    belief = belief_on_line()
    belief.untestable(5)
    belief.observe(6, lost=100)
    belief.observe(7, lost=100, clean=20)
    assert np.flatnonzero(belief.unusable()).tolist() == [5, 6]
    assert belief.broken == {5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "other"}, "neither"),
        ({"candidates": np.ones(3, dtype=bool)}, "shape"),
        ({"candidates": np.zeros(4, dtype=bool)}, "no commit"),
        ({"prior": np.array([1.0, -1, 1, 1])}, "not negative"),
        ({"prior": np.array([1.0, np.nan, 1, 1])}, "finite"),
        ({"doubt": np.array([0, 0, 0, 2.0])}, "doubt"),
        ({"start": 4}, "among"),
    ],
)
def test_wrong_arguments(arguments, message):
    usual = {"kind": "cause", "candidates": np.ones(4, dtype=bool), "start": 3}
    with pytest.raises(ValueError, match=message):
        Belief(linear(4), **(usual | arguments))


def test_wrong_observations():
    belief = belief_on_line()
    with pytest.raises(ValueError, match="negative"):
        belief.observe(1, clean=-1)
    with pytest.raises(ValueError, match="among"):
        belief.observe(32, clean=1)
    with pytest.raises(ValueError, match="among"):
        belief.untestable(-1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"rates": ()},
        {"rates": (0.0,), "rate_weights": (1,)},
        {"rate_weights": (0,) * 19},
        {"false_rate": 0.0},
        {"mask": 1.0},
        {"uniform_floor": 0.0},
    ],
)
def test_wrong_models(arguments):
    with pytest.raises(ValueError, match="must"):
        Model(**arguments)
