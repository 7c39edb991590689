"""The posterior against its definition on tiny graphs."""

from math import exp, inf, lgamma, log, prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_inference_dag import contains, graphs

from firstbad.inference import Belief, Dag, Evidence, Model
from firstbad.inference.shapes import linear

SMALL = Model(
    rates=(1.0, 0.6, 0.1),
    rate_weights=(2, 1, 1),
    spreads=(3.0,),
    spread_weight=0.2,
    false_rate=0.01,
    mask=0.05,
    older=0.1,
)
# What a clean run tells of reach: (chance, Beta law) of each part of the mixture, and the chance that the code does not
# exist, all as `inference.evidence` says.
REACH = {
    "there": ([(0.85, 20, 1), (0.15, 1, 1)], 1e-4),
    "masked": ([(0.37, 20, 1), (0.58, 1, 20), (0.05, 1, 1)], 0.02),
    "gone": ([(0.85, 20, 1), (0.15, 1, 1)], 1.0),
}


@st.composite
def evidences(draw):
    """Runs of one revision: crashes, clean ones, some cut, some of them known to have reached the code or not."""
    clean, cut = draw(st.integers(0, 3)), draw(st.dictionaries(st.sampled_from([0.0, 0.3, 0.9]), st.integers(1, 2)))
    reach = draw(st.sampled_from(["unknown", "known", "absent"]))
    return Evidence(
        crashes=draw(st.integers(0, 2)),
        clean=clean,
        cut=tuple(sorted(cut.items())),
        reached=draw(st.integers(0, clean + sum(cut.values()))) if reach == "known" else 0,
        unreached=draw(st.integers(0, 3)) if reach == "known" else 0,
        absent=reach == "absent",
    )


@st.composite
def cases(draw):
    """A graph, a kind, evidence about some revisions, and a belief that has seen it."""
    rows = draw(graphs(most=7))
    n = len(rows)
    kind = draw(st.sampled_from(["cause", "fix"]))
    start = draw(st.integers(0, n - 1))
    candidates = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    held = contains(rows)[start]
    assume((candidates & (held if kind == "cause" else ~held)).any())
    prior = np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=float)
    doubt = draw(st.sampled_from([None, np.linspace(0.0, 1.0, n)]))
    seen = draw(st.lists(st.tuples(st.integers(0, n - 1), evidences()), max_size=4))
    belief = Belief(Dag(rows), kind=kind, candidates=candidates, start=start, prior=prior, doubt=doubt, model=SMALL)
    for revision, evidence in seen:
        belief.record(revision, belief.evidence(revision).plus(evidence))
    return rows, belief, seen


def twin(belief):
    """The same belief before it saw anything."""
    made = Belief(
        belief.dag, kind=belief.kind, candidates=belief.candidates, start=belief.start, doubt=belief.doubt, model=SMALL
    )
    made.prior = belief.prior
    return made


def laws(model):
    """By definition: (mean rate, concentration, weight) of every law of the crash rate, the fixed ones first."""
    pairs = [
        (rate, weight / sum(model.rate_weights)) for rate, weight in zip(model.rates, model.rate_weights, strict=True)
    ]

    def share(rate):  # a varying rate is less probable where it is low, and has no room where it is near 1
        return model.spread_weight * min(1, (rate / 0.3) ** 2) if model.spreads and rate <= 0.97 else 0.0

    fixed = [(rate, inf, weight * (1 - share(rate))) for rate, weight in pairs]
    varying = [
        (rate, spread, weight * share(rate) / len(model.spreads))
        for spread in model.spreads
        for rate, weight in pairs
        if rate <= 0.97 and model.spread_weight
    ]
    return fixed + varying


def beta(a, b):
    return exp(lgamma(a) + lgamma(b) - lgamma(a + b))


def reach(where, seen):
    """By definition: the chance of what is known of the clean runs' reach."""
    parts, absent = REACH[where]
    if seen.absent:
        return absent
    return sum(w * beta(a + seen.reached, b + seen.unreached) / beta(a, b) for w, a, b in parts)


def triggered(law, seen):
    """By definition: the chance of crashes and clean runs where the bug can trigger."""
    rate, spread, _ = law
    quiet = (1 - rate) ** seen.clean * prod((1 - rate * share) ** runs for share, runs in seen.cut)
    if spread == inf:
        return rate**seen.crashes * quiet
    a, b = rate * spread, (1 - rate) * spread
    return beta(a + seen.crashes, b + log(quiet) / log(1 - rate)) / beta(a, b)


def likelihood(model, doubt, seen, there, law):
    """By definition: the chance of one revision's evidence, the bug there or not."""
    q = model.false_rate
    silent = q**seen.crashes * (1 - q) ** (seen.clean + sum(share * runs for share, runs in seen.cut))
    if not there:
        return silent * reach("gone", seen)
    return doubt * silent * reach("masked", seen) + (1 - doubt) * triggered(law, seen) * reach("there", seen)


def hypotheses(rows, belief):
    """By definition: list of (commit or None, prior, presence (n,))."""
    matrix = contains(rows)
    found = [
        (h, belief.prior[h], matrix[:, h] if belief.kind == "cause" else ~matrix[:, h])
        for h in np.flatnonzero(belief.candidates)
    ]
    return [*found, (None, belief.model.older, np.ones(len(rows), dtype=bool))]


def joint_by_definition(rows, belief):
    """The hypotheses, and (hypotheses, laws) their joint probability with the law of the crash rate."""
    every = hypotheses(rows, belief)
    table = np.zeros((len(every), len(laws(belief.model))))
    for i, (_, prior, present) in enumerate(every):
        for j, law in enumerate(laws(belief.model)):
            each = [
                likelihood(belief.model, belief.doubt[r], belief.evidence(r), present[r], law)
                for r in belief.observed
                if belief.evidence(r).counts
            ]
            table[i, j] = prior * law[2] * prod(each)
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
    assert np.allclose([belief.p_bug(r) for r in range(belief.dag.n)], has_bug, atol=1e-9)
    assert belief.rate()[0] == pytest.approx(table.sum(axis=0) @ [rate for rate, _, _ in laws(SMALL)], abs=1e-9)


@settings(deadline=None)
@given(cases(), st.randoms())
def test_probabilities(case, random):
    _, belief, seen = case
    assert belief.posterior.sum() + belief.older == pytest.approx(1.0)
    assert (belief.posterior[~belief.candidates] == 0).all()
    mean, low, high = belief.rate()
    assert 0 < low <= high <= 1
    assert 0 < mean <= 1
    # one by one, in any order, among lost runs
    again = twin(belief)
    shuffled = random.sample(seen, len(seen))
    for revision, evidence in shuffled:
        again.observe(revision, lost=1)
        again.record(revision, again.evidence(revision).plus(evidence))
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
    assert belief_on_line(prior=weights * 1e6).posterior == pytest.approx(belief.posterior), "of any scale"
    assert belief_on_line(prior=np.zeros(32)).posterior[7] == pytest.approx((1 - belief.model.older) / 31)


def test_no_number_of_clean_runs_outweighs_the_mask():
    belief = belief_on_line()
    belief.observe(31, crashes=10)
    for runs in (10, 1_000):
        belief.observe(16, clean=runs)
        assert belief.p_bug(16) == pytest.approx(belief.model.mask, rel=1.5)


def test_many_runs_neither_overflow_nor_vanish():
    belief = belief_on_line()
    belief.observe(31, crashes=40_000, clean=60_000)
    belief.observe(16, clean=100_000)
    assert belief.posterior.sum() + belief.older == pytest.approx(1.0)
    assert belief.p_bug(31) > 0.99


def test_what_is_handed_out_can_not_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        belief_on_line().posterior[3] = 1.0


def test_the_rate_and_its_interval():
    belief = belief_on_line(model=Model(rates=(0.2, 0.8, 0.5), rate_weights=(4, 1, 95), spreads=(), spread_weight=0.0))
    assert belief.rate() == pytest.approx((0.2 * 0.04 + 0.8 * 0.01 + 0.5 * 0.95, 0.5, 0.5))
    belief = belief_on_line(model=Model(rates=(0.2, 0.8, 0.5), rate_weights=(6, 6, 88), spreads=(), spread_weight=0.0))
    assert belief.rate()[1:] == pytest.approx((0.2, 0.8))
    belief = belief_on_line(model=Model(rates=(0.3,), rate_weights=(1,), spreads=(), spread_weight=0.0))
    assert belief.rate() == pytest.approx((0.3, 0.3, 0.3))


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
    wrong = belief.p_bug(10)
    belief.observe(10, clean=9)
    belief.observe(20, clean=10)
    assert wrong > 0.95
    assert belief.p_bug(10) < 0.05


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
    assert belief.evidence(16) == Evidence(lost=5)


def test_state_grows_with_the_tests_only():
    belief = belief_on_line(4096)
    for revision in (100, 2000, 3000):
        belief.observe(revision, clean=1)
    assert belief.state.joint.shape == (5, len(belief.model.laws.rate))


def test_unusable():
    belief = belief_on_line()
    belief.untestable(5)
    belief.observe(6, lost=100)
    belief.observe(7, lost=100, clean=20)
    assert np.flatnonzero(belief.unusable()).tolist() == [5, 6]
    assert set(belief.broken) == {5}
    belief.observe(5, clean=1)
    belief.settle([8])
    assert np.flatnonzero(belief.unusable()).tolist() == [5, 6, 8], "whatever its runs say"


def test_so_many_wasted_runs_make_a_revision_unusable():
    belief = belief_on_line()
    belief.observe(1, lost=23)
    belief.observe(2, lost=24)
    belief.record(3, Evidence(lost=12, clean=1, unreached=12, reached=1))
    belief.observe(4, lost=24, clean=2, crashes=1)
    belief.observe(5, lost=23, clean=3)
    belief.observe(6, lost=24, clean=4)
    assert np.flatnonzero(belief.unusable()).tolist() == [2, 3, 4]


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
    ("arguments", "why"),
    [
        ({"rates": (), "rate_weights": ()}, "rates and rate_weights must be of one length, at least 1"),
        ({"rates": (0.5,), "rate_weights": (1, 1)}, "rates and rate_weights must be of one length, at least 1"),
        ({"rates": (0.0,), "rate_weights": (1,)}, r"each of rates must lie in \(0, 1\]"),
        ({"rates": (1.01,), "rate_weights": (1,)}, r"each of rates must lie in \(0, 1\]"),
        ({"rate_weights": (0,) * 19}, "rate_weights must be non-negative with a positive sum"),
        ({"rate_weights": (-1, *(1,) * 18)}, "rate_weights must be non-negative with a positive sum"),
        ({"spreads": (0.0,)}, r"spreads must be positive and spread_weight in \[0, 1\)"),
        ({"spread_weight": 1.0}, r"spreads must be positive and spread_weight in \[0, 1\)"),
        ({"spread_weight": -0.1}, r"spreads must be positive and spread_weight in \[0, 1\)"),
        ({"false_rate": 0.0}, r"false_rate must lie in \(0, 1\): at 0 one false crash could never be revised"),
        ({"false_rate": 1.0}, r"false_rate must lie in \(0, 1\): at 0 one false crash could never be revised"),
        ({"mask": 1.0}, r"mask and older must lie in \[0, 1\)"),
        ({"mask": -0.1}, r"mask and older must lie in \[0, 1\)"),
        ({"older": 1.0}, r"mask and older must lie in \[0, 1\)"),
        ({"older": -0.1}, r"mask and older must lie in \[0, 1\)"),
        ({"uniform_floor": 0.0}, r"uniform_floor must lie in \(0, 1\]"),
        ({"uniform_floor": 1.1}, r"uniform_floor must lie in \(0, 1\]"),
    ],
)
def test_wrong_models(arguments, why):
    with pytest.raises(ValueError, match=f"^{why}$"):
        Model(**arguments)


def test_models_at_the_ends_of_what_may_be():
    edges = Model(rates=(1.0, 0.5), rate_weights=(0, 1), spreads=(0.5,), spread_weight=0.0, mask=0.0, older=0.0)
    assert edges.laws.weight.tolist() == [0.0, 1.0]
    assert Model(uniform_floor=1.0).uniform_floor == 1.0
    assert not np.isfinite(Model(spreads=()).laws.spread).any()
    assert Model(spreads=()).laws.weight.sum() == pytest.approx(1)
