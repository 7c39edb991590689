"""The likelihood of one revision's runs: against numbers by definition, and as probabilities that add up."""

from dataclasses import replace
from math import comb, exp, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_inference_belief import SMALL, evidences, laws, likelihood, triggered

from firstbad.inference import Evidence, Model
from firstbad.inference.evidence import absent_law, gone_law, log_gamma, mask_chance, present_law, trigger_law

LAWS = laws(SMALL)


@given(evidences(), st.sampled_from([0.0, 0.05, 0.7, 1.0]))
def test_likelihoods_by_definition(seen, doubt):
    for j, law in enumerate(LAWS):
        expected = likelihood(SMALL, doubt, seen, True, law)
        assert exp(present_law(SMALL, doubt, seen)[j]) == pytest.approx(expected, rel=1e-8, abs=1e-300)
    assert exp(gone_law(SMALL, seen)) == pytest.approx(likelihood(SMALL, doubt, seen, False, LAWS[0]), rel=1e-8)


@given(evidences(), st.sampled_from([0.0, 0.05, 1.0]))
def test_mask_by_bayes(seen, doubt):
    chance = mask_chance(SMALL, doubt, seen)
    for j, law in enumerate(LAWS):
        present = likelihood(SMALL, doubt, seen, True, law)
        if present > 1e-200:
            masked = doubt * likelihood(SMALL, 1.0, seen, True, law)
            assert chance[j] == pytest.approx(masked / present, rel=1e-8, abs=1e-12)


def test_the_varying_rate_is_a_beta_mixture_of_fixed_ones():
    seen = Evidence(crashes=2, clean=5)
    law = next(law for law in LAWS if law[0] == 0.6 and law[1] == 3.0)
    points = (np.arange(200_000) + 0.5) / 200_000
    density = points**0.8 * (1 - points) ** 0.2  # Beta(1.8, 1.2)
    expected = (points**2 * (1 - points) ** 5) @ density / density.sum()
    assert triggered(law, seen) == pytest.approx(expected, rel=1e-4)


def test_all_outcomes_of_some_runs_add_up_to_one():
    total = sum(comb(6, k) * np.exp(trigger_law(SMALL.laws, Evidence(crashes=k, clean=6 - k))) for k in range(7))
    assert total == pytest.approx(np.ones(len(LAWS)))
    gone = sum(comb(6, k) * exp(absent_law(SMALL, Evidence(crashes=k, clean=6 - k))) for k in range(7))
    assert gone == pytest.approx(1.0)


@pytest.mark.parametrize("where", ["there", "masked", "gone"])
def test_all_counts_of_reached_runs_add_up_to_one(where):
    """Whether clean runs reached the code, given that they were clean."""
    total = 0.0
    for reached in range(6):
        seen = Evidence(clean=reached, reached=reached, unreached=5 - reached)
        total += comb(5, reached) * reach_alone(where, seen)
    assert total == pytest.approx(1.0)


def reach_alone(where, seen):
    """What is known of reach makes of the likelihood."""
    if where == "gone":
        return exp(gone_law(SMALL, seen) - gone_law(SMALL, seen.without_reach()))
    doubt = float(where == "masked")
    return exp(present_law(SMALL, doubt, seen)[1] - present_law(SMALL, doubt, seen.without_reach())[1])


def test_a_clean_run_that_stayed_away_from_the_code_says_next_to_nothing_of_a_bug_that_is_there():
    away, near = Evidence(unreached=3), Evidence(clean=3, reached=3)
    sure = next(j for j, law in enumerate(LAWS) if law[0] == 1.0)

    def ratio(seen):
        """Odds of present, with a doubt of a fifth, against absent."""
        return exp(present_law(SMALL, 0.2, seen)[sure] - gone_law(SMALL, seen))

    assert ratio(away) > 1  # masked revisions are where runs don't come
    assert ratio(near) < 0.2  # a clean run that came there leaves the mask alone, and makes it less probable
    assert ratio(replace(near, reached=0)) > ratio(near)


def test_code_that_does_not_exist_can_not_crash():
    seen = Evidence(clean=1, absent=True)
    assert present_law(SMALL, 0.05, seen).max() - gone_law(SMALL, seen) < log(0.01)


@given(st.lists(evidences(), max_size=4), st.randoms())
def test_neither_order_nor_grouping_matters(parts, random):
    shuffled = random.sample(parts, len(parts))
    left, right = Evidence(), Evidence()
    for part in parts:
        left = left.plus(part)
    for part in shuffled:
        right = part.plus(right)
    assert left == right
    exposures = [part.clean + sum(share * runs for share, runs in part.cut) for part in parts]
    assert left.exposure == pytest.approx(sum(exposures))
    assert left.clean_runs == sum(part.clean + sum(runs for _, runs in part.cut) for part in parts)
    assert left.counts == any(part.counts for part in parts)


def test_lost_runs_do_not_count():
    assert not Evidence(lost=7).counts
    assert not Evidence(absent=True).counts
    assert Evidence(unreached=1).counts
    assert trigger_law(SMALL.laws, Evidence(lost=7)) == pytest.approx(np.zeros(len(LAWS)))


@pytest.mark.parametrize(("share", "clean"), [(1.0, 1), (0.0, 0)])
def test_a_run_cut_at_its_end_is_a_full_one_and_one_cut_at_its_begin_is_none(share, clean):
    cut, whole = Evidence(crashes=1, cut=((share, 3),)), Evidence(crashes=1, clean=3 * clean)
    assert trigger_law(SMALL.laws, cut) == pytest.approx(trigger_law(SMALL.laws, whole))
    assert gone_law(SMALL, cut) == pytest.approx(gone_law(SMALL, whole))


def test_the_gamma_function():
    x = np.array([1e-3, 0.1, 0.5, 1.0, 2.5, 17.0, 1e3, 1e6])
    assert log_gamma(x) == pytest.approx([lgamma(value) for value in x], rel=1e-10, abs=1e-10)


@given(
    st.lists(st.sampled_from([1.0, 0.99, 0.97, 0.5, 0.05]), min_size=1, unique=True),
    st.lists(st.sampled_from([2.0, 6.0, 30.0]), max_size=3, unique=True),
    st.sampled_from([0.0, 0.02, 0.5]),
)
def test_laws_of_a_model(rates, spreads, share):
    model = Model(
        rates=tuple(rates), rate_weights=tuple(range(1, len(rates) + 1)), spreads=tuple(spreads), spread_weight=share
    )
    made, expected = model.laws, laws(model)
    assert list(zip(made.rate, made.spread, strict=True)) == [(rate, spread) for rate, spread, _ in expected]
    assert made.weight == pytest.approx([weight for _, _, weight in expected])
    assert made.weight.sum() == pytest.approx(1.0)
    assert (made.fixed == np.isinf(made.spread)).all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"crashes": -1}, "negative"),
        ({"lost": -1}, "negative"),
        ({"unreached": -1}, "negative"),
        ({"cut": ((0.5, 1), (1.1, 1))}, r"\[0, 1\]"),
        ({"cut": ((0.5, -1),)}, "negative"),
        ({"cut": ((-0.1, 1),)}, r"\[0, 1\]"),
    ],
)
def test_impossible_evidence(fields, words):
    with pytest.raises(ValueError, match=words):
        Evidence(**fields)


def told(crashes=0, clean=0, error=0.05, **own):
    return Evidence(told=((Evidence(crashes, clean), error),), **own)


def test_what_others_ran_never_says_more_than_their_error_lets_it():
    """However many runs: the ratio of likelihoods, over all laws, stays between e / (1 - e) and its inverse."""
    model = Model()
    for evidence in (told(crashes=1000), told(clean=100_000), told(crashes=3, clean=40)):
        present = np.logaddexp.reduce(present_law(model, 0.0, evidence) + np.log(model.laws.weight))
        assert abs(present - gone_law(model, evidence)) <= np.log(0.95 / 0.05) + 1e-6


def test_a_clean_run_of_others_says_little_of_a_crash_that_is_seldom():
    model = Model()
    seldom = int(np.argmin(np.abs(model.laws.rate - 0.1) + ~model.laws.fixed))
    ratio = present_law(model, 0.0, told(clean=1))[seldom] - gone_law(model, told(clean=1))
    assert -0.2 < ratio < 0


def test_peoples_words_are_worth_the_same_whatever_the_rate():
    model = Model()
    for said in (True, False):
        evidence = Evidence(words=((said, 0.01),))
        ratio = present_law(model, 0.3, evidence) - gone_law(model, evidence)
        assert np.allclose(ratio, (1 if said else -1) * np.log(99))
        assert evidence.counts


def test_what_is_told_adds_up_in_any_order():
    one, other = told(crashes=2, words=((True, 0.01),)), told(clean=3, words=((False, 0.01),))
    assert one.plus(other) == other.plus(one)
    with pytest.raises(ValueError, match="others err"):
        told(crashes=1, error=0.7)


def test_people_say_whether_the_bug_is_there_and_not_whether_it_is_masked():
    """So their words leave the chance of a mask as it is, whatever they said."""
    for seen in (Evidence(clean=3), Evidence(crashes=1, clean=1)):
        before = mask_chance(SMALL, 0.3, seen)
        for said in (True, False):
            after = mask_chance(SMALL, 0.3, seen.plus(Evidence(words=((said, 0.1),))))
            assert after == pytest.approx(before)
    assert (mask_chance(SMALL, 1.0, Evidence(clean=2)) == 1).all()
    assert (mask_chance(SMALL, 1.0, Evidence()) <= 1).all()
