"""What clean runs say, beside sums made by hand."""

import math

import numpy as np
import pytest

from firstbad.inference import Model
from firstbad.inference.evidence import Evidence
from firstbad.inference.model import Laws
from firstbad.inference.unseen import (
    assumed_law,
    chance_unseen,
    learned_laws,
    rate_interval,
    runs_until,
    usual_rate,
)

# Two rates, each the same everywhere; weights that do not sum to 1.
TWO = Laws(np.array([0.5, 0.1]), np.array([np.inf, np.inf]), np.array([3.0, 1.0]))


def test_an_assumed_law_is_one_rate() -> None:
    law = assumed_law(0.25)
    assert (law.rate.tolist(), law.spread.tolist(), law.weight.tolist()) == ([0.25], [math.inf], [1.0])
    assert assumed_law(1.0).rate.tolist() == [1.0]
    for wrong in (0.0, -0.1, 1.01):
        with pytest.raises(ValueError, match=r"a crash rate lies in \(0, 1\], not "):
            assumed_law(wrong)


def test_the_chance_of_clean_runs_is_averaged_over_the_laws() -> None:
    for runs in (0, 1, 2, 7):
        by_hand = 0.75 * 0.5**runs + 0.25 * 0.9**runs
        assert chance_unseen(TWO, Evidence(clean=runs)) == pytest.approx(by_hand)
    # Crashes do not make clean runs more or less probable; runs that were cut count by their share.
    assert chance_unseen(TWO, Evidence(clean=2, crashes=5)) == pytest.approx(0.75 * 0.25 + 0.25 * 0.81)
    cut = chance_unseen(TWO, Evidence(clean=1, cut=((0.5, 2),)))
    assert 0.75 * 0.5**3 + 0.25 * 0.9**3 < cut < 0.75 * 0.5 + 0.25 * 0.9


def test_what_was_seen_weighs_the_laws() -> None:
    learned = learned_laws(TWO, Evidence(crashes=1, clean=2))
    likelihoods = np.array([0.75 * 0.5 * 0.25, 0.25 * 0.1 * 0.81])
    assert learned.weight == pytest.approx(likelihoods / likelihoods.sum())
    assert (learned.rate.tolist(), learned.spread.tolist()) == (TWO.rate.tolist(), TWO.spread.tolist())
    assert learned_laws(TWO, Evidence()).weight == pytest.approx([0.75, 0.25])
    # So many runs that a plain likelihood would be 0 in floating point.
    many = learned_laws(TWO, Evidence(crashes=600, clean=5400))
    assert many.weight == pytest.approx([0, 1])
    assert np.isfinite(many.weight).all()


@pytest.mark.parametrize("chance", [0.5, 0.1, 0.01, 1e-4])
def test_so_many_runs_and_not_one_more_are_needed(chance: float) -> None:
    for seen in (Evidence(), Evidence(clean=3), Evidence(clean=40)):
        runs = runs_until(TWO, seen, chance)
        assert chance_unseen(TWO, seen.plus(Evidence(clean=runs))) <= chance
        if runs:
            assert chance_unseen(TWO, seen.plus(Evidence(clean=runs - 1))) > chance


def test_the_bound_itself_is_enough() -> None:
    half = assumed_law(0.5)
    assert [runs_until(half, Evidence(), 0.5**n) for n in (1, 2)] == [1, 2]
    assert runs_until(half, Evidence(clean=2), 0.25) == 0
    assert runs_until(half, Evidence(), 1.0) == 0


def test_shorter_runs_are_worth_less() -> None:
    half = assumed_law(0.5)
    assert runs_until(half, Evidence(), 0.01, share=0.5) > runs_until(half, Evidence(), 0.01)
    runs = runs_until(half, Evidence(), 0.01, share=0.5)
    assert (
        chance_unseen(half, Evidence(cut=((0.5, runs),)))
        <= 0.01
        < chance_unseen(half, Evidence(cut=((0.5, runs - 1),)))
    )


def test_no_number_of_runs_is_enough_for_what_hardly_ever_crashes() -> None:
    assert runs_until(assumed_law(1e-9), Evidence(), 0.01) == 1_000_000


def test_the_usual_rate_is_reached_by_the_share_of_bugs() -> None:
    model = Model(rates=(0.1, 1.0, 0.5), rate_weights=(0.2, 0.5, 0.3))
    assert set(model.laws.rate) == {0.1, 0.5, 1.0}
    assert [usual_rate(model, share) for share in (0.4, 0.5, 0.6, 0.8, 0.81, 1.0)] == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]
    assert usual_rate(model) == 0.1


def test_the_interval_of_the_rate_holds_nine_tenths() -> None:
    rates = Laws(np.array([0.9, 0.1, 0.5, 0.3]), np.full(4, np.inf), np.array([2.0, 8.0, 60.0, 30.0]))
    assert rate_interval(rates) == (pytest.approx(0.018 + 0.008 + 0.3 + 0.09), 0.1, 0.5)
    wide = Laws(np.array([0.9, 0.1, 0.5]), np.full(3, np.inf), np.array([0.06, 0.04, 0.9]))
    assert rate_interval(wide)[1:] == (0.5, 0.9)
    assert rate_interval(assumed_law(0.3)) == (pytest.approx(0.3), 0.3, 0.3)
