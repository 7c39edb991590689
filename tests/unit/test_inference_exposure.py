"""What a shortened run is worth: the law of the time to the crash against its definition."""

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbad.inference import Exposure
from firstbad.inference.exposure import SHARES

TIMES = st.lists(st.floats(0.0, 300.0), max_size=8)


def gamma_mixture(crash_seconds, at):
    """P(crash within ``at``) by definition: the exponential law averaged over the Gamma posterior of its rate, times
    stretched by half a standard deviation of their mean."""
    shape = 2 + len(crash_seconds)
    scale = (120 + sum(crash_seconds)) * (1 + 1 / shape**0.5)
    rates = np.linspace(1e-7, 60 / scale, 200_001)
    weight = rates ** (shape - 1) * np.exp(-scale * rates)
    return 1 - (weight @ np.exp(-rates * at)) / weight.sum()


@pytest.mark.parametrize("crash_seconds", [[], [30.0], [5.0, 10.0, 8.0, 4.0], [200.0] * 6])
def test_share_by_definition(crash_seconds):
    exposure = Exposure(crash_seconds, 300.0)
    for at in (1.0, 20.0, 100.0, 250.0):
        expected = gamma_mixture(crash_seconds, at) / gamma_mixture(crash_seconds, 300.0)
        assert float(exposure.share(at)) == pytest.approx(expected, rel=1e-4)


@given(TIMES, st.floats(1.0, 2000.0))
def test_share_grows_from_none_to_all(crash_seconds, full):
    exposure = Exposure(crash_seconds, full)
    shares = exposure.share(np.linspace(0.0, full, 50))
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert (np.diff(shares) > 0).all()
    assert float(exposure.share(2 * full)) == 1.0


@given(TIMES, st.floats(1.0, 2000.0), st.sampled_from((0.0, *SHARES, 1.0)))
def test_seconds_are_the_inverse_of_share(crash_seconds, full, share):
    exposure = Exposure(crash_seconds, full)
    seconds = exposure.seconds(share)
    assert 0 <= seconds <= full * (1 + 1e-9)
    assert float(exposure.share(seconds)) == pytest.approx(share, abs=1e-9)


def test_many_crashes_teach_their_mean():
    times = np.random.default_rng(3).exponential(20.0, 5_000)
    exposure = Exposure(times.tolist(), 300.0)
    for at in (5.0, 20.0, 60.0):
        assert float(exposure.share(at)) == pytest.approx((1 - exp(-at / 20)) / (1 - exp(-15)), abs=0.02)


def test_quick_crashes_make_short_runs_worth_more():
    quick, slow = Exposure([3.0] * 5, 300.0), Exposure([150.0] * 5, 300.0)
    assert float(quick.share(30.0)) > 2 * float(slow.share(30.0))
    assert quick.seconds(0.9) < slow.seconds(0.9) / 2


@given(TIMES, st.lists(st.floats(0.0, 400.0), max_size=20))
def test_shares_of_many_runs_are_counted_in_small_steps(crash_seconds, ended):
    exposure = Exposure(crash_seconds, 300.0)
    found = exposure.shares(ended)
    assert list(found) == sorted(set(found))
    assert sum(runs for _, runs in found) == len(ended)
    rounded = sorted(share for share, runs in found for _ in range(runs))
    exact = sorted(float(exposure.share(seconds)) for seconds in ended)
    assert all(value <= true < value + 1 / 64 + 1e-9 for value, true in zip(rounded, exact, strict=True))
